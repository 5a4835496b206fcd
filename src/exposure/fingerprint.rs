//! Keyed fingerprints of cards: HMAC-SHA-256 over an injective normal form.
//!
//! `docs/fingerprint.md` defines the form for those who make fingerprints upstream; its test vectors are
//! checked here.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::card::{
    CARD_NUMBER_DIGITS_MAX, CardKind, CardNumber, Fingerprint, KeyId, TOKEN_BYTES_MAX, is_slug,
};
use crate::secret::Secret;

use short::{BLOCK_BYTES, SHORT_BYTES_MAX, ShortMac};

mod short;

/// The length of a key, in bytes: 256 bits, the output of the hash, beyond which HMAC gains nothing.
pub const KEY_BYTES: usize = 32;
/// The first part of every fingerprint message: no other use of the key can produce the same message.
const FINGERPRINT_DOMAIN: &str = "cardwatch-fp-1";
/// The only part of a check value's message.
const CHECK_DOMAIN: &str = "cardwatch-check-1";
/// The namespace of card numbers. No token may use it.
const NUMBER_NAMESPACE: &str = "pan";
/// The longest namespace, in bytes.
const NAMESPACE_BYTES_MAX: usize = 32;

const NUMBER_MESSAGE_BYTES_MAX: usize =
    1 + FINGERPRINT_DOMAIN.len() + 1 + NUMBER_NAMESPACE.len() + 1 + CARD_NUMBER_DIGITS_MAX;
const TOKEN_MESSAGE_BYTES_MAX: usize =
    1 + FINGERPRINT_DOMAIN.len() + 1 + NAMESPACE_BYTES_MAX + 1 + TOKEN_BYTES_MAX;

// The inner hash of a number costs one compression, which is most of what a transaction costs.
const _: () = assert!(NUMBER_MESSAGE_BYTES_MAX <= SHORT_BYTES_MAX);
// One length byte per part is enough only if no part can be longer.
const _: () = assert!(TOKEN_BYTES_MAX <= 255 && NAMESPACE_BYTES_MAX <= 255);

/// Why keys cannot be used. Carries nothing of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 32 bytes.
    #[error("key {id} has {bytes} bytes: a fingerprint key has {KEY_BYTES}")]
    Length {
        /// The key.
        id: KeyId,
        /// Its length.
        bytes: usize,
    },
    /// Two keys of one id.
    #[error("key {0} is in the keyring twice")]
    Repeated(KeyId),
}

/// A fingerprint key.
#[derive(Debug, Clone)]
pub struct Key {
    id: KeyId,
    secret: Secret,
}

impl Key {
    /// Names a secret of 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] when it is of another length.
    pub fn new(id: KeyId, secret: Secret) -> Result<Key, KeyError> {
        let bytes = secret.expose().len();
        if bytes == KEY_BYTES { Ok(Key { id, secret }) } else { Err(KeyError::Length { id, bytes }) }
    }

    /// The key's name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself. The caller must not keep or show it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What a list made with this key stores to recognise it.
    pub fn check_value(&self) -> CheckValue {
        check_value(self)
    }
}

/// The keys in use: the primary, under which lists are written and sightings are keyed, and others still active.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// A keyring of a primary and other keys.
    ///
    /// # Errors
    /// [`KeyError::Repeated`] when two keys have one id.
    pub fn new(primary: Key, others: Vec<Key>) -> Result<Keyring, KeyError> {
        let keys: Vec<Key> = std::iter::once(primary).chain(others).collect();
        let mut seen = HashSet::new();
        match keys.iter().find(|key| !seen.insert(&key.id)) {
            Some(key) => Err(KeyError::Repeated(key.id.clone())),
            None => Ok(Keyring { keys }),
        }
    }

    /// The key that new lists are written under.
    pub fn primary(&self) -> &Key {
        &self.keys[0]
    }

    /// All active keys, the primary first. A key's place is its *key index*.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The ids of all active keys, in the order of their key indices.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|key| key.id.clone()).collect()
    }

    /// The key of an id, if it is active.
    pub fn get(&self, id: &KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == *id)
    }
}

/// The hash of a constant under a key: equal check values mean equal keys. It says nothing else of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckValue(pub [u8; 32]);

/// The check value of a key.
pub fn check_value(key: &Key) -> CheckValue {
    let mut message = [0u8; 1 + CHECK_DOMAIN.len()];
    let len = encode(&mut message, &[CHECK_DOMAIN.as_bytes()]);
    CheckValue(finish(keyed(key.secret.expose()), &message[..len]))
}

impl FromStr for CheckValue {
    type Err = crate::domain::card::FingerprintError;
    fn from_str(text: &str) -> Result<CheckValue, Self::Err> {
        text.parse::<Fingerprint>().map(|hash| CheckValue(hash.0))
    }
}

impl fmt::Display for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fingerprint(self.0).fmt(f)
    }
}

impl fmt::Debug for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for CheckValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CheckValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fingerprint::deserialize(deserializer).map(|hash| CheckValue(hash.0))
    }
}

/// What kind of token a token is: the same bytes in two namespaces are two cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(Cow<'static, str>);

/// A text is not a namespace for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token namespace: 1 to 32 of a-z, 0-9, - and _ are expected, and not `pan`")]
pub struct NamespaceError;

impl Namespace {
    /// Tokens.
    pub const TOKEN: Namespace = Namespace(Cow::Borrowed("token"));
    /// References to an account, which outlive its cards.
    pub const ACCOUNT_REFERENCE: Namespace = Namespace(Cow::Borrowed("account_reference"));

    /// The namespace of a kind of card that is compared byte for byte; `None` for numbers and fingerprints.
    pub fn of(kind: CardKind) -> Option<Namespace> {
        match kind {
            CardKind::Token => Some(Namespace::TOKEN),
            CardKind::AccountReference => Some(Namespace::ACCOUNT_REFERENCE),
            CardKind::Number | CardKind::FundingNumber | CardKind::Fingerprint => None,
        }
    }

    /// The text of the namespace.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::TOKEN
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;
    fn from_str(text: &str) -> Result<Namespace, NamespaceError> {
        if is_slug(text, NAMESPACE_BYTES_MAX) && text != NUMBER_NAMESPACE {
            Ok(Namespace(text.to_owned().into()))
        } else {
            Err(NamespaceError)
        }
    }
}

/// Why bytes are not a token. Carries nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No bytes.
    #[error("empty")]
    Empty,
    /// More than 128 bytes.
    #[error("longer than {TOKEN_BYTES_MAX} bytes")]
    Length,
}

/// Makes fingerprints under every key of a keyring. One per worker.
#[derive(Clone)]
pub struct Fingerprinter {
    keys: Vec<Keyed>,
}

/// A key made ready: both pads are compressed once.
#[derive(Clone)]
struct Keyed {
    id: KeyId,
    /// For messages of any length: cloned for each, never rebuilt.
    mac: Hmac<Sha256>,
    /// For those that end in one block.
    short: ShortMac,
}

impl Fingerprinter {
    /// Prepares the keyed states.
    pub fn new(keyring: &Keyring) -> Fingerprinter {
        let keyed = |key: &Key| {
            let secret = key.secret.expose();
            Keyed { id: key.id.clone(), mac: keyed(secret), short: ShortMac::new(secret) }
        };
        Fingerprinter { keys: keyring.keys.iter().map(keyed).collect() }
    }

    /// How many keys there are; key indices run below it, the primary's is 0.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The id of the key of an index.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn key_id(&self, key_index: usize) -> &KeyId {
        &self.keys[key_index].id
    }

    /// The fingerprint of a card number.
    ///
    /// # Panics
    /// When there is no such key.
    #[inline]
    pub fn of_number(&self, key_index: usize, number: &CardNumber) -> Fingerprint {
        let mut block = [0u8; BLOCK_BYTES];
        let parts = [FINGERPRINT_DOMAIN.as_bytes(), NUMBER_NAMESPACE.as_bytes(), number.digits()];
        let len = encode(&mut block, &parts);
        let hash = self.keys[key_index].short.of(&mut block, len);
        // As a slice: an array would be wiped byte by byte.
        block[..].zeroize();
        Fingerprint(hash)
    }

    /// The fingerprint of a token of 1 to 128 bytes, compared byte for byte.
    ///
    /// # Errors
    /// [`TokenError`] when it is empty or longer.
    ///
    /// # Panics
    /// When there is no such key.
    #[inline]
    pub fn of_token(
        &self,
        key_index: usize,
        namespace: &Namespace,
        token: &[u8],
    ) -> Result<Fingerprint, TokenError> {
        check_token(token)?;
        let mut message = Zeroizing::new([0u8; TOKEN_MESSAGE_BYTES_MAX]);
        let len = encode(&mut *message, &[FINGERPRINT_DOMAIN.as_bytes(), namespace.0.as_bytes(), token]);
        Ok(Fingerprint(finish(self.keys[key_index].mac.clone(), &message[..len])))
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// Whether bytes can be a token.
///
/// # Errors
/// [`TokenError`] when they are none or more than 128.
pub fn check_token(token: &[u8]) -> Result<(), TokenError> {
    match token.len() {
        0 => Err(TokenError::Empty),
        1..=TOKEN_BYTES_MAX => Ok(()),
        _ => Err(TokenError::Length),
    }
}

/// Writes each part as one length byte and the part, and returns how many bytes that took. Lengths come
/// first, so two different lists of parts never give the same bytes.
#[inline]
fn encode(message: &mut [u8], parts: &[&[u8]]) -> usize {
    let mut at = 0;
    for part in parts {
        message[at] = part.len() as u8;
        message[at + 1..][..part.len()].copy_from_slice(part);
        at += 1 + part.len();
    }
    at
}

#[allow(clippy::expect_used, reason = "HMAC takes a key of any length; the error type belongs to other MACs")]
fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes a key of any length")
}

#[inline]
fn finish(mut mac: Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
