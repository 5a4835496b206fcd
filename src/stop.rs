//! Stopping: one flag that every thread looks at, and the reason for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why the program stops, and the exit code it leaves with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it (SIGTERM, SIGINT, the end of a demo): drain, exit 0.
    Asked,
    /// Something that needs a person: the message says what, where and what to do.
    Failed {
        /// The exit code, of sysexits.
        code: u8,
        /// The message.
        message: String,
    },
}

/// A shared request to stop. The first reason given stays.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    shared: Arc<(Mutex<Option<Reason>>, Condvar)>,
}

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks everybody to stop; later reasons do not replace the first.
    pub fn ask(&self, reason: Reason) {
        let mut slot = self.slot();
        if slot.is_none() {
            *slot = Some(reason);
        }
        self.shared.1.notify_all();
    }

    /// Asks for a stop because of a failure.
    pub fn fail(&self, code: u8, message: impl Into<String>) {
        self.ask(Reason::Failed { code, message: message.into() });
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.slot().is_some()
    }

    /// The first reason, if somebody asked.
    pub fn reason(&self) -> Option<Reason> {
        self.slot().clone()
    }

    /// Waits until somebody asks or `timeout` has passed; true when somebody asked.
    pub fn wait(&self, timeout: Duration) -> bool {
        let slot = self.slot();
        let (slot, _) = self
            .shared
            .1
            .wait_timeout_while(slot, timeout, |reason| reason.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        slot.is_some()
    }

    /// Waits for `timeout` whatever was asked: for the short steps of a drain.
    pub fn wait_more(&self, timeout: Duration) {
        let slot = self.slot();
        drop(self.shared.1.wait_timeout_while(slot, timeout, |_| true));
    }

    fn slot(&self) -> MutexGuard<'_, Option<Reason>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exit codes of sysexits.h.
pub mod exit {
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// The data is wrong.
    pub const DATA: u8 = 65;
    /// A service that is needed is not there.
    pub const UNAVAILABLE: u8 = 69;
    /// A fault of the program itself.
    pub const INTERNAL: u8 = 70;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::ZERO));
        stop.fail(exit::DATA, "lost range");
        stop.ask(Reason::Asked);
        assert_eq!(stop.reason(), Some(Reason::Failed { code: 65, message: "lost range".to_owned() }));
        assert!(stop.clone().wait(Duration::ZERO));
    }
}
