//! What `score` knows of one card, beside its history: when it was written, and the card's other names.

use serde::{Deserialize, Serialize};

use crate::domain::card::Fingerprint;
use crate::domain::sighting::SeenCard;
use crate::domain::time::Timestamp;
use crate::scoring::history::History;

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
