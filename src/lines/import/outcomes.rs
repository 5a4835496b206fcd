//! Removing outcomes whose cards are removed, so that the books keep what was decided.

use std::collections::{BTreeMap, HashSet};

use super::{ImportError, ListTopic, Writer};
use crate::books::{Decided, Removed};
use crate::domain::incident::IncidentId;
use crate::lines::books::decided;
use crate::lines::start::Stopped;
use crate::stop::exit;

impl Writer<'_> {
    /// Lets these outcomes go in the transaction of the next incident record, and counts what they said in the
    /// incident's record of such outcomes. To be called before anything else of that transaction.
    ///
    /// # Errors
    /// As [`Writer::remove`], and when the topic cannot be read.
    pub fn drop_outcomes(&mut self, topic: &str, keys: &[Vec<u8>]) -> Result<(), ImportError> {
        if keys.is_empty() {
            return Ok(());
        }
        // Whoever wrote for the incident before is fenced by now: nobody else counts them.
        let (key, removed) = self.list.removing(topic, Some(&self.id), keys)?;
        self.send_to(topic, key.as_bytes(), Some(&removed))?;
        keys.iter().try_for_each(|key| self.send_to(topic, key, None))
    }
}

impl ListTopic {
    /// The record of removed outcomes, with these among them: key and value. What nobody has under a key any more
    /// was counted by whoever removed it. To be asked for once the writers before are fenced.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn removing(
        &self,
        topic: &str,
        incident: Option<&IncidentId>,
        keys: &[Vec<u8>],
    ) -> Result<(String, Vec<u8>), Stopped> {
        let own = Removed::key(incident);
        let going: HashSet<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut outcomes: BTreeMap<Vec<u8>, Decided> = BTreeMap::new();
        let mut removed = Removed::default();
        self.snapshots().topic("the outcomes", topic, |message| {
            let key = message.key().unwrap_or_default();
            if key == own.as_bytes() {
                let read = message.value().map(Removed::from_json).transpose();
                let read = read.map_err(|error| {
                    let place = format!("{topic}/{} offset {}", message.partition(), message.offset());
                    Stopped::new(
                        exit::DATA,
                        format!("{place}: what was removed before does not read: {error}"),
                    )
                })?;
                removed = read.unwrap_or_default();
            } else if going.contains(key) {
                match message.value().and_then(|value| decided(value, message.timestamp())) {
                    Some(decided) => drop(outcomes.insert(key.to_owned(), decided)),
                    None => drop(outcomes.remove(key)),
                }
            }
            Ok(())
        })?;
        removed.fold(outcomes.values());
        let value = removed.to_json();
        let value = value.map_err(|error| Stopped::new(exit::INTERNAL, format!("{own}: {error}")))?;
        Ok((own, value))
    }
}
