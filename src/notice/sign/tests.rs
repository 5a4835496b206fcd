//! Claims about signatures. Known answers: the specification's and reference libraries' own (standard-webhooks on
//! GitHub: `libraries/python/tests/test_webhooks.py`, `libraries/rust/src/lib.rs`), for ed25519 that of the reference
//! server (`svix/svix-webhooks`, `test_asymmetric_key_signing`), whose signature the specification quotes.

use proptest::prelude::*;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PAIR: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

fn signer(text: &str) -> Signer {
    Signer::parse(text).unwrap()
}

/// HMAC as RFC 2104 writes it.
fn naive_hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner[..]].concat()).into()
}

#[test]
fn the_known_answers_of_the_standard_come_out() {
    let email = br#"{"email":"test@example.com","username":"test_user"}"#;
    let test = br#"{"test": 2432232314}"#;
    for (key, id, at, body, want) in [
        (
            SHARED,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            &test[..],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            &email[..],
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            PAIR,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            &test[..],
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        ),
    ] {
        assert_eq!(signer(key).header(id, at, body, NOW), want);
    }
}

#[test]
fn a_seed_alone_is_the_same_key_and_its_public_half_is_told() {
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    let (pair, seed) = (signer(PAIR), signer(seed));
    assert_eq!(pair.public_key().unwrap(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    assert_eq!(pair.public_key(), seed.public_key());
    assert_eq!(pair.generation(), seed.generation());
    assert_eq!(pair.header("a", 1, b"b", NOW), seed.header("a", 1, b"b", NOW));
    assert_eq!(signer(SHARED).public_key(), None);
}

#[test]
fn what_is_no_key_is_refused_by_what_is_wrong_and_never_repeated() {
    let symmetric = |bytes: usize| format!("whsec_{}", BASE64.encode(&vec![7; bytes]));
    let asymmetric = |bytes: usize| format!("whsk_{}", BASE64.encode(&vec![7; bytes]));
    for (text, want) in [
        (symmetric(23), Some(KeyError::SymmetricLength(23))),
        (symmetric(24), None),
        (symmetric(64), None),
        (symmetric(65), Some(KeyError::SymmetricLength(65))),
        (asymmetric(31), Some(KeyError::AsymmetricLength(31))),
        (asymmetric(32), None),
        (asymmetric(48), Some(KeyError::AsymmetricLength(48))),
        (asymmetric(64), Some(KeyError::Mismatch)),
        ("whsec_".to_owned(), Some(KeyError::SymmetricLength(0))),
        ("whsec_!!!!".to_owned(), Some(KeyError::Base64)),
        (symmetric(24) + "===", Some(KeyError::Base64)),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".to_owned(), Some(KeyError::Prefix)),
        ("hunter2".to_owned(), Some(KeyError::Prefix)),
    ] {
        let key = SigningKey::parse(&text);
        assert_eq!(key.as_ref().err().copied(), want, "{text}");
        let shown = format!("{key:?}{}", key.as_ref().err().map_or(String::new(), KeyError::to_string));
        assert!(!shown.contains(text.trim_start_matches("whsec_").get(..8).unwrap_or("nothing")), "{shown}");
    }
    assert!(!format!("{:?}", signer(&format!("{SHARED}\n{PAIR}"))).contains("MfKQ"));
}

#[test]
fn a_file_is_read_whole_or_refused_with_the_line() {
    let good = format!("# ours\n\n{SHARED} # since May\n{PAIR} until=2023-11-15T00:00:00Z\n");
    let ends: Vec<_> = signer(&good).keys().map(|(key, end)| (key.scheme(), end)).collect();
    let end = "2023-11-15T00:00:00Z".parse().unwrap();
    assert_eq!(ends, [(Scheme::Symmetric, None), (Scheme::Asymmetric, Some(end))]);
    let many: String =
        (0..5).map(|n| SigningKey::fresh(Scheme::Symmetric, &[n; 32]).to_string() + "\n").collect();
    for (text, want) in [
        (String::new(), "line 1: no key"),
        ("# nothing\n".to_owned(), "line 1: no key"),
        (format!("{SHARED} until=2023-11-15T00:00:00Z"), "line 1: the first key is the newest"),
        (format!("{SHARED}\n{PAIR} until=tomorrow"), "line 2: until= takes an RFC 3339 time"),
        (format!("{SHARED}\n{PAIR} until=2023-11-15"), "line 2: until= takes an RFC 3339 time"),
        (format!("\n{SHARED} {PAIR}"), "line 2: behind the key only"),
        (format!("{SHARED}\n{SHARED}="), "line 2: this key stands in an earlier line already"),
        (format!("{SHARED}\nwhsec_short"), "line 2: "),
        (many, "line 5: more than 4 keys"),
    ] {
        let error = Signer::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(want), "{text}: {error}");
    }
}

#[test]
fn a_rotation_signs_with_both_keys_until_the_end_of_the_old() {
    let fresh = SigningKey::fresh(Scheme::Symmetric, &[1; 32]);
    let until = NOW.plus_millis(86_400_000);
    let rotated = rotate(&format!("# ours\n{SHARED} # old\n"), &fresh, NOW, until).unwrap();
    assert_eq!(*rotated, format!("{}\n# ours\n{SHARED} until={until} # old\n", *fresh));
    let signer = signer(&rotated);
    let both = signer.header("m", 1, b"x", NOW);
    let alone = Signer::parse(SHARED).unwrap().header("m", 1, b"x", NOW);
    assert!(both.starts_with("v1,") && both.ends_with(&format!(" {alone}")), "{both}");
    let just_before = signer.header("m", 1, b"x", until.plus_millis(-1));
    assert_eq!(just_before, both);
    assert_eq!(signer.header("m", 1, b"x", until), both.split(' ').next().unwrap());
    assert_ne!(signer.generation(), Signer::parse(SHARED).unwrap().generation());
}

#[test]
fn a_rotation_ends_keys_of_its_own_kind_drops_ended_ones_and_never_one_that_signs() {
    let until = NOW.plus_millis(1000);
    let fresh = SigningKey::fresh(Scheme::Asymmetric, &[1; 32]);
    let rotated = rotate(&format!("{SHARED}\n{PAIR}\n"), &fresh, NOW, until).unwrap();
    assert_eq!(*rotated, format!("{}\n{SHARED}\n{PAIR} until={until}\n", *fresh));
    let rotated = rotate(&format!("{SHARED}\n"), &fresh, NOW, until).unwrap();
    assert_eq!(*rotated, format!("{}\n{SHARED} until={until}\n", *fresh));

    // A key that ends already is none that the fresh one takes over from.
    let rotated = rotate(&format!("{SHARED}\n{PAIR} until={until}\n"), &fresh, NOW, until).unwrap();
    assert_eq!(*rotated, format!("{}\n{SHARED} until={until}\n{PAIR} until={until}\n", *fresh));

    let mut text = SHARED.to_owned();
    for n in 2..5 {
        text =
            rotate(&text, &SigningKey::fresh(Scheme::Symmetric, &[n; 32]), NOW, until).unwrap().to_string();
    }
    let error = rotate(&text, &SigningKey::fresh(Scheme::Symmetric, &[9; 32]), NOW, until).unwrap_err();
    assert_eq!(error.fault, SignerFault::TooMany);
    let fifth = SigningKey::fresh(Scheme::Symmetric, &[9; 32]);
    let later = rotate(&text, &fifth, until, until.plus_millis(1000)).unwrap();
    assert_eq!(signer(&later).keys().count(), 2);
    assert!(rotate(SHARED, SHARED, NOW, until).is_err());
    assert!(rotate(SHARED, "whsec_short", NOW, until).is_err());
}

proptest! {
    #[test]
    fn a_receiver_verifies_every_signature_and_no_other(
        key in prop::collection::vec(any::<u8>(), 24..=64), seed in any::<[u8; 32]>(),
        id in "[a-z_-]{1,40}", at in 0i64..4_000_000_000, body in prop::collection::vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(),
    ) {
        let shared = format!("whsec_{}", BASE64.encode(&key));
        let signer = signer(&format!("{shared}\n{}", &*SigningKey::fresh(Scheme::Asymmetric, &seed)));
        let header = signer.header(&id, at, &body, NOW);
        let signatures: Vec<(&str, Vec<u8>)> = header.split(' ').map(|signature| {
            let (version, digits) = signature.split_once(',').unwrap();
            (version, BASE64.decode(digits.as_bytes()).unwrap())
        }).collect();
        prop_assert_eq!(signatures.iter().map(|(version, _)| *version).collect::<Vec<_>>(), ["v1", "v1a"]);
        let public = signer.public_key().unwrap();
        let public = BASE64.decode(public.strip_prefix("whpk_").unwrap().as_bytes()).unwrap();
        let mut signed = [id.as_bytes(), b".", at.to_string().as_bytes(), b".", &body].concat();
        let verify = |signed: &[u8]| (
            naive_hmac(&key, signed)[..] == signatures[0].1[..],
            UnparsedPublicKey::new(&ED25519, &public).verify(signed, &signatures[1].1).is_ok(),
        );
        prop_assert_eq!(verify(&signed), (true, true));
        let place = flip.index(signed.len());
        signed[place] ^= 1;
        prop_assert_eq!(verify(&signed), (false, false));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(whsec_|whsk_|until=|[a-zA-Z0-9+/= #\n]){0,12}") {
        let _ = Signer::parse(&text);
        let _ = rotate(&text, SHARED, NOW, NOW);
    }
}
