use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::codec::codes::Preset;
use crate::codec::mapping::FieldSpec;
use crate::codec::mapping::MappingSpec;
use crate::domain::card::CardKind;
use crate::domain::time::EpochUnit;
use crate::domain::time_form::TimeForm;

const CARD: &str = "4242424242424242";

fn spec() -> MappingSpec {
    let references = BTreeMap::from([("account".to_owned(), vec!["/account".to_owned()])]);
    MappingSpec { references, ..MappingSpec::default() }
}

fn minor(spec: &mut MappingSpec) {
    for field in [Field::Amount, Field::BillingAmount] {
        spec.fields.get_mut(&field).unwrap().unit = Some(AmountUnit::Minor);
    }
}

fn timed(spec: &mut MappingSpec, form: TimeForm) {
    spec.fields.get_mut(&Field::At).unwrap().time = Some(form);
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
        (r#""merchant":{"country":"JPN"}"#, "/merchant/country", json!("JP"), &[]),
        (r#""merchant":{"country":"392"}"#, "/merchant/country", json!("JP"), &[]),
        (r#""merchant":{"country":36}"#, "/merchant/country", json!("AU"), &[]),
        (r#""merchant":{"country":"36"}"#, "/merchant/country", null.clone(), &["merchant_country"]),
        (r#""merchant":{"country":"ZZ"}"#, "/merchant/country", null.clone(), &["merchant_country"]),
        (r#""channel":true"#, "/channel", json!("unknown"), &["channel"]),
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
    minor(&mut spec);
    timed(&mut spec, TimeForm::epoch(EpochUnit::Millis));
    spec.fields.insert(Field::MerchantId, "/merchant".into());
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

fn coded(field: Field, how: FieldSpec) -> MappingSpec {
    let mut spec = spec();
    spec.fields.insert(field, how);
    spec
}

#[test]
fn the_first_place_that_holds_something_counts_and_then_the_constant() {
    let places = ["/a", "/b/c", "/d/0"].map(str::to_owned).to_vec();
    let how = FieldSpec { pointers: places, value: Some("moto".to_owned()), ..FieldSpec::default() };
    let spec = coded(Field::Channel, how);
    for (members, want, unreadable) in [
        (r#""a":"pos","b":{"c":"ecom"}"#, "pos", &[][..]),
        (r#""a":null,"b":{"c":"ecom"}"#, "ecom", &[]),
        (r#""a":"","d":["atm"]"#, "atm", &[]),
        (r#""d":[]"#, "moto", &[]),
        (r#""x":1"#, "moto", &[]),
        (r#""a":"web","b":{"c":"ecom"}"#, "unknown", &["channel"]),
        (r#""a":{},"b":{"c":"ecom"}"#, "unknown", &["channel"]),
    ] {
        check(&spec, members, "/channel", json!(want), unreadable);
    }
    let yen = FieldSpec { value: Some("JPY".to_owned()), ..FieldSpec::default() };
    check(&coded(Field::Currency, yen), r#""amount":"12980""#, "/amount", json!("12980"), &[]);
}

#[test]
fn a_code_is_looked_up_in_the_house_s_table_then_the_preset_then_as_a_word_then_by_default() {
    let table = [("81", "moto"), ("true", "atm")].map(|(code, word)| (code.to_owned(), word.to_owned()));
    let full = FieldSpec {
        values: table.into(),
        preset: Some(Preset::Iso8583),
        default: Some("ecom".to_owned()),
        ..FieldSpec::at("/c")
    };
    for (members, want) in [
        (r#""c":"81""#, "moto"),
        (r#""c":81"#, "moto"),
        (r#""c":true"#, "atm"),
        (r#""c":"051""#, "pos"),
        (r#""c":"atm""#, "atm"),
        (r#""c":"ZZ""#, "ecom"),
        (r#""c":false"#, "ecom"),
        // What is not there stays unknown: absent never means a default.
        (r#""c":null"#, "unknown"),
        (r#""x":1"#, "unknown"),
    ] {
        check(&coded(Field::Channel, full.clone()), members, "/channel", json!(want), &[]);
    }
    let bare = FieldSpec { default: None, ..full };
    check(&coded(Field::Channel, bare), r#""c":"ZZ""#, "/channel", json!("unknown"), &["channel"]);
    let yen =
        FieldSpec { values: BTreeMap::from([("Y".to_owned(), "JPY".to_owned())]), ..FieldSpec::at("/c") };
    check(&coded(Field::Currency, yen), r#""c":"Y","amount":5"#, "/amount", json!("5"), &[]);
}

#[test]
fn a_message_type_and_a_processing_code_together_say_what_kind_it_is() {
    let places = ["/mti", "/code"].map(str::to_owned).to_vec();
    let how = FieldSpec { pointers: places, preset: Some(Preset::Iso8583), ..FieldSpec::default() };
    let spec = coded(Field::Kind, how);
    for (members, want, unreadable) in [
        (r#""mti":"0100","code":"000000""#, "authorization", &[][..]),
        (r#""mti":"0100","code":"200000""#, "refund", &[]),
        (r#""mti":"0100","code":"310000""#, "account_check", &[]),
        (r#""mti":"0420","code":"000000""#, "reversal", &[]),
        (r#""mti":"0220","code":"000000""#, "clearing", &[]),
        (r#""mti":"0420","code":"200000""#, "reversal", &[]),
        (r#""code":"000000""#, "authorization", &[]),
        (r#""mti":"0800","code":"000000""#, "authorization", &[]),
        (r#""mti":"0800""#, "unknown", &["kind"]),
        (r#""mti":"refund""#, "refund", &[]),
    ] {
        check(&spec, members, "/kind", json!(want), unreadable);
    }
}

#[test]
fn no_card_field_of_several_comes_out_of_any_other_field() {
    let mut spec = spec();
    spec.other_cards = BTreeMap::from([
        (CardKind::FundingNumber, vec!["/funding".to_owned()]),
        (CardKind::Token, vec!["/token".to_owned()]),
        (CardKind::AccountReference, vec!["/par".to_owned()]),
    ]);
    let record = format!(
        r#"{{"card":"{CARD}","funding":"5555555555554444","token":"tok_7","par":"PAR1","id":"{CARD}",
        "response_code":"5555-5555-5555-4444","account":"PAR1","merchant":{{"id":"a tok_7 b"}}}}"#
    );
    let mapping = Mapping::new(&spec).unwrap();
    let cards = mapping.scan_all(record.as_bytes()).unwrap();
    let cards: Vec<&CardField<'_>> = cards.iter().collect();
    let got = mapping.decode_beside(record.as_bytes(), &cards);
    assert_eq!(got.withheld, ["id", "response_code", "merchant_id"]);
    assert_eq!(got.references.iter().collect::<Vec<_>>(), [("account", "PAR1")]);
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
        let pattern = TimeForm::new("%Y%m%d%H%M%S", Some("UTC")).unwrap();
        let epochs = [EpochUnit::Micros, EpochUnit::Millis].map(TimeForm::epoch);
        for form in epochs.into_iter().chain([TimeForm::default(), pattern]) {
            let mut spec = spec();
            timed(&mut spec, form);
            if unit == AmountUnit::Minor {
                minor(&mut spec);
            }
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
