//! Properties handed to the Kafka client as they are, but for those that would break a promise.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::problem::Place;
use super::reader::Reader;
use super::section::{Section, SectionDescription};
use super::shape::{Input, Shape};
use toml::de::DeValue;

/// What a property's name ends with where its value is to be read from a file.
const FILE_SUFFIX: &str = "_file";
/// The longest secret read from a file, in bytes: a certificate chain fits.
const SECRET_BYTES_MAX: u64 = 256 * 1024;

/// Properties of librdkafka that the user set. `Debug` shows their names only: values may be secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Name and value of each, in the order of the names. The values must not be logged.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Properties that are refused, and why.
const REFUSED: [(&str, &str); 32] = [
    ("acks", "an acknowledged record must be on every in-sync replica"),
    ("allow.auto.create.topics", "a topic made in passing has the wrong partitions and clean-up"),
    ("auto.commit.enable", "offsets are committed in the transaction of their results alone"),
    ("auto.commit.interval.ms", "offsets are committed in the transaction of their results alone"),
    ("auto.offset.reset", "a lost range must stop the line; input.start says where a new group starts"),
    ("bootstrap.servers", "it has a key of its own, kafka.bootstrap_servers"),
    ("delivery.report.only.error", "a transaction is committed when every record is known to be delivered"),
    ("delivery.timeout.ms", "it must stay below the transaction's own time-out of 10 s"),
    ("enable.auto.commit", "offsets are committed in the transaction of their results alone"),
    ("enable.auto.offset.store", "offsets are committed in the transaction of their results alone"),
    ("enable.gapless.guarantee", "transactions already guarantee more"),
    ("enable.idempotence", "a retried record must not be written twice"),
    ("enable.partition.eof", "restoring a history is bounded by its own protocol"),
    ("enabled_events", "the lines serve the client's events themselves"),
    ("group.id", "it follows from instance.group_prefix and the line"),
    ("group.instance.id", "workers are told apart by the broker; a shared id would fence them off"),
    ("group.protocol", "the classic protocol is the one the lines are tested with"),
    ("isolation.level", "reading what may yet be aborted would count a sighting twice"),
    ("max.in.flight", "more than five requests in flight can reorder records"),
    ("max.in.flight.requests.per.connection", "more than five requests in flight can reorder records"),
    ("message.send.max.retries", "giving up early would leave a hole in a transaction"),
    ("message.timeout.ms", "it must stay below the transaction's own time-out of 10 s"),
    ("metadata.broker.list", "it has a key of its own, kafka.bootstrap_servers"),
    ("offset.store.method", "offsets live on the broker, in the transaction"),
    ("partition.assignment.strategy", "cooperative-sticky is the one the lines are tested with"),
    ("partitioner", "keys are placed as Java clients place them (murmur2_random)"),
    ("queuing.strategy", "records of one partition must stay in order"),
    ("request.required.acks", "an acknowledged record must be on every in-sync replica"),
    ("retries", "giving up early would leave a hole in a transaction"),
    ("session.timeout.ms", "take-over after a crash is promised with a time-out of 10 s"),
    ("transaction.timeout.ms", "a transaction left open holds readers back; it ends after 10 s"),
    (
        "transactional.id",
        "it follows from instance.transactional_prefix, the line, the instance and the worker",
    ),
];

/// Properties whose values are secrets: read from a file, never written in the configuration.
const SECRET: [&str; 7] = [
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

const PATH: &str = "kafka.properties";

/// A text, a whole number, a number or a truth value, as the client's text.
fn property() -> Shape<String> {
    Shape {
        allowed: "a text, a number, true or false".to_owned(),
        read: Box::new(|input| match input {
            Input::Text(text) => Ok((*text).to_owned()),
            Input::Value(DeValue::String(text)) => Ok(text.to_string()),
            Input::Value(DeValue::Boolean(truth)) => Ok(truth.to_string()),
            Input::Value(DeValue::Integer(number)) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            Input::Value(DeValue::Float(number)) => Ok(number.as_str().to_owned()),
            Input::Value(_) => Err("is not a property's value".to_owned()),
        }),
    }
}

/// `SASL_PASSWORD_FILE` names `sasl.password_file`: the client's names hold dots.
fn name_of(variable: &str) -> String {
    let name = variable.to_lowercase();
    match name.strip_suffix(FILE_SUFFIX) {
        Some(name) => format!("{}{FILE_SUFFIX}", name.replace('_', ".")),
        None => name.replace('_', "."),
    }
}

impl Section for Properties {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "Properties of the Kafka client (librdkafka), by its own names in quotes. Those that would break",
                "a promise are refused. A secret stands in a file of its own: add \"_file\" to the name. In a",
                "variable's name dots are underscores: CARDWATCH_KAFKA__PROPERTIES__SECURITY_PROTOCOL.",
            ],
            keys: Vec::new(),
            examples: &[
                r#""security.protocol" = "sasl_ssl""#,
                r#""sasl.username" = "cardwatch""#,
                r#""sasl.password_file" = "/run/secrets/kafka-password""#,
            ],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut properties = BTreeMap::new();
        for (name, (place, value)) in reader.map(PATH, &property(), name_of) {
            match check(&name, value) {
                Ok((name, value)) => {
                    properties.insert(name, value);
                }
                Err((message, advice)) => complain(reader, place, &name, message, advice),
            }
        }
        Some(Properties(properties))
    }
}

fn complain(reader: &mut Reader<'_>, place: Place, name: &str, message: String, advice: String) {
    reader.mistake(place, &format!("{PATH}.{name}"), message, advice);
}

/// The property to hand to the client, or what is wrong with it and what to write instead.
fn check(name: &str, value: String) -> Result<(String, String), (String, String)> {
    let plain = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == plain) {
        return Err((format!("is not yours to set: {reason}"), "nothing: leave it out".to_owned()));
    }
    if plain != name {
        let secret = read_secret(Path::new(&value))
            .map_err(|message| (message, "the path of a readable file".to_owned()))?;
        return Ok((plain.to_owned(), secret));
    }
    if SECRET.contains(&name) {
        let advice = format!("\"{name}{FILE_SUFFIX}\" and the path of a file that holds it");
        return Err(("a secret has no place in the configuration".to_owned(), advice));
    }
    Ok((name.to_owned(), value))
}

/// The text of a file without the line's end that editors add.
fn read_secret(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > SECRET_BYTES_MAX {
        return Err(format!("cannot be read: larger than {SECRET_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
