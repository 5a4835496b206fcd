//! Alerts that are owed and about to expire on their topic: then nobody could tell them any more.

use super::Notify;
use super::sheets::Wish;
use super::state::Held;
use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;

/// How long before they expire it is said, in milliseconds.
const AHEAD_MS: i64 = 86_400_000;
/// How often the topic is asked which alerts that are, in milliseconds.
const ASK_EVERY_MS: i64 = 60_000;
/// How often it is said again, in milliseconds.
const SAY_EVERY_MS: i64 = 3_600_000;

/// What a worker remembers of expiry.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    asked_at: Timestamp,
    pub(super) said_at: Timestamp,
}

/// The time before which alerts expire within a day, on a topic that keeps them for `retention_ms`.
fn cutoff(now: Timestamp, retention_ms: i64) -> Timestamp {
    now.plus_millis(AHEAD_MS.min(retention_ms / 2) - retention_ms)
}

impl Notify {
    /// Asks, now and then, for the first offset of each partition that does not expire soon.
    pub(super) fn ask_what_expires(&mut self) {
        let Some(retention_ms) = self.bounds.retention_ms else { return };
        let now = self.state.now;
        if now.millis() - self.state.expiry.asked_at.millis() < ASK_EVERY_MS {
            return;
        }
        self.state.expiry.asked_at = now;
        for (partition, held) in &self.state.held {
            self.sheets.ask((*partition, held.epoch), Wish::From(cutoff(now, retention_ms)));
        }
    }

    /// Whether it is time to say in the log which alerts expire soon.
    pub(super) fn is_time_to_warn(&self) -> bool {
        self.state.now.millis() - self.state.expiry.said_at.millis() >= SAY_EVERY_MS
    }
}

impl Held {
    /// Whether the first alert that is owed expires soon; said in the log where it is time for that.
    pub(super) fn is_expiring(
        &self,
        endpoint: &EndpointName,
        partition: i32,
        first: Option<i64>,
        say: bool,
    ) -> bool {
        let Some(first) = first.filter(|first| *first < self.stays_from) else { return false };
        if say {
            tracing::error!(
                %endpoint, partition, first, behind = self.stays_from,
                "alerts that are owed expire on their topic within a day: mend the endpoint, or keep them longer"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_expire_has_a_day_left_or_half_of_a_short_life() {
        let day = AHEAD_MS;
        assert_eq!(cutoff(Timestamp(100 * day), 14 * day), Timestamp(87 * day));
        assert_eq!(cutoff(Timestamp(100 * day), day), Timestamp(99 * day + day / 2));
    }
}
