//! Waiting for a condition, always with a deadline, never by sleeping for a guessed time.

use std::time::{Duration, Instant};

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::stop::Stop;

/// How long to wait between two looks at a condition.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// How long at most after a look that took its time: what is waited for wants the machine too.
const BETWEEN_LONG_LOOKS: Duration = Duration::from_millis(500);

/// The monotonic clock.
pub fn now() -> Instant {
    SystemClock.instant()
}

/// Waits for `duration`; for pacing a load, not for hoping that something has happened by then.
pub fn pause(duration: Duration) {
    Stop::new().wait(duration);
}

/// Looks at `condition` until it yields a value or `within` has passed.
pub fn poll<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + within;
    loop {
        let look = now();
        if let Some(value) = condition() {
            return Some(value);
        }
        if now() >= deadline {
            return None;
        }
        pause_after(look);
    }
}

/// As [`poll`], for looks that cost nothing: time in which this process, and so perhaps the machine, stood still does not
/// count. For a promise that is measured, on a machine that others use as well.
pub fn poll_awake<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let mut left = within;
    loop {
        let look = now();
        if let Some(value) = condition() {
            return Some(value);
        }
        if left.is_zero() {
            return None;
        }
        pause(BETWEEN_LOOKS);
        left = left.saturating_sub((now() - look).min(BETWEEN_LOOKS * 5));
    }
}

/// Waits before the next look at a condition; the last one began at `look`. Asking a broker may cost it more
/// than what it is asked about.
pub fn pause_after(look: Instant) {
    pause((now() - look).clamp(BETWEEN_LOOKS, BETWEEN_LONG_LOOKS));
}

/// As [`poll`], and a panic that says what was waited for when the time is up.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, condition: impl FnMut() -> Option<T>) -> T {
    match poll(within, condition) {
        Some(value) => value,
        None => panic!("{what}: not within {within:?}"),
    }
}
