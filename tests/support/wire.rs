//! The program's own forms for the checker: histories and checkpoints read, sightings judged over again
//! one by one.

use std::collections::BTreeMap;

use cardwatch::domain::sighting::Sighting;
use cardwatch::judge::{Judge, JudgeSettings};
use cardwatch::lines::restore;
use cardwatch::scoring::history::History;
use cardwatch::scoring::rules::RuleSet;
use serde_json::Value;

use super::check::{Checkpoint, Wire};
use super::records::Message;

/// Judges as `score` does, without its batches, transactions, overlays and restores.
#[derive(Debug)]
pub struct Naive {
    judge: Judge,
}

impl Naive {
    /// By these rules and settings; `version` is the program's, which stands in every alert.
    pub fn new(rules: &str, settings: JudgeSettings, version: &str) -> Naive {
        let rules = RuleSet::parse(rules, "rules.toml").expect("rules that parse");
        Naive { judge: Judge::new(rules, settings, version) }
    }

    /// The alerts of a whole sightings topic judged in one piece, each card's in order of offsets.
    pub fn alerts(&self, sightings: &[Message]) -> Vec<Value> {
        let mut cards: BTreeMap<&[u8], Vec<&Message>> = BTreeMap::new();
        for message in sightings {
            cards.entry(message.key.as_deref().unwrap_or_default()).or_default().push(message);
        }
        cards.into_values().flat_map(|card| self.judged(&card).0).collect()
    }

    fn judged(&self, sightings: &[&Message]) -> (Vec<Value>, History) {
        let (mut alerts, mut history) = (Vec::new(), History::default());
        for message in sightings {
            let value = message.value.as_deref().expect("a sighting is no tombstone");
            let sighting: Sighting = serde_json::from_slice(value).expect("a sighting");
            // The moment of judging decides nothing but whether an alert counts as late; none does here.
            let judgement = self.judge.judge(&sighting, &history, sighting.seen_at);
            alerts.extend(judgement.alert.map(|alert| serde_json::to_value(alert).expect("JSON")));
            history = judgement.history;
        }
        (alerts, history)
    }
}

impl Wire for Naive {
    fn checkpoint(&self, value: &[u8]) -> Result<Checkpoint, String> {
        let read: restore::Checkpoint = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        Ok(Checkpoint { next: read.next_offset, partitions: read.partitions })
    }

    fn history(&self, value: &[u8]) -> Result<(u64, Option<String>), String> {
        let history = History::decode(value).map_err(|error| error.to_string())?;
        Ok((history.judgements(), history.last_sighting()))
    }

    fn fold(&self, sightings: &[&Message]) -> Option<Vec<u8>> {
        Some(self.judged(sightings).1.encode())
    }
}
