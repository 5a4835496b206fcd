//! `cardwatch dead-letters list | open | keygen`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::args::{Args, DeadLettersCommand, LetterArgs, Place};
use super::output::Output;
use super::{guard, settings};
use crate::app::settings::cluster;
use crate::clock::SystemClock;
use crate::codec::dead_letter::OriginalHeader;
use crate::codec::dead_letter::read::{Letter, originals};
use crate::codec::dead_letter::sealed::{self, Parts};
use crate::codec::seal::PrivateKey;
use crate::config::Settings;
use crate::domain::time::Timestamp;
use crate::files::identity::{self, IdentityError};
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::lines::letters::LetterTopic;
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

/// So much of a digest is enough to compare by eye.
const DIGEST_CHARS: usize = 16;

pub(super) fn run(args: &Args, command: &DeadLettersCommand, output: &Output) -> Result<(), Stopped> {
    if let DeadLettersCommand::Keygen { out } = command {
        return keygen(out, output);
    }
    let settings = settings(args)?;
    guard(args, &settings)?;
    match command {
        DeadLettersCommand::List { which } => list(&settings, which, output),
        DeadLettersCommand::Open { identity, which } => {
            let mut keys = BTreeMap::new();
            for path in identity {
                let read = identity::read(path).map_err(|error| unusable(&error))?;
                keys.extend(read.into_iter().map(|key| (key.public().to_string(), key)));
            }
            open(&settings, which, &keys, *output)
        }
        DeadLettersCommand::Keygen { .. } => Ok(()),
    }
}

fn keygen(out: &Path, output: &Output) -> Result<(), Stopped> {
    let key = identity::create(out).map_err(|error| unusable(&error))?;
    let mut table = Table::new("keys", [("public_key", "Public key"), ("identity", "Private key in")]);
    table.row([Cell::from(key.public().to_string()), Cell::from(out.display().to_string())]);
    output.tables(&[table]);
    output.say(&format!(
        "To seal dead letters to it, write\n\n  [dead_letters]\n  payload = \"sealed\"\n  public_key = \"{}\"\n\n\
         and take {} to where letters are to be read, away from the service, with a copy: without it nobody reads them.",
        key.public(),
        out.display()
    ));
    Ok(())
}

fn unusable(error: &IdentityError) -> Stopped {
    Stopped::new(exit::CONFIG, error.to_string())
}

fn topic(settings: &Settings) -> Result<LetterTopic, Stopped> {
    let cluster = cluster(settings);
    Ok(LetterTopic {
        probe: Probe::new(&cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?,
        cluster,
        topic: settings.topics.dead_letters.clone(),
        group: format!("{}-dead-letters", settings.instance.group_prefix),
        clock: Arc::new(SystemClock),
    })
}

/// Letters in the order of their records' times, the newest `limit` of those that were asked for.
struct Newest<T> {
    limit: usize,
    left_out: u64,
    kept: BTreeMap<(Timestamp, i32, i64), T>,
}

impl<T> Newest<T> {
    fn new(limit: u32) -> Newest<T> {
        Newest { limit: limit as usize, left_out: 0, kept: BTreeMap::new() }
    }

    fn add(&mut self, message: &Message<'_>, letter: &Letter, item: T) {
        self.kept.insert((letter.timestamp, message.partition(), message.offset()), item);
        if self.kept.len() > self.limit {
            self.kept.pop_first();
            self.left_out += 1;
        }
    }
}

fn wanted(which: &LetterArgs, message: &Message<'_>, letter: &Letter) -> bool {
    let place = Place { partition: message.partition(), offset: message.offset() };
    which.reason.is_none_or(|reason| letter.reason == reason)
        && which.since.is_none_or(|since| letter.timestamp >= since)
        && which.partition.is_none_or(|partition| letter.partition == partition)
        && which.letter.is_none_or(|letter| letter == place)
}

fn list(settings: &Settings, which: &LetterArgs, output: &Output) -> Result<(), Stopped> {
    let topic = topic(settings)?;
    let mut newest = Newest::new(which.limit);
    let strangers = topic.read(|message, letter| {
        if wanted(which, message, letter) {
            newest.add(message, letter, letter.clone());
        }
        Ok(())
    })?;
    let columns = [
        ("letter", "Letter"),
        ("topic", "Topic"),
        ("partition", "Partition"),
        ("offset", "Offset"),
        ("timestamp", "Record's time"),
        ("reason", "Reason"),
        ("field", "Field"),
        ("payload", "Kept"),
        ("value_bytes", "Value bytes"),
        ("key_bytes", "Key bytes"),
        ("headers", "Headers"),
        ("value_digest", "Value digest"),
        ("sealed_to", "Sealed to"),
    ];
    let mut table = Table::new("dead_letters", columns);
    let shown = |text: &Option<String>| match text {
        Some(text) if !output.is_json() => Cell::from(text.chars().take(DIGEST_CHARS).collect::<String>()),
        text => Cell::from(text.clone()),
    };
    for ((_, partition, offset), letter) in &newest.kept {
        table.row([
            Cell::from(format!("{partition}/{offset}")),
            Cell::from(letter.topic.as_str()),
            Cell::from(letter.partition.to_string()),
            Cell::from(letter.offset.to_string()),
            Cell::from(letter.timestamp.to_string()),
            Cell::from(letter.reason.as_str()),
            Cell::from(letter.field.as_str()),
            Cell::from(letter.payload.as_str()),
            letter.value_bytes.into(),
            letter.key_bytes.into(),
            Cell::Count(letter.header_count),
            shown(&letter.digest),
            shown(&letter.sealed_to),
        ]);
    }
    output.tables(&[table]);
    if newest.kept.is_empty() {
        none(which, output)?;
    }
    left_out(newest.left_out, strangers, output);
    Ok(())
}

/// Says that there is none; a failure where one was asked for by its place.
fn none(which: &LetterArgs, output: &Output) -> Result<(), Stopped> {
    if let Some(Place { partition, offset }) = which.letter {
        let message = format!(
            "there is no dead letter {partition}/{offset}: `cardwatch dead-letters list` shows those there are"
        );
        return Err(Stopped::new(exit::DATA, message));
    }
    output.remark("there is no such dead letter");
    Ok(())
}

fn left_out(older: u64, strangers: u64, output: &Output) {
    if older > 0 {
        output.remark(&format!("{older} older ones are left out; --limit shows more"));
    }
    if strangers > 0 {
        output.remark(&format!("{strangers} records of the topic are no dead letters of this version"));
    }
}

/// What became of the letters that were to be opened.
#[derive(Default)]
struct Tally {
    /// Nothing was kept.
    omitted: u64,
    /// Sealed to keys that are not at hand.
    locked: BTreeSet<String>,
    /// Did not open with the key they name.
    broken: Vec<Place>,
}

fn open(
    settings: &Settings,
    which: &LetterArgs,
    keys: &BTreeMap<String, PrivateKey>,
    output: Output,
) -> Result<(), Stopped> {
    let topic = topic(settings)?;
    let mut newest = Newest::new(which.limit);
    let mut tally = Tally::default();
    let strangers = topic.read(|message, letter| {
        if wanted(which, message, letter)
            && let Some(line) = opened(message, letter, keys, &mut tally)
        {
            newest.add(message, letter, line);
        }
        Ok(())
    })?;
    let found =
        !newest.kept.is_empty() || tally.omitted > 0 || !tally.broken.is_empty() || !tally.locked.is_empty();
    if !found {
        none(which, &output)?;
    }
    for line in newest.kept.values() {
        output.write(|out, _| out.write_all(line));
    }
    left_out(newest.left_out, strangers, &output);
    if tally.omitted > 0 {
        output.remark(&format!(
            "{} letters kept nothing of their records; dead_letters.payload = \"sealed\" keeps it from now on",
            tally.omitted
        ));
    }
    if !tally.broken.is_empty() {
        let places: Vec<String> = tally
            .broken
            .iter()
            .take(5)
            .map(|place| format!("{}/{}", place.partition, place.offset))
            .collect();
        let message = format!(
            "{} letters do not open with the key they are sealed to ({}): they were changed since, or another version \
             sealed them",
            tally.broken.len(),
            places.join(", ")
        );
        return Err(Stopped::new(exit::DATA, message));
    }
    if !tally.locked.is_empty() {
        let keys: Vec<&str> = tally.locked.iter().map(String::as_str).collect();
        let message = format!("give --identity the file with the private half of {}", keys.join(", "));
        return Err(Stopped::new(exit::DATA, format!("not every letter could be opened: {message}")));
    }
    Ok(())
}

/// The record in a letter as a line of JSON, if there is one to be had.
fn opened(
    message: &Message<'_>,
    letter: &Letter,
    keys: &BTreeMap<String, PrivateKey>,
    tally: &mut Tally,
) -> Option<Zeroizing<Vec<u8>>> {
    let headers = message.headers();
    if letter.is_open() {
        let value = message.value().filter(|_| letter.payload == "original");
        let headers: Vec<&OriginalHeader<'_>> = originals(letter, &headers).collect();
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        return Some(line(message, letter, &Parts { value, key: message.key(), headers }));
    }
    let Some(sealed_to) = &letter.sealed_to else {
        tally.omitted += 1;
        return None;
    };
    let Some(key) = keys.get(sealed_to) else {
        tally.locked.insert(sealed_to.clone());
        return None;
    };
    let place = (letter.topic.as_str(), letter.partition, letter.offset);
    match sealed::open(key, place, message.value().unwrap_or_default()) {
        Ok(opened) => Some(line(message, letter, &opened.parts())),
        Err(_) => {
            tally.broken.push(Place { partition: message.partition(), offset: message.offset() });
            None
        }
    }
}

fn line(message: &Message<'_>, letter: &Letter, parts: &Parts<'_>) -> Zeroizing<Vec<u8>> {
    let headers: Vec<Value> =
        parts.headers.iter().map(|(name, value)| json!([bytes(Some(name)), bytes(*value)])).collect();
    let record = json!({
        "letter": format!("{}/{}", message.partition(), message.offset()),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": letter.timestamp.to_string(),
        "reason": letter.reason.as_str(),
        "field": letter.field,
        "payload": letter.payload,
        "value_bytes": letter.value_bytes,
        "value": bytes(parts.value),
        "key": bytes(parts.key),
        "headers": headers,
    });
    // A value of texts and numbers always has a JSON form.
    let mut line = Zeroizing::new(serde_json::to_vec(&record).unwrap_or_default());
    line.push(b'\n');
    line
}

/// Text as text, anything else in base64.
fn bytes(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => Value::from(text),
        Some((Err(_), bytes)) => json!({ "base64": data_encoding::BASE64.encode(bytes) }),
    }
}
