//! Why a record cannot be read: the closed list behind dead letters and their metric.

/// Declares the reasons with their word and sentence in one place.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $sentence:literal;)+) => {
        /// Why the card field of a record could not be read. Closed: a metric label is made of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DeadReason {
            $($(#[$doc])* $name,)+
        }

        impl DeadReason {
            /// Every reason.
            pub const ALL: &'static [DeadReason] = &[$(DeadReason::$name,)+];

            /// The word in dead letters and in the metric's label.
            pub fn as_str(self) -> &'static str {
                match self { $(DeadReason::$name => $word,)+ }
            }

            /// The reason of a word, if it is one.
            pub fn from_word(word: &str) -> Option<DeadReason> {
                match word { $($word => Some(DeadReason::$name),)+ _ => None }
            }

            /// The reason in a sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(DeadReason::$name => $sentence,)+ }
            }
        }
    };
}

reasons! {
    /// The value has no bytes. (A null value is a tombstone and no dead letter.)
    Empty = "empty", "the value is empty";
    /// The value is longer than [`super::mapping::RECORD_BYTES_MAX`].
    TooLarge = "too_large", "the value is larger than cardwatch reads";
    /// Not UTF-8, anywhere in the value.
    NotUtf8 = "not_utf8", "the value is not UTF-8";
    /// The JSON ends too early.
    Truncated = "truncated", "the JSON ends in the middle";
    /// Not one JSON text from the first byte to the last (RFC 8259).
    NotJson = "not_json", "the value is not JSON";
    /// Nested deeper than [`super::mapping::DEPTH_MAX`].
    TooDeep = "too_deep", "the JSON is nested too deeply";
    /// The card's own path occurs twice: which one is meant would be a guess.
    DuplicateField = "duplicate_field", "the path to the card occurs twice";
    /// Nothing stands at the card's path.
    CardMissing = "card_missing", "there is no card field";
    /// `null` stands at the card's path.
    CardNull = "card_null", "the card field is null";
    /// A boolean, an array or an object stands at the card's path.
    CardWrongType = "card_wrong_type", "the card field is neither text nor a whole number";
    /// An empty text, or nothing but separators.
    CardEmpty = "card_empty", "the card field is empty";
    /// An escape in the card's text that stands for no character.
    CardBadEscape = "card_bad_escape", "the card field has a broken escape";
    /// Something other than digits, spaces and dashes.
    CardNotANumber = "card_not_a_number", "the card field is not a card number";
    /// Fewer than 8 or more than 19 digits.
    CardWrongLength = "card_wrong_length", "the card number is not 8 to 19 digits long";
    /// A token of more than 128 bytes.
    CardTooLong = "card_too_long", "the token is too long";
    /// Not 64 hexadecimal digits.
    CardNotAFingerprint = "card_not_a_fingerprint", "the card field is not a fingerprint";
    /// A key id is mapped, and absent or null.
    KeyIdMissing = "key_id_missing", "there is no key id beside the fingerprint";
    /// A key id is there and is none.
    KeyIdUnreadable = "key_id_unreadable", "the key id beside the fingerprint does not read";
    /// A fingerprint made under a key that is not active here. Said by the core, never by the codec.
    KeyUnknown = "key_unknown", "the fingerprint was made under a key that is not active";
    /// A record on cardwatch's own topic of sightings that cardwatch did not write. Said by `score`.
    NotASighting = "not_a_sighting", "the record is not a sighting";
    /// A record on cardwatch's own topic of alerts that cardwatch did not write. Said by `notify`.
    NotAnAlert = "not_an_alert", "the record is not an alert";
    /// A record on the topic of outcomes that is none, or whose note is too long or holds a card number. Said by
    /// `books`.
    NotAnOutcome = "not_an_outcome", "the record is not an outcome, or its note is too long or holds a card number";
    /// An outcome about a transaction id that several alerts have. Said by `books`.
    OutcomeAmbiguous = "outcome_ambiguous", "several alerts have the transaction id that the outcome names";
}

/// The name for the value as a whole in [`Unreadable::field`].
pub const FIELD_VALUE: &str = "value";
/// The name for the card field in [`Unreadable::field`].
pub const FIELD_CARD: &str = "card";
/// The name for the key id beside a fingerprint in [`Unreadable::field`].
pub const FIELD_CARD_KEY: &str = "card_key";

/// A record whose card field cannot be read. Carries nothing of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{field}: {}", reason.sentence())]
pub struct Unreadable {
    /// Why.
    pub reason: DeadReason,
    /// Where: [`FIELD_VALUE`], [`FIELD_CARD`] or [`FIELD_CARD_KEY`]; of several card fields, those beside the first
    /// by what they hold.
    pub field: &'static str,
}

impl DeadReason {
    /// This reason, said of the value as a whole.
    pub(super) fn of_value(self) -> Unreadable {
        Unreadable { reason: self, field: FIELD_VALUE }
    }

    /// This reason, said of the card field.
    pub(super) fn of_card(self) -> Unreadable {
        Unreadable { reason: self, field: FIELD_CARD }
    }

    /// This reason, said of the key id.
    pub(super) fn of_card_key(self) -> Unreadable {
        Unreadable { reason: self, field: FIELD_CARD_KEY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = DeadReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(words.len(), DeadReason::ALL.len());
        for reason in DeadReason::ALL {
            assert_eq!(DeadReason::from_word(reason.as_str()), Some(*reason));
            assert!(reason.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8'));
        }
        assert_eq!(DeadReason::from_word("other"), None);
    }
}
