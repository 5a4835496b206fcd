//! Several card fields in one record: number, funding number, token, account reference.

use super::{CardField, card};
use crate::codec::dead::{DeadReason, Unreadable};
use crate::codec::json::{self, Slot};
use crate::codec::mapping::{CARD_FIELDS_MAX, CARD_KEY_SLOT, CARD_SLOTS_MAX, Mapping};
use crate::domain::card::CardKind;

/// The card fields of one record. Lives for one event; shows nothing when debugged.
#[derive(Debug, Default)]
pub struct Cards<'a> {
    /// In the order of the mapping's card fields.
    found: [Option<CardField<'a>>; CARD_FIELDS_MAX],
    unreadable: [Option<Unreadable>; CARD_FIELDS_MAX],
}

impl<'a> Cards<'a> {
    /// Those that read, in the order of the mapping.
    pub fn iter(&self) -> impl Iterator<Item = &CardField<'a>> {
        self.found.iter().flatten()
    }

    /// Why those do not read that are there and do not.
    pub fn unreadable(&self) -> impl Iterator<Item = Unreadable> {
        self.unreadable.iter().flatten().copied()
    }
}

impl Mapping {
    /// Reads a record to its end and gives every card field in it. A field that is absent, null or empty is not
    /// there; of its places the first that holds something counts.
    ///
    /// # Errors
    /// Why the record is none, or holds no card at all.
    pub fn scan_all<'a>(&self, value: &'a [u8]) -> Result<Cards<'a>, Unreadable> {
        let mut slots = [Slot::Absent; CARD_SLOTS_MAX];
        json::read(value, &self.card_tree, &mut slots).map_err(DeadReason::of_value)?;
        let mut cards = Cards::default();
        let mut first_missing = None;
        for (place, (kind, field_slots)) in self.card_fields.iter().enumerate().take(CARD_FIELDS_MAX) {
            let mut candidates = field_slots.iter().map(|slot| slots[*slot]).filter(is_there);
            let Some(slot) = candidates.next() else {
                first_missing.get_or_insert(missing(field_slots.iter().map(|slot| slots[*slot])));
                continue;
            };
            let key = (place == 0 && self.has_card_key).then_some(slots[CARD_KEY_SLOT]);
            match card(*kind, slot, key) {
                Ok(card) => cards.found[place] = Some(card),
                Err(unreadable) => cards.unreadable[place] = Some(named(unreadable, *kind, place)),
            }
        }
        if cards.iter().next().is_none() && cards.unreadable().next().is_none() {
            return Err(first_missing.unwrap_or(DeadReason::CardMissing).of_card());
        }
        Ok(cards)
    }

    /// The first card field that reads.
    #[cold]
    pub(super) fn scan_first<'a>(&self, value: &'a [u8]) -> Result<CardField<'a>, Unreadable> {
        let cards = self.scan_all(value)?;
        let why = cards.unreadable().next().unwrap_or(DeadReason::CardMissing.of_card());
        cards.found.into_iter().flatten().next().ok_or(why)
    }
}

fn is_there(slot: &Slot<'_>) -> bool {
    !matches!(slot, Slot::Absent | Slot::Found("null" | "\"\""))
}

/// Why a field is not there: as one card field alone would say it.
fn missing<'a>(mut slots: impl Iterator<Item = Slot<'a>>) -> DeadReason {
    match slots.find(|slot| *slot != Slot::Absent) {
        None => DeadReason::CardMissing,
        Some(Slot::Found("null")) => DeadReason::CardNull,
        Some(_) => DeadReason::CardEmpty,
    }
}

/// A field beside the card field is named by what it holds.
fn named(unreadable: Unreadable, kind: CardKind, place: usize) -> Unreadable {
    if place == 0 { unreadable } else { Unreadable { field: kind.as_str(), ..unreadable } }
}
