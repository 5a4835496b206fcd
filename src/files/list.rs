//! Lists of exposed cards: CSV, plain lines or JSON lines, of card numbers, tokens or fingerprints.
//!
//! What cannot be read as a card is rejected with its line and a reason, never with its text. What *describes* a
//! card and cannot be read (expiry date, tier, reference) is left out with a warning: the card was exposed all the
//! same, and not watching it for a misspelt date would be the worse mistake.
//!
//! A card number whose check digit is wrong is accepted with a warning. If it is a misprint it matches no
//! transaction and costs nothing; if the scheme knows no check digit, as some private-label and older cards,
//! rejecting it would take a card that was exposed off the watch without anyone noticing. Many such warnings mean
//! that the column is not the card number, which the totals show.

mod cells;
mod csv;
mod entry;
mod jsonl;
mod lines;
mod sniff;
mod spec;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::card::{CardKind, CardNumber, CardNumberError, KeyId};
use crate::domain::incident::References;
use crate::exposure::fingerprint::{CheckValue, TokenError, check_token};
use crate::files::input::{FileError, Input, Progress};
use crate::files::list::cells::{CARD, CHECK, Cells, EXPIRY, KEY, REFERENCES, Records, TIER};
use crate::secret::Secret;

pub use crate::files::list::entry::{
    ListCard, ListCounts, ListEntry, ListItem, RejectReason, Rejection, Warnings,
};
pub use crate::files::list::spec::{Column, ListColumns, ListFormat, ListSpec};
pub use crate::files::list::writer::FingerprintWriter;

/// The longest line or CSV record that is read, in bytes.
pub const RECORD_BYTES_MAX: usize = 65_536;
/// The longest tier, in bytes.
pub const TIER_BYTES_MAX: usize = 64;

/// Why a list cannot be read at all, or not on.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not UTF-8 but UTF-16.
    #[error("{name} is UTF-16 text: save it as UTF-8, in Excel as \"CSV UTF-8\"")]
    Utf16 {
        /// The list.
        name: String,
    },
    /// Nothing in it.
    #[error("{name} is empty: not even a header is in it")]
    Empty {
        /// The list.
        name: String,
    },
    /// A column that is not there.
    #[error("{name} has no column {column}; its columns are: {there}")]
    NoColumn {
        /// The list.
        name: String,
        /// The column.
        column: String,
        /// Those there are.
        there: String,
    },
    /// A first line of cards where names were expected.
    #[error("{name} begins with a card and not with a header: give the column's number instead of its name")]
    NoHeader {
        /// The list.
        name: String,
    },
    /// Several columns, and no telling which.
    #[error("it is not clear which column of {name} holds the card: name one of: {there}")]
    WhichColumn {
        /// The list.
        name: String,
        /// Those there are.
        there: String,
    },
    /// A CSV record without an end in sight.
    #[error(
        "the record of {name} that begins in line {line} is longer than {RECORD_BYTES_MAX} bytes or 1,024 \
         columns: a quote may be missing there"
    )]
    Endless {
        /// The list.
        name: String,
        /// Where.
        line: u64,
    },
    /// Two keys of one name.
    #[error("{name}, line {line}: key {key} has another check value than before: two keys share that name")]
    TwoKeys {
        /// The list.
        name: String,
        /// Where.
        line: u64,
        /// The key.
        key: KeyId,
    },
}

/// Reads a list entry by entry.
pub struct ListReader {
    name: String,
    kind: CardKind,
    format: ListFormat,
    key: Option<KeyId>,
    columns: ListColumns,
    records: Box<dyn Records + Send>,
    cells: Cells,
    progress: Arc<Progress>,
    counts: ListCounts,
    checks: BTreeMap<KeyId, CheckValue>,
    is_over: bool,
}

impl std::fmt::Debug for ListReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListReader").field("name", &self.name).field("counts", &self.counts).finish()
    }
}

impl ListReader {
    /// Recognises the format and finds the columns.
    ///
    /// # Errors
    /// [`ListError`] when a column is missing or the list cannot be read.
    pub fn new(input: Input, spec: &ListSpec) -> Result<ListReader, ListError> {
        let name = input.name().to_owned();
        let progress = input.progress();
        if matches!(input.head(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Err(ListError::Utf16 { name });
        }
        let format = spec.format.unwrap_or_else(|| sniff::format(&name, input.head(), spec.kind));
        let (records, columns): (Box<dyn Records + Send>, ListColumns) = match format {
            ListFormat::Csv => {
                let (records, columns) = csv::CsvRecords::new(input, spec)?;
                (Box::new(records), columns)
            }
            ListFormat::Lines => (Box::new(lines::LineRecords::new(input)), ListColumns::default()),
            ListFormat::Jsonl => (Box::new(jsonl::JsonRecords::new(input, spec)), spec.columns()),
        };
        let cells = Cells::new(REFERENCES + columns.references.len());
        Ok(ListReader {
            name,
            kind: spec.kind,
            format,
            key: spec.key.clone(),
            columns,
            records,
            cells,
            progress,
            counts: ListCounts::default(),
            checks: BTreeMap::new(),
            is_over: false,
        })
    }

    /// What to call the list in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is written.
    pub fn format(&self) -> ListFormat {
        self.format
    }

    /// Which descriptions it brings.
    pub fn columns(&self) -> &ListColumns {
        &self.columns
    }

    /// How far reading has come.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// How much was odd so far.
    pub fn counts(&self) -> ListCounts {
        self.counts
    }

    /// The check values that a list of fingerprints has told so far.
    pub fn checks(&self) -> &BTreeMap<KeyId, CheckValue> {
        &self.checks
    }

    fn step(&mut self) -> Result<Option<ListItem>, ListError> {
        self.cells.wipe();
        let Some(record) = self.records.next(&mut self.cells)? else { return Ok(None) };
        let line = record.line;
        let entry = match record.refused {
            Some(reason) => Err(reason),
            None => self.entry(line),
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(reason) => {
                self.counts.rejected += 1;
                return Ok(Some(ListItem::Rejected(Rejection { line, reason })));
            }
        };
        if let Err(reason) = self.note_check(line, &entry)? {
            self.counts.rejected += 1;
            return Ok(Some(ListItem::Rejected(Rejection { line, reason })));
        }
        self.counts.accepted += 1;
        self.counts.luhn += u64::from(entry.warnings.luhn);
        self.counts.expiry += u64::from(entry.warnings.expiry);
        self.counts.description += u64::from(entry.warnings.description);
        self.counts.withheld += u64::from(entry.warnings.withheld);
        Ok(Some(ListItem::Entry(Box::new(entry))))
    }

    fn entry(&self, line: u64) -> Result<ListEntry, RejectReason> {
        let text = self.cells.get(CARD).ok_or(RejectReason::Empty)?;
        let mut warnings = Warnings::default();
        let card = match self.kind {
            CardKind::Number | CardKind::FundingNumber => {
                let number = CardNumber::parse(text).map_err(|error| match error {
                    CardNumberError::Empty => RejectReason::Empty,
                    CardNumberError::NotDigits if sniff::is_rounded(text) => RejectReason::Rounded,
                    CardNumberError::NotDigits => RejectReason::NotDigits,
                    CardNumberError::Length => RejectReason::Length,
                })?;
                warnings.luhn = !number.passes_luhn();
                ListCard::Number(number)
            }
            CardKind::Token | CardKind::AccountReference => {
                check_token(text).map_err(|error| match error {
                    TokenError::Empty => RejectReason::Empty,
                    TokenError::Length => RejectReason::TokenLength,
                })?;
                ListCard::Token(Secret::new(text.to_vec()))
            }
            CardKind::Fingerprint => {
                let fingerprint = self.cells.text(CARD).and_then(|text| text.parse().ok());
                let key = match self.cells.get(KEY) {
                    Some(_) => self.cells.text(KEY).and_then(|text| text.parse().ok()),
                    None => self.key.clone(),
                };
                let fingerprint = fingerprint.ok_or(RejectReason::Fingerprint)?;
                ListCard::Fingerprint(fingerprint, key.ok_or(RejectReason::KeyId)?)
            }
        };
        let mut entry =
            ListEntry { line, card, expiry: None, tier: None, references: References::default(), warnings };
        self.describe(&mut entry);
        Ok(entry)
    }

    fn describe(&self, entry: &mut ListEntry) {
        entry.expiry = self.cells.text(EXPIRY).and_then(|text| text.parse().ok());
        entry.warnings.expiry = entry.expiry.is_none() && self.cells.get(EXPIRY).is_some();
        if let Some(tier) = self.description(TIER, entry) {
            if tier.len() <= TIER_BYTES_MAX {
                entry.tier = Some(tier);
            } else {
                entry.warnings.description = true;
            }
        }
        for (place, name) in self.columns.references.iter().enumerate() {
            if let Some(value) = self.description(REFERENCES + place, entry) {
                entry.warnings.description |= entry.references.insert(name, &value).is_err();
            }
        }
    }

    /// A text that will stand beside the fingerprint, unless it gives the card number away.
    fn description(&self, slot: usize, entry: &mut ListEntry) -> Option<String> {
        let bytes = self.cells.get(slot)?;
        if let ListCard::Number(number) = &entry.card
            && sniff::contains_number(bytes, number)
        {
            entry.warnings.withheld = true;
            return None;
        }
        let text = std::str::from_utf8(bytes).ok();
        entry.warnings.description |= text.is_none();
        text.map(str::to_owned)
    }

    fn note_check(&mut self, line: u64, entry: &ListEntry) -> Result<Result<(), RejectReason>, ListError> {
        let ListCard::Fingerprint(_, key) = &entry.card else { return Ok(Ok(())) };
        if self.cells.get(CHECK).is_none() {
            return Ok(Ok(()));
        }
        let check = self.cells.text(CHECK).and_then(|text| text.parse::<CheckValue>().ok());
        let Some(check) = check else { return Ok(Err(RejectReason::Check)) };
        match self.checks.get(key) {
            Some(known) if *known != check => {
                Err(ListError::TwoKeys { name: self.name.clone(), line, key: key.clone() })
            }
            Some(_) => Ok(Ok(())),
            None => {
                self.checks.insert(key.clone(), check);
                Ok(Ok(()))
            }
        }
    }
}

impl Iterator for ListReader {
    type Item = Result<ListItem, ListError>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

#[cfg(test)]
mod tests;
