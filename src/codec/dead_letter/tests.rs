use proptest::prelude::*;

use super::*;
use crate::codec::dead::{DeadReason, FIELD_CARD};
use crate::codec::seal::PrivateKey;

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
    LetterRules { payload, bytes_max, digest: Some(&digest), entropy: [9; 32] }
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

/// The private key of the vector below.
fn sealer() -> PrivateKey {
    "cwsec.AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyCuIWwu".parse().unwrap()
}

/// The letter as its readers get it.
fn as_read(letter: &DeadLetter) -> (read::Letter, Vec<OriginalHeader<'_>>) {
    let headers: Vec<OriginalHeader<'_>> =
        letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    (read::Letter::read(&headers).unwrap(), headers)
}

#[test]
fn a_sealed_letter_shows_nothing_and_opens_with_the_private_key() {
    let value = format!("{{\"card\":\"{CARD}4242\"}}");
    let dead = dead(value.as_bytes(), Some(CARD.as_bytes()), HEADERS);
    let to = sealer().public();
    let letter = DeadLetter::new(&dead, &rules(Payload::Sealed(to), 1 << 20));
    let all: Vec<u8> = letter.headers.iter().flat_map(|(_, value)| value.clone().unwrap()).collect();
    let sealed = letter.value.as_deref().unwrap();
    assert!(memchr::memmem::find(&[&all[..], sealed].concat(), b"4242").is_none());
    assert_eq!(letter.key, None);
    assert_eq!(header(&letter, "cardwatch-payload"), Some("sealed"));
    assert_eq!(header(&letter, "cardwatch-sealed-to"), Some(to.to_string().as_str()));
    assert_eq!(header(&letter, "content-type"), Some("application/octet-stream"));
    assert_eq!(header(&letter, "ce_id"), Some(dead.record.position().derived_id("ded").as_str()));
    assert_eq!(header(&letter, "cardwatch-value-digest").map(str::len), Some(64));
    assert_eq!(header(&letter, "trace"), None);

    let (told, _) = as_read(&letter);
    assert_eq!((told.topic.as_str(), told.partition, told.offset), ("transactions", 3, 7));
    assert!(told.is_sealed() && !told.is_open());
    let opened = sealed::open(&sealer(), ("transactions", 3, 7), sealed).unwrap();
    let parts = opened.parts();
    assert_eq!((parts.value, parts.key), (Some(value.as_bytes()), Some(CARD.as_bytes())));
    let want: Vec<(&[u8], _)> = HEADERS.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
    assert_eq!(parts.headers, want);
    // It belongs to its place, and to its key.
    for place in [("transactions", 3, 8), ("transactions", 4, 7), ("other", 3, 7)] {
        assert!(sealed::open(&sealer(), place, sealed).is_err());
    }
    let other = PrivateKey::generate(&zeroize::Zeroizing::new([3; 32]));
    assert!(sealed::open(&other, ("transactions", 3, 7), sealed).is_err());
    assert!(!format!("{opened:?} {parts:?}").contains("4242"));
}

#[test]
fn a_letter_sealed_by_another_implementation_opens() {
    // HPKE of Python's `cryptography`, as docs/dead-letters.md describes the form.
    let sealed = "FIYzrsQQOGf0jmX8Fjkz53/5NKfTCCemXV24LQOLBBNyuKZkvv5bPS+ldo8GXLk4+RXIpdmcLbvBiZghNgvFIEIboo90mlzrjRqzKhxt2Swf21az+iH7YNVNuAk90l0zmsPf/6YdldxuwXiGZxIDtuH0";
    let sealed = data_encoding::BASE64.decode(sealed.as_bytes()).unwrap();
    let opened = sealed::open(&sealer(), ("transactions", 3, 7), &sealed).unwrap();
    let want = sealed::Parts {
        value: Some(b"{\"card\":\"42424242424242424242\"}"),
        key: None,
        headers: vec![(b"trace", Some(b"\x00\xff")), (b"none", None)],
    };
    assert_eq!(opened.parts(), want);
}

#[test]
fn a_sealed_letter_that_does_not_fit_drops_the_value_first() {
    let value = vec![b'x'; 10_000];
    let long = vec![b'h'; 5_000];
    let headers: &[OriginalHeader<'_>] = &[("long", Some(&long))];
    let dead = dead(&value, Some(b"k"), headers);
    for (bytes_max, payload) in
        [(20_000, "sealed"), (12_000, "sealed-value-too-large"), (3_000, "too-large"), (0, "too-large")]
    {
        let letter = DeadLetter::new(&dead, &rules(Payload::Sealed(sealer().public()), bytes_max));
        assert!(letter.bytes() <= bytes_max.max(DEAD_LETTER_BYTES_MIN));
        assert_eq!(header(&letter, "cardwatch-payload"), Some(payload));
        let hex = data_encoding::HEXLOWER.encode(&digest(&value));
        assert_eq!(header(&letter, "cardwatch-value-digest"), Some(hex.as_str()), "{payload}");
        if payload == "too-large" {
            assert_eq!(body(&letter)["payload"], payload);
            continue;
        }
        let opened =
            sealed::open(&sealer(), ("transactions", 3, 7), letter.value.as_deref().unwrap()).unwrap();
        assert_eq!(opened.parts().value.is_some(), payload == "sealed");
        assert_eq!(opened.parts().headers, [(&b"long"[..], Some(&long[..]))]);
    }
}

#[test]
fn the_originals_of_a_letter_are_told_from_what_was_added() {
    let whole = DeadLetter::new(&dead(b"v", None, HEADERS), &rules(Payload::Original, 1 << 20));
    let (letter, headers) = as_read(&whole);
    let names: Vec<&str> = read::originals(&letter, &headers).map(|(name, _)| *name).collect();
    assert_eq!(names, ["trace", "none", "ce_id"]);
    let omitted = DeadLetter::new(&dead(b"v", None, HEADERS), &rules(Payload::Omit, 1 << 20));
    let (letter, headers) = as_read(&omitted);
    assert_eq!(read::originals(&letter, &headers).count(), 0);
    assert!(!letter.is_open() && !letter.is_sealed());
    assert_eq!((letter.value_bytes, letter.key_bytes, letter.header_count), (Some(1), None, 4));
    assert_eq!(read::Letter::read(&[]), None);
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
        topic in "[a-z.]{1,249}", bytes_max in DEAD_LETTER_BYTES_MIN..20_000, kind in 0..3usize,
    ) {
        let (value, key, header) = (vec![b'v'; value], vec![b'k'; key], vec![b'h'; header]);
        let headers: &[OriginalHeader<'_>] = &[("h", Some(&header))];
        let mut dead = dead(&value, Some(&key), headers);
        dead.record.topic = &topic;
        let payload = [Payload::Omit, Payload::Sealed(sealer().public()), Payload::Original][kind];
        let letter = DeadLetter::new(&dead, &rules(payload, bytes_max));
        prop_assert!(letter.bytes() <= bytes_max, "{letter:?} above {bytes_max}");
        // The original goes only where it would not have fitted.
        let whole = DeadLetter::new(&dead, &rules(payload, usize::MAX));
        prop_assert_eq!(whole.bytes() <= bytes_max, whole == letter);
    }
}
