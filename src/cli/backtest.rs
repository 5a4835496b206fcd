//! `cardwatch backtest`: labelled history judged as the stream would be, beside alerting on every hit.
//!
//! The label is read after the judgement and never reaches it. Fingerprints are made with a key of this
//! run's own, so that it can be done where the real key is not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::args::{Args, BacktestArgs};
use super::output::Output;
use super::{lists, settings};
use crate::app::settings as build;
use crate::clock::{Clock, SystemClock};
use crate::codec::mapping::Mapping;
use crate::config::Settings;
use crate::domain::card::Fingerprint;
use crate::domain::position::Record;
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::{Fingerprinter, Key, Keyring, Namespace};
use crate::exposure::record::CardRecord;
use crate::exposure::set::ExposureSet;
use crate::files::input::{FileError, LineText};
use crate::files::list::{ListCard, ListItem};
use crate::files::transactions::TransactionFile;
use crate::lines::feed::{Fed, Feed, card_of, set_of};
use crate::lines::start::Stopped;
use crate::report::evaluation::Evaluation;
use crate::report::table::{Cell, Table};
use crate::secret::Secret;
use crate::stop::exit;
use crate::watch::Watch;

/// What came of reading the files.
#[derive(Debug, Default)]
struct Read {
    transactions: u64,
    before_the_list: u64,
    unreadable: u64,
    sighted: u64,
    unlabelled: u64,
}

pub(super) fn run(args: &Args, command: &BacktestArgs, output: &Output) -> Result<(), Stopped> {
    let mut settings = settings(args)?;
    if let Some(rules) = &command.rules {
        settings.alerts.rules = Some(rules.clone());
    }
    let mapping = build::mapping(&settings)?;
    let judge = build::judge(&settings)?;
    let keyring = own_keyring()?;
    let fingerprinter = Fingerprinter::new(&keyring);
    let now = SystemClock.now();
    let set = match &command.list {
        Some(_) => set_of_list(command, &keyring, &fingerprinter, now)?,
        None => set_of_all(&command.files, &mapping, &keyring, &fingerprinter, now)?,
    };
    let cards = set.view().stats().cards;
    let rules = judge.rules().digest().to_owned();
    let watch = Watch::new(mapping, fingerprinter, env!("CARGO_PKG_VERSION"));
    let mut feed = Feed::new(watch, set.view(), judge);
    let mut evaluation = Evaluation::default();
    let started = SystemClock.instant();
    let read = evaluate(command, &mut feed, &mut evaluation)?;
    let seconds = (SystemClock.instant() - started).as_secs_f64();
    if read.sighted == 0 {
        return Err(nothing_sighted(&settings, &read));
    }
    let report = evaluation.report();
    let about = about(command, cards, &read, &rules, seconds);
    output.tables(&[about, report.table()]);
    Ok(())
}

fn evaluate(command: &BacktestArgs, feed: &mut Feed, evaluation: &mut Evaluation) -> Result<Read, Stopped> {
    let mut read = Read::default();
    for (number, path) in command.files.iter().enumerate() {
        let mut file = TransactionFile::open(path).map_err(|error| unread(&error))?;
        let partition = i32::try_from(number).unwrap_or(i32::MAX);
        while let Some(line) = file.next_line().map_err(|error| unread(&error))? {
            let LineText::Whole(text) = line.text else {
                read.unreadable += 1;
                continue;
            };
            if text.is_empty() {
                continue;
            }
            read.transactions += 1;
            let record = Record {
                value: Some(text),
                key: None,
                topic: "file",
                partition,
                offset: i64::try_from(line.number).unwrap_or(i64::MAX),
                timestamp: Timestamp::default(),
            };
            take(command, &record, text, feed, evaluation, &mut read);
        }
    }
    Ok(read)
}

fn take(
    command: &BacktestArgs,
    record: &Record<'_>,
    text: &[u8],
    feed: &mut Feed,
    evaluation: &mut Evaluation,
    read: &mut Read,
) {
    // Before the list is there nobody looks, so nothing is remembered either.
    if let Some(from) = command.list_from
        && feed.time_of(record).is_some_and(|at| at < from)
    {
        read.before_the_list += 1;
        return;
    }
    match feed.take(record) {
        Fed::Miss => {}
        Fed::Unreadable(_) => read.unreadable += 1,
        Fed::Sighted(sighting, alert) => {
            read.sighted += 1;
            match label(text, &command.label) {
                Some(misuse) => {
                    evaluation.observe(&sighting.card.fingerprint.0, misuse, alert.is_some());
                }
                None => read.unlabelled += 1,
            }
        }
    }
}

/// The truth of a transaction: a JSON boolean at `pointer`.
fn label(text: &[u8], pointer: &str) -> Option<bool> {
    serde_json::from_slice::<serde_json::Value>(text).ok()?.pointer(pointer)?.as_bool()
}

fn own_keyring() -> Result<Keyring, Stopped> {
    let failed = |error: &dyn std::fmt::Display| Stopped::new(exit::INTERNAL, error.to_string());
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| failed(&error))?;
    let id = "backtest".parse().map_err(|error| failed(&error))?;
    let key = Key::new(id, Secret::new(bytes.to_vec())).map_err(|error| failed(&error))?;
    Keyring::new(key, Vec::new()).map_err(|error| failed(&error))
}

/// The exposed set of a list.
fn set_of_list(
    command: &BacktestArgs,
    keyring: &Keyring,
    fingerprinter: &Fingerprinter,
    now: Timestamp,
) -> Result<Arc<ExposureSet>, Stopped> {
    let mut cards = HashMap::new();
    if let Some(source) = &command.list {
        let namespace = Namespace::of(command.form.kind.into()).unwrap_or_default();
        for item in lists::open(source, &command.form)? {
            let ListItem::Entry(entry) = item.map_err(|error| lists::stopped(&error))? else { continue };
            let print = match &entry.card {
                ListCard::Number(number) => fingerprinter.of_number(0, number),
                ListCard::Token(token) => fingerprinter
                    .of_token(0, &namespace, token.expose())
                    .map_err(|error| Stopped::new(exit::DATA, error.to_string()))?,
                ListCard::Fingerprint(..) => {
                    let message = "a backtest makes fingerprints with a key of its own; give a list of numbers or tokens";
                    return Err(Stopped::new(exit::USAGE, message));
                }
            };
            let record = CardRecord { expiry: entry.expiry, ..CardRecord::default() };
            cards.insert(print, record);
        }
    }
    made(set_of(keyring, keyring.primary().id(), cards.into_iter(), now))
}

/// The exposed set of every card that occurs.
fn set_of_all(
    files: &[PathBuf],
    mapping: &Mapping,
    keyring: &Keyring,
    fingerprinter: &Fingerprinter,
    now: Timestamp,
) -> Result<Arc<ExposureSet>, Stopped> {
    let mut cards: HashMap<Fingerprint, CardRecord> = HashMap::new();
    for path in files {
        let mut file = TransactionFile::open(path).map_err(|error| unread(&error))?;
        while let Some(line) = file.next_line().map_err(|error| unread(&error))? {
            if let LineText::Whole(text) = line.text
                && let Ok(print) = card_of(mapping, fingerprinter, text)
            {
                cards.entry(print).or_default();
            }
        }
    }
    made(set_of(keyring, keyring.primary().id(), cards.into_iter(), now))
}

fn made(
    set: Result<Arc<ExposureSet>, crate::exposure::record::RecordError>,
) -> Result<Arc<ExposureSet>, Stopped> {
    set.map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))
}

fn unread(error: &FileError) -> Stopped {
    Stopped::new(exit::DATA, error.to_string())
}

fn nothing_sighted(settings: &Settings, read: &Read) -> Stopped {
    Stopped::new(
        exit::DATA,
        format!(
            "none of {} transactions is on an exposed card ({} could not be read, {} came before the list); \
             is the card at {} (input.card.field)?",
            read.transactions,
            read.unreadable,
            read.before_the_list,
            settings.input.card.field.join(" or ")
        ),
    )
}

fn about(command: &BacktestArgs, cards: u64, read: &Read, rules: &str, seconds: f64) -> Table {
    let mut table = Table::new("backtest", [("what", "Backtest"), ("value", "")]);
    let mut row = |what: &str, value: Cell| table.row([Cell::from(what), value]);
    row("transactions", Cell::Count(read.transactions));
    if let Some(from) = command.list_from {
        row("list there from", Cell::from(from.to_string()));
        row("before the list", Cell::Count(read.before_the_list));
    }
    row("exposed cards", Cell::Count(cards));
    row("on exposed cards", Cell::Count(read.sighted));
    row("card field unreadable", Cell::Count(read.unreadable));
    row("without a label", Cell::Count(read.unlabelled));
    row("rules", Cell::from(rules));
    row("judged a second", Cell::Count((read.sighted as f64 / seconds.max(0.001)) as u64));
    table
}
