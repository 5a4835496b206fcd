//! What is sealed in a dead letter: value, key and headers of the record, in order.
//!
//! Each is four bytes of its length, most significant first, and then its bytes; `ff ff ff ff` and no bytes say
//! that there is none. First comes the value, then the key, then the name and the value of each header. The
//! letter opens only at the place it was sealed for: the `info` of HPKE is `cardwatch-dead-letter-1`, a line end
//! and `TOPIC/PARTITION/OFFSET` of the record.

use zeroize::Zeroizing;

use super::DeadRecord;
use crate::codec::seal::{OpenError, PrivateKey, PublicKey};
use crate::fault;

/// The first line of HPKE's `info`.
const USE: &str = "cardwatch-dead-letter-1";
/// Stands for the length of what is not there.
const NONE: u32 = u32::MAX;

/// A record as it was, taken out of a letter. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    plain: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Opened {
    /// The size only: the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({} bytes)", self.plain.len())
    }
}

/// The parts of a record as it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The value, if it was kept.
    pub value: Option<&'a [u8]>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The headers: name, and value if it has one.
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

impl std::fmt::Debug for Parts<'_> {
    /// How many headers there are: the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({} headers)", self.headers.len())
    }
}

/// What a letter is sealed for.
fn info(topic: &str, partition: i32, offset: i64) -> Vec<u8> {
    format!("{USE}\n{topic}/{partition}/{offset}").into_bytes()
}

/// Seals a record. `None` only for a key that came past [`PublicKey`]'s own reading, of which there is none.
pub(super) fn seal(
    dead: &DeadRecord<'_>,
    with_value: bool,
    to: &PublicKey,
    entropy: [u8; 32],
) -> Option<Vec<u8>> {
    let record = &dead.record;
    let mut plain = Zeroizing::new(Vec::with_capacity(room(dead)));
    let mut part = |bytes: Option<&[u8]>| {
        plain.extend(bytes.map_or(NONE, |bytes| bytes.len() as u32).to_be_bytes());
        plain.extend_from_slice(bytes.unwrap_or_default());
    };
    part(record.value.filter(|_| with_value));
    part(record.key);
    for (name, value) in dead.headers {
        part(Some(name.as_bytes()));
        part(*value);
    }
    if fault::broken("sealed-in-the-clear") {
        return Some(plain.to_vec());
    }
    to.seal(&info(record.topic, record.partition, record.offset), &plain, entropy).ok()
}

/// Enough for all parts at once: a vector that grows leaves copies behind that nobody wipes.
fn room(dead: &DeadRecord<'_>) -> usize {
    let of = |bytes: Option<&[u8]>| 4 + bytes.map_or(0, <[u8]>::len);
    let headers = dead.headers.iter().map(|(name, value)| 4 + name.len() + of(*value));
    of(dead.record.value) + of(dead.record.key) + headers.sum::<usize>()
}

/// Opens the value of a letter about the record at this place.
///
/// # Errors
/// [`OpenError`] when it was sealed to another key or for another place, or is not what this version seals.
pub fn open(
    key: &PrivateKey,
    (topic, partition, offset): (&str, i32, i64),
    sealed: &[u8],
) -> Result<Opened, OpenError> {
    let plain = key.open(&info(topic, partition, offset), sealed)?;
    let opened = Opened { plain };
    opened.read().ok_or(OpenError)?;
    Ok(opened)
}

impl Opened {
    /// The parts of the record.
    pub fn parts(&self) -> Parts<'_> {
        self.read().unwrap_or(Parts { value: None, key: None, headers: Vec::new() })
    }

    fn read(&self) -> Option<Parts<'_>> {
        let mut rest = &self.plain[..];
        let value = part(&mut rest)?;
        let key = part(&mut rest)?;
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let name = part(&mut rest)??;
            headers.push((name, part(&mut rest)?));
        }
        Some(Parts { value, key, headers })
    }
}

/// Takes the next part off. The outer `None` says that there is none.
fn part<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    if length == NONE {
        *rest = after;
        return Some(None);
    }
    let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(bytes))
}
