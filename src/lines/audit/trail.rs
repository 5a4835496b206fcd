//! Reads the audit topic back.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::audit::{AuditRecord, By, LostRange};
use crate::domain::time::Timestamp;
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::lines::read::Source;
use crate::lines::start::Stopped;
use crate::stop::exit;

/// How far a record's place by the brokers' time may be off from its own, in milliseconds.
const SKEW_MS: i64 = 3_600_000;

/// Where the audit topic is.
#[derive(Debug, Clone)]
pub struct Trail {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic.
    pub topic: String,
    /// A name for the client; the group is never joined.
    pub group: String,
    /// Tells whether anything moves.
    pub clock: Arc<dyn Clock>,
}

/// What stands at an offset of the topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A record.
    Record(Box<AuditRecord>),
    /// Something else, at this offset. Only somebody else can have written it.
    Other(i64),
}

impl Trail {
    fn source(&self) -> Source<'_> {
        Source {
            cluster: &self.cluster,
            group: &self.group,
            topic: &self.topic,
            partition: 0,
            what: "the audit topic",
            clock: self.clock.as_ref(),
        }
    }

    /// The first offset from which everything since `since` is found; all there is without it.
    fn first(&self, since: Option<Timestamp>) -> Result<(i64, i64), Stopped> {
        if self.probe.partitions(&self.topic)?.is_none() {
            let message =
                format!("topic {} does not exist; make it with `cardwatch topics --create`", self.topic);
            return Err(Stopped::new(exit::CONFIG, message));
        }
        let marks = self.probe.watermarks(&self.topic, 0)?;
        let first = match since {
            None => marks.low,
            Some(since) => self.probe.offset_at(&self.topic, 0, Timestamp((since.0 - SKEW_MS).max(0)))?,
        };
        Ok((first.max(marks.low), marks.high))
    }

    /// Reads what is there, from a time on.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub fn read(&self, since: Option<Timestamp>, mut visit: impl FnMut(Entry)) -> Result<(), Stopped> {
        let (first, high) = self.first(since)?;
        self.source().read(first, high, |message| {
            visit(entry(message.offset(), message.value()));
            Ok(())
        })
    }

    /// Reads what is there from a time on, or nothing of it without one, and then what comes, as long as `going`
    /// says so.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn follow(
        &self,
        since: Option<Timestamp>,
        mut going: impl FnMut() -> bool,
        mut visit: impl FnMut(Entry),
    ) -> Result<(), Stopped> {
        let (first, high) = self.first(since)?;
        let mut reached = if since.is_some() { first } else { high };
        let source = self.source();
        let mut reader = source.start(reached)?;
        while going() {
            reached = source.turn(&mut reader, reached, &mut |message| {
                visit(entry(message.offset(), message.value()));
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn entry(offset: i64, value: Option<&[u8]>) -> Entry {
    match value.map(AuditRecord::from_json) {
        Some(Ok(record)) => Entry::Record(Box::new(record)),
        _ => Entry::Other(offset),
    }
}

/// A range of the input that somebody gave up.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// The range.
    pub range: LostRange,
    /// `accept_gap` or `skip`.
    pub act: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// Why, where they said so.
    pub reason: Option<String>,
}

/// Every range that was given up, in order of time, each once: accepting the same gap again, after a crash
/// before the first commit, gives up no more.
///
/// # Errors
/// When the topic cannot be read.
pub fn lost_ranges(trail: &Trail) -> Result<Vec<GivenUp>, Stopped> {
    let mut found: Vec<GivenUp> = Vec::new();
    trail.read(None, |entry| {
        let Entry::Record(record) = entry else { return };
        let Some(range) = LostRange::of(&record) else { return };
        let same = |other: &GivenUp| {
            let (a, b) = (&other.range, &range);
            (&a.topic, a.partition, &a.group, a.first, a.last)
                == (&b.topic, b.partition, &b.group, b.first, b.last)
        };
        if !found.iter().any(same) {
            let AuditRecord { act, at, by, reason, .. } = *record;
            found.push(GivenUp { range, act, at, by, reason });
        }
    })?;
    Ok(found)
}
