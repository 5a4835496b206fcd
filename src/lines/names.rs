//! Which fingerprints are those of one card. A card has one under each key, and nobody can work the others out
//! without its number; what sightings told of them lies beside the histories.

use std::collections::{HashMap, HashSet};

use super::import::ListTopic;
use super::score::{NAMES_PREFIX, Names};
use super::start::Stopped;
use crate::domain::card::Fingerprint;
use crate::fault;
use crate::kafka::native::Message;

/// The fingerprints that sightings have shown to be one card's.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<Fingerprint, Names>);

impl Links {
    /// Reads those beside the histories on `topic`; none where there is no such topic.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(list: &ListTopic, topic: &str) -> Result<Links, Stopped> {
        let mut links = Links::default();
        list.snapshots().topic("the histories", topic, |message: &Message<'_>| {
            links.learn(message.key().unwrap_or_default(), message.value());
            Ok(())
        })?;
        Ok(links)
    }

    /// Takes in a record beside the histories; whether it is one of names.
    pub(super) fn learn(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        let key = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(NAMES_PREFIX));
        let Some(card) = key.and_then(|card| card.parse().ok()) else { return false };
        match value.and_then(|value| serde_json::from_slice(value).ok()) {
            Some(names) => drop(self.0.insert(card, names)),
            None => drop(self.0.remove(&card)),
        }
        true
    }

    /// What lies beside the history of this fingerprint.
    pub(super) fn beside(&self, card: &Fingerprint) -> Names {
        self.0.get(card).cloned().unwrap_or_default()
    }

    /// By card, all its fingerprints, its own among them. What leads from one to another leads back, and on.
    pub(super) fn of(
        &self,
        cards: impl IntoIterator<Item = Fingerprint>,
    ) -> HashMap<Fingerprint, HashSet<Fingerprint>> {
        let mut next: HashMap<Fingerprint, Vec<Fingerprint>> = HashMap::new();
        for (card, names) in self.0.iter().filter(|_| !fault::broken("other-names-ignored")) {
            for other in &names.others {
                next.entry(*card).or_default().push(*other);
                next.entry(*other).or_default().push(*card);
            }
        }
        let all = |card: Fingerprint| {
            let (mut found, mut open) = (HashSet::from([card]), vec![card]);
            while let Some(card) = open.pop() {
                open.extend(next.get(&card).into_iter().flatten().filter(|other| found.insert(**other)));
            }
            (card, found)
        };
        cards.into_iter().map(all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(byte: u8) -> Fingerprint {
        Fingerprint([byte; 32])
    }

    #[test]
    fn a_name_leads_to_the_others_and_back() {
        let mut links = Links::default();
        let names = |of: &[u8]| {
            let others = of.iter().map(|byte| card(*byte)).collect();
            serde_json::to_vec(&Names { others }).unwrap()
        };
        // 1 was replaced by 2 and that by 3, each seen with the one before it; 4 has nothing to do with them.
        for (of, others) in [(2, names(&[1])), (3, names(&[2])), (5, names(&[4]))] {
            assert!(links.learn(Names::key(&card(of)).as_bytes(), Some(&others)));
        }
        assert!(!links.learn(card(1).to_string().as_bytes(), Some(b"a history")));
        assert!(!links.learn(b"checkpoint/0", None));
        let of = |links: &Links, byte| {
            let mut of: Vec<u8> = links.of([card(byte)])[&card(byte)].iter().map(|card| card.0[0]).collect();
            of.sort_unstable();
            of
        };
        for byte in 1..=3 {
            assert_eq!(of(&links, byte), [1, 2, 3]);
        }
        assert_eq!((of(&links, 4), of(&links, 9)), (vec![4, 5], vec![9]));
        assert_eq!(links.beside(&card(3)).others, [card(2)]);
        // The history in the middle was forgotten, and what lay beside it.
        links.learn(Names::key(&card(3)).as_bytes(), None);
        assert_eq!((of(&links, 1), of(&links, 3)), (vec![1, 2], vec![3]));
    }
}
