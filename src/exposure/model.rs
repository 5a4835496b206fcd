//! A naive model of the list for the tests: sets of card numbers, folded from the start whenever asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use proptest::prelude::*;

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::incident::{Details, Element, IncidentId, Period, WatchPeriod};
use crate::domain::time::Timestamp;
use crate::exposure::plan::{Action, CardName, CardWrite, ImportPlan, ListedCard, PlanEntry};
use crate::exposure::record::{CardTotals, Counts, IncidentRecord, ListKey, Mark};
use crate::exposure::retention::Reason;
use crate::exposure::revision::{Finish, RevisionError};

pub(super) const CARDS: usize = 6;
pub(super) const INCIDENTS: usize = 3;

/// What a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Add,
    Withdraw,
    /// Every second entry withdraws its card, the others add theirs.
    Both,
    /// Its cards are all there are.
    Replace,
}

impl Mode {
    fn action(self, place: usize) -> Action {
        match self {
            Mode::Withdraw => Action::Withdraw,
            Mode::Both if place % 2 == 1 => Action::Withdraw,
            _ => Action::Add,
        }
    }
}

/// Something that happens to the list.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Import {
        incident: usize,
        mode: Mode,
        /// Whether k2 is the primary key, and k1 the other.
        second_key: bool,
        list: Vec<usize>,
        /// The import ends without a word after so many card records.
        dies_after: Option<usize>,
    },
    Undo {
        incident: usize,
        pick: usize,
    },
    Close {
        incident: usize,
    },
    /// The records of all cards that the incident does not list are removed.
    Sweep {
        incident: usize,
    },
}

/// Either lists of all modes under one key, or lists that add and withdraw under two. A replacing list does not
/// know the other names of the cards that it lacks, so with two keys only the cards it names are exact.
pub(super) fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let change = prop_oneof![3 => Just(Mode::Add), 2 => Just(Mode::Withdraw), 2 => Just(Mode::Both)];
    let any_mode = prop_oneof![5 => change.clone(), 2 => Just(Mode::Replace)];
    prop_oneof![ops_of(most, any_mode, Just(false)), ops_of(most, change, any::<bool>())]
}

fn ops_of(
    most: usize,
    mode: impl Strategy<Value = Mode>,
    second_key: impl Strategy<Value = bool>,
) -> impl Strategy<Value = Vec<Op>> {
    let list = prop::collection::vec(0..CARDS, 0..6);
    let dies_after = prop::option::weighted(0.2, 0usize..4);
    let import = (0..INCIDENTS, mode, second_key, list, dies_after).prop_map(
        |(incident, mode, second_key, list, dies_after)| Op::Import {
            incident,
            mode,
            second_key,
            list,
            dies_after,
        },
    );
    let undo = (0..INCIDENTS, 0usize..8).prop_map(|(incident, pick)| Op::Undo { incident, pick });
    let close = (0..INCIDENTS).prop_map(|incident| Op::Close { incident });
    let sweep = (0..INCIDENTS).prop_map(|incident| Op::Sweep { incident });
    prop::collection::vec(prop_oneof![20 => import, 6 => undo, 1 => close, 4 => sweep], 1..most)
}

pub(super) fn key(n: usize) -> KeyId {
    ["k1", "k2"][n].parse().unwrap()
}

/// All cards of one key collide in the first byte of their hash.
pub(super) fn fingerprint(card: usize, key: usize) -> Fingerprint {
    let mut bytes = [card as u8; 32];
    bytes[0] = 7;
    bytes[31] = key as u8;
    Fingerprint(bytes)
}

pub(super) fn incident_id(n: usize) -> IncidentId {
    // In another order than the indices.
    format!("incident-{}", 9 - n).parse().unwrap()
}

fn details(revision: usize) -> Details {
    Details {
        name: format!("as of revision {revision}"),
        party: "Shop KK".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        exposure: Period { from: "2017-04-09".parse().unwrap(), until: "2017-10-16".parse().unwrap() },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan],
    }
}

fn mark() -> Mark {
    Mark { at: Timestamp(1_000), by: "ana".to_owned(), host: "h1".to_owned() }
}

/// What a revision did, as card numbers.
#[derive(Debug, Clone)]
struct Change {
    number: u32,
    added: BTreeSet<usize>,
    withdrawn: BTreeSet<usize>,
}

/// For each card the incidents that show it, and for each open incident its revision in force.
pub(super) type Shown = (BTreeMap<usize, BTreeSet<IncidentId>>, BTreeMap<IncidentId, u32>);

/// One incident: the real records, and the changes in force as the naive model keeps them.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub(super) record: IncidentRecord,
    pub(super) cards: HashMap<Fingerprint, ListedCard>,
    open: bool,
    changes: Vec<Change>,
}

impl Incident {
    pub(super) fn listed(&self) -> BTreeSet<usize> {
        let mut listed = BTreeSet::new();
        for change in &self.changes {
            listed.extend(&change.added);
            listed.retain(|card| !change.withdrawn.contains(card));
        }
        listed
    }
}

/// A record as it goes to the topic, and what shows once it is there.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) key: ListKey,
    /// `None` is a tombstone.
    pub(super) value: Option<Vec<u8>>,
    pub(super) shown: Shown,
}

/// What an import reported, and what the naive model says it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) counts: Counts,
    pub(super) cards: CardTotals,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) incidents: Vec<Incident>,
}

impl Model {
    pub(super) fn new() -> Model {
        let incident = |n| Incident {
            record: IncidentRecord::new(incident_id(n)),
            cards: HashMap::new(),
            open: true,
            changes: Vec::new(),
        };
        Model { incidents: (0..INCIDENTS).map(incident).collect() }
    }

    pub(super) fn shown(&self) -> Shown {
        let mut shown: Shown = Default::default();
        for incident in self.incidents.iter().filter(|incident| incident.open) {
            let id = &incident.record.id;
            for card in incident.listed() {
                shown.0.entry(card).or_default().insert(id.clone());
            }
            if let Some(last) = incident.changes.last() {
                shown.1.insert(id.clone(), last.number);
            }
        }
        shown
    }

    /// Does what an import, an undo or a close does; returns what it writes, and for a finished import what it
    /// reported beside what it should have.
    pub(super) fn perform(&mut self, op: &Op) -> (Vec<Step>, Option<(Report, Report)>) {
        match op {
            Op::Import { incident, mode, second_key, list, dies_after } => {
                self.import(*incident, *mode, usize::from(*second_key), list, *dies_after)
            }
            Op::Undo { incident: n, pick } => {
                let incident = &mut self.incidents[*n];
                if let Some(change) = incident.changes.get(*pick).filter(|_| incident.open) {
                    // Refused where removed cards might come back; then nothing has happened.
                    match incident.record.undo(change.number, mark()) {
                        Ok(()) => drop(incident.changes.remove(*pick)),
                        Err(error) => assert!(matches!(error, RevisionError::Removed { .. }), "{error}"),
                    }
                }
                (vec![self.incident_step(*n)], None)
            }
            Op::Close { incident: n } => {
                let incident = &mut self.incidents[*n];
                assert_eq!(incident.record.close(mark()).is_ok(), incident.open);
                incident.open = false;
                (vec![self.incident_step(*n)], None)
            }
            Op::Sweep { incident: n } => (self.sweep(*n), None),
        }
    }

    fn sweep(&mut self, n: usize) -> Vec<Step> {
        let incident = &mut self.incidents[n];
        let (id, record) = (incident.record.id.clone(), &incident.record);
        let off = |card: &&ListedCard| !record.lists(&card.record.events);
        let removed: Vec<(Fingerprint, ListedCard)> = incident
            .cards
            .iter()
            .filter(|(_, card)| off(card))
            .map(|(fingerprint, card)| (*fingerprint, card.clone()))
            .collect();
        let events = removed.iter().map(|(_, card)| card.record.events.as_slice());
        incident.record.note_removal(events, Reason::Withdrawn, &mark());
        let mut steps = Vec::new();
        for (fingerprint, card) in removed {
            self.incidents[n].cards.remove(&fingerprint);
            let key = ListKey::Card { key: card.key, fingerprint, incident: id.clone() };
            steps.push(Step { key, value: None, shown: self.shown() });
        }
        steps.push(self.incident_step(n));
        steps
    }

    fn incident_step(&self, n: usize) -> Step {
        let record = &self.incidents[n].record;
        let key = ListKey::Incident(record.id.clone());
        Step { key, value: Some(record.to_json()), shown: self.shown() }
    }

    fn import(
        &mut self,
        n: usize,
        mode: Mode,
        primary: usize,
        list: &[usize],
        dies_after: Option<usize>,
    ) -> (Vec<Step>, Option<(Report, Report)>) {
        let incident = &mut self.incidents[n];
        let claimed = incident.record.claim(details(incident.record.revisions.len() + 1), mark());
        assert_eq!(claimed.is_ok(), incident.open);
        let Ok(number) = claimed else { return (Vec::new(), None) };
        let record = incident.record.clone();
        let mut steps = vec![self.incident_step(n)];

        let mut writes = Vec::new();
        let mut plan = ImportPlan::new(&record, number, self.incidents[n].cards.clone());
        for (place, card) in list.iter().enumerate() {
            let action = mode.action(place);
            let name = |key_n| CardName { key: key(key_n), fingerprint: fingerprint(*card, key_n) };
            let others = [name(1 - primary)];
            let (expiry, tier, references) = Default::default();
            let name = name(primary);
            let entry = PlanEntry { action, name, others: &others, expiry, tier, references };
            writes.extend(plan.entry(&entry).1);
        }
        if mode == Mode::Replace {
            let Ok(()) = plan.withdraw_unnamed(|write| {
                writes.push(write);
                Ok::<(), Infallible>(())
            });
        }
        let totals = plan.totals();

        for write in writes.into_iter().take(dies_after.unwrap_or(usize::MAX)) {
            steps.push(self.card_step(n, &write));
        }
        if dies_after.is_some() {
            return (steps, None);
        }
        let incident = &mut self.incidents[n];
        incident.record.finish(number, Finish { cards: Some(totals.cards), ..Finish::default() }).unwrap();
        let (change, expected) = naive_import(number, mode, list, &incident.listed());
        incident.changes.push(change);
        steps.push(self.incident_step(n));
        (steps, Some((Report { counts: totals.counts, cards: totals.cards }, expected)))
    }

    fn card_step(&mut self, n: usize, write: &CardWrite) -> Step {
        let incident = &mut self.incidents[n];
        let card = ListedCard { key: write.name.key.clone(), record: write.record.clone() };
        incident.cards.insert(write.name.fingerprint, card);
        let key = write.list_key(&incident.record.id);
        Step { key, value: Some(write.record.to_json()), shown: self.shown() }
    }
}

fn naive_import(number: u32, mode: Mode, list: &[usize], before: &BTreeSet<usize>) -> (Change, Report) {
    let mut first: BTreeMap<usize, Action> = BTreeMap::new();
    for (place, card) in list.iter().enumerate() {
        first.entry(*card).or_insert(mode.action(place));
    }
    let named = |action: Action| -> BTreeSet<usize> {
        first.iter().filter(|(_, first)| **first == action).map(|(card, _)| *card).collect()
    };
    let (to_add, to_withdraw) = (named(Action::Add), named(Action::Withdraw));
    let added = to_add.difference(before).copied().collect();
    let mut withdrawn: BTreeSet<usize> = to_withdraw.intersection(before).copied().collect();
    let not_there = to_withdraw.len() - withdrawn.len();
    if mode == Mode::Replace {
        withdrawn = before.difference(&to_add).copied().collect();
    }
    let change = Change { number, added, withdrawn };
    let counts = Counts {
        read: list.len() as u64,
        added: change.added.len() as u64,
        already_there: to_add.intersection(before).count() as u64,
        updated: 0,
        withdrawn: change.withdrawn.len() as u64,
        not_there: not_there as u64,
        repeated: (list.len() - first.len()) as u64,
        rejected: 0,
    };
    let after = before.len() + change.added.len() - change.withdrawn.len();
    let cards = CardTotals { before: before.len() as u64, after: after as u64 };
    (change, Report { counts, cards })
}
