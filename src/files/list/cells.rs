//! The wanted cells of one record, whatever the list's format.

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::files::list::{ListError, RECORD_BYTES_MAX, RejectReason};

/// The slot of the card.
pub(super) const CARD: usize = 0;
/// The slot of a fingerprint's key id.
pub(super) const KEY: usize = 1;
/// The slot of that key's check value.
pub(super) const CHECK: usize = 2;
/// The slot of the expiry date.
pub(super) const EXPIRY: usize = 3;
/// The slot of the tier.
pub(super) const TIER: usize = 4;
/// The first slot of the references, in the order of [`crate::files::list::ListColumns`].
pub(super) const REFERENCES: usize = 5;

/// The bytes of the wanted cells of one record.
pub(super) struct Cells {
    /// Never grown beyond what it was made with: growing would leave a copy that nobody wipes.
    text: Zeroizing<Vec<u8>>,
    places: Vec<Option<Range<usize>>>,
}

impl Cells {
    pub(super) fn new(slots: usize) -> Cells {
        Cells { text: Zeroizing::new(Vec::with_capacity(RECORD_BYTES_MAX)), places: vec![None; slots] }
    }

    /// Forgets the record.
    pub(super) fn wipe(&mut self) {
        // Of the slice, not of the vector: that would wipe its whole capacity for every line of the list.
        self.text.as_mut_slice().zeroize();
        self.text.clear();
        self.places.fill(None);
    }

    /// Keeps a cell, without the spaces around it. An empty one is none.
    pub(super) fn put(&mut self, slot: usize, cell: &[u8]) -> Result<(), RejectReason> {
        let cell = cell.trim_ascii();
        if self.text.len() + cell.len() > RECORD_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        if !cell.is_empty() {
            let start = self.text.len();
            self.text.extend_from_slice(cell);
            self.places[slot] = Some(start..self.text.len());
        }
        Ok(())
    }

    pub(super) fn get(&self, slot: usize) -> Option<&[u8]> {
        self.places.get(slot)?.clone().map(|place| &self.text[place])
    }

    pub(super) fn text(&self, slot: usize) -> Option<&str> {
        std::str::from_utf8(self.get(slot)?).ok()
    }
}

/// Where a record was, and why its cells are not there, if they are not.
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) refused: Option<RejectReason>,
}

/// A list cut into records.
pub(super) trait Records {
    /// Puts the wanted cells of the next record into `cells`, which are empty.
    fn next(&mut self, cells: &mut Cells) -> Result<Option<Record>, ListError>;
}
