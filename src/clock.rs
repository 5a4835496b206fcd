//! The one place that reads a clock; everything else is told the time.
//!
//! Fault tests move the wall clock ([`crate::fault`]) so that hours of a schedule pass in seconds. Everything that is told
//! [`Clock::now`] follows it: when a delivery is due and since when it is owed, pauses and questions of an endpoint that fails,
//! `Retry-After`, how long a batch waits, what disables an endpoint, signatures, ages in metrics. What is told
//! [`Clock::instant`] stays real, and so do the timers of tokio: deadlines of requests, time-outs and pace of the loop.
//! Timestamps of records stay real too, because the Kafka client sets them by the machine's clock (brokers refuse what is
//! an hour ahead); so a time that is compared with those, as in `since` or `webhook replay --since`, is not for such a test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::domain::time::Timestamp;
use crate::fault;

/// Tells the time. Lines hold one; pure rooms are handed the result.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// A clock that never goes back, for deadlines and durations.
    fn instant(&self) -> Instant;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clocks")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX));
        Timestamp(fault::moved(millis))
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that moves only when told to, for tests and for judging files.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    start_ms: i64,
    now_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `at`.
    #[allow(clippy::disallowed_methods, reason = "an origin for the instants; it never moves by itself")]
    pub fn at(at: Timestamp) -> ManualClock {
        ManualClock { start: Instant::now(), start_ms: at.millis(), now_ms: AtomicI64::new(at.millis()) }
    }

    /// Moves the clock to `at`, forwards or backwards.
    pub fn set(&self, at: Timestamp) {
        self.now_ms.store(at.millis(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        let elapsed = self.now_ms.load(Ordering::Relaxed).saturating_sub(self.start_ms);
        self.start + Duration::from_millis(u64::try_from(elapsed).unwrap_or(0))
    }
}
