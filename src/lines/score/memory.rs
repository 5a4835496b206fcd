//! What `score` keeps of a partition: its cards, and what stays of those that were forgotten. One record each on the
//! topic of the histories, and read back from there.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::domain::card::Fingerprint;
use crate::domain::sighting::SeenCard;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::lines::restore::Checkpoint;
use crate::scoring::history::{DEPARTED_PREFIX, Departed, History, IncidentHash};

/// The prefix of the key of a card's other names.
pub const NAMES_PREFIX: &str = "names/";
/// How many other names of a card are kept: keys that were active at the same time.
const NAMES_MAX: usize = 64;

/// A card that `score` knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Its history.
    pub history: History,
    /// When the history was written last: when a sighting of the card was judged last.
    pub written: Timestamp,
    /// The card's fingerprints under other keys, as sightings told them. The list may name the card by one of
    /// them, and nobody can work that out without the card's number.
    pub names: Names,
}

/// The value of `names/FINGERPRINT` on the topic of the histories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Fingerprints of the same card under other keys.
    pub others: Vec<Fingerprint>,
}

impl Names {
    /// The key on the topic.
    pub fn key(card: &Fingerprint) -> String {
        format!("{NAMES_PREFIX}{card}")
    }

    /// Takes in what a sighting tells; whether any of it is new.
    pub fn learn(&mut self, card: &SeenCard) -> bool {
        let before = self.others.len();
        for other in &card.others {
            if before < NAMES_MAX
                && other.fingerprint != card.fingerprint
                && !self.others.contains(&other.fingerprint)
            {
                self.others.push(other.fingerprint);
            }
        }
        self.others.len() > before
    }
}

/// Everything that is kept of one partition, and the checkpoint it belongs to.
#[derive(Debug, Default)]
pub struct Memory {
    /// By card.
    pub histories: HashMap<Fingerprint, Known>,
    /// What stays of cards that were forgotten, by incident.
    pub departed: BTreeMap<IncidentHash, Departed>,
    /// Other names of cards, until the histories they belong to have come.
    names: HashMap<Fingerprint, Names>,
    /// The last checkpoint; `None` before the first transaction.
    pub checkpoint: Option<Checkpoint>,
}

impl Memory {
    /// Takes a record of the topic in, written at `at`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn take(&mut self, key: &str, value: Option<&[u8]>, at: Timestamp) -> Result<(), String> {
        if Checkpoint::is_key(key) {
            let read = value.map(serde_json::from_slice).transpose();
            self.checkpoint = read.map_err(|_| "the checkpoint does not read")?;
            return Ok(());
        }
        if let Some(card) = key.strip_prefix(NAMES_PREFIX) {
            let card: Fingerprint = card.parse().map_err(|_| "the key names no fingerprint")?;
            match value.map(serde_json::from_slice).transpose().map_err(|_| "a card's names do not read")? {
                Some(names) => drop(self.names.insert(card, names)),
                None => drop(self.names.remove(&card)),
            }
            return Ok(());
        }
        if key.starts_with(DEPARTED_PREFIX) {
            let incident = Departed::incident(key).ok_or("the key names no incident")?;
            match value.map(Departed::decode).transpose().map_err(|error| error.to_string())? {
                Some(_) if fault::broken("departed-not-kept") => {}
                Some(departed) => drop(self.departed.insert(incident, departed)),
                None => drop(self.departed.remove(&incident)),
            }
            return Ok(());
        }
        let card: Fingerprint = key.parse().map_err(|_| "the key is no fingerprint")?;
        match value.map(History::decode).transpose().map_err(|error| error.to_string())? {
            Some(history) => {
                let known = Known { history, written: at, names: Names::default() };
                self.histories.insert(card, known);
            }
            None => drop(self.histories.remove(&card)),
        }
        Ok(())
    }

    /// Everything was taken in. Compaction keeps no order between a history and the names that belong to it.
    pub fn join_names(&mut self) {
        for (card, names) in std::mem::take(&mut self.names) {
            if let Some(known) = self.histories.get_mut(&card) {
                known.names = names;
            }
        }
    }
}
