//! `cardwatch card show | forget`: access and erasure, for one card. Its number comes on standard input and is
//! never printed.

use std::collections::{BTreeSet, HashSet};
use std::io::BufRead;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use super::args::{Args, CardArgs, CardCommand, CardInput, CardKindArg, ForgetArgs};
use super::incident::mark;
use super::lists::Namer;
use super::output::Output;
use super::{guard, settings, sweep};
use crate::app::audit::audit;
use crate::app::settings::{access, sweeper};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::domain::audit::Via;
use crate::domain::card::{CardNumber, Fingerprint};
use crate::exposure::record::Mark;
use crate::files::list::ListCard;
use crate::lines::access::Held;
use crate::lines::start::Stopped;
use crate::lines::sweep::{Forgotten, Swept};
use crate::report::plain::counted;
use crate::report::table::{Cell, Table};
use crate::secret::Secret;
use crate::stop::exit;

/// The longest line that names a card, in bytes.
const LINE_MAX: u64 = 4_096;

pub(super) fn run(args: &Args, command: &CardCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    guard(args, &settings)?;
    match command {
        CardCommand::Show(show) => {
            let held = access(&settings)?.find(names(&settings, show)?)?;
            tell(&held, output);
            Ok(())
        }
        CardCommand::Forget(args) => forget(&settings, args, output),
    }
}

fn forget(settings: &Settings, args: &ForgetArgs, output: &Output) -> Result<(), Stopped> {
    let names = names(settings, &args.card)?;
    let held = access(settings)?.find(names)?;
    let audit = audit(settings, Via::Cli, Arc::new(SystemClock)).claiming(args.change.by.as_deref());
    let mark = mark(&audit, &args.change, SystemClock.now());
    let sweeper = sweeper(settings, audit)?;
    sweeper
        .check_not_held(&held.names)
        .map_err(|error| Stopped::new(error.code(), format!("{error}; nothing was removed")))?;
    let forgotten = if args.change.dry_run {
        let of = |(incident, holding): (&_, &crate::lines::import::Holding)| Swept {
            incident: Clone::clone(incident),
            closed: false,
            removed: holding.cards.len() as u64,
            outcomes: None,
            waiting: 0,
            busy: false,
        };
        let swept = held.incidents.iter().map(of).collect();
        Forgotten { swept, outcomes: held.outcomes.len() as u64 }
    } else {
        let forgotten = sweeper.forget(&held.names, &mark);
        forgotten.map_err(|error| Stopped::new(error.code(), error.to_string()))?
    };
    let histories_gone = args.change.dry_run || held.histories.is_empty() || sweeper.await_histories()?;
    output.tables(&[sweep::table(&forgotten.swept), remains(settings, &held)]);
    output.say("");
    said(args, &held, &forgotten, &mark, histories_gone, output);
    Ok(())
}

fn said(
    args: &ForgetArgs,
    held: &Held,
    forgotten: &Forgotten,
    mark: &Mark,
    histories_gone: bool,
    output: &Output,
) {
    let records: u64 = forgotten.swept.iter().map(|swept| swept.removed).sum();
    let histories = held.histories.len();
    let outcomes = forgotten.outcomes;
    match (args.change.dry_run, records, histories, outcomes) {
        (true, _, _, 0) => output.say("Dry run: nothing was written."),
        (true, ..) => output.say(&format!(
            "Dry run: nothing was written; {} the card would go too.",
            counted(outcomes, "outcome that names", "outcomes that name"),
        )),
        (false, 0, 0, 0) => output.say("No incident, history or outcome holds the card."),
        (false, ..) => output.say(&format!(
            "The card is forgotten: {} of incidents, {} and {}, by {} at {}. \
             `cardwatch topics` says for how long brokers keep what was removed. \
             The incidents' books keep their counts and sums, without the card.",
            counted(records, "record", "records"),
            counted(histories as u64, "history", "histories"),
            counted(outcomes, "outcome", "outcomes"),
            mark.by,
            mark.at
        )),
    }
    if !histories_gone {
        output.remark(
            "`score` has not forgotten the history yet: it does so as soon as it runs, and no record keeps it",
        );
    }
}

/// The fingerprints of the card that the command line or standard input names.
fn names(settings: &Settings, args: &CardArgs) -> Result<HashSet<Fingerprint>, Stopped> {
    if let Some(fingerprint) = args.fingerprint {
        return Ok(HashSet::from([fingerprint]));
    }
    let card = read(args.kind)?;
    let kind = match args.kind {
        CardInput::Number => CardKindArg::Number,
        CardInput::Token => CardKindArg::Token,
    };
    let (primary, others) = Namer::new(kind, settings)?.names(&card)?;
    Ok(std::iter::once(primary).chain(others).map(|name| name.fingerprint).collect())
}

/// The card on the first line of standard input.
fn read(kind: CardInput) -> Result<ListCard, Stopped> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_MAX as usize));
    let mut input = std::io::Read::take(std::io::stdin().lock(), LINE_MAX);
    input
        .read_until(b'\n', &mut line)
        .map_err(|error| Stopped::new(exit::DATA, format!("standard input cannot be read: {error}")))?;
    let text = line.trim_ascii();
    if text.is_empty() {
        return Err(Stopped::new(exit::DATA, "standard input is empty: write the card on its first line"));
    }
    match kind {
        CardInput::Number => CardNumber::parse(text).map(ListCard::Number).map_err(|error| {
            Stopped::new(exit::DATA, format!("standard input holds no card number: {error}"))
        }),
        CardInput::Token if text.len() > 128 => {
            Err(Stopped::new(exit::DATA, "standard input holds no token: it is longer than 128 bytes"))
        }
        CardInput::Token => Ok(ListCard::Token(Secret::new(text.to_vec()))),
    }
}

fn tell(held: &Held, output: &Output) {
    let is_known = !held.incidents.is_empty()
        || !held.histories.is_empty()
        || !held.sightings.is_empty()
        || !held.alerts.is_empty()
        || !held.outcomes.is_empty();
    if !is_known {
        output.say("Nothing is held about the card.");
    }
    if is_known || output.is_json() {
        output.tables(&[
            incidents(held),
            histories(held),
            events("sightings", "Sighting", &held.sightings),
            events("alerts", "Alert", &held.alerts),
            outcomes(held),
        ]);
    }
}

fn incidents(held: &Held) -> Table {
    let mut table = Table::new(
        "incidents",
        [
            ("incident", "Incident"),
            ("key", "Key"),
            ("fingerprint", "Fingerprint"),
            ("watched", "Watched"),
            ("events", "Events by revision"),
            ("expiry", "Expiry"),
            ("tier", "Tier"),
            ("references", "References"),
            ("hold", "Legal hold"),
        ],
    );
    for (id, holding) in &held.incidents {
        let cards: BTreeSet<_> = holding.cards.keys().collect();
        for fingerprint in cards {
            let card = &holding.cards[fingerprint];
            let events = card.record.events.iter().map(|event| match event {
                added @ 1.. => format!("+{added}"),
                withdrawn => withdrawn.to_string(),
            });
            let references = card.record.references.iter();
            let references: Vec<String> = references.map(|(name, value)| format!("{name}={value}")).collect();
            let watched = holding.incident.shows(&card.record.events);
            table.row([
                id.as_str().into(),
                card.key.as_str().into(),
                fingerprint.to_string().into(),
                Cell::from(if watched { "yes" } else { "no" }),
                events.collect::<Vec<_>>().join(" ").into(),
                card.record.expiry.map(|expiry| expiry.to_string()).into(),
                card.record.tier.as_deref().into(),
                references.join(", ").into(),
                holding.incident.hold().map(|hold| hold.why.as_str()).into(),
            ]);
        }
    }
    table
}

fn histories(held: &Held) -> Table {
    let mut table = Table::new(
        "histories",
        [
            ("fingerprint", "Fingerprint"),
            ("judgements", "Sightings judged"),
            ("uses", "Uses"),
            ("since", "Since"),
            ("written", "Last judged"),
            ("last_sighting", "Last sighting"),
        ],
    );
    for (card, known) in &held.histories {
        let history = &known.history;
        table.row([
            card.to_string().into(),
            history.judgements().into(),
            history.uses().into(),
            history.since().map(|since| since.to_string()).into(),
            known.written.to_string().into(),
            history.last_sighting().into(),
        ]);
    }
    table
}

fn events(key: &'static str, title: &'static str, found: &[Value]) -> Table {
    let mut table = Table::new(
        key,
        [
            ("id", title),
            ("at", "At"),
            ("merchant", "Merchant"),
            ("amount", "Amount"),
            ("currency", "Currency"),
            ("score", "Score"),
        ],
    );
    for event in found {
        let transaction = &event["transaction"];
        let text = |value: &Value| -> Cell { value.as_str().map(str::to_owned).into() };
        table.row([
            text(&event["id"]),
            text(&transaction["at"]),
            text(&transaction["merchant"]["name"]),
            text(&transaction["amount"]),
            text(&transaction["currency"]),
            event["score"].as_u64().into(),
        ]);
    }
    table
}

fn outcomes(held: &Held) -> Table {
    let mut table = Table::new(
        "outcomes",
        [("about", "Outcome of"), ("verdict", "Verdict"), ("at", "At"), ("note", "Note")],
    );
    for (key, outcome) in &held.outcomes {
        let text = |name: &str| -> Cell { outcome[name].as_str().map(str::to_owned).into() };
        table.row([key.as_str().into(), text("verdict"), text("at"), text("note")]);
    }
    table
}

/// Where something of the card stays, and for how long.
fn remains(settings: &Settings, held: &Held) -> Table {
    let mut table =
        Table::new("remains", [("topic", "Stays on"), ("records", "Records"), ("until", "Until")]);
    let topics = &settings.topics;
    for (topic, found) in [(&topics.sightings, held.sightings.len()), (&topics.alerts, held.alerts.len())] {
        table.row([
            topic.as_str().into(),
            (found as u64).into(),
            "each is deleted when the topic's retention.ms is over".into(),
        ]);
    }
    table.row([
        topics.dead_letters.as_str().into(),
        Cell::Empty,
        "letters name no card by its fingerprint; they go with the topic's retention.ms".into(),
    ]);
    table
}
