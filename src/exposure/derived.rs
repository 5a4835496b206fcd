//! Keys for other ends than fingerprints, derived from a fingerprint key, so that one secret is kept and
//! none is used twice.
//!
//! HKDF-SHA-256 (RFC 5869) without a salt; the fingerprint key is the input keying material and the
//! purpose's label the `info`. In HKDF the key is the *message* of an HMAC under a constant, in a
//! fingerprint it is the HMAC's key: no output of one is an output of the other. `docs/fingerprint.md`
//! writes the labels down and has test vectors.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::exposure::fingerprint::{CheckValue, KEY_BYTES, Key};
use crate::fault;
use crate::secret::Secret;

/// What a derived key is for. A purpose never shares a key with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Digests of dead letters' values.
    DeadLetterDigest,
    /// Signatures over what is sent to others.
    Signing,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 2] = [Purpose::DeadLetterDigest, Purpose::Signing];

    /// The label: HKDF's `info`.
    pub fn label(self) -> &'static str {
        match self {
            Purpose::DeadLetterDigest => "cardwatch-dead-letter-digest-1",
            Purpose::Signing => "cardwatch-signing-1",
        }
    }
}

/// The key for `purpose`, of 32 bytes.
#[allow(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8,160 bytes, and 32 are asked for")]
pub fn derive(key: &Key, purpose: Purpose) -> Secret {
    let mut derived = Zeroizing::new([0u8; KEY_BYTES]);
    let hkdf = Hkdf::<Sha256>::new(None, key.secret().expose());
    hkdf.expand(purpose.label().as_bytes(), &mut *derived).expect("32 bytes are within HKDF's reach");
    Secret::new(derived.to_vec())
}

/// Makes digests of dead letters' values: HMAC-SHA-256 under the key for [`Purpose::DeadLetterDigest`].
/// Equal digests mean equal values; without the key they tell nothing else.
#[derive(Clone)]
pub struct Digester {
    mac: Hmac<Sha256>,
}

impl Digester {
    /// A digester under the key derived from `key`.
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length; the error belongs to other MACs")]
    pub fn new(key: &Key) -> Digester {
        let secret = match fault::broken("digest-under-the-raw-key") {
            true => key.secret().clone(),
            false => derive(key, Purpose::DeadLetterDigest),
        };
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose());
        Digester { mac: mac.expect("HMAC takes a key of any length") }
    }

    /// The digest of some bytes.
    pub fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digester")
    }
}

/// The check values of the keys that `docs/fingerprint.md` publishes for its test vectors: whoever can read
/// that page can undo fingerprints made with them.
const PUBLISHED: [[u8; 32]; 2] = [
    hex("1be6a5c1324fd0fcd028b31f4b07f859be336565a4302c56a6269be2284f8d6d"),
    hex("1affcba3a25349e9797db74b6c92fedaf4753096ebeb7aba0750bc441469ca73"),
];

/// Whether a key of this check value is published.
pub fn is_published(check: &CheckValue) -> bool {
    PUBLISHED.contains(&check.0) && !fault::broken("published-key-accepted")
}

const fn hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let (text, mut bytes, mut at) = (text.as_bytes(), [0u8; 32], 0);
    while at < 32 {
        bytes[at] = digit(text[2 * at]) * 16 + digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../docs/fingerprint.md");

    /// The rows of the page's table below `heading` whose cells are `width` in number.
    fn rows(heading: &str, width: usize) -> Vec<Vec<&'static str>> {
        let (_, section) = DOC.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect());
        let cells = cells.filter(|cells: &Vec<&str>| cells.len() == width + 2);
        cells.map(|cells| cells[1..=width].to_vec()).collect()
    }

    /// The published keys, by their names on the page.
    fn published(name: &str) -> Key {
        let keys = rows("## Test vectors", 3);
        let row = keys.iter().find(|row| row[0] == name).unwrap();
        let secret = data_encoding::HEXLOWER.decode(row[1].as_bytes()).unwrap();
        Key::new(name.to_lowercase().parse().unwrap(), Secret::new(secret)).unwrap()
    }

    #[test]
    fn the_published_derivations_are_ours() {
        let vectors = rows("## Keys derived from it", 3);
        assert_eq!(vectors.len(), 2 * Purpose::ALL.len(), "the page's table is read whole");
        for row in vectors {
            let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.label() == row[1]).unwrap();
            let derived = derive(&published(row[0]), purpose);
            assert_eq!(data_encoding::HEXLOWER.encode(derived.expose()), row[2], "{row:?}");
        }
    }

    #[test]
    fn every_end_has_a_key_of_its_own() {
        let key = published("A");
        let labels: std::collections::BTreeSet<&str> =
            Purpose::ALL.iter().map(|purpose| purpose.label()).collect();
        assert_eq!(labels.len(), Purpose::ALL.len());
        let secrets: std::collections::HashSet<Vec<u8>> = Purpose::ALL
            .iter()
            .map(|purpose| derive(&key, *purpose).expose().to_vec())
            .chain([key.secret().expose().to_vec()])
            .collect();
        assert_eq!(secrets.len(), Purpose::ALL.len() + 1);
    }

    #[test]
    fn a_digest_is_no_fingerprint_and_tells_bytes_apart() {
        use crate::domain::card::CardNumber;
        use crate::exposure::fingerprint::{Fingerprinter, Keyring};
        let key = published("A");
        let digester = Digester::new(&key);
        // The very message of a fingerprint has another digest: the keys differ.
        let message = b"\x0ecardwatch-fp-1\x03pan\x104242424242424242";
        let print = Fingerprinter::new(&Keyring::new(key, Vec::new()).unwrap())
            .of_number(0, &CardNumber::parse(b"4242424242424242").unwrap());
        assert_ne!(digester.digest(message), print.0);
        assert_ne!(digester.digest(b"a"), digester.digest(b"b"));
        assert_eq!(digester.digest(b"a"), digester.clone().digest(b"a"));
        assert_eq!(format!("{digester:?}"), "Digester");
    }

    #[test]
    fn exactly_the_keys_of_the_page_are_published() {
        let keys = rows("## Test vectors", 3);
        assert_eq!(keys.len(), PUBLISHED.len());
        for row in keys {
            assert!(is_published(&published(row[0]).check_value()), "{}", row[0]);
        }
        let other = Key::new("a".parse().unwrap(), Secret::new(vec![7; 32])).unwrap();
        assert!(!is_published(&other.check_value()));
    }
}
