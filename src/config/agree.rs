//! What keys must be to each other, and the defaults that follow from other keys.

use std::collections::BTreeMap;

use super::reader::Reader;
use super::{Payload, Settings};
use crate::codec::mapping::{Entry, Mapping};

/// Fills in the defaults that depend on other keys.
pub(super) fn derive(settings: &mut Settings, reader: &mut Reader<'_>) {
    let prefix = settings.topics.prefix.clone();
    let topics = &mut settings.topics;
    for (name, rest) in [
        (&mut topics.exposures, "exposures"),
        (&mut topics.sightings, "sightings"),
        (&mut topics.card_history, "card-history"),
        (&mut topics.alerts, "alerts"),
        (&mut topics.outcomes, "outcomes"),
        (&mut topics.audit, "audit"),
        (&mut topics.deliveries, "deliveries"),
        (&mut topics.control, "control"),
        (&mut topics.dead_letters, "dead-letters"),
    ] {
        if name.is_empty() {
            *name = format!("{prefix}{rest}");
        }
    }
    if settings.instance.id.is_empty() {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy();
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            let message = "is not set, and the host has no name that could stand in";
            reader.wrong("instance.id", message, "a name of your own, such as \"watch-1\"");
        }
        settings.instance.id = host.into_owned();
    }
}

/// Adds a mistake for every pair of keys that contradict each other.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    tokens(settings, reader);
    workers(settings, reader);
    commits(settings, reader);
    topics(settings, reader);
    mapping(settings, reader);
    http(settings, reader);
    keys(settings, reader);
    dead_letters(settings, reader);
}

/// Brokers ask for a token exactly where the settings say where it comes from.
fn tokens(settings: &Settings, reader: &mut Reader<'_>) {
    let oauth = &settings.kafka.oauth;
    let (file, command) = (oauth.token_file.is_some(), !oauth.token_command.is_empty());
    let written = if file { "kafka.oauth.token_file" } else { "kafka.oauth.token_command" };
    match (settings.kafka.properties.shows_tokens(), file, command) {
        (true, false, false) => {
            let message = "is not set, and sasl.mechanism is OAUTHBEARER: there is no token to show";
            reader.wrong(
                "kafka.oauth.token_file",
                message,
                "the path of a file, or kafka.oauth.token_command",
            );
        }
        (_, true, true) => {
            reader.wrong(written, "comes from kafka.oauth.token_command as well", "one of the two")
        }
        (false, false, false) | (true, _, _) => {}
        (false, _, _) => {
            let advice = "\"security.protocol\" = \"sasl_ssl\" and \"sasl.mechanism\" = \"OAUTHBEARER\" as well, or leave it out";
            reader.wrong(written, "does nothing: no broker is shown a token", advice);
        }
    }
}

/// Beyond this host `/v1` is served to the owners of tokens or not at all: a service that lets nobody in is a
/// mistake that shows late, and one that would let everybody in shows too late.
fn http(settings: &Settings, reader: &mut Reader<'_>) {
    if beyond_loopback(settings) && settings.http.api && settings.http_tokens.0.is_empty() {
        let message = "is reached from other hosts, and there is no token to ask for under /v1";
        let advice = "an address of this host such as \"127.0.0.1:9600\", or name [[http.tokens]], or set http.api = false";
        reader.wrong("http.listen", message, advice);
    }
}

fn beyond_loopback(settings: &Settings) -> bool {
    settings.http.listen.is_some_and(|address| !address.ip().to_canonical().is_loopback())
}

fn workers(settings: &Settings, reader: &mut Reader<'_>) {
    for (line, workers, most) in [
        ("sight", settings.sight.workers, settings.sight.workers_max),
        ("score", settings.score.workers, settings.score.workers_max),
        ("notify", settings.notify.workers, settings.notify.workers_max),
    ] {
        if workers > most {
            let message = format!("is more than {line}.workers_max ({most})");
            reader.wrong(
                &format!("{line}.workers"),
                message,
                format!("{most} at most, or raise workers_max"),
            );
        }
    }
}

fn commits(settings: &Settings, reader: &mut Reader<'_>) {
    for (line, linger, interval) in [
        ("sight", settings.sight.linger, settings.sight.commit_interval),
        ("score", settings.score.linger, settings.score.commit_interval),
        ("notify", settings.notify.linger, settings.notify.commit_interval),
    ] {
        if linger > interval {
            let message = format!("is longer than {line}.commit_interval");
            reader.wrong(&format!("{line}.linger"), message, "a duration no longer than that");
        }
    }
}

fn topics(settings: &Settings, reader: &mut Reader<'_>) {
    let topics = &settings.topics;
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (key, name) in [
        ("input.topic", &settings.input.topic),
        ("topics.exposures", &topics.exposures),
        ("topics.sightings", &topics.sightings),
        ("topics.card_history", &topics.card_history),
        ("topics.alerts", &topics.alerts),
        ("topics.outcomes", &topics.outcomes),
        ("topics.audit", &topics.audit),
        ("topics.deliveries", &topics.deliveries),
        ("topics.control", &topics.control),
        ("topics.dead_letters", &topics.dead_letters),
    ] {
        if let Some(other) = owners.insert(name, key) {
            reader.wrong(key, format!("names the same topic as {other}"), "a topic of its own");
        }
    }
}

/// The mapping as a whole, each mistake at its key.
fn mapping(settings: &Settings, reader: &mut Reader<'_>) {
    for error in Mapping::new(&settings.mapping_spec()).err().into_iter().flatten() {
        let key = match &error.entry {
            Entry::Card => "input.card.field".to_owned(),
            Entry::CardKey => "input.card.key_field".to_owned(),
            Entry::OtherCard(kind) => format!("input.card.{}", kind.as_str()),
            entry => format!("mapping.{entry}"),
        };
        reader.wrong(&key, error.message, error.advice);
    }
}

fn keys(settings: &Settings, reader: &mut Reader<'_>) {
    for id in settings.key_files.0.keys().filter(|id| settings.key_commands.0.contains_key(id)) {
        let message = format!("comes from keys.commands.{id} as well");
        reader.wrong(&format!("keys.files.{id}"), message, "one of the two");
    }
}

/// The key that `config/reference.toml` shows. Nobody has its private half: what is sealed to it stays so.
const EXAMPLE_KEY: &str = "cwpub.AImzxbkPTZgIvVwFkp96E-H4aElDdkIoh8R-HNHBtCZJJApL";

fn dead_letters(settings: &Settings, reader: &mut Reader<'_>) {
    let letters = &settings.dead_letters;
    match (letters.payload, letters.public_key) {
        (Some(Payload::Sealed), None) => {
            let advice = "the public key that `cardwatch dead-letters keygen` prints";
            reader.wrong("dead_letters.public_key", "is not set, and letters are to be sealed to it", advice);
        }
        (_, Some(key)) if key.to_string() == EXAMPLE_KEY => {
            let message = "is the example of reference.toml, and nobody could open what is sealed to it";
            reader.wrong("dead_letters.public_key", message, "your own, of `cardwatch dead-letters keygen`");
        }
        (payload, Some(_)) if payload != Some(Payload::Sealed) => {
            let message = "seals nothing unless dead_letters.payload says so";
            reader.wrong(
                "dead_letters.public_key",
                message,
                "payload = \"sealed\" as well, or \"\" for none",
            );
        }
        _ => {}
    }
}

/// What is allowed and should be known: `cardwatch check` prints it.
pub(super) fn remarks(settings: &Settings) -> Vec<String> {
    let mut remarks = super::kafka::remarks(&settings.kafka.properties);
    remarks.extend(dead_letter_remark(settings));
    if beyond_loopback(settings) && settings.http.api {
        remarks.push(
            "http.listen: is reached from other hosts, and tokens travel as plain text: put a proxy that speaks TLS in \
             front of it"
                .to_owned(),
        );
    }
    let told = |name| settings.webhooks.0.iter().any(|webhook| webhook.keys.name.as_ref() == Some(name));
    for token in &settings.http_tokens.0 {
        for endpoint in token.endpoints.iter().filter(|endpoint| !told(endpoint)) {
            remarks.push(format!(
                "http.tokens {}: names the endpoint {endpoint}, which is none of [[webhooks]] here: its owner sees nothing",
                token.name
            ));
        }
    }
    if settings.input.start.is_none() {
        remarks.push(
            "input.start: is not set: a group without committed offsets will refuse to start; write \
             \"earliest\", \"latest\" or a time"
                .to_owned(),
        );
    }
    remarks
}

/// What PCI DSS has to say where unreadable records are kept: the record of a card number that does not read
/// may hold it all the same, and beside it what must not be kept.
fn dead_letter_remark(settings: &Settings) -> Option<String> {
    let topic = &settings.topics.dead_letters;
    let cards = settings.has_card_numbers();
    let what = match settings.dead_letter_payload() {
        Payload::Omit => return None,
        Payload::Sealed => "\"sealed\" keeps unreadable records, encrypted",
        Payload::Original => "\"original\" keeps unreadable records as they were",
    };
    let card = match (cards, settings.dead_letter_payload()) {
        (true, Payload::Original) => format!("Card numbers, whole or in part, then stand in {topic}. "),
        (true, _) => format!("Card numbers then stand in {topic} for whoever has the private key. "),
        (false, _) => String::new(),
    };
    let law = "PCI DSS 3.3.1 forbids to keep sensitive authentication data (security code, track, PIN) after \
               authorization, encrypted too: make sure that the input has none";
    Some(format!("dead_letters.payload: {what}. {card}{law}"))
}
