//! Signatures by Standard Webhooks 1.0.0, and the keys that make them.
//!
//! A file of keys has one a line, the newest first, with comments after `#`; an older one may have an end, after which it
//! no longer signs: `whsec_… until=2026-12-01T00:00:00Z`. Nothing here shows a key: not `Debug`, not an error.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;
use crate::fault;
use crate::secret::Secret;

/// The most keys that sign at once: each adds to the header of every request.
pub const KEYS_MAX: usize = 4;
/// The shortest symmetric key, in bytes.
pub const SYMMETRIC_BYTES_MIN: usize = 24;
/// The longest symmetric key, in bytes.
pub const SYMMETRIC_BYTES_MAX: usize = 64;

const SYMMETRIC: &str = "whsec_";
const ASYMMETRIC: &str = "whsk_";
const PUBLIC: &str = "whpk_";
const END: &str = "until=";

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HMAC-SHA-256, `v1`: sender and receiver share the key.
    Symmetric,
    /// ed25519, `v1a`: the receiver has the public key alone.
    Asymmetric,
}

/// Why a text is not a key. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither prefix.
    #[error("a signing key begins with whsec_ (HMAC-SHA-256) or whsk_ (ed25519)")]
    Prefix,
    /// Not base64 behind the prefix.
    #[error("what follows the prefix is not base64")]
    Base64,
    /// A symmetric key of another length.
    #[error("the key has {0} bytes: a whsec_ key has 24 to 64, written in base64")]
    SymmetricLength(usize),
    /// An ed25519 key of another length.
    #[error(
        "the key has {0} bytes: a whsk_ key is a seed of 32 bytes, or seed and public key of 64, written in base64"
    )]
    AsymmetricLength(usize),
    /// Seed and public key do not belong together.
    #[error("the public half does not belong to the seed")]
    Mismatch,
}

/// A key that signs.
pub struct SigningKey {
    material: Material,
    generation: String,
}

enum Material {
    Symmetric(Secret),
    Asymmetric(Box<Ed25519KeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, generation {})", self.scheme(), self.generation)
    }
}

impl SigningKey {
    /// Reads a key: `whsec_` or `whsk_` and base64, with or without padding.
    ///
    /// # Errors
    /// [`KeyError`] when it is none.
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        if let Some(digits) = text.strip_prefix(SYMMETRIC) {
            let bytes = decode(digits)?;
            if !(SYMMETRIC_BYTES_MIN..=SYMMETRIC_BYTES_MAX).contains(&bytes.len()) {
                return Err(KeyError::SymmetricLength(bytes.len()));
            }
            let generation = generation_of(&bytes);
            return Ok(SigningKey { material: Material::Symmetric(Secret::new(bytes.to_vec())), generation });
        }
        let digits = text.strip_prefix(ASYMMETRIC).ok_or(KeyError::Prefix)?;
        let bytes = decode(digits)?;
        let pair = match bytes.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(&bytes),
            64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
            length => return Err(KeyError::AsymmetricLength(length)),
        };
        let pair = pair.map_err(|_| KeyError::Mismatch)?;
        Ok(SigningKey {
            material: Material::Asymmetric(Box::new(pair)),
            generation: generation_of(&bytes[..32]),
        })
    }

    /// The text of a new key made of 32 random bytes.
    pub fn fresh(scheme: Scheme, random: &[u8; 32]) -> Zeroizing<String> {
        let prefix = match scheme {
            Scheme::Symmetric => SYMMETRIC,
            Scheme::Asymmetric => ASYMMETRIC,
        };
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(prefix);
        BASE64.encode_append(random, &mut text);
        text
    }

    /// How the key signs.
    pub fn scheme(&self) -> Scheme {
        match self.material {
            Material::Symmetric(_) => Scheme::Symmetric,
            Material::Asymmetric(_) => Scheme::Asymmetric,
        }
    }

    /// A short public name of the key: 8 hexadecimal digits that reveal nothing of it.
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// What the receiver of an ed25519 key's signatures verifies them with: `whpk_…`.
    pub fn public_key(&self) -> Option<String> {
        match &self.material {
            Material::Symmetric(_) => None,
            Material::Asymmetric(pair) => {
                Some(format!("{PUBLIC}{}", BASE64.encode(pair.public_key().as_ref())))
            }
        }
    }

    /// One signature: `v1,…` or `v1a,…`.
    fn sign(&self, id: &str, at: &str, body: &[u8]) -> String {
        let parts: [&[u8]; 5] = [id.as_bytes(), b".", at.as_bytes(), b".", body];
        match &self.material {
            Material::Symmetric(key) => {
                let mut mac = keyed(key.expose());
                parts.iter().for_each(|part| mac.update(part));
                format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
            }
            Material::Asymmetric(pair) => {
                format!("v1a,{}", BASE64.encode(pair.sign(&parts.concat()).as_ref()))
            }
        }
    }
}

fn decode(digits: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bare = digits.trim_end_matches('=');
    if digits.len() - bare.len() > 2 {
        return Err(KeyError::Base64);
    }
    BASE64_NOPAD.decode(bare.as_bytes()).map(Zeroizing::new).map_err(|_| KeyError::Base64)
}

#[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn generation_of(key: &[u8]) -> String {
    let mut mac = keyed(key);
    mac.update(b"cardwatch/webhook/generation/1");
    HEXLOWER.encode(&mac.finalize().into_bytes()[..4])
}

/// Why a file of keys cannot be used. Carries nothing of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct SignerError {
    /// The line, from 1; of a file without keys the first.
    pub line: usize,
    /// What is wrong in it.
    pub fault: SignerFault,
}

/// What is wrong in a file of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerFault {
    /// The key itself.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The end is no time.
    #[error("until= takes an RFC 3339 time with an offset: until=2026-12-01T00:00:00Z")]
    Until,
    /// Something else stands behind the key.
    #[error("behind the key only until=TIME or a comment after # may stand")]
    Surplus,
    /// The newest key has an end: there would be a time without a signature.
    #[error("the first key is the newest and signs without end: take until= away, or put a new key above it")]
    NewestEnds,
    /// One key twice.
    #[error("this key stands in an earlier line already")]
    Twice,
    /// More than [`KEYS_MAX`].
    #[error("more than {KEYS_MAX} keys: take away those that have ended")]
    TooMany,
    /// No key at all.
    #[error("no key: write one a line, the newest first")]
    Empty,
}

/// One to four keys that sign together, the newest first.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<(SigningKey, Option<Timestamp>)>,
}

impl Signer {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// [`SignerError`], the first mistake and its line.
    pub fn parse(text: &str) -> Result<Signer, SignerError> {
        let mut keys: Vec<(SigningKey, Option<Timestamp>)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let fail = |fault| SignerError { line: number + 1, fault };
            let Some((key, until)) = entry(line).map_err(fail)? else { continue };
            let fault = match SigningKey::parse(key) {
                Err(error) => SignerFault::Key(error),
                Ok(_) if keys.is_empty() && until.is_some() => SignerFault::NewestEnds,
                Ok(key) if keys.iter().any(|(known, _)| known.is(&key)) => SignerFault::Twice,
                Ok(_) if keys.len() == KEYS_MAX => SignerFault::TooMany,
                Ok(key) => {
                    keys.push((key, until));
                    continue;
                }
            };
            return Err(fail(fault));
        }
        if keys.is_empty() {
            return Err(SignerError { line: 1, fault: SignerFault::Empty });
        }
        Ok(Signer { keys })
    }

    /// The value of `webhook-signature` for a request made `at` seconds after 1970 (its `webhook-timestamp`): one
    /// signature of each key that has not ended by `now`, the newest first, with spaces between.
    pub fn header(&self, id: &str, at: i64, body: &[u8], now: Timestamp) -> String {
        let at = at.to_string();
        let signs = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
        let signing =
            self.keys.iter().filter(|(_, until)| signs(*until) || fault::broken("kept-after-its-end"));
        let signatures: Vec<String> = signing.map(|(key, _)| key.sign(id, &at, body)).collect();
        signatures.join(" ")
    }

    /// The keys, the newest first, each with the time from which it no longer signs.
    pub fn keys(&self) -> impl Iterator<Item = (&SigningKey, Option<Timestamp>)> {
        self.keys.iter().map(|(key, until)| (key, *until))
    }

    /// The short public name of the newest key.
    pub fn generation(&self) -> &str {
        self.keys.first().map_or("", |(key, _)| key.generation())
    }

    /// The public key of the newest ed25519 key, if there is one.
    pub fn public_key(&self) -> Option<String> {
        self.keys.iter().find_map(|(key, _)| key.public_key())
    }
}

impl SigningKey {
    fn is(&self, other: &SigningKey) -> bool {
        match (&self.material, &other.material) {
            (Material::Symmetric(one), Material::Symmetric(other)) => one == other,
            (Material::Asymmetric(one), Material::Asymmetric(other)) => {
                one.public_key().as_ref() == other.public_key().as_ref()
            }
            _ => false,
        }
    }
}

/// The key of a line and its end; `None` where it has none.
fn entry(line: &str) -> Result<Option<(&str, Option<Timestamp>)>, SignerFault> {
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    let Some(key) = words.next() else { return Ok(None) };
    let until = match words.next().map(|word| word.strip_prefix(END).ok_or(SignerFault::Surplus)) {
        None => None,
        Some(time) => Some(Timestamp::parse_rfc3339(time?).map_err(|_| SignerFault::Until)?),
    };
    if words.next().is_some() {
        return Err(SignerFault::Surplus);
    }
    Ok(Some((key, until)))
}

/// The file of keys with a fresh one on top. Keys without an end that sign in the same way as the fresh one end at
/// `until`; where none signs so, all of them do. Those that have ended by `now` go; comments stay.
///
/// # Errors
/// [`SignerError`] of the file as it is, or of the one it would become: four keys that still sign leave no room.
pub fn rotate(
    text: &str,
    fresh: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Zeroizing<String>, SignerError> {
    let scheme = SigningKey::parse(fresh).map_err(|key| SignerError { line: 1, fault: key.into() })?.scheme();
    let before = Signer::parse(text)?;
    let endless = |key: &SigningKey, end: &Option<Timestamp>| end.is_none() && key.scheme() == scheme;
    let of_scheme = before.keys.iter().any(|(key, end)| endless(key, end));
    // Room for every end that is added, so that no copy of the keys is left behind by growing.
    let mut rotated = Zeroizing::new(String::with_capacity(text.len() + fresh.len() + KEYS_MAX * 48));
    rotated.push_str(fresh);
    rotated.push('\n');
    for (number, line) in text.lines().enumerate() {
        let fail = |fault| SignerError { line: number + 1, fault };
        match entry(line).map_err(fail)? {
            Some((_, Some(end))) if end <= now => continue,
            Some((key, None)) => {
                let ends =
                    !of_scheme || SigningKey::parse(key).map_err(|key| fail(key.into()))?.scheme() == scheme;
                let (words, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
                rotated.push_str(words.trim_end());
                if ends {
                    rotated.push_str(&format!(" {END}{until}"));
                }
                if !comment.is_empty() {
                    rotated.push(' ');
                    rotated.push_str(comment);
                }
            }
            _ => rotated.push_str(line),
        }
        rotated.push('\n');
    }
    Signer::parse(&rotated)?;
    Ok(rotated)
}

#[cfg(test)]
mod tests;
