//! What is counted while lists are read, for the tables and the progress bar.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entries::List;
use crate::domain::card::KeyId;
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::plan::PlanTotals;
use crate::files;
use crate::files::list::ListCounts;
use crate::report::progress::Progress;
use crate::report::revision::{ImportResult, Rejections};

/// What is counted of one list.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) name: String,
    pub(super) option: &'static str,
    pub(super) read: u64,
    pub(super) rejections: Rejections,
    pub(super) counts: ListCounts,
}

/// What is counted of all lists of a change.
#[derive(Debug)]
pub(super) struct Tallies {
    pub(super) lists: Vec<Tally>,
    /// The keys that cards were named by.
    pub(super) keys: BTreeSet<KeyId>,
    /// The check values that lists told.
    pub(super) checks: BTreeMap<KeyId, CheckValue>,
    pub(super) bar: Bar,
}

impl Tallies {
    pub(super) fn of(lists: &[List]) -> Tallies {
        let tally = |list: &List| Tally {
            name: list.name().to_owned(),
            option: list.option,
            read: 0,
            rejections: Rejections::default(),
            counts: ListCounts::default(),
        };
        Tallies {
            lists: lists.iter().map(tally).collect(),
            keys: BTreeSet::new(),
            checks: BTreeMap::new(),
            bar: Bar::new(lists),
        }
    }

    /// Notes the key that a card is named by.
    pub(super) fn note_key(&mut self, key: &KeyId) {
        if !self.keys.contains(key) {
            self.keys.insert(key.clone());
        }
    }

    /// All of it, beside what the plan made of the entries.
    pub(super) fn result(&self, totals: &PlanTotals) -> ImportResult {
        let mut rejections = Rejections::default();
        for list in &self.lists {
            // Line numbers mean nothing without their list.
            let name = if self.lists.len() > 1 { Some(list.option) } else { None };
            rejections.add(&list.rejections, name);
        }
        let sum = |count: fn(&ListCounts) -> u64| self.lists.iter().map(|list| count(&list.counts)).sum();
        ImportResult {
            read: totals.counts.read,
            added: totals.counts.added,
            already_there: totals.counts.already_there,
            updated: totals.counts.updated,
            withdrawn: totals.counts.withdrawn,
            not_there: totals.counts.not_there,
            repeated: totals.counts.repeated,
            wrong_check_digit: sum(|counts| counts.luhn),
            unreadable_expiry: sum(|counts| counts.expiry),
            unreadable_description: sum(|counts| counts.description),
            withheld: sum(|counts| counts.withheld),
            rejections,
        }
    }
}

/// The progress bar: bytes of the lists as they are stored.
#[derive(Debug)]
pub(super) struct Bar {
    progress: Vec<Arc<files::input::Progress>>,
    bar: Progress,
}

impl Bar {
    fn new(lists: &[List]) -> Bar {
        let progress: Vec<_> = lists.iter().map(List::progress).collect();
        let total = progress.iter().map(|progress| progress.total()).sum::<Option<u64>>();
        let bar = Progress::new(!progress.is_empty(), "bytes of the list", total);
        Bar { progress, bar }
    }

    /// Shows how far reading has come.
    pub(super) fn show(&self) {
        let read: u64 = self.progress.iter().map(|progress| progress.read()).sum();
        if read > self.bar.done() {
            self.bar.advance(read - self.bar.done());
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish();
    }
}
