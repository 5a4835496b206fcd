//! Brings to the topic what was written into the file while there was no cluster.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Audit, AuditPlaces, Entry, Trail, WITHIN};
use crate::domain::audit::AuditRecord;
use crate::fault;
use crate::kafka::probe::Probe;
use crate::kafka::producer::{Outcome, Outgoing, TransactionalProducer};
use crate::lines::start::{CLUSTER, Stopped};
use crate::stop::{Stop, exit};

/// How often a running service looks whether the file has something new.
const EVERY: Duration = Duration::from_secs(30);
/// The line of the producer, for faults.
const LINE: &str = "audit";

impl Audit {
    /// Brings to the topic what the file has of acts on local files and the topic does not, in the file's order;
    /// gives how many records. Every way from such an act to the topic is this one.
    ///
    /// Exactly once: whoever delivers holds the file's lock, and takes the transactional id over before the topic is
    /// read. So of a predecessor that ended in the middle either everything is there to be read, or nothing will ever
    /// come.
    ///
    /// # Errors
    /// When the file cannot be read, or the topic does not take it; then it is tried again from the same place.
    pub fn deliver(&self) -> Result<usize, Stopped> {
        self.deliver_within(WITHIN)
    }

    pub(super) fn deliver_within(&self, within: Duration) -> Result<usize, Stopped> {
        let places = &self.shared.places;
        let Some(file) = &places.file else { return Ok(0) };
        let failed = |error: &dyn std::fmt::Display| Stopped::new(exit::CONFIG, error.to_string());
        let Some(unsent) = file.unsent(AuditRecord::is_of_local_files).map_err(|error| failed(&error))?
        else {
            return Ok(0);
        };
        let mut sent = 0;
        if let Some(oldest) = unsent.records().iter().map(|record| record.at).min() {
            self.check_topic(within)?;
            let mut producer = TransactionalProducer::start(
                &places.cluster,
                &places.sender,
                LINE,
                Arc::clone(&places.clock),
            )
            .map_err(|error| self.not_delivered(&error))?;
            let mut there = HashSet::new();
            trail(places)?.read(Some(oldest), |entry| {
                if let Entry::Record(record) = entry {
                    there.insert((record.id, record.outcome.as_str()));
                }
            })?;
            // The file may hold a record twice where somebody put two files together.
            for record in unsent.records() {
                if !there.insert((record.id.clone(), record.outcome.as_str())) {
                    continue;
                }
                let (key, value) = (record.id.as_bytes(), record.to_json());
                let (topic, value) = (&places.topic, Some(&value[..]));
                let outgoing = Outgoing { topic, partition: Some(0), key: Some(key), value, headers: &[] };
                producer.send(outgoing).map_err(|error| self.not_delivered(&error))?;
                sent += 1;
            }
            if sent > 0 {
                fault::point(LINE, "after-produce");
                match producer.commit_alone() {
                    Outcome::Committed => {}
                    Outcome::Aborted { reason, .. }
                    | Outcome::Fenced(reason)
                    | Outcome::Unknown(reason)
                    | Outcome::Failed(reason) => return Err(self.not_delivered(&reason)),
                }
            }
        }
        unsent.sent().map_err(|error| failed(&error))?;
        Ok(sent)
    }

    fn not_delivered(&self, why: &dyn std::fmt::Display) -> Stopped {
        let topic = &self.shared.places.topic;
        Stopped::new(
            exit::UNAVAILABLE,
            format!("the audit file cannot be brought to {topic}: {why}; {CLUSTER}"),
        )
    }
}

fn trail(places: &AuditPlaces) -> Result<Trail, Stopped> {
    Ok(Trail {
        cluster: places.cluster.clone(),
        probe: Probe::new(&places.cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?,
        topic: places.topic.clone(),
        group: places.sender.clone(),
        clock: Arc::clone(&places.clock),
    })
}

/// Delivers what is in the file at the start and what comes later, until somebody asks to stop. A failure is told
/// and tried again: what the file has is not lost.
pub fn deliver_until(audit: &Audit, stop: &Stop) {
    let mut told = None;
    loop {
        match audit.deliver() {
            Ok(sent) => {
                if sent > 0 {
                    tracing::info!(records = sent, "the audit file was brought to the topic");
                }
                told = None;
            }
            Err(stopped) => {
                if told.as_ref() != Some(&stopped.message) {
                    tracing::warn!(reason = stopped.message, "the audit topic misses what is in the file");
                }
                told = Some(stopped.message);
            }
        }
        if stop.wait(EVERY) {
            return;
        }
    }
}
