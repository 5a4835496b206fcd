//! How long a deleted card stays on a broker's disk at most, by a topic's settings.
//!
//! On a compacted topic four things take their time (Kafka's documentation, "Log Compaction"; KIP-354 for the lag,
//! KIP-534 for the delete horizon, KAFKA-20664 for when a segment is rolled):
//!
//! 1. The active segment is never cleaned. It is rolled by the first record that comes once it is older than
//!    `segment.ms` or `max.compaction.lag.ms`, whichever is less (*S*). Somebody has to write: `score` commits a
//!    checkpoint to every partition, and the sweep an incident record and a tombstone of no outcome, at least
//!    every *A*.
//! 2. What is behind the active segment is cleaned once its oldest record is older than `max.compaction.lag.ms`
//!    (*M*): after at most max(S + A, M) the record before the tombstone is gone.
//! 3. The tombstone itself, whose key names the card, is kept for `delete.retention.ms` (*D*) from then on …
//! 4. … and goes with the next cleaning, for which there must be something new to clean: A, and once more
//!    max(S + A, M).
//!
//! Together 2 max(S + A, M) + D + A, and for each of two cleanings the pause of the cleaner and the delay before
//! a replaced file is unlinked. It holds as far as the log cleaner keeps up: brokers tell by their metrics
//! `max-compaction-delay-secs` and `uncleanable-partitions-count`.
//!
//! Where records go by age, a segment goes when its newest record is older than `retention.ms`, and it may be
//! filled for `segment.ms`.

use std::time::Duration;

use super::topics::{Found, Role};

/// The pause of the log cleaner (`log.cleaner.backoff.ms`), which topics do not tell: the default.
const CLEANER_PAUSE_MS: i64 = 15_000;
/// How often a broker looks for segments that are too old (`log.retention.check.interval.ms`): the default.
const RETENTION_LOOK_MS: i64 = 300_000;
/// `file.delete.delay.ms` where the topic does not tell.
const UNLINK_MS: i64 = 60_000;

/// How long something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stay {
    /// At most this long.
    Within(Duration),
    /// Nothing bounds it.
    Endless,
}

/// How long a card stays on the topic's disks after it was deleted, or after it was written where records go
/// by age. `written_every` is how often something is written at least. `None` where the cluster does not tell
/// the settings, or the topic is the user's own.
pub fn of(role: Role, found: &Found, written_every: Duration) -> Option<Stay> {
    let settings = found.settings.as_ref()?;
    let ms = |name: &str| settings.get(name).and_then(|text| text.parse::<i64>().ok());
    let unlink = ms("file.delete.delay.ms").unwrap_or(UNLINK_MS);
    let total = match role {
        // The audit log, the ledger of deliveries and the control topic name no card.
        Role::Input | Role::Audit | Role::Control | Role::Deliveries => return None,
        Role::Exposures | Role::CardHistory | Role::Outcomes => {
            let lag = ms("max.compaction.lag.ms")?;
            if lag == i64::MAX {
                return Some(Stay::Endless);
            }
            let rolled = ms("segment.ms")?.min(lag);
            let every = i64::try_from(written_every.as_millis()).unwrap_or(i64::MAX);
            let cleaned = rolled.saturating_add(every).max(lag);
            let kept = ms("delete.retention.ms")?;
            let broker = CLEANER_PAUSE_MS.saturating_add(unlink);
            cleaned.saturating_add(broker).saturating_mul(2).saturating_add(kept).saturating_add(every)
        }
        Role::Sightings | Role::Alerts | Role::DeadLetters => {
            let kept = ms("retention.ms")?;
            if kept < 0 {
                return Some(Stay::Endless);
            }
            kept.saturating_add(ms("segment.ms")?).saturating_add(RETENTION_LOOK_MS).saturating_add(unlink)
        }
    };
    Some(Stay::Within(Duration::from_millis(u64::try_from(total).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn stay(role: Role, settings: &[(&str, &str)], every: Duration) -> Option<Stay> {
        let settings = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        of(role, &Found { partitions: 1, settings: Some(settings) }, every)
    }

    #[test]
    fn a_deleted_card_stays_for_two_cleanings_and_the_tombstones_time() {
        let compact = |lag: &'static str, segment: &'static str, kept: &'static str| {
            let settings = [
                ("max.compaction.lag.ms", lag),
                ("segment.ms", segment),
                ("delete.retention.ms", kept),
                ("file.delete.delay.ms", "60000"),
            ];
            stay(Role::CardHistory, &settings, Duration::from_secs(3600))
        };
        let within = |ms: u64| Some(Stay::Within(Duration::from_millis(ms)));
        let broker = 2 * 75_000;
        let hour = 3_600_000;
        assert_eq!(compact("86400000", "86400000", "86400000"), within(3 * DAY + 3 * hour + broker));
        // A segment is rolled by the lag, if that is shorter; and waits for the lag, if that is longer.
        assert_eq!(compact("86400000", "604800000", "0"), within(2 * DAY + 3 * hour + broker));
        assert_eq!(compact("604800000", "3600000", "0"), within(14 * DAY + hour + broker));
        assert_eq!(compact("9223372036854775807", "1000", "0"), Some(Stay::Endless));
    }

    #[test]
    fn what_goes_by_age_stays_until_its_segment_is_old() {
        let by_age = |retention: &'static str| {
            let settings = [("retention.ms", retention), ("segment.ms", "86400000")];
            stay(Role::Sightings, &settings, Duration::ZERO)
        };
        assert_eq!(by_age("86400000"), Some(Stay::Within(Duration::from_millis(2 * DAY + 360_000))));
        assert_eq!(by_age("-1"), Some(Stay::Endless));
        assert_eq!(stay(Role::Input, &[("retention.ms", "1")], Duration::ZERO), None);
    }
}
