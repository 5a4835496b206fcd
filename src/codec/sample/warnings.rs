//! What a sample gives reason to look at. Names fields and counts, never a value.

use super::{Amounts, Field, Sample};
use crate::codec::field::AmountUnit;
use crate::codec::mapping::Mapping;
use crate::domain::card::CardKind;

/// Amounts that are needed before anything is said about them.
const AMOUNTS_MIN: u64 = 20;

impl Sample {
    /// What gives reason to look at the mapping again.
    pub fn warnings(&self, mapping: &Mapping) -> Vec<String> {
        let mut warnings = Vec::new();
        let dead: u64 = self.dead.values().sum();
        if dead > 0 {
            warnings.push(format!(
                "{dead} of {} records have no card field that reads, and would be dead letters",
                self.records
            ));
        }
        if self.wallet > 0 && !mapping.card_kinds().any(|kind| kind == CardKind::FundingNumber) {
            warnings.push(format!(
                "{} records use a wallet's credential and no funding number is mapped: the number of a wallet is \
                 not that of the card behind it, which is the one on a list; map input.card.funding_number",
                self.wallet
            ));
        }
        if self.records > 0 {
            self.unknown(&mut warnings);
        }
        for (field, amounts) in &self.amounts {
            let is_written = self.is_written_with_places(*field);
            warnings.extend(amounts.doubt(*field, mapping.unit_of(*field), is_written));
        }
        warnings
    }

    /// Whether every amount was written with two or more digits behind a point: then 1.00 says itself what it is
    /// of, however many of them are round.
    fn is_written_with_places(&self, field: Field) -> bool {
        let places = |shape: &str| {
            let fraction = shape.trim_matches('"').rsplit_once('.').map_or("", |(_, fraction)| fraction);
            fraction.len() >= 2 && fraction.bytes().all(|digit| digit == b'9')
        };
        let row = self.fields.iter().find(|(name, _)| name == field.as_str());
        row.is_some_and(|(_, row)| row.shapes.keys().all(|shape| places(shape)))
    }

    fn unknown(&self, warnings: &mut Vec<String>) {
        let never = |found: bool| {
            let rows = self.fields.iter();
            let rows = rows.filter(move |(_, row)| row.parsed == 0 && (row.found > 0) == found);
            rows.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        for name in never(true) {
            warnings
                .push(format!("{name} is there and always unknown: its format, unit or codes are others"));
        }
        let absent = never(false);
        if !absent.is_empty() {
            warnings.push(format!(
                "always unknown, because nothing is at their places: {}; say where they are, or \"\" if the stream \
                 does not have them",
                absent.join(", ")
            ));
        }
    }
}

impl Amounts {
    /// Whether the unit looks wrong by a factor of 100; `is_written` says that decimal places are written out.
    fn doubt(&self, field: Field, unit: AmountUnit, is_written: bool) -> Option<String> {
        let name = field.as_str();
        let is_whole = self.whole == self.with_places && !is_written;
        if self.with_places >= AMOUNTS_MIN && unit == AmountUnit::Major && is_whole {
            return Some(format!(
                "{name}: none of {} amounts has anything behind the decimal point: they look 100 times too large; \
                 is unit = \"minor\" meant?",
                self.with_places
            ));
        }
        if self.with_places >= AMOUNTS_MIN && self.below_one * 2 > self.with_places {
            let advice = match unit {
                AmountUnit::Minor => "; is unit = \"major\" meant?",
                AmountUnit::Major => "",
            };
            return Some(format!(
                "{name}: {} of {} amounts are below one unit of their currency: they look 100 times too \
                 small{advice}",
                self.below_one, self.with_places
            ));
        }
        if self.without_places >= AMOUNTS_MIN && self.hundreds == self.without_places {
            return Some(format!(
                "{name}: all {} amounts in currencies without decimal places are whole hundreds: they look 100 \
                 times too large; ISO 4217 gives the yen no minor unit",
                self.without_places
            ));
        }
        None
    }
}
