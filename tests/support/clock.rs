//! A clock of processes that the test moves (`clock:` among the faults).

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How far the wall clock of every process that follows it is ahead of the machine's.
#[derive(Debug)]
pub struct MovedClock {
    file: PathBuf,
    ahead_ms: AtomicI64,
}

impl MovedClock {
    /// One that says what the machine's says, until it is moved.
    pub fn at(file: PathBuf) -> MovedClock {
        MovedClock { file, ahead_ms: AtomicI64::new(0) }
    }

    /// The fault by which a process follows it.
    pub fn fault(&self) -> String {
        format!("clock:{}", self.file.display())
    }

    /// Moves it forward, for good.
    pub fn forward(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).expect("days");
        let ahead = self.ahead_ms.fetch_add(by, Ordering::Relaxed) + by;
        // In one step: a reader must not see half a number.
        let new = self.file.with_extension("new");
        std::fs::write(&new, ahead.to_string()).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// How far it was moved.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed).unsigned_abs())
    }
}
