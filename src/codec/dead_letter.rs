//! Dead letters: what is written for a record whose card field cannot be read.
//!
//! # `cardwatch.dead-letter/1`
//!
//! Always these headers: `cardwatch-reason`, `cardwatch-field`, `cardwatch-topic`, `cardwatch-partition`,
//! `cardwatch-offset`, `cardwatch-timestamp` (RFC 3339), `cardwatch-value-bytes`, `cardwatch-key-bytes` (absent
//! without a key), `cardwatch-header-count`, `cardwatch-payload`.
//!
//! `cardwatch-payload` is one of
//! - `omitted`: value, key and headers of the record are left out (the setting for card numbers);
//! - `sealed`: value, key and headers of the record are encrypted to the public key in `cardwatch-sealed-to`,
//!   and are the letter's value ([`sealed`]);
//! - `original`: value, key and headers are those of the record, byte for byte;
//! - `value-too-large`, `sealed-value-too-large`: the value was left out because the letter would not have
//!   fitted; key and headers stay, as they were or sealed;
//! - `too-large`: value, key and headers were left out for the same reason.
//!
//! With `sealed…` and `…too-large` there is `cardwatch-value-digest` where the process holds a key: HMAC-SHA-256
//! of the value, hexadecimal, enough to tell whether two letters speak of the same value and too little to learn it.
//!
//! A letter without the original value has a small JSON body with the same facts, unless what is sealed stands
//! there, and CloudEvents headers of its own; one with it has the headers that came with it.

pub mod read;
pub mod sealed;

use serde::Serialize;

use crate::domain::position::{Position, Record};
use crate::domain::time::Timestamp;

use super::cloudevents::{Event, Headers};
use super::dead::Unreadable;
use super::seal::PublicKey;

/// The name and version of the JSON body.
pub const DEAD_LETTER_SCHEMA: &str = "cardwatch.dead-letter/1";
/// The prefix of every header that cardwatch adds.
pub const HEADER_PREFIX: &str = "cardwatch-";
/// The header that says what a value is.
const CONTENT_TYPE: &str = "content-type";
/// A limit that every letter can be brought under, in bytes (a topic's name has at most 249).
pub const DEAD_LETTER_BYTES_MIN: usize = 2048;

/// What a dead letter keeps of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: the default where the card field is a card number.
    Omit,
    /// Value, key and headers, encrypted to this key.
    Sealed(PublicKey),
    /// Value, key and headers.
    Original,
}

/// A header as it came: name, and value if it has one.
pub type OriginalHeader<'a> = (&'a str, Option<&'a [u8]>);

/// The record a letter is written for, and why.
#[derive(Clone, Copy)]
pub struct DeadRecord<'a> {
    /// The record.
    pub record: Record<'a>,
    /// Its headers.
    pub headers: &'a [OriginalHeader<'a>],
    /// Why it is dead.
    pub unreadable: Unreadable,
    /// When that was found, by the line's own clock.
    pub found_at: Timestamp,
}

impl std::fmt::Debug for DeadRecord<'_> {
    /// Place, sizes and reason only: the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeadRecord({:?}, {} headers, {:?})", self.record, self.headers.len(), self.unreadable)
    }
}

/// HMAC-SHA-256 of some bytes under a key that the closure holds.
pub type Digest = dyn Fn(&[u8]) -> [u8; 32];

/// How letters are made.
#[derive(Clone, Copy)]
pub struct LetterRules<'a> {
    /// What is kept.
    pub payload: Payload,
    /// The largest letter, in bytes, as [`DeadLetter::bytes`] counts. At least [`DEAD_LETTER_BYTES_MIN`].
    pub bytes_max: usize,
    /// HMAC-SHA-256 under a key of this process, if it holds one.
    pub digest: Option<&'a Digest>,
    /// Randomness for one letter; looked at where the payload is sealed.
    pub entropy: [u8; 32],
}

impl std::fmt::Debug for LetterRules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LetterRules({:?}, {} bytes)", self.payload, self.bytes_max)
    }
}

/// A letter, ready to be produced.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The headers; a value may be null only where the original's was.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl std::fmt::Debug for DeadLetter {
    /// Sizes only: with `original` the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeadLetter({} bytes, {} headers)", self.bytes(), self.headers.len())
    }
}

impl DeadLetter {
    /// The size in a record batch of format 2, rounded up: lengths as varints of at most five bytes.
    pub fn bytes(&self) -> usize {
        let headers: usize = (self.headers.iter())
            .map(|(name, value)| 10 + name.len() + value.as_ref().map_or(0, Vec::len))
            .sum();
        let body = self.value.as_ref().map_or(0, Vec::len) + self.key.as_ref().map_or(0, Vec::len);
        RECORD_OVERHEAD + body + headers
    }

    /// Makes the letter for a record, as much of it as fits.
    pub fn new(dead: &DeadRecord<'_>, rules: &LetterRules<'_>) -> DeadLetter {
        let kept = match rules.payload {
            Payload::Omit => return write(dead, Kept::Omitted, None),
            Payload::Sealed(to) => [
                Kept::Sealed { to, entropy: rules.entropy, with_value: true },
                Kept::Sealed { to, entropy: rules.entropy, with_value: false },
            ],
            Payload::Original => [Kept::Original, Kept::ValueTooLarge],
        };
        let digest = || dead.record.value.zip(rules.digest).map(|(value, digest)| digest(value));
        for kept in kept {
            let told = if kept == Kept::Original { None } else { digest() };
            let letter = write(dead, kept, told.as_ref());
            if letter.bytes() <= rules.bytes_max {
                return letter;
            }
        }
        write(dead, Kept::TooLarge, digest().as_ref())
    }
}

/// What a record takes beside its key, value and headers, at most.
const RECORD_OVERHEAD: usize = 96;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Omitted,
    Sealed { to: PublicKey, entropy: [u8; 32], with_value: bool },
    Original,
    ValueTooLarge,
    TooLarge,
}

impl Kept {
    fn as_str(self) -> &'static str {
        match self {
            Kept::Omitted => "omitted",
            Kept::Sealed { with_value: true, .. } => "sealed",
            Kept::Sealed { with_value: false, .. } => "sealed-value-too-large",
            Kept::Original => "original",
            Kept::ValueTooLarge => "value-too-large",
            Kept::TooLarge => "too-large",
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    id: &'a str,
    found_at: Timestamp,
    reason: &'static str,
    field: &'static str,
    text: &'static str,
    payload: &'static str,
    value_bytes: Option<usize>,
    key_bytes: Option<usize>,
    header_count: usize,
    value_digest: Option<&'a str>,
    source: &'a Position,
}

fn write(dead: &DeadRecord<'_>, kept: Kept, digest: Option<&[u8; 32]>) -> DeadLetter {
    let source = dead.record.position();
    let digest = digest.map(|digest| data_encoding::HEXLOWER.encode(digest));
    let mut headers: Headers = Vec::new();
    let mut add = |name: &str, value: &str| headers.push((format!("{HEADER_PREFIX}{name}"), value.into()));
    add("reason", dead.unreadable.reason.as_str());
    add("field", dead.unreadable.field);
    add("topic", &source.topic);
    add("partition", &source.partition.to_string());
    add("offset", &source.offset.to_string());
    add("timestamp", &source.timestamp.to_string());
    if let Some(value) = dead.record.value {
        add("value-bytes", &value.len().to_string());
    }
    if let Some(key) = dead.record.key {
        add("key-bytes", &key.len().to_string());
    }
    add("header-count", &dead.headers.len().to_string());
    add("payload", kept.as_str());
    if let Some(digest) = &digest {
        add("value-digest", digest);
    }

    if let Kept::Sealed { to, .. } = kept {
        add("sealed-to", &to.to_string());
    }

    let keeps_headers = matches!(kept, Kept::Original | Kept::ValueTooLarge);
    let value = match kept {
        Kept::Original => dead.record.value.map(<[u8]>::to_vec),
        Kept::Sealed { to, entropy, with_value } => {
            let own = event(dead, &source.derived_id("ded")).headers(None);
            headers.extend(own.into_iter().filter(|(name, _)| name != CONTENT_TYPE));
            headers.push((CONTENT_TYPE.to_owned(), "application/octet-stream".into()));
            sealed::seal(dead, with_value, &to, entropy)
        }
        _ => {
            let (body, own) = body(dead, kept, &source, digest.as_deref());
            headers.extend(own);
            Some(body)
        }
    };
    let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
    if keeps_headers {
        headers.extend(originals(dead, kept));
    }
    let key = if keeps_headers { dead.record.key.map(<[u8]>::to_vec) } else { None };
    DeadLetter { value, key, headers }
}

fn body(dead: &DeadRecord<'_>, kept: Kept, source: &Position, digest: Option<&str>) -> (Vec<u8>, Headers) {
    let id = source.derived_id("ded");
    let body = Body {
        schema: DEAD_LETTER_SCHEMA,
        id: &id,
        found_at: dead.found_at,
        reason: dead.unreadable.reason.as_str(),
        field: dead.unreadable.field,
        text: dead.unreadable.reason.sentence(),
        payload: kept.as_str(),
        value_bytes: dead.record.value.map(<[u8]>::len),
        key_bytes: dead.record.key.map(<[u8]>::len),
        header_count: dead.headers.len(),
        value_digest: digest,
        source,
    };
    // A struct of texts and numbers always has a JSON form.
    let json = serde_json::to_vec(&body).unwrap_or_default();
    (json, event(dead, &id).headers(None))
}

fn event(dead: &DeadRecord<'_>, id: &str) -> Event<'static> {
    Event {
        id: id.to_owned(),
        source: "/cardwatch/dead-letters",
        kind: DEAD_LETTER_SCHEMA,
        time: dead.found_at,
        subject: None,
    }
}

/// The record's own headers, save those that ours would be mistaken for.
fn originals(dead: &DeadRecord<'_>, kept: Kept) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    let ours = move |name: &str| {
        let describes_value = name == CONTENT_TYPE || name.starts_with("ce_");
        name.starts_with(HEADER_PREFIX) || (kept != Kept::Original && describes_value)
    };
    (dead.headers.iter())
        .filter(move |(name, _)| !ours(name))
        .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
}

#[cfg(test)]
mod tests;
