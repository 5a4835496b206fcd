//! Claims about the shape of a world.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use serde_json::Value;

use crate::domain::card::CardNumber;
use crate::domain::incident::Element;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Initiation, Kind, Outcome, ThreeDs};

use super::*;

fn small(seed: u64) -> World {
    World::new(WorldSpec { seed, cards: 400, merchants: 500, ..WorldSpec::default() }).unwrap()
}

fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} is missing"))
}

fn parsed(event: &Event) -> Value {
    serde_json::from_slice(&event.json).unwrap()
}

/// Every event of a world with its JSON.
fn stream(world: &World) -> Vec<(Event, Value)> {
    world.events().map(|event| (event.clone(), parsed(&event))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn every_record_reads_by_the_words_of_the_domain(seed in any::<u64>()) {
        let world = World::new(WorldSpec { days: 157, cards: 150, ..small(seed).spec().clone() }).unwrap();
        let mut last = world.spec().start;
        let mut seen = BTreeSet::new();
        for (event, json) in stream(&world) {
            prop_assert!(event.at >= last && event.at < world.spec().end());
            last = event.at;
            prop_assert_eq!(text(&json, "/id"), &event.id);
            prop_assert_eq!(Timestamp::parse_rfc3339(text(&json, "/at")), Ok(event.at));
            prop_assert!(text(&json, "/card") == world.number(event.card).as_str());
            prop_assert!(CardNumber::parse(text(&json, "/card").as_bytes()).unwrap().passes_luhn());
            let currency: Currency = text(&json, "/currency").parse().unwrap();
            prop_assert!(Money::parse_major(text(&json, "/amount"), currency).unwrap().minor >= 0);
            if let Some(billed) = json.get("billing_amount") {
                let billing: Currency = text(&json, "/billing_currency").parse().unwrap();
                prop_assert!(billing != currency);
                prop_assert!(Money::parse_major(billed.as_str().unwrap(), billing).is_ok());
            }
            let known = |word: Option<&Value>, words: &[&str]| {
                word.is_none_or(|word| words.contains(&word.as_str().unwrap_or_default()))
            };
            for (name, words) in [
                ("kind", Kind::WORDS), ("outcome", Outcome::WORDS), ("channel", Channel::WORDS),
                ("initiation", Initiation::WORDS), ("credential", Credential::WORDS), ("cvv", Cvv::WORDS),
                ("avs", Avs::WORDS), ("three_ds", ThreeDs::WORDS),
            ] {
                prop_assert!(known(json.get(name), words), "{name}: {json}");
            }
            prop_assert!(text(&json, "/account").starts_with("A-"));
            prop_assert_eq!(text(&json, "/merchant/mcc").len(), 4);
            prop_assert!((300..520).contains(&event.json.len()), "{} bytes", event.json.len());
            seen.extend(json.as_object().unwrap().keys().cloned());
            seen.extend(json["merchant"].as_object().unwrap().keys().map(|name| format!("merchant.{name}")));
        }
        let all = "account amount at avs billing_amount billing_currency card channel credential currency cvv expiry id \
                   initiation kind merchant merchant.country merchant.id merchant.mcc merchant.name merchant.place \
                   outcome response_code three_ds";
        prop_assert_eq!(seen.into_iter().collect::<Vec<_>>().join(" "), all);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_another() {
    let bytes = |seed| {
        let world = small(seed);
        let stream: Vec<u8> = world.events().flat_map(|event| event.json).collect();
        let list = breach::csv(world.first_notice().cards());
        (stream, list, format!("{:?}", world.revision().details))
    };
    assert_eq!(bytes(11), bytes(11));
    let (one, other) = (bytes(11), bytes(12));
    assert!(one.0 != other.0 && one.1 != other.1);
}

#[test]
fn an_id_stands_for_one_message_of_each_kind() {
    let world = small(1);
    let mut seen = HashSet::new();
    let mut clearings = 0;
    for (event, json) in stream(&world) {
        let kind = text(&json, "/kind").to_owned();
        clearings += u32::from(kind == "clearing");
        if kind == "clearing" {
            assert!(seen.contains(&(event.id.clone(), "authorization".to_owned())), "a clearing of nothing");
        }
        assert!(seen.insert((event.id, kind)), "an id twice");
    }
    assert!(clearings > 100, "{clearings}");
}

#[test]
fn subscriptions_never_carry_a_code_after_the_first_charge() {
    let mut charges: HashMap<(u32, String), u32> = HashMap::new();
    for (event, json) in stream(&small(2)) {
        if json["initiation"] == "recurring" {
            assert_eq!(json["cvv"], "absent");
            assert_eq!(json["credential"], "stored");
            *charges.entry((event.card, text(&json, "/merchant/id").to_owned())).or_default() += 1;
        }
    }
    assert!(charges.len() > 200, "{}", charges.len());
    assert!(charges.values().filter(|&&count| count >= 5).count() > 100, "charged month after month");
}

#[test]
fn misuse_has_the_share_asked_for_and_the_truth_names_it_all() {
    for (share, victims) in [(0.0, 0), (0.001, 1), (0.02, 6), (0.5, 150), (1.0, 300)] {
        let spec =
            WorldSpec { cards: 1_000, exposed_share: 0.3, misused_share: share, ..WorldSpec::default() };
        let world = World::new(spec).unwrap();
        assert_eq!(world.exposed_cards(), 300);
        let truth: BTreeMap<String, MisuseRecord> =
            world.truth().map(|record| (record.id.clone(), record)).collect();
        let cards: HashSet<u32> = truth.values().map(|record| record.card).collect();
        assert_eq!(cards.len(), victims, "{share}");

        let mut streamed = 0;
        for event in world.events() {
            let scheme = match event.truth {
                Truth::Misuse { scheme } => Some(scheme),
                Truth::Genuine => None,
            };
            assert_eq!(truth.get(&event.id).map(|record| record.scheme), scheme);
            assert_eq!(world.is_misuse(&event.id), scheme.is_some());
            if scheme.is_some() {
                assert!(event.at >= world.spec().misuse_from());
                assert_eq!(world.misuse(&event.id).unwrap().at, event.at);
                streamed += 1;
            }
        }
        assert_eq!(streamed, truth.len());
        assert!(!world.is_misuse("tx-0000000000000000") && !world.is_misuse("T-1"));
    }
}

#[test]
fn thieves_never_show_the_code_that_was_not_exposed() {
    let spec = WorldSpec { cards: 1_000, exposed_share: 0.5, misused_share: 0.5, ..WorldSpec::default() };
    let world = World::new(spec).unwrap();
    let mut schemes = HashSet::new();
    for event in world.events() {
        if let Truth::Misuse { scheme } = event.truth {
            let json = parsed(&event);
            assert_eq!(json["channel"], "ecom");
            assert_eq!(json["initiation"], "cardholder");
            assert!(json["cvv"] == "absent" || json["cvv"] == "no_match" && json["outcome"] == "declined");
            schemes.insert(scheme);
        }
    }
    assert_eq!(schemes.len(), 3);
}

#[test]
fn the_revision_adds_and_withdraws_and_ends_at_the_truth() {
    let world = World::new(WorldSpec { cards: 10_000, ..WorldSpec::default() }).unwrap();
    let (notice, revision) = (world.first_notice(), world.revision());
    let first: BTreeSet<u32> = notice.cards().map(|card| card.card).collect();
    let added: BTreeSet<u32> = revision.added().map(|card| card.card).collect();
    let withdrawn: BTreeSet<u32> = revision.withdrawn().map(|card| card.card).collect();
    // 23,000 of 29,773, scaled to 1,000 cards exposed.
    assert_eq!((notice.len(), first.len()), (773, 773));
    assert_eq!((added.len(), withdrawn.len()), (400, 173));
    assert!(withdrawn.is_subset(&first) && added.is_disjoint(&first));
    let last: BTreeSet<u32> = first.union(&added).filter(|card| !withdrawn.contains(card)).copied().collect();
    assert_eq!(last.len(), world.exposed_cards());
    assert!(world.truth().all(|record| last.contains(&record.card)));

    assert!(notice.details.elements.contains(&Element::SecurityCode));
    assert!(!revision.details.elements.contains(&Element::SecurityCode));
    let (before, after) = (notice.details.exposure, revision.details.exposure);
    assert!(after.from < before.from && after.until < before.until && before.from < after.until);
    assert!(revision.details.exposure_span().is_ok());
    assert_eq!((notice.at, revision.at), (world.spec().notice_at(), world.spec().revision_at()));
}

#[test]
fn cards_of_the_list_were_entered_at_the_shop_in_the_period_that_it_gives() {
    let world = small(9);
    let mut entered: HashMap<u32, Vec<Timestamp>> = HashMap::new();
    for (event, json) in stream(&world) {
        if json["merchant"]["id"] == "M00000" && json["kind"] == "authorization" {
            entered.entry(event.card).or_default().push(event.at);
        }
    }
    let spec = world.spec();
    let (from, until) = (spec.day_start(spec.exposure.from), spec.day_start(spec.exposure.until + 1));
    let withdrawn: HashSet<u32> = world.revision().withdrawn().map(|card| card.card).collect();
    let listed: Vec<u32> =
        world.first_notice().cards().chain(world.revision().added()).map(|card| card.card).collect();
    let late = until..spec.day_start(spec.first_exposure().until + 1);
    for card in listed {
        let times = entered.get(&card).unwrap_or_else(|| panic!("card {card} never bought there"));
        let span = if withdrawn.contains(&card) { late.clone() } else { from..until };
        assert!(times.iter().any(|at| span.contains(at)), "{card} {times:?}");
    }
}

#[test]
fn a_list_can_be_written_as_csv() {
    let world = small(4);
    let csv = breach::csv(world.first_notice().cards());
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("pan,expiry,account"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), world.first_notice().len());
    for row in rows {
        assert_eq!(row.len(), 3);
        assert!(CardNumber::parse(row[0].as_bytes()).unwrap().passes_luhn());
        assert!(row[1].len() == 5 && row[2].starts_with("A-"));
    }
}

#[test]
fn honest_customers_look_odd_now_and_then() {
    // 60 days from 2018-11-01, nobody misused: half of them in December.
    let start = Timestamp(1_541_030_400_000);
    let spec = WorldSpec {
        cards: 600,
        start,
        days: 60,
        misused_share: 0.0,
        notice_day: 0,
        revision_day: 0,
        misuse_from_day: 0,
        ..WorldSpec::default()
    };
    let world = World::new(spec).unwrap();
    let mut months = [0u32; 2];
    let mut countries: HashMap<u32, HashSet<String>> = HashMap::new();
    let mut fares: HashMap<u32, Vec<i64>> = HashMap::new();
    let (mut mistyped, mut without_code) = (0, 0);
    for (event, json) in stream(&world) {
        assert_eq!(event.truth, Truth::Genuine);
        if json["initiation"] != "cardholder" || json["kind"] != "authorization" {
            continue;
        }
        months[usize::from(event.at >= start.plus_millis(30 * spec::DAY_MS))] += 1;
        countries.entry(event.card).or_default().insert(text(&json, "/merchant/country").to_owned());
        mistyped += u32::from(json["cvv"] == "no_match");
        without_code += u32::from(json["cvv"] == "absent" && json["credential"] == "keyed");
        if json["merchant"]["mcc"] == "4111" {
            fares.entry(event.card).or_default().push(event.at.millis());
        }
    }
    assert!(months[1] * 10 > months[0] * 13, "more in December: {months:?}");
    assert!(countries.values().filter(|seen| seen.len() > 1).count() > 20, "travellers");
    let quick = |times: &Vec<i64>| times.windows(3).any(|three| three[2] - three[0] < 15 * 60_000);
    assert!(fares.values().filter(|times| quick(times)).count() > 50, "fares in quick succession");
    assert!(mistyped > 20 && without_code > 50, "{mistyped} {without_code}");
}

#[test]
fn the_demo_is_small_and_lively_and_ends_in_the_present() {
    let now = Timestamp(1_790_000_000_000);
    let world = World::new(WorldSpec::demo(1, now)).unwrap();
    let (mut transactions, mut listed_uses, mut last) = (0u32, 0u32, Timestamp(0));
    let mut listed: HashSet<u32> = world.first_notice().cards().map(|card| card.card).collect();
    listed.extend(world.revision().added().map(|card| card.card));
    for event in world.events() {
        transactions += 1;
        listed_uses += u32::from(listed.contains(&event.card));
        last = event.at;
    }
    assert!(last < now && last > now.plus_millis(-3_600_000));
    assert!((60_000..200_000).contains(&transactions), "{transactions}");
    assert!(listed_uses * 5 > transactions, "{listed_uses} of {transactions}");
    assert!((60..400).contains(&world.truth().len()), "{}", world.truth().len());
    assert_eq!(world.first_notice().at, world.spec().start);
}

#[test]
fn nothing_of_a_world_shows_a_card_number_when_debugged() {
    let world = small(6);
    let number = world.number(0).as_str().to_owned();
    let event = world.events().find(|event| event.card == 0).unwrap();
    let listed = world.first_notice().cards().next().unwrap();
    for shown in
        [format!("{world:?}"), format!("{event:?}"), format!("{:?}", world.revision()), format!("{listed:?}")]
    {
        assert!(!shown.contains(&number) && !shown.contains(listed.number.as_str()), "{shown}");
    }
}
