use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::exposure::model::{CARDS, Incident, Model, fingerprint, key, ops};

fn name(card: usize, key_n: usize) -> CardName {
    CardName { key: key(key_n), fingerprint: fingerprint(card, key_n) }
}

fn entry(name: CardName, others: &[CardName]) -> PlanEntry<'_> {
    let references = References::default();
    PlanEntry { action: Action::Add, name, others, expiry: None, tier: None, references }
}

fn withdrawal(name: CardName, others: &[CardName]) -> PlanEntry<'_> {
    PlanEntry { action: Action::Withdraw, ..entry(name, others) }
}

/// An incident whose revision 1 listed cards 0 and 1 under k1, with revision 2 claimed.
fn incident() -> (IncidentRecord, HashMap<Fingerprint, ListedCard>) {
    let revision = |number, state| {
        serde_json::json!({
            "number": number, "state": state, "at": "2026-01-01T00:00:00Z", "by": "ana", "host": "h1",
            "details": {"name": "", "party": "", "time_zone": "UTC", "elements": [],
                "exposure": {"from": "2017-04-09", "until": "2017-10-16"}, "watch": {"from": null, "until": null}},
        })
    };
    let revisions = [revision(1, "done"), revision(2, "claimed")];
    let record = serde_json::json!({
        "schema": "cardwatch.incident/1", "id": "shop", "state": "open", "revisions": revisions,
    });
    let record = IncidentRecord::from_json(&"shop".parse().unwrap(), record.to_string().as_bytes()).unwrap();
    let listed = ListedCard { key: key(0), record: CardRecord { events: vec![1], ..CardRecord::default() } };
    (record, HashMap::from([0, 1].map(|card| (fingerprint(card, 0), listed.clone()))))
}

#[test]
fn an_entry_writes_only_what_it_changes() {
    let (incident, cards) = incident();
    let mut plan = ImportPlan::new(&incident, 2, cards);
    assert_eq!(plan.entry(&entry(name(0, 0), &[])), (Outcome::AlreadyThere, vec![]));
    assert_eq!(plan.entry(&entry(name(0, 0), &[])), (Outcome::Repeated, vec![]));
    let (outcome, writes) = plan.entry(&entry(name(5, 0), &[]));
    let added = CardRecord { events: vec![2], ..CardRecord::default() };
    assert_eq!((outcome, writes), (Outcome::Added, vec![CardWrite { name: name(5, 0), record: added }]));
    plan.rejected();
    let totals = plan.totals();
    let counts =
        Counts { read: 4, added: 1, already_there: 1, repeated: 1, rejected: 1, ..Counts::default() };
    assert_eq!(totals, PlanTotals { counts, cards: CardTotals { before: 2, after: 3 } });
}

#[test]
fn newer_descriptions_are_written_and_older_ones_kept() {
    let (incident, mut cards) = incident();
    let card = cards.get_mut(&fingerprint(0, 0)).unwrap();
    card.record.expiry = "09/27".parse().ok();
    card.record.references.insert("account", "A-1").unwrap();
    card.record.references.insert("branch", "7").unwrap();
    let mut plan = ImportPlan::new(&incident, 2, cards);
    let mut newer = entry(name(0, 0), &[]);
    newer.tier = Some("gold".to_owned());
    newer.references.insert("account", "A-2").unwrap();
    let (outcome, writes) = plan.entry(&newer);
    let record = &writes[0].record;
    assert_eq!((outcome, writes.len(), plan.totals().counts.updated), (Outcome::Updated, 1, 1));
    assert_eq!(record.events, [1]);
    assert_eq!((record.expiry, record.tier.as_deref()), ("09/27".parse().ok(), Some("gold")));
    assert_eq!(record.references.iter().collect::<Vec<_>>(), [("account", "A-2"), ("branch", "7")]);
}

#[test]
fn a_card_listed_under_an_older_key_moves_to_the_primary_with_its_past() {
    let (incident, cards) = incident();
    let mut plan = ImportPlan::new(&incident, 2, cards);
    let (outcome, writes) = plan.entry(&entry(name(0, 1), &[name(0, 0)]));
    let with = |events: &[i32]| CardRecord { events: events.to_vec(), ..CardRecord::default() };
    assert_eq!(outcome, Outcome::Updated);
    assert_eq!(
        writes,
        [
            CardWrite { name: name(0, 1), record: with(&[1]) },
            CardWrite { name: name(0, 0), record: with(&[1, -2]) }
        ]
    );
    let mut rest = Vec::new();
    plan.withdraw_unnamed(|write| {
        rest.push(write.name);
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!(rest, [name(1, 0)]);
    assert_eq!(plan.totals().cards, CardTotals { before: 2, after: 1 });
}

#[test]
fn a_withdrawal_finds_a_card_under_every_key_it_is_listed_under() {
    let (incident, mut cards) = incident();
    cards.insert(fingerprint(0, 1), ListedCard { key: key(1), ..cards[&fingerprint(0, 0)].clone() });
    let mut plan = ImportPlan::new(&incident, 2, cards);
    let (outcome, writes) = plan.entry(&withdrawal(name(0, 1), &[name(0, 0)]));
    let names: Vec<CardName> = writes.iter().map(|write| write.name.clone()).collect();
    assert_eq!((outcome, names), (Outcome::Withdrawn, vec![name(0, 1), name(0, 0)]));
    assert!(writes.iter().all(|write| write.record.events == [1, -2]));
    assert_eq!(plan.totals().cards, CardTotals { before: 3, after: 1 });
}

#[test]
fn one_revision_adds_and_withdraws_and_the_first_entry_for_a_card_counts() {
    let (incident, cards) = incident();
    let mut plan = ImportPlan::new(&incident, 2, cards);
    let outcomes = [
        entry(name(5, 0), &[]),
        withdrawal(name(0, 0), &[]),
        withdrawal(name(5, 0), &[]),
        entry(name(0, 0), &[]),
        withdrawal(name(4, 0), &[]),
    ]
    .map(|entry| plan.entry(&entry).0);
    use Outcome::{Added, NotThere, Repeated, Withdrawn};
    assert_eq!(outcomes, [Added, Withdrawn, Repeated, Repeated, NotThere]);
    let counts = Counts { read: 5, added: 1, withdrawn: 1, repeated: 2, not_there: 1, ..Counts::default() };
    assert_eq!(plan.totals(), PlanTotals { counts, cards: CardTotals { before: 2, after: 2 } });
}

/// Under how many names an incident lists a card.
fn names_of(incident: &Incident, card: usize) -> usize {
    let record = |key_n| Some(&incident.cards.get(&fingerprint(card, key_n))?.record);
    (0..2).filter_map(record).filter(|record| incident.record.lists(&record.events)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_cards_that_show_and_the_counts_equal_the_naive_models(ops in ops(20)) {
        let mut model = Model::new();
        for op in &ops {
            // A card whose move died half-way, or was undone, counts under both its names until the next list
            // that names it; the naive model knows no names.
            let one_name_each = model.incidents.iter().all(|i| (0..CARDS).all(|card| names_of(i, card) < 2));
            let (_, report) = model.perform(op);
            if let Some((got, want)) = report {
                prop_assert_eq!(Counts { updated: 0, ..got.counts }, want.counts, "{:?}", op);
                prop_assert!(got.cards == want.cards || !one_name_each, "{:?}: {:?}", op, got);
            }
            for incident in &model.incidents {
                let got: BTreeSet<usize> = (0..CARDS).filter(|card| names_of(incident, *card) > 0).collect();
                prop_assert_eq!(got, incident.listed(), "after {:?}", op);
            }
        }
    }

    #[test]
    fn a_written_card_holds_no_event_of_a_dead_revision(ops in ops(20)) {
        let mut model = Model::new();
        for op in &ops {
            let (steps, _) = model.perform(op);
            for step in steps {
                let ListKey::Card { incident, .. } = &step.key else { continue };
                let record = &model.incidents.iter().find(|i| i.record.id == *incident).unwrap().record;
                let Some(value) = step.value else { continue };
                let card = CardRecord::from_json(&step.key, &value).unwrap();
                let dead = |event: &i32| record.has(event.unsigned_abs(), RevisionState::Dead);
                prop_assert!(!card.events.iter().any(dead), "{:?}", card);
            }
        }
    }
}
