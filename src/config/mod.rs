//! Configuration: every key, its default, its check.
//!
//! A key is declared once ([`sections`], [`mapping`]); reading it, the variable that overrides it and its
//! lines in `config/reference.toml` follow. Every mistake is reported at once, with its place and with
//! what to write instead, and without the value that was written.
//!
//! This is the only room that reads the environment.

mod agree;
mod kafka;
mod keys;
pub mod mapping;
mod problem;
mod reader;
mod reference;
mod rows;
mod section;
mod sections;
mod shape;
mod source;
mod tokens;
mod webhooks;

use std::path::Path;

pub use kafka::{Oauth, Properties};
pub use keys::{KeyCommands, KeyFiles};
pub use mapping::{MappingSettings, ReferencePointers};
pub use problem::{Place, Problem, Problems};
pub use reference::reference;
pub use sections::{
    Alerts, Audit, Books, Card, DeadLetters, History, Http, Instance, Keys, Line, Lines, Log, LogFormat,
    LogLevel, Notify, Payload, Refresh, Retention, Score, Sight, Start, Topics,
};
pub use tokens::{HttpTokens, TOKEN_NAME_BYTES_MAX, TokenSettings};

pub use webhooks::{BodyForm, WEBHOOKS_MAX, Webhook, WebhookKeys, Webhooks};

use crate::codec::mapping::MappingSpec;
use crate::domain::card::CardKind;
use reader::Reader;
use section::Section;

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the Kafka cluster is.
    pub kafka: Kafka,
    /// The topics.
    pub topics: Topics,
    /// The stream of transactions.
    pub input: Input,
    /// Where its fields are.
    pub mapping: MappingSettings,
    /// Where references are in a transaction.
    pub references: ReferencePointers,
    /// The keys of fingerprints.
    pub keys: Keys,
    /// Keys in files of their own.
    pub key_files: KeyFiles,
    /// Keys from commands.
    pub key_commands: KeyCommands,
    /// What tells this process from others.
    pub instance: Instance,
    /// Which lines run.
    pub lines: Lines,
    /// Recognising cards.
    pub sight: Sight,
    /// Judging sightings.
    pub score: Score,
    /// Taking in what people decide.
    pub books: Books,
    /// Telling endpoints of alerts.
    pub notify: Notify,
    /// Keeping the list in memory.
    pub refresh: Refresh,
    /// What is remembered of a card.
    pub history: History,
    /// How long records of cards are kept.
    pub retention: Retention,
    /// When a sighting becomes an alert.
    pub alerts: Alerts,
    /// Unreadable records.
    pub dead_letters: DeadLetters,
    /// Metrics, health and `/v1`.
    pub http: Http,
    /// Who may use `/v1`.
    pub http_tokens: HttpTokens,
    /// Who did what.
    pub audit: Audit,
    /// Logs.
    pub log: Log,
    /// Who is told of alerts.
    pub webhooks: Webhooks,
}

/// Where the Kafka cluster is.
#[derive(Debug, Clone, PartialEq)]
pub struct Kafka {
    /// The brokers to ask first, `HOST:PORT` separated by commas.
    pub bootstrap_servers: String,
    /// Where the token comes from that brokers are shown.
    pub oauth: Oauth,
    /// Properties of the client, secrets among them.
    pub properties: Properties,
}

/// The stream of transactions.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The topic.
    pub topic: String,
    /// Where reading starts where the group has no committed offset; `None` refuses to guess.
    pub start: Option<Start>,
    /// The card field.
    pub card: Card,
}

impl Settings {
    /// Reads the file at `path`, or nothing but defaults without one, and the variables `CARDWATCH_…`
    /// among `variables`, which win.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn load(
        path: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, Problems> {
        sound(Settings::examine(path, variables))
    }

    /// [`Settings::load`] for `cardwatch check`: the mistakes, and the settings also where there are some, with defaults
    /// in place of what could not be read, so that what the files of the settings hold can be looked at too.
    pub fn examine(
        path: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> (Option<Settings>, Vec<Problem>) {
        let Some(path) = path else {
            return Settings::examine_text(None, variables);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Settings::examine_text(Some((path, &text)), variables),
            Err(error) => {
                let problem = Problem {
                    place: Place::File(path.to_owned()),
                    key: String::new(),
                    message: format!("cannot be read: {error}"),
                    advice: "the path of a configuration file, such as config/cardwatch.toml".to_owned(),
                };
                (None, vec![problem])
            }
        }
    }

    /// [`Settings::load`] with the text of the file at hand.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn read(
        file: Option<(&Path, &str)>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, Problems> {
        sound(Settings::examine_text(file, variables))
    }

    fn examine_text(
        file: Option<(&Path, &str)>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> (Option<Settings>, Vec<Problem>) {
        let mut reader = Reader::new(file, variables);
        let settings = Settings::read_sections(&mut reader).map(|mut settings| {
            agree::derive(&mut settings, &mut reader);
            agree::check(&settings, &mut reader);
            settings
        });
        (settings, reader.finish())
    }

    fn read_sections(reader: &mut Reader<'_>) -> Option<Settings> {
        let kafka = sections::Brokers::read(reader);
        let oauth = Oauth::read(reader);
        let properties = Properties::read(reader);
        let topics = Topics::read(reader);
        let input = sections::InputTopic::read(reader);
        let card = Card::read(reader);
        let mapping = MappingSettings::read(reader);
        let references = ReferencePointers::read(reader);
        let keys = Keys::read(reader);
        let key_files = KeyFiles::read(reader);
        let key_commands = KeyCommands::read(reader);
        let instance = Instance::read(reader);
        let lines = Lines::read(reader);
        let sight = Sight::read(reader);
        let score = Score::read(reader);
        let books = Books::read(reader);
        let notify = Notify::read(reader);
        let refresh = Refresh::read(reader);
        let history = History::read(reader);
        let retention = Retention::read(reader);
        let alerts = Alerts::read(reader);
        let dead_letters = DeadLetters::read(reader);
        let http = Http::read(reader);
        let http_tokens = HttpTokens::read(reader);
        let audit = Audit::read(reader);
        let log = Log::read(reader);
        let webhooks = Webhooks::read(reader);
        let input = input?;
        Some(Settings {
            kafka: Kafka {
                bootstrap_servers: kafka?.bootstrap_servers,
                oauth: oauth?,
                properties: properties?,
            },
            topics: topics?,
            input: Input { topic: input.topic, start: input.start, card: card? },
            mapping: mapping?,
            references: references?,
            keys: keys?,
            key_files: key_files?,
            key_commands: key_commands?,
            instance: instance?,
            lines: lines?,
            sight: sight?,
            score: score?,
            books: books?,
            notify: notify?,
            refresh: refresh?,
            history: history?,
            retention: retention?,
            alerts: alerts?,
            dead_letters: dead_letters?,
            http: http?,
            http_tokens: http_tokens?,
            audit: audit?,
            log: log?,
            webhooks: webhooks?,
        })
    }

    /// What a dead letter keeps: as set, or by what the card fields hold.
    pub fn dead_letter_payload(&self) -> Payload {
        self.dead_letters.payload.unwrap_or(match self.input.card.kind {
            CardKind::Token | CardKind::AccountReference if !self.has_card_numbers() => Payload::Original,
            _ => Payload::Omit,
        })
    }

    /// Whether a card field of the input holds card numbers.
    fn has_card_numbers(&self) -> bool {
        self.input.card.kind == CardKind::Number || !self.input.card.funding_number.is_empty()
    }

    /// How records are read.
    pub fn mapping_spec(&self) -> MappingSpec {
        let card = &self.input.card;
        let others = [
            (CardKind::FundingNumber, &card.funding_number),
            (CardKind::Token, &card.token),
            (CardKind::AccountReference, &card.account_reference),
        ];
        MappingSpec {
            card: card.field.clone(),
            card_kind: card.kind,
            card_key: card.key_field.clone(),
            other_cards: (others.into_iter())
                .filter(|(_, places)| !places.is_empty())
                .map(|(kind, places)| (kind, places.clone()))
                .collect(),
            fields: self.mapping.fields().map(|(field, how)| (field, how.clone())).collect(),
            references: self.references.0.clone(),
        }
    }

    /// What is allowed and should be known, for `cardwatch check`: sentences that begin with the key.
    pub fn remarks(&self) -> Vec<String> {
        agree::remarks(self)
    }
}

/// The settings, where there is no mistake.
fn sound((settings, problems): (Option<Settings>, Vec<Problem>)) -> Result<Settings, Problems> {
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(Problems(problems)),
    }
}

/// The process's environment, as far as it is text. A variable that is not is left out.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests;
