//! `cardwatch fingerprint`: a list of card numbers in, a list of fingerprints out, where the key lives.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;

use super::args::{Args, CardKindArg, FingerprintArgs};
use super::lists::{self, Namer, SAMPLE, check_share, stopped};
use super::output::Output;
use super::{guard, settings};
use crate::files::input::FileError;
use crate::files::list::{FingerprintWriter, ListItem, ListReader};
use crate::lines::start::Stopped;
use crate::report::revision::{ImportResult, Rejections, fingerprint_tables};
use crate::stop::exit;

/// What has become of a list that was refused.
const EFFECT: &str = "what was written, if anything, is no list to use";

pub(super) fn run(args: &Args, command: &FingerprintArgs, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    guard(args, &settings)?;
    if command.form.kind == CardKindArg::Fingerprint {
        return Err(Stopped::new(exit::USAGE, "--kind fingerprint: these are fingerprints already"));
    }
    let reader = lists::open(&command.list, &command.form)?;
    let namer = Namer::new(command.form.kind, &settings)?;
    let result = copy(reader, &namer, io::stdout().lock())?;
    output.tables_aside(&fingerprint_tables(&result));
    Ok(())
}

/// Holds what is written back until the list has proved to be one.
struct Gate<W: Write> {
    out: W,
    held: Vec<u8>,
    is_open: Rc<Cell<bool>>,
}

impl<W: Write> Gate<W> {
    fn let_out(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.out.write_all(&held)
    }
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_open.get() {
            self.let_out()?;
            self.out.write(bytes)
        } else {
            self.held.extend_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_open.get() {
            self.let_out()?;
            self.out.flush()?;
        }
        Ok(())
    }
}

fn copy(mut reader: ListReader, namer: &Namer, out: impl Write) -> Result<ImportResult, Stopped> {
    let name = reader.name().to_owned();
    let is_open = Rc::new(Cell::new(false));
    let gate = Gate { out, held: Vec::new(), is_open: Rc::clone(&is_open) };
    let mut writer = FingerprintWriter::new("standard output", gate, reader.columns())
        .map_err(|error| unwritten(&error))?;
    let Some((key, check)) = namer.primary() else {
        return Err(Stopped::new(exit::INTERNAL, "no key was opened"));
    };
    let mut rejections = Rejections::default();
    let mut read = 0u64;
    for item in reader.by_ref() {
        read += 1;
        match item.map_err(|error| stopped(&error))? {
            ListItem::Rejected(rejection) => rejections.note(&rejection.reason.to_string(), rejection.line),
            ListItem::Entry(entry) => {
                let (own, _) = namer.names(&entry.card)?;
                writer.write(&own.fingerprint, key, check, &entry).map_err(|error| unwritten(&error))?;
            }
        }
        if read == SAMPLE as u64 {
            check_share(&name, read, &rejections, EFFECT)?;
            is_open.set(true);
        }
    }
    check_share(&name, read, &rejections, EFFECT)?;
    is_open.set(true);
    writer.finish().map_err(|error| unwritten(&error))?;
    let counts = reader.counts();
    Ok(ImportResult {
        read,
        wrong_check_digit: counts.luhn,
        unreadable_expiry: counts.expiry,
        unreadable_description: counts.description,
        withheld: counts.withheld,
        rejections,
        ..ImportResult::default()
    })
}

fn unwritten(error: &FileError) -> Stopped {
    Stopped::new(exit::UNAVAILABLE, error.to_string())
}
