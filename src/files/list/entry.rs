//! What a list yields, entry by entry.

use crate::domain::card::{CardNumber, Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::References;
use crate::files::list::RECORD_BYTES_MAX;
use crate::secret::Secret;

/// A card of a list.
#[derive(Debug)]
pub enum ListCard {
    /// A card number.
    Number(CardNumber),
    /// A token or account reference of 1 to 128 bytes.
    Token(Secret),
    /// A fingerprint made elsewhere, and its key.
    Fingerprint(Fingerprint, KeyId),
}

/// What was odd about an entry that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Warnings {
    /// The card number's check digit is wrong.
    pub luhn: bool,
    /// The expiry date cannot be read and was left out.
    pub expiry: bool,
    /// The tier or a reference is too long or not UTF-8 and was left out.
    pub description: bool,
    /// The tier or a reference contained the card number and was left out.
    pub withheld: bool,
}

/// An entry of a list.
#[derive(Debug)]
pub struct ListEntry {
    /// Where, counted from 1.
    pub line: u64,
    /// The card.
    pub card: ListCard,
    /// Its expiry date.
    pub expiry: Option<ExpiryDate>,
    /// The user's own class of exposure.
    pub tier: Option<String>,
    /// What leads to its owner.
    pub references: References,
    /// What was odd.
    pub warnings: Warnings,
}

/// Why an entry is rejected. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum RejectReason {
    /// No card.
    #[error("empty")]
    Empty,
    /// Something other than digits, spaces and dashes.
    #[error("not made of digits")]
    NotDigits,
    /// As a spreadsheet rounds it.
    #[error("rounded by a spreadsheet: its last digits are lost; export the column as text")]
    Rounded,
    /// A number of the wrong length.
    #[error("not 8 to 19 digits long")]
    Length,
    /// A token of the wrong length.
    #[error("a token longer than 128 bytes")]
    TokenLength,
    /// Not 64 hexadecimal digits.
    #[error("not a fingerprint of 64 hexadecimal digits")]
    Fingerprint,
    /// The fingerprint's key is not named, or not by a key id.
    #[error("no key id beside the fingerprint")]
    KeyId,
    /// The check value is not 64 hexadecimal digits.
    #[error("not a check value of 64 hexadecimal digits")]
    Check,
    /// Not a JSON object.
    #[error("not a JSON object")]
    Json,
    /// A field that is neither text nor a number.
    #[error("a field that is neither text nor a number")]
    FieldType,
    /// A field that is there twice.
    #[error("a field that is there twice")]
    FieldTwice,
    /// Longer than 65,536 bytes.
    #[error("longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// Where, counted from 1.
    pub line: u64,
    /// Why.
    pub reason: RejectReason,
}

/// What a list yields.
#[derive(Debug)]
pub enum ListItem {
    /// A card.
    Entry(Box<ListEntry>),
    /// No card.
    Rejected(Rejection),
}

/// How much of a list was odd so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListCounts {
    /// Entries accepted.
    pub accepted: u64,
    /// Entries rejected.
    pub rejected: u64,
    /// Of the accepted: with a wrong check digit.
    pub luhn: u64,
    /// Of the accepted: with an expiry date that was left out.
    pub expiry: u64,
    /// Of the accepted: with a tier or reference that was left out as too long or not UTF-8.
    pub description: u64,
    /// Of the accepted: with a tier or reference that was left out because it contained the card number.
    pub withheld: u64,
}
