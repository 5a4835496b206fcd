//! Asking a cluster in motion until it answers.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::error::KafkaError;

use super::start::{CLUSTER, Stopped};
use crate::backoff::Backoff;
use crate::clock::{Clock, SystemClock};
use crate::stop::{Stop, exit};

/// How long a predecessor's transaction, or a broker that went, may hold an answer back before this is a
/// failure. Well above the transaction time-out plus the coordinator's clean-up interval.
const PATIENCE: Duration = Duration::from_secs(180);

/// A thread that restores has ended without saying why.
pub(super) const NO_RESTORE: &str = "a restore ended without a result";

/// What a thread of its own was asked for, if it has come. `missing` says what went wrong where the thread ended
/// without it.
///
/// # Errors
/// What the thread found, or that it found nothing.
pub(super) fn come<T>(
    answer: &Receiver<Result<T, Stopped>>,
    missing: &'static str,
) -> Result<Option<T>, Stopped> {
    match answer.try_recv() {
        Ok(found) => found.map(Some),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(Stopped::new(exit::INTERNAL, missing)),
    }
}

/// Asks for committed offsets until they are told: an open transaction of a predecessor holds them back.
///
/// # Errors
/// When they are not told for longer than such a transaction lasts, or `stop` is asked.
pub(super) fn patiently<T>(
    stop: &Stop,
    topic: &str,
    group: &str,
    ask: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, Stopped> {
    let what = format!("committed offsets of group {group} on {topic}");
    until_answered(&SystemClock, stop, &what, ask).map_err(|error| {
        Stopped::new(
            exit::UNAVAILABLE,
            format!("group {group} does not tell its offsets of {topic}: {error}; {CLUSTER}"),
        )
    })
}

/// Asks for `what` until there is an answer, as long as a cluster in motion may take for one.
///
/// # Errors
/// The last one, when there was no answer in all that time or `stop` is asked.
pub(super) fn until_answered<T, E: std::fmt::Display>(
    clock: &dyn Clock,
    stop: &Stop,
    what: &str,
    mut ask: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let started = clock.instant();
    loop {
        match ask() {
            Err(error) if clock.instant() - started < PATIENCE && !stop.is_asked() => {
                tracing::info!(what, %error, "no answer yet, asking again");
                stop.wait(backoff.next_wait());
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::time::Timestamp;
    use crate::stop::Reason;

    /// Asks somebody who answers the n-th question, if at all, and lets `passes` pass at each.
    fn asked(answers_at: u32, passes: Duration, stop: &Stop) -> (Result<u32, u32>, u32) {
        let clock = ManualClock::at(Timestamp(0));
        let mut questions = 0;
        let answer = until_answered(&clock, stop, "something", || {
            questions += 1;
            let now = Timestamp(clock.now().millis() + i64::try_from(passes.as_millis()).unwrap());
            clock.set(now);
            if questions == answers_at { Ok(questions) } else { Err(questions) }
        });
        (answer, questions)
    }

    #[test]
    fn a_cluster_in_motion_is_asked_again_and_not_for_ever() {
        assert_eq!(asked(3, Duration::from_secs(1), &Stop::new()), (Ok(3), 3));
        assert_eq!(asked(9, PATIENCE / 2, &Stop::new()), (Err(2), 2));
    }

    #[test]
    fn whoever_is_to_stop_asks_no_more() {
        let stop = Stop::new();
        stop.ask(Reason::Asked);
        assert_eq!(asked(2, Duration::ZERO, &stop), (Err(1), 1));
    }
}
