//! Changes the exposure list: one writer per incident, a claim first, a finishing mark last.
//!
//! The transactional id is made of the incident's, so taking it over fences and aborts whoever held it
//! before. Cards are written in transactions of at most 10,000 records or one second: one transaction for a
//! whole list would hold every reader of the topic back. Until the finishing mark is committed, nothing of
//! a revision is visible; after it, all of it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::start::Stopped;
use crate::clock::Clock;
use crate::domain::card::Fingerprint;
use crate::domain::incident::{Details, IncidentId};
use crate::exposure::plan::{CardWrite, ListedCard};
use crate::exposure::record::{CardRecord, IncidentRecord, ListKey, Mark, RecordError};
use crate::exposure::revision::{Finish, RevisionError};
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::kafka::producer::{IMPORT, Outcome, Outgoing, SendError, TransactionalProducer};
use crate::kafka::reader::{Read, Reader};
use crate::stop::exit;

/// Records in one transaction at most.
const RECORDS_MAX: usize = 10_000;
/// How long a transaction stays open at most while cards are written.
const OPEN_MAX: Duration = Duration::from_secs(1);
/// How long reading the list may make no progress.
const STALL: Duration = Duration::from_secs(60);

/// Why a change of the list ended.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another import of the same incident took over; nothing of this one is or will be visible.
    #[error("{0}; nothing of this import is visible")]
    TakenOver(String),
    /// The change is refused by the incident's own rules.
    #[error(transparent)]
    Refused(#[from] RevisionError),
    /// Anything else that stops it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl ImportError {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            ImportError::TakenOver(_) => exit::UNAVAILABLE,
            ImportError::Refused(_) => exit::DATA,
            ImportError::Stopped(stopped) => stopped.code,
        }
    }
}

/// Where the list is and who changes it.
pub struct ListTopic {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic of the list.
    pub topic: String,
    /// What transactional ids begin with.
    pub prefix: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for ListTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListTopic({})", self.topic)
    }
}

/// What the list says of one incident.
#[derive(Debug, Default)]
pub struct Known {
    /// The incident; `None` where there is no such.
    pub incident: Option<IncidentRecord>,
    /// Its cards, shown or not.
    pub cards: HashMap<Fingerprint, ListedCard>,
}

impl ListTopic {
    /// Reads the whole list up to the high watermark of this moment, record by record.
    ///
    /// # Errors
    /// When the topic cannot be read, does not come to its end, or `visit` refuses a record.
    pub fn read(
        &self,
        mut visit: impl FnMut(i64, &[u8], Option<&[u8]>) -> Result<(), RecordError>,
    ) -> Result<(), Stopped> {
        let marks = self.probe.watermarks(&self.topic, 0)?;
        if marks.high == marks.low {
            return Ok(());
        }
        let failed = |error: &dyn std::fmt::Display| {
            Stopped::new(
                exit::UNAVAILABLE,
                format!("the exposure list {} cannot be read: {error}", self.topic),
            )
        };
        let group = format!("{}-import", self.prefix);
        let mut reader = Reader::new(&self.cluster, &group, &self.topic, &[(0, marks.low)])
            .map_err(|error| failed(&error))?;
        let mut reached = marks.low;
        let mut last_progress: Instant = self.clock.instant();
        while reached < marks.high {
            let before = reached;
            for read in reader.read(Duration::from_millis(100)) {
                match read {
                    Read::Record(message) => {
                        let key = message.key().unwrap_or_default();
                        visit(message.offset(), key, message.value()).map_err(|error| {
                            let place = format!("{} offset {}", self.topic, message.offset());
                            Stopped::new(exit::DATA, format!("{place}: {error}"))
                        })?;
                        reached = message.offset() + 1;
                    }
                    Read::End { offset, .. } => reached = reached.max(offset),
                    Read::Failed { code, .. } => return Err(failed(&code)),
                }
            }
            if reached > before {
                last_progress = self.clock.instant();
            } else if self.clock.instant() - last_progress > STALL {
                return Err(failed(&format!("no progress at offset {reached} of {}", marks.high)));
            }
        }
        Ok(())
    }

    /// What the list says of `id` now.
    ///
    /// # Errors
    /// As [`ListTopic::read`].
    pub fn look(&self, id: &IncidentId) -> Result<Known, Stopped> {
        let mut known = Known::default();
        self.read(|_, key, value| {
            match ListKey::parse(key)? {
                ListKey::Incident(found) if found == *id => {
                    known.incident = match value {
                        Some(value) => Some(IncidentRecord::from_json(id, value)?),
                        None => None,
                    };
                }
                ListKey::Card { ref key, fingerprint, ref incident } if incident == id => match value {
                    Some(value) => {
                        let name = ListKey::Card { key: key.clone(), fingerprint, incident: id.clone() };
                        let record = CardRecord::from_json(&name, value)?;
                        known.cards.insert(fingerprint, ListedCard { key: key.clone(), record });
                    }
                    None => {
                        known.cards.remove(&fingerprint);
                    }
                },
                _ => {}
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// Becomes the one writer of `id`: an earlier one is fenced, its open transaction aborted, and only
    /// then the list is read.
    ///
    /// # Errors
    /// When the cluster does not answer or the list cannot be read.
    pub fn take_over(&self, id: &IncidentId) -> Result<(Writer<'_>, Known), ImportError> {
        let transactional_id = format!("{}-import-{id}", self.prefix);
        let producer =
            TransactionalProducer::start(&self.cluster, &transactional_id, IMPORT, Arc::clone(&self.clock))
                .map_err(|error| {
                Stopped::new(
                    exit::UNAVAILABLE,
                    format!("the import could not start its transactions: {error}"),
                )
            })?;
        let known = self.look(id)?;
        let writer =
            Writer { list: self, id: id.clone(), producer, records: 0, opened: self.clock.instant() };
        Ok((writer, known))
    }

    /// Who holds the incident now, for a writer that was fenced.
    fn who_took_over(&self, id: &IncidentId) -> String {
        let known = self.look(id).ok().and_then(|known| known.incident);
        match known.as_ref().and_then(|incident| incident.revisions.last()) {
            Some(last) => format!(
                "another import of incident {id} took over: revision {} by {} on {} at {}",
                last.number, last.claimed.by, last.claimed.host, last.claimed.at
            ),
            None => format!("another import of incident {id} took over"),
        }
    }
}

/// The one writer of an incident.
#[derive(Debug)]
pub struct Writer<'a> {
    list: &'a ListTopic,
    id: IncidentId,
    producer: TransactionalProducer,
    records: usize,
    opened: Instant,
}

impl Writer<'_> {
    /// Claims the next revision number with these details, and makes the claim visible to other imports.
    ///
    /// # Errors
    /// When the incident refuses, or the write fails.
    pub fn claim(
        &mut self,
        incident: &mut IncidentRecord,
        details: Details,
        mark: Mark,
    ) -> Result<u32, ImportError> {
        let number = incident.claim(details, mark)?;
        self.put(incident)?;
        Ok(number)
    }

    /// Writes a card record; commits by itself from time to time.
    ///
    /// # Errors
    /// When the write fails or another import took over.
    pub fn card(&mut self, write: &CardWrite) -> Result<(), ImportError> {
        let key = write.list_key(&self.id).to_string();
        self.send(&key, &write.record.to_json())?;
        let long = self.list.clock.instant() - self.opened >= OPEN_MAX;
        if self.records >= RECORDS_MAX || long { self.commit() } else { Ok(()) }
    }

    /// Commits the remaining cards, then the finishing mark: from here on the revision is in force.
    ///
    /// # Errors
    /// When the incident refuses, the write fails, or another import took over.
    pub fn finish(
        &mut self,
        incident: &mut IncidentRecord,
        number: u32,
        finish: Finish,
    ) -> Result<(), ImportError> {
        self.commit()?;
        incident.finish(number, finish)?;
        self.put(incident)
    }

    /// Writes the incident record in a transaction of its own.
    ///
    /// # Errors
    /// When the write fails or another import took over.
    pub fn put(&mut self, incident: &IncidentRecord) -> Result<(), ImportError> {
        let key = ListKey::Incident(incident.id.clone()).to_string();
        self.send(&key, &incident.to_json())?;
        self.commit()
    }

    fn send(&mut self, key: &str, value: &[u8]) -> Result<(), ImportError> {
        if self.records == 0 {
            self.opened = self.list.clock.instant();
        }
        let topic = self.list.topic.clone();
        let record = Outgoing {
            topic: &topic,
            partition: Some(0),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &[],
        };
        self.records += 1;
        match self.producer.send(record) {
            Ok(()) => Ok(()),
            Err(error @ SendError::TooLarge { .. }) => {
                Err(Stopped::new(exit::DATA, format!("{key}: {error}")).into())
            }
            // A refused record is what a fenced producer sees first; the end of the transaction says why.
            Err(error) => match self.producer.commit_alone() {
                Outcome::Fenced(_) => Err(self.taken_over()),
                _ => Err(Stopped::new(exit::UNAVAILABLE, error.to_string()).into()),
            },
        }
    }

    fn commit(&mut self) -> Result<(), ImportError> {
        self.records = 0;
        match self.producer.commit_alone() {
            Outcome::Committed => Ok(()),
            Outcome::Fenced(_) => Err(self.taken_over()),
            Outcome::Unknown(reason) => {
                let id = &self.id;
                let message = format!(
                    "it is not known whether the last step was written ({reason}); `cardwatch incident show {id}` tells"
                );
                Err(Stopped::new(exit::UNAVAILABLE, message).into())
            }
            Outcome::Aborted { reason, .. } | Outcome::Failed(reason) => {
                let message = format!(
                    "writing the list failed: {reason}; nothing of this import is visible, import again"
                );
                Err(Stopped::new(exit::UNAVAILABLE, message).into())
            }
        }
    }

    fn taken_over(&self) -> ImportError {
        ImportError::TakenOver(self.list.who_took_over(&self.id))
    }
}
