//! The outcomes that name a card: which of them go with its records.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::codec::outcome::named_card;
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::kafka::native::Message;
use crate::lines::import::{Holding, ListTopic};
use crate::lines::start::Stopped;

/// The key of an outcome's record.
pub(super) type Key = Vec<u8>;
/// The key of a tombstone of no outcome.
const NONE: &[u8] = b"cardwatch/none";

/// The card that each outcome names, by the newest record of its key.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<Key, Fingerprint>);

impl Named {
    /// Reads the topic to its end; nothing where there is no such topic.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(list: &ListTopic, topic: &str) -> Result<Named, Stopped> {
        let mut named = Named::default();
        list.snapshots().topic("the outcomes", topic, |message: &Message<'_>| {
            named.apply(message.key().unwrap_or_default(), message.value());
            Ok(())
        })?;
        Ok(named)
    }

    fn apply(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value.and_then(named_card) {
            Some(card) => drop(self.0.insert(key.to_owned(), card)),
            // What names no card takes the place of what did.
            None => drop(self.0.remove(key)),
        }
    }

    /// The outcomes of these cards.
    pub(super) fn of(&self, cards: &HashSet<Fingerprint>) -> Vec<Key> {
        let of_cards = self.0.iter().filter(|(_, card)| cards.contains(card));
        of_cards.map(|(key, _)| key.clone()).collect()
    }

    /// Those of `cards` that an outcome names.
    pub(super) fn among(&self, cards: impl Iterator<Item = Fingerprint>) -> HashSet<Fingerprint> {
        let named: HashSet<&Fingerprint> = self.0.values().collect();
        cards.filter(|card| named.contains(card)).collect()
    }

    /// By card, the outcomes that go when `incident` lets go of `cards`: none of a card that another one holds.
    pub(super) fn going(
        &self,
        cards: &HashSet<Fingerprint>,
        incident: &IncidentId,
        holding: &BTreeMap<IncidentId, Holding>,
    ) -> HashMap<Fingerprint, Vec<Key>> {
        let others = holding.iter().filter(|(id, _)| *id != incident);
        let kept: HashSet<&Fingerprint> = others.flat_map(|(_, holding)| holding.cards.keys()).collect();
        let mut going: HashMap<Fingerprint, Vec<Key>> = HashMap::new();
        for (key, card) in &self.0 {
            if cards.contains(card) && !kept.contains(card) {
                going.entry(*card).or_default().push(key.clone());
            }
        }
        going
    }
}

/// Writes a tombstone of no outcome, so that brokers close the segment before it. It changes nothing, for any reader.
/// A topic that is missing or was never written to is left as it is.
///
/// # Errors
/// When the cluster does not take it.
pub(super) fn stir(list: &ListTopic, topic: &str) -> Result<(), Stopped> {
    if list.probe.partitions(topic)?.is_none() || list.probe.watermarks(topic, 0)?.high == 0 {
        return Ok(());
    }
    list.bury("stir-outcomes", topic, &[NONE.to_vec()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::plan::ListedCard;
    use crate::exposure::record::{CardRecord, IncidentRecord};

    fn card(byte: u8) -> Fingerprint {
        Fingerprint([byte; 32])
    }

    fn id(text: &str) -> IncidentId {
        text.parse().unwrap()
    }

    fn outcome(byte: u8) -> Vec<u8> {
        format!(r#"{{"verdict":"fraud","about":{{"fingerprint":"{}"}}}}"#, card(byte)).into_bytes()
    }

    fn named(records: &[(&str, Option<Vec<u8>>)]) -> Named {
        let mut named = Named::default();
        records.iter().for_each(|(key, value)| named.apply(key.as_bytes(), value.as_deref()));
        named
    }

    fn holding(incident: &str, cards: &[u8]) -> (IncidentId, Holding) {
        let listed = |byte: &u8| {
            let record = CardRecord { events: vec![1], ..CardRecord::default() };
            (card(*byte), ListedCard { key: "k1".parse().unwrap(), record })
        };
        let incident = id(incident);
        let record = IncidentRecord::new(incident.clone());
        (incident, Holding { incident: record, cards: cards.iter().map(listed).collect() })
    }

    #[test]
    fn an_outcome_goes_with_the_last_incident_that_holds_its_card() {
        let named = named(&[
            ("a", Some(outcome(1))),
            ("b", Some(outcome(1))),
            ("c", Some(outcome(2))),
            ("d", Some(outcome(3))),
        ]);
        let due = named.among([1, 2, 9].into_iter().map(card));
        assert_eq!(due, HashSet::from([card(1), card(2)]));
        let held = BTreeMap::from([holding("shop", &[1, 2]), holding("bank", &[2, 3])]);
        let going = named.going(&due, &id("shop"), &held);
        assert_eq!(going, HashMap::from([(card(1), vec![b"a".to_vec(), b"b".to_vec()])]));
        let alone = BTreeMap::from([holding("shop", &[1, 2])]);
        assert_eq!(named.going(&due, &id("shop"), &alone)[&card(2)], vec![b"c".to_vec()]);
    }

    #[test]
    fn the_newest_record_of_a_key_says_which_card_it_names() {
        let named = named(&[
            ("a", Some(outcome(1))),
            ("b", Some(outcome(1))),
            ("c", Some(outcome(1))),
            ("d", Some(b"garbage".to_vec())),
            ("a", None),
            ("b", Some(outcome(2))),
        ]);
        assert_eq!(named.of(&HashSet::from([card(1)])), vec![b"c".to_vec()]);
        assert_eq!(named.of(&HashSet::from([card(2)])), vec![b"b".to_vec()]);
    }
}
