//! Tombstones without a claim to an incident: of what no incident holds, and of nothing at all.

use std::sync::Arc;

use super::{ImportError, ListTopic};
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::kafka::producer::{IMPORT, Outcome, Outgoing, TransactionalProducer};
use crate::lines::audit::Begun;
use crate::lines::start::Stopped;
use crate::stop::exit;

/// The one writer of tombstones for a purpose: whoever starts another fences it. So what is read after it was started
/// is not removed, nor counted, by two.
#[derive(Debug)]
pub struct Burial {
    topic: String,
    producer: TransactionalProducer,
}

impl ListTopic {
    /// Writes a tombstone of a card that cannot be, so that brokers close the segment before it. It needs no
    /// claim to the incident: it changes nothing, for any reader.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub fn stir(&self, id: &IncidentId) -> Result<(), ImportError> {
        let key = format!("card/none/{}/{id}", Fingerprint([0; 32]));
        self.burial("stir", &self.topic)?.commit(&[key.into_bytes()], None, None)
    }

    /// Becomes the one that removes records of `topic`, which has one partition, for a purpose.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn burial(&self, purpose: &str, topic: &str) -> Result<Burial, Stopped> {
        let (id, clock) = (format!("{}-{purpose}", self.prefix), Arc::clone(&self.clock));
        match TransactionalProducer::start(&self.cluster, &id, IMPORT, clock) {
            Ok(producer) => Ok(Burial { topic: topic.to_owned(), producer }),
            Err(error) => Err(refused(topic, &error)),
        }
    }
}

impl Burial {
    /// Removes the records of these keys in one transaction, with a record of the same topic that answers for them and
    /// the audit record, where there are such.
    ///
    /// # Errors
    /// When the cluster does not take them, or another took over; then none of them is removed.
    pub fn commit(
        &mut self,
        keys: &[Vec<u8>],
        beside: Option<&(String, Vec<u8>)>,
        begun: Option<&Begun>,
    ) -> Result<(), ImportError> {
        let topic = self.topic.as_str();
        let tombstones = keys.iter().map(|key| Outgoing {
            topic,
            partition: Some(0),
            key: Some(key),
            value: None,
            headers: &[],
        });
        let attested = begun.map(Begun::record);
        let record = attested.as_ref().map(|(topic, key, value)| Outgoing {
            topic,
            partition: Some(0),
            key: Some(key),
            value: Some(value),
            headers: &[],
        });
        let beside = beside.map(|(key, value)| Outgoing {
            topic,
            partition: Some(0),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &[],
        });
        let sent = beside
            .into_iter()
            .chain(tombstones)
            .chain(record)
            .try_for_each(|record| self.producer.send(record));
        // A refused record is what a fenced producer sees first; the end of the transaction says why.
        let ended = match sent {
            Ok(()) => self.producer.commit_alone(),
            Err(error) => self.producer.abort(&error.to_string()),
        };
        match ended {
            Outcome::Committed => Ok(()),
            Outcome::Fenced(_) => Err(ImportError::TakenOver(format!("another sweep of {topic} took over"))),
            Outcome::Unknown(reason) => Err(ImportError::Unknown(format!(
                "it is not known whether records of {topic} were removed ({reason}); the next sweep tells"
            ))),
            Outcome::Aborted { reason, .. } | Outcome::Failed(reason) => Err(refused(topic, &reason).into()),
        }
    }
}

fn refused(topic: &str, error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::UNAVAILABLE, format!("{topic} could not be written to: {error}"))
}
