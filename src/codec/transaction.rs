//! Decoding, on a hit only: every mapped value but the card.
//!
//! Nothing here fails. A value that is absent, null or an empty text leaves its field unknown; one that is there
//! and does not read leaves it unknown and is named in `unreadable`; one that repeats the card is named
//! in `withheld`.

use std::borrow::Cow;
use std::fmt::Display;

use zeroize::Zeroize;

use crate::domain::country;
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::References;
use crate::domain::money::{AmountError, Currency, Money};
use crate::domain::time::{TimeError, Timestamp};
use crate::domain::transaction::{Merchant, TEXT_BYTES_MAX, Transaction};
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Expiry, Initiation, Kind, Outcome, ThreeDs};

use super::card::CardField;
use super::codes;
use super::json::{self, Slot};
use super::mapping::{AmountUnit, Field, FieldReader, Mapping};

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
    /// Why each of [`Decoded::unreadable`] did not, in the same order.
    pub causes: Vec<&'static str>,
    /// Fields left out because they repeated the card; the same names.
    pub withheld: Vec<String>,
}

impl Mapping {
    /// Decodes a record that [`Mapping::scan`] has accepted. `card` is what that gave.
    pub fn decode(&self, value: &[u8], card: &CardField<'_>) -> Decoded {
        self.decode_beside(value, &[card])
    }

    /// Decodes a record with several card fields, none of which may come out again.
    pub fn decode_beside(&self, value: &[u8], cards: &[&CardField<'_>]) -> Decoded {
        let slots = self.field_slots(value);
        let mut decoder = Decoder {
            mapping: self,
            slots,
            cards,
            unreadable: Vec::new(),
            causes: Vec::new(),
            withheld: Vec::new(),
        };
        let transaction = decoder.transaction();
        let references = decoder.references();
        let card_expiry = decoder.read(Field::Expiry, |scalar| {
            let date = match scalar {
                Scalar::Text(text) => text.parse().or_else(|_| ExpiryDate::parse_yymm(text)).ok(),
                Scalar::Number(raw) => ExpiryDate::parse_yymm(raw).ok(),
                Scalar::Truth(_) => None,
            };
            date.ok_or("not a date of expiry")
        });
        let Decoder { unreadable, causes, withheld, .. } = decoder;
        Decoded { transaction, references, card_expiry, unreadable, causes, withheld }
    }

    /// What stands at each mapped place of a record.
    pub(super) fn field_slots<'a>(&self, value: &'a [u8]) -> Vec<Slot<'a>> {
        let mut slots = vec![Slot::Absent; self.field_tree.slots()];
        if json::read(value, &self.field_tree, &mut slots).is_err() {
            slots.fill(Slot::Broken);
        }
        slots
    }
}

/// A value that stands at a mapped path and is neither null nor an empty text.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// The text of a JSON number.
    Number(&'a str),
    /// `true` or `false`: only a table of codes reads it.
    Truth(&'a str),
}

impl Scalar<'_> {
    fn as_str(&self) -> &str {
        match self {
            Scalar::Text(text) => text,
            Scalar::Number(raw) | Scalar::Truth(raw) => raw,
        }
    }
}

/// Why a value that stands at a mapped path does not read. Carries nothing of it.
type Cause = &'static str;

/// Of several places the first that holds something; faults count as something.
pub(super) fn first_there<'a>(slots: &[Slot<'a>], places: &[usize]) -> Slot<'a> {
    let is_there = |slot: &Slot<'a>| !matches!(slot, Slot::Absent | Slot::Found("null" | "\"\""));
    places.iter().map(|place| slots[*place]).find(is_there).unwrap_or(Slot::Absent)
}

fn scalar(slot: Slot<'_>) -> Result<Option<Scalar<'_>>, Cause> {
    let raw = match slot {
        Slot::Absent | Slot::Found("null" | "\"\"") => return Ok(None),
        Slot::Twice => return Err("there twice"),
        Slot::Broken => return Err("behind a name that cannot be read"),
        Slot::Found(raw) => raw,
    };
    match json::inside_quotes(raw) {
        Some(inside) if memchr::memchr(b'\\', inside.as_bytes()).is_none() => {
            Ok(Some(Scalar::Text(Cow::Borrowed(inside))))
        }
        Some(inside) => {
            let mut text = String::new();
            let read = json::unescape(inside, &mut text);
            read.map(|()| Some(Scalar::Text(Cow::Owned(text)))).map_err(|_| "a broken escape")
        }
        None if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            Ok(Some(Scalar::Number(raw)))
        }
        None if matches!(raw, "true" | "false") => Ok(Some(Scalar::Truth(raw))),
        None => Err("an object or an array"),
    }
}

struct Decoder<'m, 'a> {
    mapping: &'m Mapping,
    slots: Vec<Slot<'a>>,
    cards: &'m [&'m CardField<'m>],
    unreadable: Vec<String>,
    causes: Vec<Cause>,
    withheld: Vec<String>,
}

impl<'m> Decoder<'m, '_> {
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
                country: self.coded(Field::MerchantCountry, country_of),
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

    /// Reads a field from the first of its places that holds something, or its constant.
    fn read<T>(&mut self, field: Field, read: impl FnOnce(&Scalar<'_>) -> Result<T, Cause>) -> Option<T> {
        let reader = self.mapping.fields.get(&field)?;
        let slot = first_there(&self.slots, &reader.slots);
        if let (Slot::Absent, Some(value)) = (slot, &reader.value) {
            return read(&Scalar::Text(Cow::Borrowed(value))).ok();
        }
        self.read_slot(slot, field.as_str(), is_free_text(field), read)
    }

    /// `may_hold_token` is false for closed forms: a short token may stand in an amount or a time by chance, and
    /// cannot be read back from there.
    fn read_slot<T>(
        &mut self,
        slot: Slot<'_>,
        name: &str,
        may_hold_token: bool,
        read: impl FnOnce(&Scalar<'_>) -> Result<T, Cause>,
    ) -> Option<T> {
        let scalar = match scalar(slot) {
            Ok(scalar) => scalar?,
            Err(cause) => {
                self.fails(name, cause);
                return None;
            }
        };
        let repeats_card = self.repeats_card(scalar.as_str(), may_hold_token);
        let value = if repeats_card { Err("") } else { read(&scalar) };
        if let (true, Scalar::Text(Cow::Owned(mut text))) = (repeats_card, scalar) {
            text.zeroize();
        }
        match value {
            Ok(value) => return Some(value),
            Err(_) if repeats_card => self.withheld.push(name.to_owned()),
            Err(cause) => self.fails(name, cause),
        }
        None
    }

    fn repeats_card(&self, text: &str, may_hold_token: bool) -> bool {
        let is_token = |card: &CardField<'_>| matches!(card, CardField::Token(_));
        self.cards.iter().any(|card| (may_hold_token || !is_token(card)) && card.appears_in(text))
    }

    fn fails(&mut self, name: &str, cause: Cause) {
        self.unreadable.push(name.to_owned());
        self.causes.push(cause);
    }

    /// Reads free text, and numbers where ids are meant.
    fn text(&mut self, field: Field) -> Option<String> {
        let takes_numbers = matches!(field, Field::Id | Field::ResponseCode | Field::MerchantId);
        self.read(field, |scalar| match scalar {
            Scalar::Number(_) if !takes_numbers => Err("a number, where text is meant"),
            Scalar::Truth(_) => Err("true or false, where text is meant"),
            scalar => Ok(cut(scalar.as_str(), TEXT_BYTES_MAX).to_owned()),
        })
    }

    /// Reads a code: by the tables, then as it is, then by the default.
    fn coded<T>(&mut self, field: Field, read: impl Fn(&Scalar<'_>) -> Result<T, Cause>) -> Option<T> {
        let codes = &self.mapping.fields.get(&field)?.codes;
        self.read(field, |scalar| {
            let is_number = matches!(scalar, Scalar::Number(_));
            let word = |word: &'m str| read(&Scalar::Text(Cow::Borrowed(word)));
            match codes.word(scalar.as_str(), is_number) {
                Some(code) => word(code),
                None => read(scalar).or_else(|cause| codes.default().map_or(Err(cause), word)),
            }
        })
    }

    fn word<T: Default>(&mut self, field: Field, member: impl Fn(&str) -> Option<T>) -> T {
        let read = |scalar: &Scalar<'_>| match scalar {
            Scalar::Text(word) => member(word).ok_or("not one of the words, and in no table"),
            Scalar::Number(_) | Scalar::Truth(_) => Err("not text, and in no table"),
        };
        match self.mapping.fields.get(&field) {
            Some(reader) if reader.reads_all => self.weightiest(field, reader, read),
            _ => self.coded(field, read),
        }
        .unwrap_or_default()
    }

    /// Reads every place, and takes what says most. A place that does not read is named only if none does.
    fn weightiest<T>(
        &mut self,
        field: Field,
        reader: &'m FieldReader,
        read: impl Fn(&Scalar<'_>) -> Result<T, Cause>,
    ) -> Option<T> {
        let word_at = |place: &usize| {
            let scalar = scalar(self.slots[*place]).ok()??;
            let word = reader.codes.word(scalar.as_str(), matches!(scalar, Scalar::Number(_)))?;
            Some((codes::weight_of_kind(word), *place))
        };
        let best = reader.slots.iter().filter_map(word_at).max_by_key(|(weight, _)| *weight);
        let Some((_, place)) = best else { return self.coded(field, read) };
        let word = |scalar: &Scalar<'_>| {
            let is_number = matches!(scalar, Scalar::Number(_));
            let word = reader.codes.word(scalar.as_str(), is_number).ok_or("in no table")?;
            read(&Scalar::Text(Cow::Borrowed(word)))
        };
        self.read_slot(self.slots[place], field.as_str(), false, word)
    }

    fn at(&mut self) -> Option<Timestamp> {
        let form = &self.mapping.fields.get(&Field::At)?.time;
        let at = self.read(Field::At, |scalar| match scalar {
            Scalar::Number(_) if !form.takes_numbers() => Err("a number, where RFC 3339 text is meant"),
            Scalar::Truth(_) => Err("true or false, where a time is meant"),
            scalar => form.parse(scalar.as_str()).map_err(cause_of_time),
        })?;
        self.keep(Field::At, at, &at)
    }

    fn money(&mut self, amount: Field, currency: Field) -> Option<Money> {
        let unit = self.mapping.unit_of(amount);
        let currency = self.coded(currency, currency_of);
        let money = self.read(amount, |scalar| {
            let currency = currency.ok_or("without a currency that reads")?;
            let money = match unit {
                AmountUnit::Major => Money::parse_major(scalar.as_str(), currency),
                AmountUnit::Minor => Money::parse_minor(scalar.as_str(), currency),
            };
            money.map_err(cause_of_amount)
        })?;
        self.keep(amount, money, &money.minor)
    }

    /// Withholds a value whose *written* form repeats the card though the form read did not.
    fn keep<T>(&mut self, field: Field, value: T, written: &dyn Display) -> Option<T> {
        let repeats = self.repeats_card(&written.to_string(), false);
        if repeats {
            self.withheld.push(field.as_str().to_owned());
        }
        (!repeats).then_some(value)
    }

    fn references(&mut self) -> References {
        let mut references = References::default();
        for (name, places) in &self.mapping.references {
            let entry = format!("references.{name}");
            // A reference cut short would lead to somebody else, so a longer one is not read.
            self.read_slot(first_there(&self.slots, places), &entry, true, |scalar| match scalar {
                Scalar::Truth(_) => Err("true or false, where text is meant"),
                scalar => references.insert(name, scalar.as_str()).map_err(|_| "longer than 128 bytes"),
            });
        }
        references
    }
}

fn cause_of_time(error: TimeError) -> Cause {
    match error {
        TimeError::NotRfc3339 => "not an RFC 3339 time with an offset",
        TimeError::NotCivil => "not an RFC 3339 time",
        TimeError::OtherPattern => "not a time of the pattern",
        TimeError::NotWhole => "not a whole number of time units",
        TimeError::OutOfRange => "outside the years 1970 to 9999",
    }
}

fn cause_of_amount(error: AmountError) -> Cause {
    match error {
        AmountError::NotDecimal => "not a decimal number",
        AmountError::TooFine => "finer than the unit",
        AmountError::OutOfRange => "too large",
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

fn currency_of(scalar: &Scalar<'_>) -> Result<Currency, Cause> {
    let text = scalar.as_str();
    let currency = match (scalar, text.len()) {
        (Scalar::Text(_), 3) if text.bytes().all(|b| b.is_ascii_alphabetic()) => {
            text.to_ascii_uppercase().parse().ok()
        }
        (Scalar::Number(_), 1..=3) | (Scalar::Text(_), 3) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().ok().and_then(Currency::from_number)
        }
        _ => None,
    };
    currency.ok_or("not a code of ISO 4217")
}

fn mcc_of(scalar: &Scalar<'_>) -> Result<String, Cause> {
    let text = scalar.as_str();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match (scalar, text.len()) {
        (Scalar::Text(_), 4) | (Scalar::Number(_), 1..=4) if digits => Ok(format!("{text:0>4}")),
        _ => Err("not four digits"),
    }
}

/// A number given as text has three digits; one given as a JSON number has lost its zeros.
fn country_of(scalar: &Scalar<'_>) -> Result<String, Cause> {
    let text = scalar.as_str();
    let is_short = text.len() < 3 && text.bytes().any(|b| b.is_ascii_digit());
    let code = match scalar {
        Scalar::Text(_) if is_short => None,
        Scalar::Truth(_) => None,
        _ => country::alpha2(text),
    };
    code.map(str::to_owned).ok_or("not a code of ISO 3166-1")
}

#[cfg(test)]
mod tests;
