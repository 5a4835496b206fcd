//! The outcomes in memory: of each key the newest, as the compacted topic keeps them.

use std::collections::{BTreeMap, HashMap};

use crate::codec::outcome::decode_outcome;
use crate::domain::desk::Page;
use crate::domain::outcome::{Outcome, Subject};
use crate::domain::time::Timestamp;

/// The outcomes.
#[derive(Debug)]
pub struct Ledger {
    offsets: HashMap<Vec<u8>, i64>,
    by_offset: BTreeMap<i64, (Vec<u8>, Outcome)>,
    max: usize,
}

impl Ledger {
    /// Knows nothing yet, and will hold at most `max` outcomes: the newest.
    pub fn new(max: usize) -> Ledger {
        Ledger { offsets: HashMap::new(), by_offset: BTreeMap::new(), max }
    }

    /// Takes a record in. What is no outcome is passed over, and replaces nothing.
    pub fn apply(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>, at: Timestamp) {
        let outcome = match value.map(|value| decode_outcome(value, at)) {
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(_)) => return,
            None => None,
        };
        if let Some(before) = self.offsets.remove(key) {
            self.by_offset.remove(&before);
        }
        let Some(outcome) = outcome else { return };
        self.offsets.insert(key.to_owned(), offset);
        self.by_offset.insert(offset, (key.to_owned(), outcome));
        if self.by_offset.len() > self.max
            && let Some((_, (key, _))) = self.by_offset.pop_first()
        {
            self.offsets.remove(&key);
        }
    }

    /// The newest first: those about `subject` where one is given, written before the offset `before`.
    pub fn list(&self, subject: Option<&Subject>, before: Option<i64>, limit: usize) -> Page<Outcome> {
        let below = self.by_offset.range(..before.unwrap_or(i64::MAX)).rev();
        let mut asked =
            below.filter(|(_, (_, outcome))| subject.is_none_or(|subject| outcome.subject == *subject));
        let mut items = Vec::new();
        let mut last = None;
        for (offset, (_, outcome)) in asked.by_ref().take(limit) {
            items.push(outcome.clone());
            last = Some(*offset);
        }
        let next = if asked.next().is_some() { last.map(|offset| offset.to_string()) } else { None };
        Page { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(alert: char, verdict: &str) -> String {
        let id: String = std::iter::repeat_n(alert, 26).collect();
        format!(r#"{{"alert":"alr_{id}","verdict":"{verdict}"}}"#)
    }

    #[test]
    fn the_newest_of_each_key_is_kept_and_listed_first() {
        let mut ledger = Ledger::new(3);
        let at = Timestamp(0);
        for (offset, key, value) in [
            (0, "a", Some(record('a', "fraud"))),
            (1, "b", Some(record('e', "fraud"))),
            (2, "a", Some(record('a', "genuine"))),
            (3, "b", Some("garbage".to_owned())),
            (5, "c", Some(record('i', "fraud"))),
        ] {
            ledger.apply(offset, key.as_bytes(), value.as_deref().map(str::as_bytes), at);
        }
        let ids = |page: &Page<Outcome>| -> Vec<char> {
            page.items.iter().filter_map(|outcome| outcome.subject.id().chars().last()).collect()
        };
        let first = ledger.list(None, None, 2);
        assert_eq!((ids(&first), first.next.as_deref()), (vec!['i', 'a'], Some("2")));
        let second = ledger.list(None, Some(2), 2);
        assert_eq!((ids(&second), second.next), (vec!['e'], None));
        assert_eq!(ids(&ledger.list(Some(&first.items[1].subject), None, 9)), ['a']);
        // A tombstone takes one away, and beyond the bound the oldest goes.
        ledger.apply(6, b"c", None, at);
        ledger.apply(7, b"d", Some(record('m', "fraud").as_bytes()), at);
        ledger.apply(8, b"e", Some(record('q', "fraud").as_bytes()), at);
        assert_eq!(ids(&ledger.list(None, None, 9)), ['q', 'm', 'a']);
    }
}
