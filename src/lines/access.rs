//! Everything that is held about one card: in the list, in histories, sightings, alerts and outcomes.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::import::{Holding, ListTopic};
use super::names::Links;
use super::read::Source;
use super::score::{Known, Names};
use super::start::Stopped;
use crate::codec::outcome::named_card;
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::kafka::native::Message;
use crate::scoring::history::History;

/// Looks for a card everywhere.
#[derive(Debug)]
pub struct Access {
    /// The list, and how the cluster is reached.
    pub list: ListTopic,
    /// The topic of the sightings.
    pub sightings: String,
    /// The topic of the histories.
    pub card_history: String,
    /// The topic of the alerts.
    pub alerts: String,
    /// The topic of the outcomes.
    pub outcomes: String,
}

/// What is held about a card.
#[derive(Debug, Default)]
pub struct Held {
    /// Every fingerprint of the card that is known.
    pub names: HashSet<Fingerprint>,
    /// The incidents that have a record of it.
    pub incidents: BTreeMap<IncidentId, Holding>,
    /// Its histories, one for each key that was primary while it was seen.
    pub histories: Vec<(Fingerprint, Known)>,
    /// Its sightings, oldest first.
    pub sightings: Vec<Value>,
    /// Its alerts, oldest first.
    pub alerts: Vec<Value>,
    /// What was decided about its alerts, by the record's key.
    pub outcomes: BTreeMap<String, Value>,
}

impl Access {
    /// Finds everything about the card of these fingerprints. Reads the topics from end to end.
    ///
    /// # Errors
    /// When a topic cannot be read.
    pub fn find(&self, names: HashSet<Fingerprint>) -> Result<Held, Stopped> {
        let mut held = Held { names, ..Held::default() };
        let (mut histories, mut links) = (BTreeMap::new(), Links::default());
        self.read(&self.card_history, |message| {
            let key = message.key().unwrap_or_default();
            if !links.learn(key, message.value()) {
                take_history(message, &mut histories);
            }
        })?;
        // A history is kept under the name that was primary; the card may have been asked for by another.
        held.names = links.of(held.names).into_values().flatten().collect();
        for (card, known) in histories {
            if held.names.contains(&card) {
                held.histories.push((card, Known { names: links.beside(&card), ..known }));
            }
        }
        held.incidents = self.list.holding(&held.names)?;
        for (topic, found) in [(&self.sightings, &mut held.sightings), (&self.alerts, &mut held.alerts)] {
            let names = &held.names;
            self.read(topic, |message| {
                let card = card_of(message.key().unwrap_or_default());
                if card.is_some_and(|card| names.contains(&card)) {
                    found.extend(message.value().and_then(|value| serde_json::from_slice(value).ok()));
                }
            })?;
        }
        let (names, outcomes) = (&held.names, &mut held.outcomes);
        self.read(&self.outcomes, |message| take_outcome(message, names, outcomes))?;
        Ok(held)
    }

    /// Reads a topic as far as it is committed.
    fn read(&self, topic: &str, mut visit: impl FnMut(&Message<'_>)) -> Result<(), Stopped> {
        let group = format!("{}-access", self.list.prefix);
        for partition in 0..self.list.probe.partitions(topic)?.unwrap_or(0) {
            let marks = self.list.probe.stable_watermarks(topic, partition)?;
            let source = Source {
                cluster: &self.list.cluster,
                group: &group,
                topic,
                partition,
                what: "topic",
                clock: self.list.clock.as_ref(),
            };
            source.read(marks.low, marks.high, |message| {
                visit(message);
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn card_of(key: &[u8]) -> Option<Fingerprint> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

/// Of each key the newest record counts, whatever it says.
fn take_outcome(message: &Message<'_>, names: &HashSet<Fingerprint>, outcomes: &mut BTreeMap<String, Value>) {
    let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
    let value = message
        .value()
        .filter(|value| named_card(value).is_some_and(|card| names.contains(&card.fingerprint)));
    match value.and_then(|value| serde_json::from_slice(value).ok()) {
        Some(outcome) => drop(outcomes.insert(key, outcome)),
        None => drop(outcomes.remove(&key)),
    }
}

fn take_history(message: &Message<'_>, histories: &mut BTreeMap<Fingerprint, Known>) {
    // Checkpoints are under the same roof.
    let Some(card) = card_of(message.key().unwrap_or_default()) else { return };
    let history = message.value().and_then(|value| History::decode(value).ok());
    let written = message.timestamp();
    match history.map(|history| Known { history, written, names: Names::default() }) {
        Some(known) => drop(histories.insert(card, known)),
        None => drop(histories.remove(&card)),
    }
}
