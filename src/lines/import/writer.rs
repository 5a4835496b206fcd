//! Writing a change of the exposure list.

use std::time::{Duration, Instant};

use super::{ImportError, ListTopic};
use crate::domain::incident::{Details, IncidentId};
use crate::exposure::plan::{CardName, CardWrite};
use crate::exposure::record::{IncidentRecord, ListKey, Mark};
use crate::exposure::revision::Finish;
use crate::kafka::producer::{Outcome, Outgoing, SendError, TransactionalProducer};
use crate::lines::audit::Begun;
use crate::lines::start::Stopped;
use crate::stop::exit;

/// Records in one transaction at most.
const RECORDS_MAX: usize = 10_000;
/// How long a transaction stays open at most while cards are written.
const OPEN_MAX: Duration = Duration::from_secs(1);

/// The one writer of an incident.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) list: &'a ListTopic,
    pub(super) id: IncidentId,
    producer: TransactionalProducer,
    /// The revision that this writer claimed.
    own: Option<u32>,
    records: usize,
    opened: Instant,
    /// Goes into the transaction of the next incident record.
    attested: Option<(String, Vec<u8>, Vec<u8>)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(list: &'a ListTopic, id: &IncidentId, producer: TransactionalProducer) -> Writer<'a> {
        let opened = list.clock.instant();
        Writer { list, id: id.clone(), producer, own: None, records: 0, opened, attested: None }
    }

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
        // Not before: where another took over meanwhile, the number is theirs.
        self.own = Some(number);
        Ok(number)
    }

    /// Writes a card record; commits by itself from time to time.
    ///
    /// # Errors
    /// When the write fails or another import took over.
    pub fn card(&mut self, write: &CardWrite) -> Result<(), ImportError> {
        let key = write.list_key(&self.id).to_string();
        self.send(&key, Some(&write.record.to_json()))?;
        if self.records >= RECORDS_MAX { self.commit() } else { self.breathe() }
    }

    /// Commits cards that have waited for a second. To be called where no card comes for long, for the
    /// cluster ends a transaction that is left open.
    ///
    /// # Errors
    /// When the write fails or another import took over.
    pub fn breathe(&mut self) -> Result<(), ImportError> {
        let long = self.records > 0 && self.list.clock.instant() - self.opened >= OPEN_MAX;
        if long { self.commit() } else { Ok(()) }
    }

    /// Gives the import up: the claimed revision is dead at once and not only when the next change finds it.
    /// An open transaction would hold every reader of the list back until it timed out.
    pub fn abandon(mut self, incident: &mut IncidentRecord) {
        self.producer.abort("the import is given up");
        self.records = 0;
        if self.own.is_some_and(|number| incident.abandon(number)) {
            // Should this fail, the next change buries the claim.
            let _ = self.put(incident);
        }
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

    /// Lets the audit record of this change be visible exactly when the next incident record is.
    pub fn attest(&mut self, begun: &Begun) {
        self.attested = Some(begun.record());
    }

    /// Writes the incident record in a transaction of its own, with the audit record if there is one.
    ///
    /// # Errors
    /// When the write fails or another import took over.
    pub fn put(&mut self, incident: &IncidentRecord) -> Result<(), ImportError> {
        let key = ListKey::Incident(incident.id.clone()).to_string();
        self.send(&key, Some(&incident.to_json()))?;
        if let Some((topic, key, value)) = self.attested.take() {
            self.send_to(&topic, &key, Some(&value))?;
        }
        self.commit()
    }

    /// Removes records of cards together with the incident record that tells of it, in one transaction.
    ///
    /// # Errors
    /// When the write fails or another change took over; then none of them is removed.
    pub fn remove(&mut self, cards: &[CardName], incident: &IncidentRecord) -> Result<(), ImportError> {
        for card in cards {
            let key = ListKey::Card {
                key: card.key.clone(),
                fingerprint: card.fingerprint,
                incident: self.id.clone(),
            };
            self.send(&key.to_string(), None)?;
        }
        self.put(incident)
    }

    fn send(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), ImportError> {
        let topic = self.list.topic.clone();
        self.send_to(&topic, key.as_bytes(), value)
    }

    pub(super) fn send_to(
        &mut self,
        topic: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ImportError> {
        if self.records == 0 {
            self.opened = self.list.clock.instant();
        }
        let record = Outgoing { topic, partition: Some(0), key: Some(key), value, headers: &[] };
        self.records += 1;
        match self.producer.send(record) {
            Ok(()) => Ok(()),
            Err(error @ SendError::TooLarge { .. }) => {
                let key = String::from_utf8_lossy(key);
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
                Err(ImportError::Unknown(format!(
                    "it is not known whether the last step was written ({reason}); `cardwatch incident show {id}` tells"
                )))
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
        ImportError::TakenOver(self.list.who_took_over(&self.id, self.own))
    }
}
