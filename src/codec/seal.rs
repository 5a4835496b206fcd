//! Sealing: bytes encrypted to a public key whose private half this process never sees.
//!
//! HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305. What is sealed is
//! the encapsulated key (32 bytes), the ciphertext and its tag (16 bytes), one after the other. `docs/dead-letters.md`
//! has the whole form, for those who open letters with another library.
//!
//! A key in text is a prefix and, in base64url without padding, its 32 bytes followed by the first four of their
//! SHA-256: X25519 takes any 32 bytes, so a key with a slip of the pen would seal what nobody can open.

use std::fmt;
use std::str::FromStr;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The length of a key, in bytes.
const KEY_BYTES: usize = 32;
/// How many bytes of a key's hash follow it in text.
const CHECK_BYTES: usize = 4;
/// The tag of ChaCha20Poly1305, in bytes.
const TAG_BYTES: usize = 16;
/// What sealing adds to the length of what is sealed, in bytes.
pub const SEAL_BYTES: usize = KEY_BYTES + TAG_BYTES;
/// What the text of a public key begins with.
const PUBLIC_PREFIX: &str = "cwpub.";
/// What the text of a private key begins with.
const PRIVATE_PREFIX: &str = "cwsec.";

/// Why a text is no key. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealKeyError {
    /// It does not begin as one.
    #[error("it does not begin with {0:?}")]
    Prefix(&'static str),
    /// It is not base64url of 36 bytes.
    #[error("it is cut short, or has characters that no key has")]
    Form,
    /// Its check does not fit.
    #[error("it has a slip: its check does not fit")]
    Check,
    /// No private key belongs to it.
    #[error("it is none that a private key belongs to")]
    Weak,
}

/// What was sealed cannot be opened: sealed to another key, for another place, or changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open: it was sealed to another key or for another place, or was changed since")]
pub struct OpenError;

/// A public key to seal to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_BYTES]);

/// The private key that opens what was sealed to its public half.
#[derive(Debug, Clone)]
pub struct PrivateKey(Secret);

impl PublicKey {
    /// Seals `plain`. It opens only with the same `info`, which is not hidden: what it is and where it belongs.
    /// `entropy` must be 32 bytes of randomness, drawn for this one call.
    ///
    /// # Errors
    /// [`OpenError`] when nobody could open it: the key is none that a private key belongs to.
    pub fn seal(&self, info: &[u8], plain: &[u8], entropy: [u8; 32]) -> Result<Vec<u8>, OpenError> {
        let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| OpenError)?;
        let mut random = ChaCha20Rng::from_seed(entropy);
        let (encapsulated, cipher) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &key, info, plain, &[], &mut random)
        .map_err(|_| OpenError)?;
        let mut sealed = encapsulated.to_bytes().to_vec();
        sealed.extend(cipher);
        Ok(sealed)
    }
}

impl PrivateKey {
    /// The private key that 32 bytes of randomness make.
    pub fn generate(entropy: &Zeroizing<[u8; 32]>) -> PrivateKey {
        let (key, _) = X25519HkdfSha256::derive_keypair(&**entropy);
        PrivateKey(Secret::new(key.to_bytes().to_vec()))
    }

    /// Its public half.
    ///
    /// # Panics
    /// Never: 32 bytes are a private key.
    #[allow(clippy::expect_used, reason = "X25519 takes any 32 bytes")]
    pub fn public(&self) -> PublicKey {
        let public = X25519HkdfSha256::sk_to_pk(&self.key().expect("32 bytes"));
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(&public.to_bytes());
        PublicKey(bytes)
    }

    /// Opens what was sealed to its public half with the same `info`.
    ///
    /// # Errors
    /// [`OpenError`] when it does not open.
    pub fn open(&self, info: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (encapsulated, cipher) = sealed.split_at_checked(KEY_BYTES).ok_or(OpenError)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated);
        let encapsulated = encapsulated.map_err(|_| OpenError)?;
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.key()?,
            &encapsulated,
            info,
            cipher,
            &[],
        );
        plain.map(Zeroizing::new).map_err(|_| OpenError)
    }

    /// The text that a file of its owner holds. The caller must not show it.
    pub fn to_text(&self) -> Zeroizing<String> {
        to_text(PRIVATE_PREFIX, self.0.expose())
    }

    fn key(&self) -> Result<<X25519HkdfSha256 as Kem>::PrivateKey, OpenError> {
        <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| OpenError)
    }
}

fn check(key: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::digest(key);
    std::array::from_fn(|at| hash[at])
}

fn to_text(prefix: &str, key: &[u8]) -> Zeroizing<String> {
    let bytes = Zeroizing::new([key, &check(key)].concat());
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str(prefix);
    data_encoding::BASE64URL_NOPAD.encode_append(&bytes, &mut text);
    text
}

fn from_text(prefix: &'static str, text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealKeyError> {
    let digits = text.strip_prefix(prefix).ok_or(SealKeyError::Prefix(prefix))?;
    let encoding = data_encoding::BASE64URL_NOPAD;
    let mut bytes = Zeroizing::new([0u8; KEY_BYTES + CHECK_BYTES]);
    if encoding.decode_len(digits.len()) != Ok(bytes.len()) {
        return Err(SealKeyError::Form);
    }
    encoding.decode_mut(digits.as_bytes(), &mut *bytes).map_err(|_| SealKeyError::Form)?;
    let (key, checked) = bytes.split_at(KEY_BYTES);
    if check(key) != checked {
        return Err(SealKeyError::Check);
    }
    let mut whole = Zeroizing::new([0; KEY_BYTES]);
    whole.copy_from_slice(key);
    Ok(whole)
}

impl FromStr for PublicKey {
    type Err = SealKeyError;
    fn from_str(text: &str) -> Result<PublicKey, SealKeyError> {
        let key = from_text(PUBLIC_PREFIX, text).map(|bytes| PublicKey(*bytes))?;
        // The few keys of low order are refused here, once, and not letter by letter.
        key.seal(&[], &[], [0; 32]).map_err(|_| SealKeyError::Weak)?;
        Ok(key)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_text(PUBLIC_PREFIX, &self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PrivateKey {
    type Err = SealKeyError;
    fn from_str(text: &str) -> Result<PrivateKey, SealKeyError> {
        from_text(PRIVATE_PREFIX, text).map(|bytes| PrivateKey(Secret::new(bytes.to_vec())))
    }
}

#[cfg(test)]
mod tests;
