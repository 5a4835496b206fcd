//! Decoding, on a hit only: every mapped value but the card.
//!
//! Nothing here fails. A value that is absent, null or an empty text leaves its field unknown; one that is there
//! and does not read leaves it unknown and is named in `unreadable`; one that repeats the card is named
//! in `withheld`.

use std::borrow::Cow;
use std::fmt::Display;

use zeroize::Zeroize;

use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::References;
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::domain::transaction::{Merchant, TEXT_BYTES_MAX, Transaction};
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Expiry, Initiation, Kind, Outcome, ThreeDs};

use super::card::CardField;
use super::json::{self, Slot};
use super::mapping::{AmountUnit, Field, Mapping, TimeFormat};

/// A decoded record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The transaction; its `expiry` is left unknown, because only the list can say.
    pub transaction: Transaction,
    /// The mapped references.
    pub references: References,
    /// The expiry date of the card that was used.
    pub card_expiry: Option<ExpiryDate>,
    /// Fields that were there and did not read: names of [`Field`], and `references.NAME`.
    pub unreadable: Vec<String>,
    /// Fields left out because they repeated the card; the same names.
    pub withheld: Vec<String>,
}

impl Mapping {
    /// Decodes a record that [`Mapping::scan`] has accepted. `card` is what that gave.
    pub fn decode(&self, value: &[u8], card: &CardField<'_>) -> Decoded {
        let mut slots = vec![Slot::Absent; self.field_tree.slots()];
        if json::read(value, &self.field_tree, &mut slots).is_err() {
            slots.fill(Slot::Broken);
        }
        let mut decoder =
            Decoder { mapping: self, slots, card, unreadable: Vec::new(), withheld: Vec::new() };
        let transaction = decoder.transaction();
        let references = decoder.references();
        let card_expiry = decoder.read(Field::Expiry, |scalar| match scalar {
            Scalar::Text(text) => text.parse().or_else(|_| ExpiryDate::parse_yymm(text)).ok(),
            Scalar::Number(raw) => ExpiryDate::parse_yymm(raw).ok(),
        });
        let Decoder { unreadable, withheld, .. } = decoder;
        Decoded { transaction, references, card_expiry, unreadable, withheld }
    }
}

/// A value that stands at a mapped path and is neither null nor an empty text.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// The text of a JSON number.
    Number(&'a str),
}

impl Scalar<'_> {
    fn as_str(&self) -> &str {
        match self {
            Scalar::Text(text) => text,
            Scalar::Number(raw) => raw,
        }
    }
}

/// What is wrong with a value that stands at a mapped path.
struct Wrong;

fn scalar(slot: Slot<'_>) -> Result<Option<Scalar<'_>>, Wrong> {
    let raw = match slot {
        Slot::Absent | Slot::Found("null" | "\"\"") => return Ok(None),
        Slot::Twice | Slot::Broken => return Err(Wrong),
        Slot::Found(raw) => raw,
    };
    match json::inside_quotes(raw) {
        Some(inside) if memchr::memchr(b'\\', inside.as_bytes()).is_none() => {
            Ok(Some(Scalar::Text(Cow::Borrowed(inside))))
        }
        Some(inside) => {
            let mut text = String::new();
            let read = json::unescape(inside, &mut text);
            read.map(|()| Some(Scalar::Text(Cow::Owned(text)))).map_err(|_| Wrong)
        }
        None if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            Ok(Some(Scalar::Number(raw)))
        }
        None => Err(Wrong),
    }
}

struct Decoder<'m, 'a> {
    mapping: &'m Mapping,
    slots: Vec<Slot<'a>>,
    card: &'m CardField<'m>,
    unreadable: Vec<String>,
    withheld: Vec<String>,
}

impl Decoder<'_, '_> {
    fn transaction(&mut self) -> Transaction {
        Transaction {
            id: self.text(Field::Id),
            at: self.at(),
            kind: self.word(Field::Kind, Kind::from_word),
            outcome: self.word(Field::Outcome, Outcome::from_word),
            response_code: self.text(Field::ResponseCode),
            amount: self.money(Field::Amount, Field::Currency),
            billing: self.money(Field::BillingAmount, Field::BillingCurrency),
            merchant: Merchant {
                id: self.text(Field::MerchantId),
                name: self.text(Field::MerchantName),
                mcc: self.read(Field::MerchantMcc, mcc_of),
                country: self.read(Field::MerchantCountry, country_of),
                place: self.text(Field::MerchantPlace),
            },
            channel: self.word(Field::Channel, Channel::from_word),
            initiation: self.word(Field::Initiation, Initiation::from_word),
            credential: self.word(Field::Credential, Credential::from_word),
            cvv: self.word(Field::Cvv, Cvv::from_word),
            avs: self.word(Field::Avs, Avs::from_word),
            three_ds: self.word(Field::ThreeDs, ThreeDs::from_word),
            expiry: Expiry::Unknown,
        }
    }

    /// Reads a field of a closed form.
    fn read<T>(&mut self, field: Field, read: impl FnOnce(&Scalar<'_>) -> Option<T>) -> Option<T> {
        let slot = self.slots[*self.mapping.fields.get(&field)?];
        // A short token may stand in an amount or a time by chance, and cannot be read back from there.
        let by_chance = matches!(self.card, CardField::Token(_)) && !is_free_text(field);
        self.read_slot(slot, field.as_str(), !by_chance, read)
    }

    fn read_slot<T>(
        &mut self,
        slot: Slot<'_>,
        name: &str,
        may_repeat_card: bool,
        read: impl FnOnce(&Scalar<'_>) -> Option<T>,
    ) -> Option<T> {
        let scalar = match scalar(slot) {
            Ok(scalar) => scalar?,
            Err(Wrong) => {
                self.unreadable.push(name.to_owned());
                return None;
            }
        };
        let repeats_card = may_repeat_card && self.card.appears_in(scalar.as_str());
        let value = if repeats_card { None } else { read(&scalar) };
        if let (true, Scalar::Text(Cow::Owned(mut text))) = (repeats_card, scalar) {
            text.zeroize();
        }
        if repeats_card {
            self.withheld.push(name.to_owned());
        } else if value.is_none() {
            self.unreadable.push(name.to_owned());
        }
        value
    }

    /// Reads free text, and numbers where ids are meant.
    fn text(&mut self, field: Field) -> Option<String> {
        let takes_numbers = matches!(field, Field::Id | Field::ResponseCode | Field::MerchantId);
        self.read(field, |scalar| match scalar {
            Scalar::Number(_) if !takes_numbers => None,
            scalar => Some(cut(scalar.as_str(), TEXT_BYTES_MAX).to_owned()),
        })
    }

    fn word<T: Default>(&mut self, field: Field, member: impl FnOnce(&str) -> Option<T>) -> T {
        let read = |scalar: &Scalar<'_>| match scalar {
            Scalar::Text(word) => member(word),
            Scalar::Number(_) => None,
        };
        self.read(field, read).unwrap_or_default()
    }

    fn at(&mut self) -> Option<Timestamp> {
        let format = self.mapping.time_format;
        let at = self.read(Field::At, |scalar| match (format, scalar) {
            (TimeFormat::Rfc3339, Scalar::Text(text)) => Timestamp::parse_rfc3339(text).ok(),
            (TimeFormat::Rfc3339, Scalar::Number(_)) => None,
            (TimeFormat::Epoch(unit), scalar) => Timestamp::parse_epoch(scalar.as_str(), unit).ok(),
        })?;
        self.keep(Field::At, at, &at)
    }

    fn money(&mut self, amount: Field, currency: Field) -> Option<Money> {
        let unit = self.mapping.amount_unit;
        let currency = self.read(currency, currency_of);
        let money = self.read(amount, |scalar| match unit {
            AmountUnit::Major => Money::parse_major(scalar.as_str(), currency?).ok(),
            AmountUnit::Minor => Money::parse_minor(scalar.as_str(), currency?).ok(),
        })?;
        self.keep(amount, money, &money.minor)
    }

    /// Withholds a value whose *written* form repeats the card though the form read did not.
    fn keep<T>(&mut self, field: Field, value: T, written: &dyn Display) -> Option<T> {
        let repeats = matches!(self.card, CardField::Number(_)) && self.card.appears_in(&written.to_string());
        if repeats {
            self.withheld.push(field.as_str().to_owned());
        }
        (!repeats).then_some(value)
    }

    fn references(&mut self) -> References {
        let mut references = References::default();
        for (name, &slot) in &self.mapping.references {
            let entry = format!("references.{name}");
            // A reference cut short would lead to somebody else, so a longer one is not read.
            self.read_slot(self.slots[slot], &entry, true, |scalar| {
                references.insert(name, scalar.as_str()).ok()
            });
        }
        references
    }
}

fn is_free_text(field: Field) -> bool {
    matches!(
        field,
        Field::Id | Field::ResponseCode | Field::MerchantId | Field::MerchantName | Field::MerchantPlace
    )
}

/// The longest beginning of `text` that is at most `bytes` long and ends at a character boundary.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn currency_of(scalar: &Scalar<'_>) -> Option<Currency> {
    let text = scalar.as_str();
    match (scalar, text.len()) {
        (Scalar::Text(_), 3) if text.bytes().all(|b| b.is_ascii_alphabetic()) => {
            text.to_ascii_uppercase().parse().ok()
        }
        (Scalar::Number(_), 1..=3) | (Scalar::Text(_), 3) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Currency::from_number(text.parse().ok()?)
        }
        _ => None,
    }
}

fn mcc_of(scalar: &Scalar<'_>) -> Option<String> {
    let text = scalar.as_str();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match (scalar, text.len()) {
        (Scalar::Text(_), 4) | (Scalar::Number(_), 1..=4) if digits => Some(format!("{text:0>4}")),
        _ => None,
    }
}

fn country_of(scalar: &Scalar<'_>) -> Option<String> {
    let text = scalar.as_str();
    let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    letters.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests;
