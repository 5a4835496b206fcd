//! `cardwatch check --sample` and `--suggest`: how the reader's own records read, and what a mapping might be.
//!
//! Writes nothing, joins no group, and prints no value: shapes and counts only.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::settings as build;
use crate::cli::args::{CheckArgs, Source};
use crate::cli::lists;
use crate::cli::output::Output;
use crate::clock::SystemClock;
use crate::codec::mapping::Mapping;
use crate::codec::sample::Sample;
use crate::codec::suggest::Suggester;
use crate::config::Settings;
use crate::domain::card::Fingerprint;
use crate::exposure::fingerprint::Fingerprinter;
use crate::exposure::set::View;
use crate::files::input::{FileError, LineText};
use crate::files::keys::KeyDirectory;
use crate::files::transactions::TransactionFile;
use crate::lines::sample;
use crate::lines::start::Stopped;
use crate::report::sample::{SampledCards, sample_tables};
use crate::report::table::{Cell, Table};
use crate::stop::exit;
use crate::watch::Watch;

/// Records looked at where the user does not say.
const RECORDS: u64 = 1_000;

/// Where records were read, and how many lines were too long to be one.
struct Stretches {
    table: Table,
    about: String,
    too_long: u64,
}

/// Prints how records read under the settings' mapping. `findings` is what `check` has said so far.
pub(super) fn run(
    settings: &Settings,
    args: &CheckArgs,
    output: &Output,
    findings: Table,
) -> Result<(), Stopped> {
    let mapping = build::mapping(settings)?;
    let recogniser = recogniser(settings, &mapping, output);
    let mut sample = Sample::new(&mapping);
    let mut cards: HashMap<Fingerprint, bool> = HashMap::new();
    let read = read(settings, args, |value| {
        sample.take(&mapping, value);
        if let (Some((watch, view)), Some(value)) = (&recogniser, value)
            && let Ok(card) = watch.recognise(view, value)
        {
            cards.insert(card.fingerprint, card.exposed);
        }
    })?;
    if sample.records == 0 {
        return Err(nothing(settings, args));
    }
    let known = recogniser.is_some().then(|| SampledCards {
        distinct: cards.len() as u64,
        listed: cards.values().filter(|listed| **listed).count() as u64,
    });
    let mut warnings = sample.warnings(&mapping);
    if read.too_long > 0 {
        warnings
            .push(format!("{} lines are longer than any record may be, and were passed over", read.too_long));
    }
    let mut tables = vec![read.table];
    tables.extend(sample_tables(&sample, known, &warnings));
    if output.is_json() {
        tables.insert(0, findings);
    }
    output.tables(&tables);
    if sample.dead.values().sum::<u64>() == sample.records {
        let advice = "look at input.card.field and input.card.kind, or try `cardwatch check --suggest`";
        let message = format!("none of {} records has a card field that reads; {advice}", sample.records);
        return Err(Stopped::new(exit::DATA, message));
    }
    Ok(())
}

/// Prints a mapping that the records suggest.
pub(super) fn suggest(settings: &Settings, args: &CheckArgs, output: &Output) -> Result<(), Stopped> {
    let mut suggester = Suggester::default();
    let read = read(settings, args, |value| suggester.take(value))?;
    if suggester.records() == 0 {
        return Err(nothing(settings, args));
    }
    let toml = suggester.proposal(&read.about);
    if output.is_json() {
        let mut table = Table::new("suggestion", [("records", ""), ("not_json", ""), ("toml", "")]);
        table.row([suggester.records().into(), suggester.unreadable().into(), Cell::from(toml)]);
        output.tables(&[read.table, table]);
    } else {
        output.write(|out, _| out.write_all(toml.as_bytes()));
    }
    if suggester.has_card() {
        Ok(())
    } else {
        let message = "nothing in these records looks like a card number, a token or a fingerprint";
        Err(Stopped::new(exit::DATA, message))
    }
}

fn nothing(settings: &Settings, args: &CheckArgs) -> Stopped {
    let place = match &args.from {
        Some(Source::Stdin) => "standard input".to_owned(),
        Some(Source::File(path)) => path.display().to_string(),
        None => format!("topic {} (from the position given)", settings.input.topic),
    };
    Stopped::new(exit::DATA, format!("{place} holds no records to look at"))
}

/// What tells whether a card is on the list, where keys and list are at hand; a remark where they are not.
fn recogniser(settings: &Settings, mapping: &Mapping, output: &Output) -> Option<(Watch, Arc<View>)> {
    let keyring = match KeyDirectory::new(&settings.keys.directory).load() {
        Ok(keyring) => keyring,
        Err(error) => {
            output.remark(&format!("whether cards are on the list was not looked at: {error}"));
            return None;
        }
    };
    let cluster = build::cluster(settings);
    match sample::exposed(&cluster, &SystemClock, &settings.topics.exposures, &keyring.ids()) {
        Ok(Some(view)) => {
            let watch = Watch::new(mapping.clone(), Fingerprinter::new(&keyring), env!("CARGO_PKG_VERSION"));
            Some((watch, view))
        }
        Ok(None) => {
            let topic = &settings.topics.exposures;
            output.remark(&format!(
                "whether cards are on the list was not looked at: topic {topic} does not exist"
            ));
            None
        }
        Err(error) => {
            output.remark(&format!("whether cards are on the list was not looked at: {}", error.message));
            None
        }
    }
}

fn read(
    settings: &Settings,
    args: &CheckArgs,
    mut take: impl FnMut(Option<&[u8]>),
) -> Result<Stretches, Stopped> {
    let records = args.sample.unwrap_or(RECORDS);
    let Some(source) = &args.from else {
        let position = args.start.unwrap_or_default();
        let topic = &settings.input.topic;
        let stretches =
            sample::read(&build::cluster(settings), &SystemClock, topic, (position, records), take)?;
        let columns =
            [("partition", "Partition"), ("from", "From offset"), ("until", "Up to"), ("records", "Records")];
        let mut table = Table::new("read", columns);
        for one in &stretches {
            let offset = |offset: i64| Cell::Count(u64::try_from(offset).unwrap_or(0));
            table.row([
                Cell::Count(u64::try_from(one.partition).unwrap_or(0)),
                offset(one.from),
                offset(one.until),
                one.records.into(),
            ]);
        }
        let count: u64 = stretches.iter().map(|one| one.records).sum();
        return Ok(Stretches { table, about: format!("{count} records of topic {topic}"), too_long: 0 });
    };
    let unread = |error: &FileError| Stopped::new(exit::DATA, error.to_string());
    let input = lists::input(source).map_err(|error| unread(&error))?;
    let mut file = TransactionFile::of(input);
    let (mut count, mut too_long) = (0, 0);
    while count < records
        && let Some(line) = file.next_line().map_err(|error| unread(&error))?
    {
        match line.text {
            LineText::Whole(b"") => {}
            LineText::Whole(text) => {
                count += 1;
                take(Some(text));
            }
            LineText::TooLong(_) => too_long += 1,
        }
    }
    let mut table = Table::new("read", [("file", "File"), ("records", "Records")]);
    table.row([Cell::from(file.name()), count.into()]);
    Ok(Stretches { about: format!("{count} records of {}", file.name()), table, too_long })
}
