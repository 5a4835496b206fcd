//! The card field: read from every record, so it takes no memory of its own on the usual path.

use std::fmt;

use zeroize::Zeroizing;

use crate::domain::card::{
    CardKind, CardNumber, CardNumberError, Fingerprint, KeyId, KeyIdError, TOKEN_BYTES_MAX, is_slug,
};

use super::dead::{DeadReason, Unreadable};
use super::json::{self, Slot};
use super::mapping::{CARD_KEY_SLOT, CARD_SLOT, Mapping};

mod several;

pub use several::Cards;

/// What the card field of a record holds. Lives for one event; shows nothing when debugged.
pub enum CardField<'a> {
    /// A card number.
    Number(CardNumber),
    /// The number behind a wallet's own.
    FundingNumber(CardNumber),
    /// An opaque token.
    Token(Token<'a>),
    /// A reference to the account.
    AccountReference(Token<'a>),
    /// A fingerprint made upstream.
    Fingerprint {
        /// The fingerprint.
        fingerprint: Fingerprint,
        /// The key it was made with; `None` where no key id is mapped, which means the primary key.
        key: Option<KeyName<'a>>,
    },
}

/// The bytes of a token: in the record, or in memory of their own that is wiped.
pub struct Token<'a>(Text<'a>);

/// The name of a key as it stands in the record: known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyName<'a>(&'a str);

enum Text<'a> {
    InRecord(&'a str),
    Unescaped(Zeroizing<String>),
}

impl Text<'_> {
    fn as_str(&self) -> &str {
        match self {
            Text::InRecord(text) => text,
            Text::Unescaped(text) => text,
        }
    }
}

impl CardField<'_> {
    /// The kind of this field.
    pub fn kind(&self) -> CardKind {
        match self {
            CardField::Number(_) => CardKind::Number,
            CardField::FundingNumber(_) => CardKind::FundingNumber,
            CardField::Token(_) => CardKind::Token,
            CardField::AccountReference(_) => CardKind::AccountReference,
            CardField::Fingerprint { .. } => CardKind::Fingerprint,
        }
    }
}

impl fmt::Debug for CardField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardField({}, withheld)", self.kind().as_str())
    }
}

impl Token<'_> {
    /// The bytes. The caller must not keep or show them.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(withheld)")
    }
}

impl<'a> KeyName<'a> {
    /// The name.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The name as an owned id.
    ///
    /// # Errors
    /// Never for a name that came from a record: it was checked there.
    pub fn to_key_id(self) -> Result<KeyId, KeyIdError> {
        self.0.parse()
    }
}

impl Mapping {
    /// Reads a record to its end and gives its card field.
    ///
    /// Nearly every record ends here: its card is on no list. Takes no memory of its own, unless the card's
    /// text has escapes or values nobody reads are nested more than once. Where the card may be in several places
    /// ([`Mapping::has_one_card`]) this looks at the first only; [`Mapping::scan_all`] looks at all.
    ///
    /// # Errors
    /// Why the card field cannot be read; the record is a dead letter.
    #[inline]
    pub fn scan<'a>(&self, value: &'a [u8]) -> Result<CardField<'a>, Unreadable> {
        let mut slots = [Slot::Absent; 2];
        if !self.has_one_card {
            return self.scan_first(value);
        }
        json::read(value, &self.card_tree, &mut slots).map_err(DeadReason::of_value)?;
        let key = if self.has_card_key { Some(slots[CARD_KEY_SLOT]) } else { None };
        card(self.card_kind, slots[CARD_SLOT], key)
    }
}

/// Reads a card field of a kind.
#[inline]
fn card<'a>(kind: CardKind, slot: Slot<'a>, key: Option<Slot<'a>>) -> Result<CardField<'a>, Unreadable> {
    let text = scalar(slot).map_err(DeadReason::of_card)?;
    match kind {
        CardKind::Number => number(text).map(CardField::Number).map_err(DeadReason::of_card),
        CardKind::FundingNumber => number(text).map(CardField::FundingNumber).map_err(DeadReason::of_card),
        CardKind::Token => token(text).map(CardField::Token).map_err(DeadReason::of_card),
        CardKind::AccountReference => {
            token(text).map(CardField::AccountReference).map_err(DeadReason::of_card)
        }
        CardKind::Fingerprint => {
            let Scalar::Text(text) = text else {
                return Err(DeadReason::CardNotAFingerprint.of_card());
            };
            let fingerprint = text.as_str().parse().map_err(|_| DeadReason::CardNotAFingerprint.of_card())?;
            let key = match key {
                Some(slot) => Some(key_name(slot).map_err(DeadReason::of_card_key)?),
                None => None,
            };
            Ok(CardField::Fingerprint { fingerprint, key })
        }
    }
}

/// The two JSON types that a card field may have.
enum Scalar<'a> {
    Text(Text<'a>),
    /// The text of a JSON number.
    Number(&'a str),
}

#[inline]
fn scalar(slot: Slot<'_>) -> Result<Scalar<'_>, DeadReason> {
    let raw = match slot {
        Slot::Absent => return Err(DeadReason::CardMissing),
        Slot::Twice => return Err(DeadReason::DuplicateField),
        Slot::Broken => return Err(DeadReason::NotJson),
        Slot::Found(raw) => raw,
    };
    if let Some(inside) = json::inside_quotes(raw) {
        // No early end: a card is short, and many bytes are looked at at once.
        if !inside.bytes().fold(false, |any, byte| any | (byte == b'\\')) {
            return Ok(Scalar::Text(Text::InRecord(inside)));
        }
        let mut out = Zeroizing::new(String::new());
        json::unescape(inside, &mut out).map_err(|_| DeadReason::CardBadEscape)?;
        return Ok(Scalar::Text(Text::Unescaped(out)));
    }
    match raw.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(Scalar::Number(raw)),
        Some(b'n') => Err(DeadReason::CardNull),
        _ => Err(DeadReason::CardWrongType),
    }
}

/// The digits of a JSON number without sign, places or exponent.
fn whole(raw: &str) -> Option<&str> {
    raw.bytes().all(|byte| byte.is_ascii_digit()).then_some(raw)
}

#[inline]
fn number(field: Scalar<'_>) -> Result<CardNumber, DeadReason> {
    let parsed = match &field {
        Scalar::Text(text) => CardNumber::parse(text.as_str().as_bytes()),
        Scalar::Number(raw) => CardNumber::parse(whole(raw).ok_or(DeadReason::CardNotANumber)?.as_bytes()),
    };
    parsed.map_err(|error| match error {
        CardNumberError::Empty => DeadReason::CardEmpty,
        CardNumberError::NotDigits => DeadReason::CardNotANumber,
        CardNumberError::Length => DeadReason::CardWrongLength,
    })
}

fn token(field: Scalar<'_>) -> Result<Token<'_>, DeadReason> {
    let text = match field {
        Scalar::Text(text) => text,
        Scalar::Number(raw) => Text::InRecord(whole(raw).ok_or(DeadReason::CardWrongType)?),
    };
    match text.as_str().len() {
        0 => Err(DeadReason::CardEmpty),
        1..=TOKEN_BYTES_MAX => Ok(Token(text)),
        _ => Err(DeadReason::CardTooLong),
    }
}

fn key_name(slot: Slot<'_>) -> Result<KeyName<'_>, DeadReason> {
    let raw = match slot {
        Slot::Absent => return Err(DeadReason::KeyIdMissing),
        Slot::Twice => return Err(DeadReason::DuplicateField),
        Slot::Broken => return Err(DeadReason::NotJson),
        Slot::Found("null") => return Err(DeadReason::KeyIdMissing),
        Slot::Found(raw) => raw,
    };
    // No character of a key id needs an escape, so one that has escapes is not read.
    match json::inside_quotes(raw) {
        Some(name) if is_slug(name, 32) => Ok(KeyName(name)),
        _ => Err(DeadReason::KeyIdUnreadable),
    }
}

#[cfg(test)]
mod tests;
