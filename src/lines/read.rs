//! Reads a range of one partition from end to end, without a group.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::start::Stopped;
use crate::clock::Clock;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::reader::{Read, Reader};
use crate::stop::exit;

/// How long reading may make no progress.
const STALL: Duration = Duration::from_secs(60);
/// How long a turn waits for records.
const TURN: Duration = Duration::from_millis(100);

/// What is read, and as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// The cluster.
    pub(super) cluster: &'a Cluster,
    /// A name for the client; the group is never joined.
    pub(super) group: &'a str,
    /// The topic.
    pub(super) topic: &'a str,
    /// The partition.
    pub(super) partition: i32,
    /// What it is, for messages: "the exposure list".
    pub(super) what: &'a str,
    /// Tells whether anything moves.
    pub(super) clock: &'a dyn Clock,
}

impl Source<'_> {
    fn failed(&self, error: &dyn std::fmt::Display) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("{} {} cannot be read: {error}", self.what, self.topic))
    }

    /// Reads what is committed of the partition from `from` up to, not including, `until`.
    ///
    /// # Errors
    /// When it cannot be read, does not come to its end, or `visit` refuses a record.
    pub(super) fn read(
        &self,
        from: i64,
        until: i64,
        visit: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        self.read_within(STALL, from, until, visit)
    }

    /// The same, where standing still for `stall` is a failure.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub(super) fn read_within(
        &self,
        stall: Duration,
        from: i64,
        until: i64,
        mut visit: impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        if from >= until {
            return Ok(());
        }
        let mut reader = self.start(from)?;
        let mut reached = from;
        let mut last_progress: Instant = self.clock.instant();
        while reached < until {
            let before = reached;
            reached = self.turn(&mut reader, reached, &mut visit)?;
            if reached > before {
                last_progress = self.clock.instant();
            } else if self.clock.instant() - last_progress > stall {
                return Err(self.failed(&format!("no progress at offset {reached} of {until}")));
            }
        }
        Ok(())
    }

    /// A reader of the partition from `from` on.
    ///
    /// # Errors
    /// When the client refuses.
    pub(super) fn start(&self, from: i64) -> Result<Reader, Stopped> {
        Reader::new(self.cluster, self.group, self.topic, &[(self.partition, from)])
            .map_err(|error| self.failed(&error))
    }

    /// The same, keeping little ready.
    ///
    /// # Errors
    /// When the client refuses.
    pub(super) fn start_modest(&self, from: i64) -> Result<Reader, Stopped> {
        Reader::modest(self.cluster, self.group, self.topic, &[(self.partition, from)])
            .map_err(|error| self.failed(&error))
    }

    /// What has come since `reached`; gives how far it is read now.
    ///
    /// # Errors
    /// When it cannot be read, or `visit` refuses a record.
    pub(super) fn turn(
        &self,
        reader: &mut Reader,
        mut reached: i64,
        visit: &mut impl FnMut(&Message<'_>) -> Result<(), Stopped>,
    ) -> Result<i64, Stopped> {
        for read in reader.read(TURN) {
            match read {
                Read::Record(message) => {
                    visit(&message)?;
                    reached = message.offset() + 1;
                }
                Read::End { offset, .. } => reached = reached.max(offset),
                Read::Failed { code: RDKafkaErrorCode::TopicAuthorizationFailed, .. } => {
                    let missing = format!(
                        "{} cannot be read: Read on topic {} is missing; docs/kafka.md lists the rights",
                        self.what, self.topic
                    );
                    return Err(Stopped::new(exit::CONFIG, missing));
                }
                Read::Failed { code, .. } => return Err(self.failed(&code)),
            }
        }
        Ok(reached)
    }
}
