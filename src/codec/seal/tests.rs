use proptest::prelude::*;

use super::*;

/// Made, with what [`SEALED`] holds, by another implementation: HPKE of Python's `cryptography`.
const PRIVATE: &str = "cwsec.AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyCuIWwu";
const PUBLIC: &str = "cwpub.B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHyqqP_3";

fn private(byte: u8) -> PrivateKey {
    PrivateKey::generate(&Zeroizing::new([byte; 32]))
}

#[test]
fn keys_in_text_are_those_of_another_implementation() {
    let key: PrivateKey = PRIVATE.parse().unwrap();
    assert_eq!(key.public().to_string(), PUBLIC);
    assert_eq!(key.public(), PUBLIC.parse().unwrap());
    // X25519 ignores five bits of a private key; written out again it is the same key, clamped.
    let again: PrivateKey = key.to_text().parse().unwrap();
    assert_eq!(again.public(), key.public());
}

#[test]
fn a_key_with_a_slip_is_refused_without_being_told() {
    for (text, want) in [
        ("", SealKeyError::Prefix("cwpub.")),
        (PRIVATE, SealKeyError::Prefix("cwpub.")),
        (&PUBLIC[..50], SealKeyError::Form),
        (&format!("{PUBLIC}A"), SealKeyError::Form),
        (&PUBLIC.replace('B', "*"), SealKeyError::Form),
        (&PUBLIC.replace("B6N", "B7N"), SealKeyError::Check),
        (&to_text(PUBLIC_PREFIX, &[0; 32]), SealKeyError::Weak),
    ] {
        let error = text.parse::<PublicKey>().unwrap_err();
        assert_eq!(error, want, "{text}");
        assert!(!error.to_string().contains("B6N"), "{error}");
    }
    assert_eq!(PUBLIC.parse::<PrivateKey>().unwrap_err(), SealKeyError::Prefix("cwsec."));
}

#[test]
fn a_private_key_is_not_shown() {
    assert!(!format!("{:?}", PRIVATE.parse::<PrivateKey>().unwrap()).contains("1, 2"));
}

#[test]
fn the_same_is_never_sealed_alike() {
    let key = private(1).public();
    let seal = |entropy: u8| key.seal(b"i", b"plain", [entropy; 32]).unwrap();
    assert_ne!(seal(1), seal(2));
    assert_ne!(seal(1)[..32], seal(2)[..32]);
}

proptest! {
    #[test]
    fn what_is_sealed_opens_with_its_key_and_info_alone(
        plain in prop::collection::vec(any::<u8>(), 0..200), info in prop::collection::vec(any::<u8>(), 0..40),
        entropy in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let key = private(7);
        let sealed = key.public().seal(&info, &plain, entropy).unwrap();
        prop_assert_eq!(sealed.len(), plain.len() + SEAL_BYTES);
        prop_assert_eq!(&**key.open(&info, &sealed).unwrap(), &plain[..]);
        prop_assert!(private(8).open(&info, &sealed).is_err());
        prop_assert!(key.open(&[&info[..], b"x"].concat(), &sealed).is_err());
        let mut changed = sealed.clone();
        let at = at.index(changed.len());
        // The top bit of an X25519 key is ignored in the exchange, but not in what is derived from it.
        changed[at] ^= flip;
        prop_assert!(key.open(&info, &changed).is_err());
        prop_assert!(key.open(&info, &sealed[..sealed.len() - 1]).is_err());
    }
}
