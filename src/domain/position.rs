//! Places in the log, the records found there, and the identities derived from them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::time::Timestamp;

/// Where a transaction stood in the user's own topic. With its timestamp it identifies the record even
/// when a topic was deleted and made again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The record's own timestamp: set by its producer or the broker.
    pub timestamp: Timestamp,
}

impl Position {
    /// The id of what is derived from the record at this place: `PREFIX_` and 26 letters and digits
    /// (128 bits of SHA-256 over the place and time, base 32).
    ///
    /// A function of the place alone, so that judging again after an abort makes the same id.
    pub fn derived_id(&self, prefix: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(b"cardwatch/id/1\0");
        hash.update((self.topic.len() as u64).to_be_bytes());
        hash.update(self.topic.as_bytes());
        hash.update(self.partition.to_be_bytes());
        hash.update(self.offset.to_be_bytes());
        hash.update(self.timestamp.millis().to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        id_of_bytes(prefix, &bytes)
    }
}

/// Whether `text` is an id that [`Position::derived_id`] can have made with this prefix.
pub fn is_derived_id(text: &str, prefix: &str) -> bool {
    derived_bytes(text, prefix).is_some()
}

/// The 128 bits behind an id of [`Position::derived_id`] with this prefix. What is derived from one record has the
/// same bits whatever its prefix: a sighting and its alert find each other by them.
pub fn derived_bytes(text: &str, prefix: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if digits.len() != 26 || digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let bytes = data_encoding::BASE32_NOPAD.decode(digits.to_ascii_uppercase().as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// The id with these bits and this prefix: the inverse of [`derived_bytes`].
pub fn id_of_bytes(prefix: &str, bytes: &[u8; 16]) -> String {
    let mut id = String::with_capacity(prefix.len() + 27);
    id.push_str(prefix);
    id.push('_');
    data_encoding::BASE32_NOPAD.encode_append(bytes, &mut id);
    id.make_ascii_lowercase();
    id
}

/// A record as the core sees it: bytes and their place, borrowed from the client's buffer.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The record's timestamp.
    pub timestamp: Timestamp,
}

impl Record<'_> {
    /// The place of this record, owned.
    pub fn position(&self) -> Position {
        Position {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
        }
    }
}

impl std::fmt::Debug for Record<'_> {
    /// Place and sizes only: the bytes may hold a card number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .field("key_bytes", &self.key.map(<[u8]>::len))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_function_of_place_and_time() {
        let place = Position { topic: "t".to_owned(), partition: 3, offset: 7, timestamp: Timestamp(9) };
        let id = place.derived_id("alr");
        assert_eq!(id, place.clone().derived_id("alr"));
        assert_eq!(id.len(), 4 + 26);
        for other in [
            Position { topic: "u".to_owned(), ..place.clone() },
            Position { partition: 4, ..place.clone() },
            Position { offset: 8, ..place.clone() },
            Position { timestamp: Timestamp(10), ..place.clone() },
        ] {
            assert_ne!(other.derived_id("alr"), id);
        }
    }

    #[test]
    fn a_sighting_and_its_alert_share_their_bits() {
        let place = Position { topic: "t".to_owned(), partition: 3, offset: 7, timestamp: Timestamp(9) };
        let bits = derived_bytes(&place.derived_id("alr"), "alr").unwrap();
        assert_eq!(derived_bytes(&place.derived_id("sgt"), "sgt"), Some(bits));
        assert_eq!(id_of_bytes("sgt", &bits), place.derived_id("sgt"));
        for wrong in ["", "alr_", "alr_aaaaaaaaaaaaaaaaaaaaaaaaa1", "alr_AAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(derived_bytes(wrong, "alr"), None, "{wrong}");
        }
        assert_eq!(derived_bytes(&place.derived_id("sgt"), "alr"), None);
    }
}
