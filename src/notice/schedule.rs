//! When an attempt is made again.
//!
//! Made for fraud, not for invoices: close at first, so that a receiver away for a minute has everything within three,
//! then wider, for three days and some hours.

use std::time::{Duration, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// The delays of a schedule that sets none: before the first attempt, then after each failed one. 76 hours in all.
pub const DELAYS: [Duration; 12] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// The share of a delay by which it is moved, where none is set.
pub const JITTER: f64 = 0.1;
/// The most delays of a schedule.
pub const DELAYS_MAX: usize = 64;
/// The longest delay.
pub const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// When attempts are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    delays: Vec<Duration>,
    jitter: f64,
}

/// Why a schedule cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// No delay at all, or more than [`DELAYS_MAX`].
    #[error("a schedule has 1 to {DELAYS_MAX} delays, the first of them before the first attempt")]
    Number,
    /// A delay above [`DELAY_MAX`].
    #[error("a delay is 30 days at most")]
    Delay,
    /// Jitter outside 0 to 1.
    #[error("jitter is a share from 0.0 to 1.0")]
    Jitter,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { delays: DELAYS.to_vec(), jitter: JITTER }
    }
}

impl Schedule {
    /// A schedule of its own. Each delay is moved by at most `jitter` of itself, either way.
    ///
    /// # Errors
    /// [`ScheduleError`] when it cannot be followed.
    pub fn new(delays: Vec<Duration>, jitter: f64) -> Result<Schedule, ScheduleError> {
        if !(1..=DELAYS_MAX).contains(&delays.len()) {
            return Err(ScheduleError::Number);
        }
        if delays.iter().any(|delay| *delay > DELAY_MAX) {
            return Err(ScheduleError::Delay);
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(ScheduleError::Jitter);
        }
        Ok(Schedule { delays, jitter })
    }

    /// How many attempts there are.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX)
    }

    /// When to make the next attempt, `attempts_made` having been made, the last just `now`; `None` after the last.
    /// `random` decides where within the jitter. Never earlier than `now`.
    pub fn next(&self, attempts_made: u32, now: Timestamp, random: u64) -> Option<Timestamp> {
        let delay = self.delays.get(usize::try_from(attempts_made).ok()?)?;
        // From -1 to 1.
        let place = random as f64 / u64::MAX as f64 * 2.0 - 1.0;
        let millis = delay.as_millis() as f64 * (1.0 + self.jitter * place);
        Some(now.plus_millis(millis.max(0.0).round() as i64))
    }
}

/// How soon and how late an endpoint may ask to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The soonest.
    pub least: Duration,
    /// The latest.
    pub most: Duration,
}

impl Default for Bounds {
    /// A second to an hour.
    fn default() -> Bounds {
        Bounds { least: Duration::from_secs(1), most: Duration::from_secs(3600) }
    }
}

/// When an endpoint wants to be asked again by its `Retry-After`: seconds, or a date in any of the three forms of RFC
/// 9110, held within the bounds. `None` when it is neither.
pub fn retry_after(text: &str, now: Timestamp, bounds: Bounds) -> Option<Timestamp> {
    let text = text.trim_matches([' ', '\t']);
    let millis = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1000)
    } else {
        let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since_epoch.as_millis()).ok()?.saturating_sub(now.millis())
    };
    let whole = |bound: Duration| i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
    let (least, most) = (whole(bounds.least), whole(bounds.most));
    Some(now.plus_millis(millis.min(most).max(least)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(784_111_777_000);

    fn at(text: &str) -> Option<i64> {
        retry_after(text, NOW, Bounds::default()).map(|at| at.millis() - NOW.millis())
    }

    #[test]
    fn a_receiver_away_for_a_minute_is_told_within_three() {
        let schedule = Schedule::default();
        for random in [0, u64::MAX / 3, u64::MAX] {
            let mut now = NOW;
            for attempt in 0.. {
                now = schedule.next(attempt, now, random).unwrap();
                if now >= NOW.plus_millis(60_000) {
                    break;
                }
            }
            assert!(now <= NOW.plus_millis(180_000), "{now}");
        }
    }

    #[test]
    fn without_jitter_the_delays_are_those_written_and_then_it_is_over() {
        let schedule = Schedule::new(DELAYS.to_vec(), 0.0).unwrap();
        assert_eq!(schedule.attempts(), 12);
        let delays: Vec<_> = (0..13).map(|made| schedule.next(made, NOW, 7)).collect();
        for (made, delay) in DELAYS.iter().enumerate() {
            assert_eq!(delays[made], Some(NOW.plus_millis(delay.as_millis() as i64)));
        }
        assert_eq!(delays[12], None);
        assert_eq!(schedule.next(u32::MAX, NOW, 7), None);
        let total: Duration = DELAYS.iter().sum();
        assert!(total > Duration::from_secs(3 * 86_400) && total < Duration::from_secs(4 * 86_400));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(Schedule::new(Vec::new(), 0.1), Err(ScheduleError::Number));
        assert_eq!(Schedule::new(vec![second; 65], 0.1), Err(ScheduleError::Number));
        assert_eq!(Schedule::new(vec![DELAY_MAX + second], 0.1), Err(ScheduleError::Delay));
        assert!(Schedule::new(vec![DELAY_MAX; 64], 1.0).is_ok());
        for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Schedule::new(vec![second], jitter), Err(ScheduleError::Jitter), "{jitter}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_one_of_three_dates_within_bounds() {
        for (text, want) in [
            ("120", Some(120_000)),
            (" 120\t", Some(120_000)),
            ("0", Some(1_000)),
            ("3600", Some(3_600_000)),
            ("3601", Some(3_600_000)),
            ("99999999999999999999999999", Some(3_600_000)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90_000)),
            ("Sunday, 06-Nov-94 08:51:07 GMT", Some(90_000)),
            ("Sun Nov  6 08:51:07 1994", Some(90_000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(1_000)),
            ("Sun, 06 Nov 2094 08:49:00 GMT", None),
            ("Sat, 06 Nov 2094 08:49:00 GMT", Some(3_600_000)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("1994-11-06T08:51:07Z", None),
        ] {
            assert_eq!(at(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_attempt_lies_within_the_jitter_and_never_in_the_past(
            seconds in 0u64..100_000, jitter in 0.0f64..=1.0, random in any::<u64>(),
        ) {
            let schedule = Schedule::new(vec![Duration::from_secs(seconds)], jitter).unwrap();
            let delay = schedule.next(0, NOW, random).unwrap().millis() - NOW.millis();
            let (whole, moved) = (seconds as f64 * 1000.0, seconds as f64 * 1000.0 * jitter);
            prop_assert!(delay >= 0);
            prop_assert!((delay as f64 - whole).abs() <= moved + 1.0, "{delay}");
            let (first, last) = (schedule.next(0, NOW, 0).unwrap(), schedule.next(0, NOW, u64::MAX).unwrap());
            prop_assert!(((last.millis() - first.millis()) as f64 - 2.0 * moved).abs() <= 2.0);
        }

        #[test]
        fn whatever_an_endpoint_answers_is_held_within_the_bounds(
            text in "[0-9]{0,30}|[A-Za-z]{3}, [0-9]{2} (Jan|Jun|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT|.{0,40}",
            now in 0i64..4_000_000_000_000,
        ) {
            if let Some(at) = retry_after(&text, Timestamp(now), Bounds::default()) {
                prop_assert!((1_000..=3_600_000).contains(&(at.millis() - now)), "{at}");
            }
        }
    }
}
