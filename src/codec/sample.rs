//! How a user's own records read under a mapping: counted, never shown.
//!
//! Nothing of a value is kept but its *shape*: every digit a 9, every letter an A. Shapes are what tell a wrong
//! pointer from a wrong format, and nobody reads a card number or a name back from one.

use std::collections::BTreeMap;

use super::card::CardField;
use super::dead::Unreadable;
use super::json::{self, Slot};
use super::mapping::{CARD_SLOTS_MAX, Field, Mapping};
use super::transaction::{Decoded, first_there};
use crate::domain::card::CardKind;
use crate::domain::money::Money;
use crate::domain::vocabulary::Credential;

mod shape;
mod warnings;

/// The most shapes of one field that are told apart.
const SHAPES_MAX: usize = 200;
/// The shape of values beyond that.
const OTHER_SHAPES: &str = "(others)";

/// What became of one mapped field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSample {
    /// Records with something at one of its places.
    pub found: u64,
    /// Records in which it became something known.
    pub parsed: u64,
    /// The shapes of what was found.
    pub shapes: BTreeMap<String, u64>,
    /// Why what was found did not read.
    pub failures: BTreeMap<&'static str, u64>,
}

/// What amounts look like, to tell a unit that is wrong by a factor of 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    /// In currencies with decimal places.
    with_places: u64,
    /// Of those: without anything behind the point.
    whole: u64,
    /// Of those: below one unit of the currency.
    below_one: u64,
    /// In currencies without decimal places.
    without_places: u64,
    /// Of those: whole hundreds.
    hundreds: u64,
}

/// A sample of records, as a mapping reads them.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Records with a value.
    pub records: u64,
    /// Records without.
    pub tombstones: u64,
    /// Records that would be dead letters, by field and reason.
    pub dead: BTreeMap<(&'static str, &'static str), u64>,
    /// Every card field, then every mapped field, then every reference, each with its name.
    pub fields: Vec<(String, FieldSample)>,
    wallet: u64,
    amounts: BTreeMap<Field, Amounts>,
}

impl Sample {
    /// An empty sample, with a row for everything that is mapped.
    pub fn new(mapping: &Mapping) -> Sample {
        let cards = mapping.card_kinds().enumerate().map(|(place, kind)| card_name(place, kind).to_owned());
        let fields = mapping.mapped_fields().map(|field| field.as_str().to_owned());
        let references = mapping.references.keys().map(|name| format!("references.{name}"));
        let names = cards.chain(fields).chain(references);
        Sample { fields: names.map(|name| (name, FieldSample::default())).collect(), ..Sample::default() }
    }

    /// Takes one record; `None` is a tombstone.
    pub fn take(&mut self, mapping: &Mapping, value: Option<&[u8]>) {
        let Some(value) = value else {
            self.tombstones += 1;
            return;
        };
        self.records += 1;
        self.take_card_shapes(mapping, value);
        let cards = match mapping.scan_all(value) {
            Ok(cards) => cards,
            Err(unreadable) => {
                self.note_dead(unreadable);
                return;
            }
        };
        for (place, kind) in mapping.card_kinds().enumerate() {
            if cards.iter().any(|card| card.kind() == kind) {
                self.fields[place].1.parsed += 1;
            }
        }
        if cards.iter().next().is_none() {
            cards.unreadable().take(1).for_each(|unreadable| self.note_dead(unreadable));
        }
        for unreadable in cards.unreadable() {
            self.note_failure(unreadable.field, unreadable.reason.sentence());
        }
        let cards: Vec<&CardField<'_>> = cards.iter().collect();
        let decoded = mapping.decode_beside(value, &cards);
        self.take_fields(mapping, value, &decoded);
    }

    fn take_card_shapes(&mut self, mapping: &Mapping, value: &[u8]) {
        let mut slots = [Slot::Absent; CARD_SLOTS_MAX];
        if json::read(value, &mapping.card_tree, &mut slots).is_err() {
            return;
        }
        for (place, (_, places)) in mapping.card_fields.iter().enumerate() {
            note_shape(&mut self.fields[place].1, first_there(&slots, places));
        }
    }

    fn take_fields(&mut self, mapping: &Mapping, value: &[u8], decoded: &Decoded) {
        let slots = mapping.field_slots(value);
        let mut rows = self.fields.iter_mut().skip(mapping.card_fields.len());
        for field in mapping.mapped_fields() {
            let (Some((_, row)), Some(reader)) = (rows.next(), mapping.fields.get(&field)) else { break };
            note_shape(row, first_there(&slots, &reader.slots));
            row.parsed += u64::from(is_known(decoded, field));
        }
        for ((_, row), (name, places)) in rows.zip(&mapping.references) {
            note_shape(row, first_there(&slots, places));
            row.parsed += u64::from(decoded.references.iter().any(|(known, _)| known == name));
        }
        for (name, cause) in decoded.unreadable.iter().zip(&decoded.causes) {
            self.note_failure(name, cause);
        }
        for name in &decoded.withheld {
            self.note_failure(name, "repeats the card, so it is withheld");
        }
        let transaction = &decoded.transaction;
        self.wallet += u64::from(transaction.credential == Credential::WalletToken);
        for (field, money) in
            [(Field::Amount, transaction.amount), (Field::BillingAmount, transaction.billing)]
        {
            if let Some(money) = money {
                self.amounts.entry(field).or_default().note(money);
            }
        }
    }

    fn note_dead(&mut self, unreadable: Unreadable) {
        let key = (unreadable.field, unreadable.reason.sentence());
        *self.dead.entry(key).or_default() += 1;
    }

    fn note_failure(&mut self, name: &str, cause: &'static str) {
        if let Some((_, row)) = self.fields.iter_mut().find(|(known, _)| known == name) {
            *row.failures.entry(cause).or_default() += 1;
        }
    }
}

impl Amounts {
    fn note(&mut self, money: Money) {
        match u32::from(money.currency.exponent()) {
            0 => {
                self.without_places += 1;
                self.hundreds += u64::from(money.minor % 100 == 0);
            }
            places => {
                let unit = 10i64.pow(places);
                self.with_places += 1;
                self.whole += u64::from(money.minor % unit == 0);
                self.below_one += u64::from(money.minor.abs() < unit);
            }
        }
    }
}

/// The name of a card field, as `unreadable` has it.
fn card_name(place: usize, kind: CardKind) -> &'static str {
    if place == 0 { super::dead::FIELD_CARD } else { kind.as_str() }
}

fn note_shape(row: &mut FieldSample, slot: Slot<'_>) {
    let Some(shape) = shape::of(slot) else { return };
    row.found += 1;
    let is_new = !row.shapes.contains_key(&shape);
    let shape = if is_new && row.shapes.len() >= SHAPES_MAX { OTHER_SHAPES.to_owned() } else { shape };
    *row.shapes.entry(shape).or_default() += 1;
}

fn is_known(decoded: &Decoded, field: Field) -> bool {
    let it = &decoded.transaction;
    let merchant = &it.merchant;
    match field {
        Field::Id => it.id.is_some(),
        Field::At => it.at.is_some(),
        Field::Kind => !it.kind.is_unknown(),
        Field::Outcome => !it.outcome.is_unknown(),
        Field::ResponseCode => it.response_code.is_some(),
        Field::Amount => it.amount.is_some(),
        // A currency means something beside its amount only.
        Field::Currency => it.amount.is_some(),
        Field::BillingAmount | Field::BillingCurrency => it.billing.is_some(),
        Field::MerchantId => merchant.id.is_some(),
        Field::MerchantName => merchant.name.is_some(),
        Field::MerchantMcc => merchant.mcc.is_some(),
        Field::MerchantCountry => merchant.country.is_some(),
        Field::MerchantPlace => merchant.place.is_some(),
        Field::Channel => !it.channel.is_unknown(),
        Field::Initiation => !it.initiation.is_unknown(),
        Field::Credential => !it.credential.is_unknown(),
        Field::Cvv => !it.cvv.is_unknown(),
        Field::Avs => !it.avs.is_unknown(),
        Field::ThreeDs => !it.three_ds.is_unknown(),
        Field::Expiry => decoded.card_expiry.is_some(),
    }
}

#[cfg(test)]
mod tests;
