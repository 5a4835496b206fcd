//! Lists of fingerprints, as `cardwatch fingerprint` writes them. `docs/fingerprint.md` describes the form.

use std::io::Write;

use crate::domain::card::{Fingerprint, KeyId};
use crate::exposure::fingerprint::CheckValue;
use crate::files::input::FileError;
use crate::files::list::csv::REFERENCE_PREFIX;
use crate::files::list::{ListColumns, ListEntry};

/// Writes a list of fingerprints. It never sees a card number but in an entry, of which it takes only the
/// descriptions.
pub struct FingerprintWriter<W: Write> {
    name: String,
    out: csv::Writer<W>,
    columns: ListColumns,
    /// Keys whose check value is written.
    told: Vec<KeyId>,
}

impl<W: Write> std::fmt::Debug for FingerprintWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FingerprintWriter").field("name", &self.name).field("columns", &self.columns).finish()
    }
}

impl<W: Write> FingerprintWriter<W> {
    /// Writes the header. `name` is what messages call the output.
    ///
    /// # Errors
    /// [`FileError::Write`] when the output takes no more.
    pub fn new(name: &str, out: W, columns: &ListColumns) -> Result<FingerprintWriter<W>, FileError> {
        let mut writer = FingerprintWriter {
            name: name.to_owned(),
            out: csv::Writer::from_writer(out),
            columns: columns.clone(),
            told: Vec::new(),
        };
        let optional = [(columns.expiry, "expiry"), (columns.tier, "tier")];
        let mut header: Vec<String> = ["fingerprint", "key", "check"].map(str::to_owned).to_vec();
        header.extend(optional.iter().filter(|(there, _)| *there).map(|(_, name)| (*name).to_owned()));
        header.extend(columns.references.iter().map(|name| format!("{REFERENCE_PREFIX}{name}")));
        let written = writer.out.write_record(&header);
        writer.done(written)?;
        Ok(writer)
    }

    /// Writes a card: its fingerprint, and the descriptions of the entry it came from.
    ///
    /// # Errors
    /// [`FileError::Write`] when the output takes no more.
    pub fn write(
        &mut self,
        fingerprint: &Fingerprint,
        key: &KeyId,
        check: CheckValue,
        entry: &ListEntry,
    ) -> Result<(), FileError> {
        let is_told = self.told.contains(key);
        if !is_told {
            self.told.push(key.clone());
        }
        let check = if is_told { String::new() } else { check.to_string() };
        let mut row = vec![fingerprint.to_string(), key.to_string(), check];
        if self.columns.expiry {
            row.push(entry.expiry.map(|expiry| expiry.to_string()).unwrap_or_default());
        }
        if self.columns.tier {
            row.push(entry.tier.clone().unwrap_or_default());
        }
        let value = |name: &String| {
            let found = entry.references.iter().find(|(there, _)| there == name);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        row.extend(self.columns.references.iter().map(value));
        let written = self.out.write_record(&row);
        self.done(written)
    }

    /// Hands everything to the output.
    ///
    /// # Errors
    /// [`FileError::Write`] when the output takes no more.
    pub fn finish(mut self) -> Result<(), FileError> {
        let flushed = self.out.flush().map_err(csv::Error::from);
        self.done(flushed)
    }

    fn done(&self, written: Result<(), csv::Error>) -> Result<(), FileError> {
        written.map_err(|error| FileError::Write { name: self.name.clone(), cause: error.into() })
    }
}
