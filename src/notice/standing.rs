//! How an endpoint is doing, and how much is tried at once because of it.
//!
//! A healthy endpoint has a window of deliveries under way. One that fails several times in a row is only asked now
//! and then whether it is back: by what is due, and at a pace of its own by what is due next, so that nobody
//! waits for a place in the schedule that may be hours away. One that failed once or twice and is then asked by nothing
//! that is due is asked at the slowest of those paces. One that says it has too much is left alone for longer and longer.

use crate::domain::delivery::Failure;
use crate::domain::time::Timestamp;

/// Failures in a row after which an endpoint counts as failing.
const FAILING_AFTER: u32 = 5;
/// The first pause between two questions, in milliseconds; it doubles up to [`Standing::probe_max_ms`].
const PROBE_FIRST_MS: i64 = 5_000;
/// The first pause of an endpoint that has too much, in milliseconds; it doubles up to a minute.
const SLOW_FIRST_MS: i64 = 1_000;
const SLOW_MAX_MS: i64 = 60_000;

/// How one endpoint is doing, as far as one process has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The longest pause between two questions whether the endpoint is back, in milliseconds.
    pub probe_max_ms: i64,
    failures: u32,
    failing_since: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    slowed: u32,
    probes: u32,
    probe_at: Option<Timestamp>,
    taken_at: Option<Timestamp>,
}

/// What may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Nothing.
    Nothing,
    /// What is due, so many at once.
    Due(usize),
    /// One, due or not: to see whether the endpoint is back.
    Probe,
}

impl Standing {
    /// Nothing is known: as if healthy.
    pub fn new(probe_max_ms: i64) -> Standing {
        Standing {
            probe_max_ms,
            failures: 0,
            failing_since: None,
            paused_until: None,
            slowed: 0,
            probes: 0,
            probe_at: None,
            taken_at: None,
        }
    }

    /// Since when every attempt has failed.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// When it last took something.
    pub fn taken_at(&self) -> Option<Timestamp> {
        self.taken_at
    }

    /// Whether so many attempts failed in a row that the endpoint is only asked now and then.
    pub fn is_failing(&self) -> bool {
        self.failures >= FAILING_AFTER
    }

    /// What may be tried at `now`, with so many under way and a `window` that a healthy endpoint has.
    pub fn allowance(&self, now: Timestamp, under_way: usize, window: usize) -> Allowance {
        if self.paused_until.is_some_and(|until| now < until) {
            return Allowance::Nothing;
        }
        let is_time_to_ask = under_way == 0 && self.probe_at.is_some_and(|at| now >= at);
        if is_time_to_ask {
            return Allowance::Probe;
        }
        if !self.is_failing() {
            // After one 429 a whole window would be the next.
            let window = if self.slowed > 0 { 1 } else { window };
            return match window.saturating_sub(under_way) {
                0 => Allowance::Nothing,
                room => Allowance::Due(room),
            };
        }
        if under_way > 0 { Allowance::Nothing } else { Allowance::Due(1) }
    }

    /// An attempt succeeded at `now`. Returns whether the endpoint was in trouble before.
    pub fn succeeded(&mut self, now: Timestamp) -> bool {
        let was_failing = self.failures > 0;
        let taken_at = self.taken_at.max(Some(now));
        *self = Standing { taken_at, ..Standing::new(self.probe_max_ms) };
        was_failing
    }

    /// An attempt failed at `now`; `retry_after` is when the endpoint asked to be asked again.
    pub fn failed(&mut self, now: Timestamp, failure: Failure, retry_after: Option<Timestamp>) {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        if is_too_much(failure) {
            let pause = doubled(SLOW_FIRST_MS, self.slowed, SLOW_MAX_MS);
            self.slowed += 1;
            self.pause_until(now.plus_millis(pause));
        }
        if let Some(until) = retry_after {
            self.pause_until(until);
        }
        let mut pause = self.probe_max_ms;
        if self.is_failing() {
            pause = doubled(PROBE_FIRST_MS, self.probes, self.probe_max_ms);
            self.probes += 1;
        }
        self.probe_at = Some(now.plus_millis(pause));
    }

    fn pause_until(&mut self, until: Timestamp) {
        self.paused_until = Some(self.paused_until.map_or(until, |paused| paused.max(until)));
    }
}

/// Whether an endpoint says that it, or what stands before it, has too much.
fn is_too_much(failure: Failure) -> bool {
    matches!(failure, Failure::Status(429 | 502 | 503 | 504))
}

fn doubled(first: i64, times: u32, most: i64) -> i64 {
    first.saturating_mul(1i64 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 8;

    fn failing(at: Timestamp) -> Standing {
        let mut standing = Standing::new(60_000);
        for _ in 0..FAILING_AFTER {
            standing.failed(at, Failure::Connect, None);
        }
        standing
    }

    #[test]
    fn a_healthy_endpoint_has_a_window() {
        let standing = Standing::new(60_000);
        assert_eq!(standing.allowance(Timestamp(0), 0, WINDOW), Allowance::Due(8));
        assert_eq!(standing.allowance(Timestamp(0), 7, WINDOW), Allowance::Due(1));
        assert_eq!(standing.allowance(Timestamp(0), 8, WINDOW), Allowance::Nothing);
    }

    #[test]
    fn a_failing_one_is_asked_at_a_pace_that_slows_to_the_longest_pause() {
        let mut now = Timestamp(0);
        let mut standing = failing(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(standing.allowance(now, 0, WINDOW), Allowance::Due(1));
            assert_eq!(standing.allowance(now, 1, WINDOW), Allowance::Nothing);
            let asked = now;
            while standing.allowance(now, 0, WINDOW) != Allowance::Probe {
                now = now.plus_millis(1_000);
            }
            pauses.push((now.millis() - asked.millis()) / 1_000);
            standing.failed(now, Failure::Connect, None);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert_eq!(standing.failing_since(), Some(Timestamp(0)));
        assert!(standing.succeeded(now));
        assert!(!standing.succeeded(Timestamp(0)));
        assert_eq!(standing, Standing { taken_at: Some(now), ..Standing::new(60_000) });
    }

    #[test]
    fn one_that_failed_a_few_times_is_asked_after_the_longest_pause_if_nothing_is_due() {
        let mut standing = Standing::new(60_000);
        standing.failed(Timestamp(0), Failure::Connect, None);
        standing.failed(Timestamp(5_000), Failure::Connect, None);
        assert_eq!(standing.allowance(Timestamp(64_999), 0, WINDOW), Allowance::Due(8));
        assert_eq!(standing.allowance(Timestamp(65_000), 0, WINDOW), Allowance::Probe);
        assert_eq!(standing.allowance(Timestamp(65_000), 1, WINDOW), Allowance::Due(7));
        standing.succeeded(Timestamp(65_000));
        assert_eq!(standing.allowance(Timestamp(650_000), 0, WINDOW), Allowance::Due(8));
    }

    #[test]
    fn one_that_has_too_much_is_left_alone_for_longer_and_longer() {
        for status in [429, 502, 503, 504] {
            let mut standing = Standing::new(60_000);
            standing.failed(Timestamp(0), Failure::Status(status), None);
            assert_eq!(standing.allowance(Timestamp(999), 0, WINDOW), Allowance::Nothing);
            assert_eq!(standing.allowance(Timestamp(1_000), 0, WINDOW), Allowance::Due(1));
            standing.failed(Timestamp(1_000), Failure::Status(status), None);
            assert_eq!(standing.allowance(Timestamp(2_999), 0, WINDOW), Allowance::Nothing);
        }
        for failure in [Failure::Status(500), Failure::Timeout, Failure::Connect] {
            let mut other = Standing::new(60_000);
            other.failed(Timestamp(0), failure, None);
            assert_eq!(other.allowance(Timestamp(0), 0, WINDOW), Allowance::Due(8));
            assert!(other.succeeded(Timestamp(1)), "it was in trouble");
        }
        let mut long = Standing::new(60_000);
        (0..30).for_each(|_| long.failed(Timestamp(0), Failure::Status(429), None));
        assert_eq!(long.allowance(Timestamp(59_999), 0, WINDOW), Allowance::Nothing);
        assert_ne!(long.allowance(Timestamp(60_000), 0, WINDOW), Allowance::Nothing);
    }

    #[test]
    fn a_longer_pause_stands_until_a_success_ends_it() {
        let mut standing = Standing::new(60_000);
        standing.failed(Timestamp(0), Failure::Status(429), Some(Timestamp(600_000)));
        standing.failed(Timestamp(0), Failure::Status(429), None);
        assert_eq!(standing.allowance(Timestamp(599_999), 0, WINDOW), Allowance::Nothing);
        standing.succeeded(Timestamp(1));
        assert_eq!(standing.allowance(Timestamp(1), 0, WINDOW), Allowance::Due(8));
    }

    #[test]
    fn a_wish_to_be_asked_later_holds_for_probes_too() {
        let mut standing = failing(Timestamp(0));
        standing.failed(Timestamp(0), Failure::Status(503), Some(Timestamp(600_000)));
        assert_eq!(standing.allowance(Timestamp(599_999), 0, WINDOW), Allowance::Nothing);
        assert_eq!(standing.allowance(Timestamp(600_000), 0, WINDOW), Allowance::Probe);
    }
}
