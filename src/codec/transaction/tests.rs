use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::codec::mapping::MappingSpec;
use crate::domain::card::CardKind;
use crate::domain::time::EpochUnit;

const CARD: &str = "4242424242424242";

fn spec() -> MappingSpec {
    let references = BTreeMap::from([("account".to_owned(), "/account".to_owned())]);
    MappingSpec { references, ..MappingSpec::default() }
}

fn decode(spec: &MappingSpec, record: &[u8]) -> Decoded {
    let mapping = Mapping::new(spec).unwrap();
    let card = mapping.scan(record).unwrap();
    mapping.decode(record, &card)
}

/// Decodes a record of a card and these members.
fn with(spec: &MappingSpec, members: &str) -> Decoded {
    decode(spec, format!(r#"{{"card":"{CARD}",{members}}}"#).as_bytes())
}

#[test]
fn a_full_record_is_decoded_field_by_field() {
    let got = with(
        &spec(),
        r#""id":"t-1","at":"2018-06-05T14:40:15+09:00","kind":"authorization","outcome":"declined","response_code":"05",
        "amount":"129.80","currency":"USD","billing_amount":14278,"billing_currency":"JPY",
        "merchant":{"id":"M1","name":"Caf\u00e9","mcc":"5499","country":"jp","place":"東京"},"channel":"ecom",
        "initiation":"cardholder","credential":"keyed","cvv":"absent","avs":"no_match","three_ds":"none",
        "expiry":"09/25","account":"A-1207""#,
    );
    let want = Transaction {
        id: Some("t-1".to_owned()),
        at: Some(Timestamp(1_528_177_215_000)),
        kind: Kind::Authorization,
        outcome: Outcome::Declined,
        response_code: Some("05".to_owned()),
        amount: Some(Money { minor: 12980, currency: "USD".parse().unwrap() }),
        billing: Some(Money { minor: 14278, currency: "JPY".parse().unwrap() }),
        merchant: Merchant {
            id: Some("M1".to_owned()),
            name: Some("Café".to_owned()),
            mcc: Some("5499".to_owned()),
            country: Some("JP".to_owned()),
            place: Some("東京".to_owned()),
        },
        channel: Channel::Ecom,
        initiation: Initiation::Cardholder,
        credential: Credential::Keyed,
        cvv: Cvv::Absent,
        avs: Avs::NoMatch,
        three_ds: ThreeDs::None,
        expiry: Expiry::Unknown,
    };
    assert_eq!(got.transaction, want);
    assert_eq!(got.references.iter().collect::<Vec<_>>(), [("account", "A-1207")]);
    assert_eq!(got.card_expiry.unwrap().to_string(), "2025-09");
    assert_eq!((got.unreadable.as_slice(), got.withheld.as_slice()), ([].as_slice(), [].as_slice()));
}

/// One member of a record; what its field says in JSON afterwards; whether it is named as unreadable.
fn check(spec: &MappingSpec, members: &str, field: &str, want: Value, unreadable: &[&str]) {
    let got = with(spec, members);
    let json = serde_json::to_value(&got.transaction).unwrap();
    assert_eq!(json.pointer(field).unwrap(), &want, "{members}");
    assert_eq!(got.unreadable, unreadable, "{members}");
    assert_eq!(got.withheld, [""; 0], "{members}");
}

#[test]
fn each_field_reads_or_is_unknown_and_named() {
    let null = Value::Null;
    let spec = spec();
    for (members, field, want, unreadable) in [
        (r#""id":null"#, "/id", null.clone(), &[][..]),
        (r#""id":"""#, "/id", null.clone(), &[]),
        (r#""id":12345678901234567890123"#, "/id", json!("12345678901234567890123"), &[]),
        (r#""id":true"#, "/id", null.clone(), &["id"]),
        (r#""id":{"x":1}"#, "/id", null.clone(), &["id"]),
        (r#""id":"a","id":"a""#, "/id", null.clone(), &["id"]),
        (r#""id":"\ud800""#, "/id", null.clone(), &["id"]),
        (r#""response_code":5"#, "/response_code", json!("5"), &[]),
        (r#""at":"2018-06-05""#, "/at", null.clone(), &["at"]),
        (r#""at":1528177215"#, "/at", null.clone(), &["at"]),
        (r#""kind":"purchase""#, "/kind", json!("unknown"), &["kind"]),
        (r#""kind":"Refund""#, "/kind", json!("unknown"), &["kind"]),
        (r#""kind":"unknown""#, "/kind", json!("unknown"), &[]),
        (r#""cvv":1"#, "/cvv", json!("unknown"), &["cvv"]),
        (r#""amount":105.42,"currency":"usd""#, "/amount", json!("10542"), &[]),
        (r#""amount":1e2,"currency":840"#, "/amount", json!("10000"), &[]),
        (r#""amount":"7","currency":"036""#, "/currency", json!("AUD"), &[]),
        (r#""amount":"7""#, "/amount", null.clone(), &["amount"]),
        (r#""currency":"USD""#, "/currency", null.clone(), &[]),
        (r#""amount":"7","currency":"XYZ""#, "/amount", null.clone(), &["currency", "amount"]),
        (r#""amount":"1.005","currency":"USD""#, "/amount", null.clone(), &["amount"]),
        (r#""amount":1e400,"currency":"USD""#, "/amount", null.clone(), &["amount"]),
        (r#""amount":"$7","currency":"USD""#, "/amount", null.clone(), &["amount"]),
        (r#""amount":[7],"currency":"USD""#, "/amount", null.clone(), &["amount"]),
        (r#""amount":0.1,"currency":"JPY""#, "/amount", null.clone(), &["amount"]),
        (r#""merchant":{"mcc":742}"#, "/merchant/mcc", json!("0742"), &[]),
        (r#""merchant":{"mcc":"0742"}"#, "/merchant/mcc", json!("0742"), &[]),
        (r#""merchant":{"mcc":"742"}"#, "/merchant/mcc", null.clone(), &["merchant_mcc"]),
        (r#""merchant":{"mcc":57420}"#, "/merchant/mcc", null.clone(), &["merchant_mcc"]),
        (r#""merchant":{"mcc":"５７４２"}"#, "/merchant/mcc", null.clone(), &["merchant_mcc"]),
        (r#""merchant":{"country":"JPN"}"#, "/merchant/country", null.clone(), &["merchant_country"]),
        (r#""merchant":{"country":"é"}"#, "/merchant/country", null.clone(), &["merchant_country"]),
        (r#""merchant":{"name":5}"#, "/merchant/name", null.clone(), &["merchant_name"]),
        (r#""merchant":{"id":5}"#, "/merchant/id", json!("5"), &[]),
        (r#""merchant":"M1""#, "/merchant/id", null.clone(), &[]),
        (
            r#""merchant":{"id":"A"},"merchant":{}"#,
            "/merchant/id",
            null.clone(),
            &["merchant_id", "merchant_name", "merchant_mcc", "merchant_country", "merchant_place"],
        ),
        (r#""expiry":"2025-13""#, "/expiry", json!("unknown"), &["expiry"]),
        (r#""account":["A"]"#, "/id", null.clone(), &["references.account"]),
    ] {
        check(&spec, members, field, want, unreadable);
    }
}

#[test]
fn units_and_formats_follow_the_mapping() {
    let mut spec = spec();
    spec.amount_unit = AmountUnit::Minor;
    spec.time_format = TimeFormat::Epoch(EpochUnit::Millis);
    spec.fields.insert(Field::MerchantId, "/merchant".to_owned());
    let usd = r#""amount":"000000012980","currency":"USD""#;
    check(&spec, usd, "/amount", json!("12980"), &[]);
    check(&spec, r#""amount":129.5,"currency":"USD""#, "/amount", Value::Null, &["amount"]);
    for at in ["1528177215000", "\"1528177215000\""] {
        check(&spec, &format!("\"at\":{at}"), "/at", json!("2018-06-05T05:40:15.000Z"), &[]);
    }
    check(&spec, r#""at":-1"#, "/at", Value::Null, &["at"]);
    check(&spec, r#""merchant":"M1""#, "/merchant/id", json!("M1"), &[]);
    check(&spec, r#""merchant":{"name":"N"}"#, "/merchant/name", json!("N"), &["merchant_id"]);
}

#[test]
fn long_texts_are_cut_at_a_character_and_long_references_left_out() {
    let got = with(&spec(), &format!(r#""id":"x{}","account":"{}""#, "é".repeat(200), "a".repeat(129)));
    assert_eq!(got.transaction.id.unwrap(), format!("x{}", "é".repeat(127)));
    assert_eq!(got.unreadable, ["references.account"]);
    let got = with(&spec(), &format!(r#""account":"{}""#, "a".repeat(128)));
    assert_eq!(got.references.iter().count(), 1);
}

#[test]
fn a_value_that_repeats_the_card_is_withheld() {
    let spec = spec();
    for (members, withheld) in [
        (r#""id":"4242424242424242""#, "id"),
        (r#""id":4242424242424242"#, "id"),
        (r#""id":"x-4242 4242.4242-4242-y""#, "id"),
        (r#""merchant":{"name":"pay \u0034242424242424242"}"#, "merchant_name"),
        (r#""amount":4242424242424242,"currency":"JPY""#, "amount"),
        (r#""amount":"42424242424242.42","currency":"USD""#, "amount"),
        (r#""amount":"4242424242424242e1","currency":"JPY""#, "amount"),
        (r#""amount":"424242424242424.2e1","currency":"JPY""#, "amount"),
        (r#""amount":"42424242424242420e-1","currency":"JPY""#, "amount"),
        (r#""account":4242424242424242"#, "references.account"),
    ] {
        let got = with(&spec, members);
        assert_eq!(got.withheld, [withheld], "{members}");
        assert_eq!(got.transaction, Transaction::default(), "{members}");
        assert!(got.references.is_empty());
    }
    // A longer text is searched before it is cut.
    let got = with(&spec, &format!(r#""id":"{}{CARD}""#, "x".repeat(250)));
    assert_eq!(got.withheld, ["id"]);
}

#[test]
fn a_token_is_withheld_from_texts_and_not_from_amounts() {
    let spec = MappingSpec { card_kind: CardKind::Token, ..spec() };
    let got = decode(&spec, br#"{"card":"12","id":"a12","amount":"12","currency":"USD","account":"b"}"#);
    assert_eq!(got.withheld, ["id"]);
    assert_eq!(got.transaction.amount.unwrap().minor, 1200);
}

#[test]
fn a_fingerprint_is_no_secret() {
    let print = "0a".repeat(32);
    let spec = MappingSpec { card_kind: CardKind::Fingerprint, ..spec() };
    let got = decode(&spec, format!(r#"{{"card":"{print}","id":"{print}"}}"#).as_bytes());
    assert_eq!(got.transaction.id, Some(print));
}

/// A record with `value` at every mapped place.
fn everywhere(value: &Value) -> Vec<u8> {
    let mut record = Map::new();
    for &field in Field::ALL {
        match field.default_pointer()[1..].split_once('/') {
            Some((object, name)) => {
                let object = record.entry(object).or_insert_with(|| json!({}));
                object.as_object_mut().unwrap().insert(name.to_owned(), value.clone());
            }
            None => {
                record.insert(field.default_pointer()[1..].to_owned(), value.clone());
            }
        }
    }
    record.insert("account".to_owned(), value.clone());
    record.insert("card".to_owned(), json!(CARD));
    serde_json::to_vec(&record).unwrap()
}

#[test]
fn a_card_planted_in_every_field_comes_out_of_none() {
    let grouped = "4242-4242 4242/4242";
    for unit in [AmountUnit::Major, AmountUnit::Minor] {
        let formats =
            [TimeFormat::Rfc3339, TimeFormat::Epoch(EpochUnit::Micros), TimeFormat::Epoch(EpochUnit::Millis)];
        for time_format in formats {
            let spec = MappingSpec { amount_unit: unit, time_format, ..spec() };
            let whole: Value = serde_json::from_str(CARD).unwrap();
            for value in [json!(CARD), json!(grouped), json!(format!("a{CARD}b")), whole] {
                let got = decode(&spec, &everywhere(&value));
                assert_eq!(got.transaction, Transaction::default(), "{value}");
                assert!(got.references.is_empty());
                assert_eq!(got.unreadable.len() + got.withheld.len(), Field::ALL.len() + 1, "{got:?}");
                assert!(!format!("{got:?}").contains("4242"));
            }
        }
    }
}

proptest! {
    #[test]
    fn decoding_takes_any_value_anywhere_and_never_says_the_card(
        texts in proptest::collection::vec(prop_oneof!["[ -~é日]{0,40}", "4[24 -]{0,24}", Just(CARD.to_owned())], 6),
        amount in prop_oneof!["[0-9.e-]{0,20}", Just(CARD.to_owned())],
    ) {
        let record = json!({
            "card": CARD, "id": texts[0], "at": texts[1], "amount": amount, "currency": "JPY", "account": texts[2],
            "merchant": {"id": texts[3], "name": texts[4], "place": texts[5]},
        });
        let got = decode(&spec(), record.to_string().as_bytes());
        let json = serde_json::to_string(&got.transaction).unwrap();
        let mut outputs: Vec<&str> = vec![&json];
        outputs.extend(got.references.iter().map(|(_, value)| value));
        for output in outputs {
            prop_assert!(!output.contains(CARD), "{}", output);
        }
        for text in [got.transaction.id, got.transaction.merchant.name].into_iter().flatten() {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            prop_assert!(!digits.contains(CARD) || text.chars().any(char::is_alphabetic), "{}", text);
        }
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mapping = Mapping::new(&spec()).unwrap();
        let card = mapping.scan(br#"{"card":"42424242"}"#).unwrap();
        mapping.decode(&bytes, &card);
    }
}
