use proptest::prelude::*;

use super::*;
use crate::codec::mapping::{MappingSpec, RECORD_BYTES_MAX};

fn mapping(kind: CardKind, card_key: Option<&str>) -> Mapping {
    let spec =
        MappingSpec { card_kind: kind, card_key: card_key.map(str::to_owned), ..MappingSpec::default() };
    Mapping::new(&spec).unwrap()
}

/// What a scan says of a record, in one line.
fn shown(mapping: &Mapping, record: &[u8]) -> String {
    match mapping.scan(record) {
        Ok(CardField::Number(number) | CardField::FundingNumber(number)) => {
            String::from_utf8(number.digits().to_vec()).unwrap()
        }
        Ok(CardField::Token(token) | CardField::AccountReference(token)) => {
            String::from_utf8(token.bytes().to_vec()).unwrap()
        }
        Ok(CardField::Fingerprint { fingerprint, key }) => {
            format!("{} {}", &fingerprint.to_string()[..4], key.map_or("primary", KeyName::as_str))
        }
        Err(Unreadable { reason, field }) => format!("{field}: {}", reason.as_str()),
    }
}

#[test]
fn card_numbers_are_read_or_their_records_die_of_a_named_cause() {
    let mapping = mapping(CardKind::Number, None);
    for (record, want) in [
        (r#"{"card":"4242424242424242"}"#, "4242424242424242"),
        (r#"{"card":"4242 4242-4242 4242","x":[1,{"y":null}]}"#, "4242424242424242"),
        (r#" { "x" : 0 , "card" : 4242424242424242 } "#, "4242424242424242"),
        (r#"{"card":9999999999999999999}"#, "9999999999999999999"),
        (r#"{"card":"\u0034242\t4242"}"#, "card: card_not_a_number"),
        (r#"{"card":"\u00342424242"}"#, "42424242"),
        (r#"{"card":"4242\u002042\u002d42"}"#, "42424242"),
        (r#"{"\u0063ard":"42424242"}"#, "42424242"),
        (r#"{"card":"\ud800"}"#, "card: card_bad_escape"),
        (r#"{"card":""}"#, "card: card_empty"),
        (r#"{"card":" - "}"#, "card: card_empty"),
        (r#"{"card":null}"#, "card: card_null"),
        (r#"{"card":true}"#, "card: card_wrong_type"),
        (r#"{"card":["42424242"]}"#, "card: card_wrong_type"),
        (r#"{"card":{"number":"42424242"}}"#, "card: card_wrong_type"),
        (r#"{"card":-42424242}"#, "card: card_not_a_number"),
        (r#"{"card":42424242.0}"#, "card: card_not_a_number"),
        (r#"{"card":4.2424242e7}"#, "card: card_not_a_number"),
        (r#"{"card":"4242x4242"}"#, "card: card_not_a_number"),
        (r#"{"card":"4242424"}"#, "card: card_wrong_length"),
        (r#"{"card":0}"#, "card: card_wrong_length"),
        (r#"{"card":"42424242424242424242"}"#, "card: card_wrong_length"),
        (r#"{"card":42424242424242424242}"#, "card: card_wrong_length"),
        (r#"{"card":"42424242","card":"42424242"}"#, "card: duplicate_field"),
        (r#"{"card":"42424242","x":1,"x":2,"id":1,"id":1}"#, "42424242"),
        (r#"{"Card":"42424242"}"#, "card: card_missing"),
        (r#"{"x":{"card":"42424242"}}"#, "card: card_missing"),
        (r#"[{"card":"42424242"}]"#, "card: card_missing"),
        (r#""42424242""#, "card: card_missing"),
        ("42424242", "card: card_missing"),
        ("null", "card: card_missing"),
        ("{}", "card: card_missing"),
        ("", "value: empty"),
        (" ", "value: truncated"),
        ("\u{feff}{\"card\":\"42424242\"}", "value: not_json"),
        (r#"{"card":"42424242"}{"card":"42424242"}"#, "value: not_json"),
        (r#"{"card":"42424242"} x"#, "value: not_json"),
        (r#"{"card":"42424242","x":01}"#, "value: not_json"),
        (r#"{"card":042424242}"#, "value: not_json"),
        (r#"{"card":"42424242""#, "value: truncated"),
        (r#"{"card":"4242"#, "value: truncated"),
    ] {
        assert_eq!(shown(&mapping, record.as_bytes()), want, "{record}");
    }
    assert_eq!(shown(&mapping, b"{\"card\":\"42424242\",\"x\":\"\xff\"}"), "value: not_utf8");
    let deep = format!(r#"{{"card":"42424242","x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    assert_eq!(shown(&mapping, deep.as_bytes()), "value: too_deep");
    let large = format!(r#"{{"card":"42424242","x":"{}"}}"#, "x".repeat(RECORD_BYTES_MAX));
    assert_eq!(shown(&mapping, large.as_bytes()), "value: too_large");
}

#[test]
fn a_card_below_the_top_is_found_and_only_there() {
    let spec = MappingSpec { card: vec!["/legs/0/card".to_owned()], ..MappingSpec::default() };
    let mapping = Mapping::new(&spec).unwrap();
    for (record, want) in [
        (r#"{"legs":[{"card":"42424242"},{"card":"1"}]}"#, "42424242"),
        (r#"{"legs":{"0":{"card":"42424242"}}}"#, "42424242"),
        (r#"{"legs":[]}"#, "card: card_missing"),
        (r#"{"legs":null}"#, "card: card_missing"),
        (r#"{"legs":[{"card":"42424242"}],"legs":[]}"#, "card: duplicate_field"),
        (r#"{"legs":[{"card":"42424242","\udc00":1}]}"#, "card: not_json"),
    ] {
        assert_eq!(shown(&mapping, record.as_bytes()), want, "{record}");
    }
}

#[test]
fn tokens_are_compared_byte_for_byte() {
    let mapping = mapping(CardKind::Token, None);
    let longest = "t".repeat(TOKEN_BYTES_MAX);
    for (card, want) in [
        (r#""tok_A-1 é""#, "tok_A-1 é"),
        (r#""a\/b\n""#, "a/b\n"),
        ("12345", "12345"),
        ("1.5", "card: card_wrong_type"),
        ("-1", "card: card_wrong_type"),
        ("false", "card: card_wrong_type"),
        (r#""""#, "card: card_empty"),
        ("null", "card: card_null"),
        (&format!("\"{longest}\""), &longest),
        (&format!("\"{longest}x\""), "card: card_too_long"),
    ] {
        assert_eq!(shown(&mapping, format!("{{\"card\":{card}}}").as_bytes()), want, "{card}");
    }
}

#[test]
fn fingerprints_name_their_key() {
    let print = "0a".repeat(32);
    let plain = mapping(CardKind::Fingerprint, None);
    let named = mapping(CardKind::Fingerprint, Some("/key"));
    for (mapping, record, want) in [
        (&plain, format!(r#"{{"card":"{print}"}}"#), "0a0a primary"),
        (&plain, format!(r#"{{"card":"{}"}}"#, print.to_uppercase()), "0a0a primary"),
        (&plain, format!(r#"{{"card":"{print}0"}}"#), "card: card_not_a_fingerprint"),
        (&plain, r#"{"card":12}"#.to_owned(), "card: card_not_a_fingerprint"),
        (&plain, r#"{"card":null}"#.to_owned(), "card: card_null"),
        (&named, format!(r#"{{"card":"{print}","key":"k1"}}"#), "0a0a k1"),
        (&named, format!(r#"{{"key":"k1","card":"{print}"}}"#), "0a0a k1"),
        (&named, format!(r#"{{"card":"{print}"}}"#), "card_key: key_id_missing"),
        (&named, format!(r#"{{"card":"{print}","key":null}}"#), "card_key: key_id_missing"),
        (&named, format!(r#"{{"card":"{print}","key":1}}"#), "card_key: key_id_unreadable"),
        (&named, format!(r#"{{"card":"{print}","key":"K 1"}}"#), "card_key: key_id_unreadable"),
        (&named, format!(r#"{{"card":"{print}","key":"\u006b1"}}"#), "card_key: key_id_unreadable"),
        (&named, format!(r#"{{"card":"{print}","key":"k1","key":"k1"}}"#), "card_key: duplicate_field"),
    ] {
        assert_eq!(shown(mapping, record.as_bytes()), want, "{record}");
    }
}

#[test]
fn a_card_field_shows_nothing_when_debugged() {
    let record = br#"{"card":"42424242"}"#;
    for kind in [CardKind::Number, CardKind::Token] {
        let text = format!("{:?}", mapping(kind, None).scan(record).unwrap());
        assert!(!text.contains("4242"), "{text}");
    }
    let error = mapping(CardKind::Fingerprint, None).scan(record).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4242"));
}

#[test]
fn a_card_is_recognised_in_a_text_whatever_stands_between_its_digits() {
    let number = CardField::Number(CardNumber::parse(b"4242424242424242").unwrap());
    for (text, want) in [
        ("4242424242424242", true),
        ("ref 4242-4242 4242.4242/x", true),
        ("9942424242424242424299", true),
        ("4_2:4,2\u{a0}4–2—4…2(4)2\u{200b}42 4242", true),
        ("４２４２４２４２４２４２４２４２", true),
        ("42424242x42424242", false),
        ("424242424242424", false),
        ("4242 4242 4242 4241", false),
        ("", false),
    ] {
        assert_eq!(number.appears_in(text), want, "{text}");
    }
    let mapping = mapping(CardKind::Token, None);
    let token = mapping.scan(br#"{"card":"tok-1"}"#).unwrap();
    assert!(token.appears_in("a tok-12"));
    assert!(!token.appears_in("tok 1"));
}

proptest! {
    #[test]
    fn any_way_to_write_a_number_reads_the_same(
        digits in "[0-9]{8,19}", ways in proptest::collection::vec(0usize..4, 19),
    ) {
        let written: String = digits.chars().zip(ways).map(|(digit, way)| match way {
            0 => format!("\\u{:04x}", u32::from(digit)),
            1 => format!("{digit} "),
            2 => format!("\\u002d{digit}"),
            _ => digit.to_string(),
        }).collect();
        let record = format!(r#"{{"a":1,"card":"{written}"}}"#);
        prop_assert_eq!(shown(&mapping(CardKind::Number, None), record.as_bytes()), digits);
    }

    #[test]
    fn scanning_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for kind in [CardKind::Number, CardKind::Token, CardKind::Fingerprint] {
            let _ = mapping(kind, None).scan(&bytes);
        }
    }
}
