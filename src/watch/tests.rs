use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::codec::mapping::MappingSpec;
use crate::domain::card::CardNumber;
use crate::exposure::fingerprint::{Key, Keyring};
use crate::exposure::record::CardRecord;
use crate::lines::feed::set_of;
use crate::secret::Secret;

const NUMBER: &str = "4242424242424242";
const FUNDING: &str = "5555555555554444";

fn keyring(others: usize) -> Keyring {
    let key = |n: u8| Key::new(format!("k{n}").parse().unwrap(), Secret::new(vec![n; 32])).unwrap();
    Keyring::new(key(1), (0..others).map(|n| key(n as u8 + 2)).collect()).unwrap()
}

/// A watch over four card fields, with `listed` on the list: `kind value`.
fn watch(keyring: &Keyring, listed: &[(&str, &str)]) -> (Watch, Arc<View>) {
    let places = [
        (CardKind::FundingNumber, "/funding"),
        (CardKind::Token, "/token"),
        (CardKind::AccountReference, "/par"),
    ];
    let spec = MappingSpec {
        card: vec!["/card".to_owned(), "/pan".to_owned()],
        other_cards: places.map(|(kind, place)| (kind, vec![place.to_owned()])).into(),
        references: BTreeMap::from([("par".to_owned(), vec!["/par".to_owned()])]),
        ..MappingSpec::default()
    };
    let prints = Fingerprinter::new(keyring);
    let cards = listed.iter().map(|(kind, value)| (print(&prints, kind, value), CardRecord::default()));
    let set = set_of(keyring, keyring.primary().id(), cards, Timestamp(1)).unwrap();
    (Watch::new(Mapping::new(&spec).unwrap(), prints, "test"), set.view())
}

fn print(prints: &Fingerprinter, kind: &str, value: &str) -> Fingerprint {
    let token = |namespace| prints.of_token(0, &namespace, value.as_bytes()).unwrap();
    match kind {
        "token" => token(Namespace::TOKEN),
        "par" => token(Namespace::ACCOUNT_REFERENCE),
        _ => prints.of_number(0, &CardNumber::parse(value.as_bytes()).unwrap()),
    }
}

fn look(watch: &Watch, view: &View, json: &str) -> Seen {
    let record = Record {
        value: Some(json.as_bytes()),
        key: None,
        topic: "t",
        partition: 0,
        offset: 1,
        timestamp: Timestamp(5),
    };
    watch.look(view, &record, Timestamp(9), Vec::new)
}

/// What came of a record, in a line: the kinds that matched and what was unreadable.
fn told(seen: &Seen) -> String {
    match seen {
        Seen::Miss => "miss".to_owned(),
        Seen::Tombstone => "tombstone".to_owned(),
        Seen::Unreadable(unreadable) => format!("{} {}", unreadable.field, unreadable.reason.as_str()),
        Seen::Sighting(found) => {
            let card = &found.sighting.card;
            let kinds = std::iter::once(card.kind).chain(card.others.iter().map(|other| other.kind));
            let kinds: Vec<&str> = kinds.map(CardKind::as_str).collect();
            let unreadable = found.sighting.unreadable.join(",");
            format!("{} {unreadable}", kinds.join("+")).trim().to_owned()
        }
    }
}

#[test]
fn any_card_field_may_match_and_one_transaction_is_one_sighting() {
    let all = [("number", NUMBER), ("number", FUNDING), ("token", "tok"), ("par", "PAR")];
    for (listed, record, want) in [
        (&all[..], r#"{"card":"4242424242424242"}"#, "number"),
        (&all, r#"{"card":null,"pan":"4242 4242 4242 4242"}"#, "number"),
        (&all, r#"{"card":"4111111111111111","funding":"5555555555554444"}"#, "funding_number"),
        (&all, r#"{"token":"tok"}"#, "token"),
        (&all, r#"{"par":"PAR"}"#, "account_reference"),
        (&all, r#"{"card":"4242424242424242","token":"tok","par":"PAR"}"#, "number+token+account_reference"),
        // The number and the funding number of a plain card are one.
        (&all, r#"{"card":"4242424242424242","funding":"4242424242424242"}"#, "number"),
        // A namespace of its own each.
        (&all, r#"{"token":"PAR","par":"tok"}"#, "miss"),
        (&all, r#"{"token":"4242424242424242"}"#, "miss"),
        (&all[2..], r#"{"card":"4242424242424242","token":"other"}"#, "miss"),
        // What does not read matters only where nothing else matches.
        (&all, r#"{"card":"none","token":"tok"}"#, "token card"),
        (&all, r#"{"card":"none","token":"other"}"#, "card card_not_a_number"),
        (&all, r#"{"card":"4111111111111111","funding":"1"}"#, "funding_number card_wrong_length"),
        (&all, r#"{"card":"4242424242424242","token":true}"#, "number token"),
        // What is not there is no fault, unless nothing is.
        (&all, r#"{"card":"","token":null,"par":"x"}"#, "miss"),
        (&all, r#"{"card":"","token":null}"#, "card card_empty"),
        (&all, r#"{"card":null}"#, "card card_null"),
        (&all, "{}", "card card_missing"),
        (&all, "{", "value truncated"),
        (&all, r#"{"token":"tok","token":"tok"}"#, "token duplicate_field"),
    ] {
        let (watch, view) = watch(&keyring(0), listed);
        assert_eq!(told(&look(&watch, &view, record)), want, "{record}");
    }
}

#[test]
fn a_card_is_keyed_alike_by_whichever_field_it_is_found() {
    let keyring = keyring(1);
    let (watch, view) = watch(&keyring, &[("number", NUMBER)]);
    let sighting = |json: &str| match look(&watch, &view, json) {
        Seen::Sighting(found) => found.sighting,
        other => panic!("{}", told(&other)),
    };
    let plain = sighting(&format!(r#"{{"card":"{NUMBER}"}}"#));
    let wallet = sighting(&format!(r#"{{"card":"4111111111111111","funding":"{NUMBER}","par":"PAR"}}"#));
    assert_eq!(plain.card.fingerprint, wallet.card.fingerprint);
    assert_eq!((plain.card.kind, wallet.card.kind), (CardKind::Number, CardKind::FundingNumber));
    assert_eq!(plain.card.others.len(), 1, "the other active key");
    assert_eq!(wallet.card.references.iter().collect::<Vec<_>>(), [("par", "PAR")]);
    let card = watch.recognise(&view, br#"{"card":"4111111111111111"}"#).unwrap();
    assert!(!card.exposed && card.fingerprint != plain.card.fingerprint);
    let card = watch.recognise(&view, format!(r#"{{"pan":"{NUMBER}"}}"#).as_bytes()).unwrap();
    assert_eq!(card, Recognised { fingerprint: plain.card.fingerprint, exposed: true });
}

#[test]
fn no_card_number_of_any_field_is_in_a_sighting() {
    let (watch, view) = watch(&keyring(0), &[("number", FUNDING)]);
    let record = format!(
        r#"{{"card":"{NUMBER}","funding":"{FUNDING}","token":"tok_secret","id":"{NUMBER}","response_code":"{FUNDING}",
        "merchant":{{"name":"x tok_secret"}}}}"#
    );
    let Seen::Sighting(found) = look(&watch, &view, &record) else { panic!("no sighting") };
    let json = serde_json::to_string(&found.sighting).unwrap();
    assert!(![NUMBER, FUNDING, "tok_secret"].iter().any(|value| json.contains(value)), "{json}");
    assert_eq!(found.sighting.withheld, ["id", "response_code", "merchant_name"]);
}

#[test]
fn a_card_listed_under_another_active_key_matches_and_is_keyed_by_the_primary() {
    let keyring = keyring(1);
    let prints = Fingerprinter::new(&keyring);
    let number = CardNumber::parse(NUMBER.as_bytes()).unwrap();
    let [primary, other] = [0, 1].map(|index| prints.of_number(index, &number));
    let k2 = keyring.keys()[1].id();
    let cards = std::iter::once((other, CardRecord::default()));
    let view = set_of(&keyring, k2, cards, Timestamp(1)).unwrap().view();
    let watch = Watch::new(Mapping::new(&MappingSpec::default()).unwrap(), prints, "test");
    let Seen::Sighting(found) = look(&watch, &view, &format!(r#"{{"card":"{NUMBER}"}}"#)) else {
        panic!("a card under an active key was not recognised")
    };
    let card = &found.sighting.card;
    assert_eq!((card.fingerprint, &card.key), (primary, keyring.primary().id()));
    let others: Vec<_> = card.others.iter().map(|one| (one.fingerprint, &one.key)).collect();
    assert_eq!(others, [(other, k2)]);
}
