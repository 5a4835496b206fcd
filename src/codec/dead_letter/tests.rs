use proptest::prelude::*;

use super::*;
use crate::codec::dead::{DeadReason, FIELD_CARD};

const CARD: &str = "4242424242424242";

fn dead<'a>(value: &'a [u8], key: Option<&'a [u8]>, headers: &'a [OriginalHeader<'a>]) -> DeadRecord<'a> {
    let record = Record {
        value: Some(value),
        key,
        topic: "transactions",
        partition: 3,
        offset: 7,
        timestamp: Timestamp(9),
    };
    let unreadable = Unreadable { reason: DeadReason::CardWrongLength, field: FIELD_CARD };
    DeadRecord { record, headers, unreadable, found_at: Timestamp(1_528_177_215_000) }
}

/// A stand-in for the keyed hash that tells values apart.
fn digest(value: &[u8]) -> [u8; 32] {
    let mut digest = [0xab; 32];
    digest[..8].copy_from_slice(&(value.len() as u64).to_be_bytes());
    digest
}

fn rules(payload: Payload, bytes_max: usize) -> LetterRules<'static> {
    LetterRules { payload, bytes_max, digest: Some(&digest) }
}

fn header<'l>(letter: &'l DeadLetter, name: &str) -> Option<&'l str> {
    let mut found = letter.headers.iter().filter(|(header, _)| header == name);
    let value = found.next().map(|(_, value)| std::str::from_utf8(value.as_deref().unwrap()).unwrap());
    assert!(found.next().is_none(), "{name} stands there twice");
    value
}

fn body(letter: &DeadLetter) -> serde_json::Value {
    serde_json::from_slice(letter.value.as_deref().unwrap()).unwrap()
}

const HEADERS: &[OriginalHeader<'_>] = &[
    ("trace", Some(b"4242424242424242")),
    ("none", None),
    ("ce_id", Some(b"their own")),
    ("cardwatch-reason", Some(b"spoofed")),
];

#[test]
fn omitting_keeps_place_sizes_and_reason_and_nothing_else() {
    let value = format!("{{\"card\":\"{CARD}42424\"}}");
    let dead = dead(value.as_bytes(), Some(CARD.as_bytes()), HEADERS);
    let letter = DeadLetter::new(&dead, &rules(Payload::Omit, 1 << 20));
    assert_eq!(letter.key, None);
    for (name, want) in [
        ("cardwatch-reason", "card_wrong_length"),
        ("cardwatch-field", "card"),
        ("cardwatch-topic", "transactions"),
        ("cardwatch-partition", "3"),
        ("cardwatch-offset", "7"),
        ("cardwatch-timestamp", "1970-01-01T00:00:00.009Z"),
        ("cardwatch-value-bytes", "32"),
        ("cardwatch-key-bytes", "16"),
        ("cardwatch-header-count", "4"),
        ("cardwatch-payload", "omitted"),
        ("ce_specversion", "1.0"),
        ("ce_type", "cardwatch.dead-letter/1"),
        ("ce_source", "/cardwatch/dead-letters"),
        ("ce_time", "2018-06-05T05:40:15.000Z"),
        ("ce_id", &dead.record.position().derived_id("ded")),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(&letter, name), Some(want), "{name}");
    }
    assert_eq!(letter.headers.len(), 16);
    let want = serde_json::json!({
        "schema": "cardwatch.dead-letter/1", "id": dead.record.position().derived_id("ded"),
        "found_at": "2018-06-05T05:40:15.000Z", "reason": "card_wrong_length", "field": "card",
        "text": "the card number is not 8 to 19 digits long", "payload": "omitted", "value_bytes": 32, "key_bytes": 16,
        "header_count": 4, "value_digest": null,
        "source": {"topic": "transactions", "partition": 3, "offset": 7, "timestamp": "1970-01-01T00:00:00.009Z"},
    });
    assert_eq!(body(&letter), want);
    let all: Vec<u8> = letter
        .headers
        .iter()
        .flat_map(|(_, value)| value.clone().unwrap())
        .chain(letter.value.unwrap())
        .collect();
    assert!(!String::from_utf8(all).unwrap().contains("4242"));
}

#[test]
fn an_original_is_kept_byte_for_byte() {
    let value = b"\xff not JSON";
    let letter = DeadLetter::new(&dead(value, Some(b"k"), HEADERS), &rules(Payload::Original, 1 << 20));
    assert_eq!(letter.value.as_deref(), Some(&value[..]));
    assert_eq!(letter.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(header(&letter, "cardwatch-payload"), Some("original"));
    assert_eq!(header(&letter, "cardwatch-reason"), Some("card_wrong_length"));
    assert_eq!(header(&letter, "cardwatch-value-digest"), None);
    assert_eq!(header(&letter, "trace"), Some(CARD));
    assert_eq!(header(&letter, "ce_id"), Some("their own"));
    assert!(letter.headers.contains(&("none".to_owned(), None)));
}

#[test]
fn what_does_not_fit_is_dropped_payload_first() {
    let value = vec![b'x'; 10_000];
    let long = vec![b'h'; 5_000];
    let headers: &[OriginalHeader<'_>] = &[("long", Some(&long)), ("ce_type", Some(b"theirs"))];
    let dead = dead(&value, Some(b"k"), headers);
    for (bytes_max, payload, has_key, has_long) in [
        (20_000, "original", true, true),
        (12_000, "value-too-large", true, true),
        (3_000, "too-large", false, false),
        (0, "too-large", false, false),
    ] {
        let letter = DeadLetter::new(&dead, &rules(Payload::Original, bytes_max));
        assert!(letter.bytes() <= bytes_max.max(DEAD_LETTER_BYTES_MIN));
        assert_eq!(header(&letter, "cardwatch-payload"), Some(payload));
        assert_eq!(header(&letter, "cardwatch-value-bytes"), Some("10000"));
        assert_eq!(letter.key.is_some(), has_key, "{payload}");
        assert_eq!(header(&letter, "long").is_some(), has_long, "{payload}");
        if payload != "original" {
            let hex = data_encoding::HEXLOWER.encode(&digest(&value));
            assert_eq!(header(&letter, "cardwatch-value-digest"), Some(hex.as_str()));
            assert_eq!(body(&letter)["value_digest"], hex);
            assert_eq!(body(&letter)["payload"], payload);
            assert_eq!(header(&letter, "ce_type"), Some("cardwatch.dead-letter/1"));
        }
        let keyless = LetterRules { digest: None, ..rules(Payload::Original, bytes_max) };
        assert_eq!(header(&DeadLetter::new(&dead, &keyless), "cardwatch-value-digest"), None);
    }
}

#[test]
fn letters_and_their_parts_show_nothing_when_debugged() {
    let dead = dead(CARD.as_bytes(), Some(CARD.as_bytes()), HEADERS);
    let letter = DeadLetter::new(&dead, &rules(Payload::Original, 1 << 20));
    assert!(!format!("{dead:?} {letter:?} {:?}", rules(Payload::Original, 9)).contains("4242"));
}

proptest! {
    #[test]
    fn every_letter_fits(
        value in prop_oneof![0usize..300, 0usize..20_000], key in 0usize..3_000, header in 0usize..3_000,
        topic in "[a-z.]{1,249}", bytes_max in DEAD_LETTER_BYTES_MIN..20_000, omit in any::<bool>(),
    ) {
        let (value, key, header) = (vec![b'v'; value], vec![b'k'; key], vec![b'h'; header]);
        let headers: &[OriginalHeader<'_>] = &[("h", Some(&header))];
        let mut dead = dead(&value, Some(&key), headers);
        dead.record.topic = &topic;
        let payload = if omit { Payload::Omit } else { Payload::Original };
        let letter = DeadLetter::new(&dead, &rules(payload, bytes_max));
        prop_assert!(letter.bytes() <= bytes_max, "{letter:?} above {bytes_max}");
        // The original goes only where it would not have fitted.
        let whole = DeadLetter::new(&dead, &rules(payload, usize::MAX));
        prop_assert_eq!(whole.bytes() <= bytes_max, whole == letter);
    }
}
