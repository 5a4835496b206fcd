//! Comma-separated values under a header, with buffers of our own: the reader beneath keeps no cell.

use csv_core::{ReadRecordResult, ReaderBuilder};
use zeroize::Zeroizing;

use crate::domain::card::CardKind;
use crate::files::input::{Chunks, Input};
use crate::files::list::cells::{CARD, CHECK, Cells, EXPIRY, KEY, REFERENCES, Record, Records, TIER};
use crate::files::list::{Column, ListColumns, ListError, ListSpec, RECORD_BYTES_MAX, sniff};

/// How many columns a list may have.
const COLUMNS_MAX: usize = 1_024;
/// What introduces the columns of references in a list of fingerprints.
pub(super) const REFERENCE_PREFIX: &str = "ref.";

pub(super) struct CsvRecords {
    parser: csv_core::Reader,
    chunks: Chunks,
    record: Zeroizing<Vec<u8>>,
    ends: Vec<usize>,
    columns: usize,
    /// The line that the next byte stands in.
    line: u64,
    /// Where the record in the buffer begins.
    begins: u64,
    /// The first record was no header: it is the first entry.
    first_waits: bool,
    slots: Vec<Option<usize>>,
}

impl CsvRecords {
    pub(super) fn new(input: Input, spec: &ListSpec) -> Result<(CsvRecords, ListColumns), ListError> {
        let name = input.name().to_owned();
        let separator = sniff::separator(input.head());
        let mut records = CsvRecords {
            parser: ReaderBuilder::new().delimiter(separator).build(),
            chunks: input.into_chunks(RECORD_BYTES_MAX),
            record: Zeroizing::new(vec![0; RECORD_BYTES_MAX]),
            ends: vec![0; COLUMNS_MAX],
            columns: 0,
            line: 1,
            begins: 1,
            first_waits: false,
            slots: Vec::new(),
        };
        if !records.read()? {
            return Err(ListError::Empty { name });
        }
        let header = Header { list: &name, records: &records, kind: spec.kind };
        let (slots, columns) = header.resolve(spec)?;
        records.first_waits = slots[CARD].is_some_and(|card| header.is_card(card));
        records.slots = slots;
        Ok((records, columns))
    }

    fn cell(&self, column: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.columns].get(column)?;
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        Some(&self.record[start..end])
    }

    /// Reads a record into the buffer; false at the end.
    fn read(&mut self) -> Result<bool, ListError> {
        self.pass_empty_lines()?;
        self.begins = self.line;
        let (mut bytes, mut columns) = (0, 0);
        loop {
            // Without more input the slice is empty, which tells the parser that this is the end.
            let (result, used, written, ended) = self.parser.read_record(
                self.chunks.bytes(),
                &mut self.record[bytes..],
                &mut self.ends[columns..],
            );
            self.use_up(used);
            bytes += written;
            columns += ended;
            match result {
                ReadRecordResult::Record => {
                    self.columns = columns;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::InputEmpty => drop(self.chunks.fill()?),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    let (name, line) = (self.chunks.name.clone(), self.begins);
                    return Err(ListError::Endless { name, line });
                }
            }
        }
    }

    /// The parser would pass over them too, but then nobody knew where the record begins.
    fn pass_empty_lines(&mut self) -> Result<(), ListError> {
        loop {
            let bytes = self.chunks.bytes();
            let empty = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            let more = empty == bytes.len();
            self.use_up(empty);
            if !more || !self.chunks.fill()? {
                return Ok(());
            }
        }
    }

    fn use_up(&mut self, bytes: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.chunks.bytes()[..bytes]).count() as u64;
        self.chunks.used(bytes);
    }
}

impl Records for CsvRecords {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<Record>, ListError> {
        if !std::mem::take(&mut self.first_waits) && !self.read()? {
            return Ok(None);
        }
        let found =
            self.slots.iter().enumerate().filter_map(|(slot, column)| Some((slot, self.cell((*column)?)?)));
        let refused = found.map(|(slot, cell)| cells.put(slot, cell)).find_map(Result::err);
        Ok(Some(Record { line: self.begins, refused }))
    }
}

/// The first record, and what is wanted of the others.
struct Header<'a> {
    list: &'a str,
    records: &'a CsvRecords,
    kind: CardKind,
}

impl Header<'_> {
    /// The column of each slot.
    fn resolve(&self, spec: &ListSpec) -> Result<(Vec<Option<usize>>, ListColumns), ListError> {
        let mut slots = vec![None; REFERENCES];
        slots[CARD] = Some(match &spec.card {
            Some(column) => self.find(column)?,
            None => self.find_card()?,
        });
        let mut references = spec.references.clone();
        let has_names = !slots[CARD].is_some_and(|card| self.is_card(card));
        let own_form = self.kind == CardKind::Fingerprint && has_names;
        if own_form {
            slots[KEY] = self.named("key");
            slots[CHECK] = self.named("check");
            slots[EXPIRY] = self.named("expiry");
            slots[TIER] = self.named("tier");
            if references.is_empty() {
                references.extend(self.names().filter_map(|name| {
                    Some((name.strip_prefix(REFERENCE_PREFIX)?.to_owned(), Column::Name(name.to_owned())))
                }));
            }
        }
        for (slot, column) in [(EXPIRY, &spec.expiry), (TIER, &spec.tier)] {
            if let Some(column) = column {
                slots[slot] = Some(self.find(column)?);
            }
        }
        let mut names = Vec::new();
        for (name, column) in references {
            slots.push(Some(self.find(&column)?));
            names.push(name);
        }
        let (expiry, tier) = (slots[EXPIRY].is_some(), slots[TIER].is_some());
        Ok((slots, ListColumns { expiry, tier, references: names }))
    }

    fn find(&self, column: &Column) -> Result<usize, ListError> {
        let missing =
            |column: String| ListError::NoColumn { name: self.list.to_owned(), column, there: self.there() };
        match column {
            Column::Number(number) if *number <= self.records.columns => Ok(number - 1),
            Column::Number(number) => Err(missing(number.to_string())),
            Column::Name(name) => match self.named(name) {
                Some(place) => Ok(place),
                None if (0..self.records.columns).any(|place| self.is_card(place)) => {
                    Err(ListError::NoHeader { name: self.list.to_owned() })
                }
                None => Err(missing(name.clone())),
            },
        }
    }

    fn find_card(&self) -> Result<usize, ListError> {
        if self.records.columns == 1 {
            return Ok(0);
        }
        let mut usual = (0..self.records.columns)
            .filter(|place| self.name(*place).is_some_and(|name| sniff::is_usual_name(name, self.kind)));
        match (usual.next(), usual.next()) {
            (Some(place), None) => Ok(place),
            _ => Err(ListError::WhichColumn { name: self.list.to_owned(), there: self.there() }),
        }
    }

    fn named(&self, name: &str) -> Option<usize> {
        (0..self.records.columns)
            .find(|place| self.name(*place).is_some_and(|there| there.eq_ignore_ascii_case(name.trim())))
    }

    fn name(&self, place: usize) -> Option<&str> {
        std::str::from_utf8(self.records.cell(place)?).ok().map(str::trim)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.records.columns).filter_map(|place| self.name(place))
    }

    fn is_card(&self, place: usize) -> bool {
        self.records.cell(place).is_some_and(|cell| sniff::is_card(cell, self.kind))
    }

    /// The columns for a message. What might be data is not shown: the list may have no header at all.
    fn there(&self) -> String {
        let show = |(place, name): (usize, &str)| {
            let digits = name.bytes().filter(u8::is_ascii_digit).count();
            if digits < 4 && name.len() <= 40 && !name.is_empty() {
                name.to_owned()
            } else {
                format!("(number {})", place + 1)
            }
        };
        self.names().enumerate().take(30).map(show).collect::<Vec<_>>().join(", ")
    }
}
