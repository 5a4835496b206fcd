//! The endpoints that `notify` tells: a table of a list each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::problem::{Place, Problem};
use super::reader::Reader;
use super::rows::{Cells, Row};
use super::section::{Section as _, SectionDescription, section};
use super::shape::{
    Input, Shape, choice, duration, few, jitter, list, optional, path, shape, text_that, truth, whole,
    word_or,
};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::delivery::EndpointName;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::lines::notify::endpoint::Since;
use crate::notice::body::{BATCH_ALERTS_MAX, Link, Show};
use crate::notice::filter::{Filter, When};
use crate::notice::ledger::Batch;
use crate::notice::schedule::{Bounds, Schedule};
use crate::secret::Secret;

/// The most endpoints.
pub const WEBHOOKS_MAX: usize = 100;

const PATH: &str = "webhooks";

/// In which form an endpoint is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// The alert itself.
    Alert,
    /// CloudEvents, structured.
    CloudEvents,
    /// A message of Slack.
    Slack,
    /// What Alertmanager sends.
    Alertmanager,
    /// A template of the user's own.
    Template,
}

impl BodyForm {
    /// Whether it is read in chats, and carries little.
    pub fn is_chat(self) -> bool {
        !matches!(self, BodyForm::Alert | BodyForm::CloudEvents)
    }

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            BodyForm::Alert => "alert",
            BodyForm::CloudEvents => "cloudevents",
            BodyForm::Slack => "slack",
            BodyForm::Alertmanager => "alertmanager",
            BodyForm::Template => "template",
        }
    }
}

section! {
    /// Who is told of alerts by the line "notify": a table for each endpoint, at most 100 of them. A key that is left
    /// out has its default. No variable sets these. docs/webhooks.md has the forms of bodies, filters and templates.
    /// SIGHUP reads the files of secrets anew; anything else takes a new start.
    pub struct WebhookKeys = "webhooks" {
        /// Its name: in commands, metrics and the ledger. Under another name it is another endpoint.
        name: Option<EndpointName> = r#""""# example r#""issuer""#, endpoint_name();
        /// Where alerts are posted. Where the URL itself is the password, as a chat's is, put it into url_file.
        url: Option<Secret> = r#""""# example r#""https://alerts.issuer.example/cardwatch""#, optional(url());
        /// The file of the keys that sign, one a line, whsec_… (HMAC-SHA-256) or whsk_… (ed25519), the newest first. It
        /// must be set for the bodies "alert" and "cloudevents".
        secret_file: Option<PathBuf> = r#""""# example r#""webhooks/issuer.secret""#, optional(path());
        /// In which form alerts are told: the alert itself, CloudEvents, or for people to read a message of Slack, an
        /// alert of Alertmanager or a template of your own.
        body: BodyForm = r#""alert""#, choice(&[
            ("alert", BodyForm::Alert),
            ("cloudevents", BodyForm::CloudEvents),
            ("slack", BodyForm::Slack),
            ("alertmanager", BodyForm::Alertmanager),
            ("template", BodyForm::Template),
        ]);
        /// Only alerts on cards of one of these incidents.
        incidents: Vec<IncidentId> = "[]" example r#"["shop-2026"]"#, list(incident());
        /// Only alerts of this severity or a higher one.
        severity_at_least: Option<Severity> = r#""""# example r#""medium""#, optional(choice(&[
            ("low", Severity::Low),
            ("medium", Severity::Medium),
            ("high", Severity::High),
        ]));
        /// Only alerts for which one of these rules held.
        rules: Vec<String> = "[]" example r#"["card-testing"]"#, list(some_text());
        /// Only alerts that came about in one of these ways.
        kinds: Vec<AlertKind> = "[]" example r#"["live", "late"]"#, few(&[
            ("live", AlertKind::Live),
            ("late", AlertKind::Late),
            ("look_back", AlertKind::LookBack),
            ("test", AlertKind::Test),
        ]);
        /// Only alerts for which this condition (CEL, as in rules) is true or unknown.
        when: Option<String> = r#""""# example r#"'score >= 60 && channel != "pos"'"#, optional(some_text());
        /// The pauses before the first attempt and after each one that failed.
        schedule: Vec<Duration> =
            r#"["0s", "5s", "30s", "2m", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"]"#,
            list(duration("0s", "30d"));
        /// The share of a pause by which it is moved, either way, so that not all come back at once.
        jitter: f64 = "0.1", jitter();
        /// The shortest pause that a receiver may ask for by Retry-After.
        retry_after_min: Duration = r#""1s""#, duration("0s", "1d");
        /// The longest.
        retry_after_max: Duration = r#""1h""#, duration("1s", "7d");
        /// The time that one exchange may take: looking up, connecting, TLS, request and answer.
        timeout: Duration = r#""15s""#, duration("100ms", "2m");
        /// Requests under way at once, of each process that runs "notify".
        concurrency: usize = "4", whole(1..=64, "requests");
        /// Requests begun in a second at most, of each process; those of ten milliseconds beside, where some were late.
        rate: u32 = "100", whole(1..=100_000, "requests a second");
        /// From where it is told when it is new: "now", or all alerts since a time.
        since: Since = r#""now""#, word_or(
            &[("now", Since::Now)],
            r#""now" or a time with its offset such as "2026-04-01T00:00:00+09:00""#,
            "a time to begin at",
            |text| Timestamp::parse_rfc3339(text).ok().map(Since::At),
        );
        /// How long it may fail without a break before it is disabled. What is owed to it stays; `cardwatch webhook
        /// enable` brings it back.
        disable_after: Duration = r#""5d""#, duration("1s", "365d");
        /// The longest pause between two questions whether an endpoint that fails is back.
        probe_every: Duration = r#""1m""#, duration("1s", "1d");
        /// How often it is told that cardwatch lives, and how far it has read. Without this key it is not; a template has
        /// no words for it.
        heartbeat: Option<Duration> = r#""""# example r#""5m""#, optional(duration("1s", "1d"));
        /// Whether http is meant where the URL says so.
        allow_insecure: bool = "false", truth();
        /// Networks beside the public internet that its addresses may be in.
        allow_networks: Vec<String> = "[]" example r#"["10.20.0.0/16"]"#, list(some_text());
        /// A proxy to go through: http://HOST:PORT.
        proxy: Option<String> = r#""""# example r#""http://proxy.example:3128""#, optional(some_text());
        /// The file with what the proxy asks for, USER:PASSWORD.
        proxy_credentials_file: Option<PathBuf> = r#""""# example r#""webhooks/proxy.secret""#, optional(path());
        /// Certificate authorities (PEM) to trust in place of the system's.
        ca_file: Option<PathBuf> = r#""""# example r#""webhooks/ca.pem""#, optional(path());
        /// The certificate (PEM, with its chain) that cardwatch shows.
        client_cert_file: Option<PathBuf> = r#""""# example r#""webhooks/client.pem""#, optional(path());
        /// The key of that certificate (PEM).
        client_key_file: Option<PathBuf> = r#""""# example r#""webhooks/client.key""#, optional(path());
        /// Headers for a receiver that asks for a token of its own: the name, and the file with the value.
        headers: BTreeMap<String, PathBuf> = "{}" example r#"{ Authorization = "webhooks/issuer.token" }"#, headers();
        /// The file that holds the URL, in place of url.
        url_file: Option<PathBuf> = r#""""# example r#""webhooks/desk.url""#, optional(path());
        /// What a chat may say of the transaction beside severity, incidents, alert id, rules and link. It leaves
        /// the house.
        show: Vec<&'static str> = "[]" example r#"["merchant", "amount"]"#,
            few(&[("references", "references"), ("merchant", "merchant"), ("amount", "amount")]);
        /// Where a reader of a chat finds the alert, with {alert} and {incident} in it.
        link: Option<Link> = r#""""# example r#""https://cases.example/alerts/{alert}""#, optional(link());
        /// Batches: the most alerts in one. Without this key and the next there are none.
        batch_max: Option<usize> = r#""""# example "50", optional(whole(1..=BATCH_MAX, "alerts"));
        /// How long the first alert of a batch waits for others.
        batch_wait: Option<Duration> = r#""""# example r#""10s""#, optional(duration("0ms", "1h"));
        /// The template (Jinja) of the body "template".
        template_file: Option<PathBuf> = r#""""# example r#""webhooks/teams.json.jinja""#, optional(path());
        /// The media type of what it makes; without it "application/json".
        content_type: Option<String> = r#""""# example r#""application/json""#, optional(some_text());
    }
}

const BATCH_MAX: u32 = BATCH_ALERTS_MAX as u32;
/// What batches have where one of the two keys is set.
const BATCH: Batch = Batch { max: 100, wait_ms: 5_000 };

/// An endpoint of the configuration, its files not read yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its keys.
    pub keys: WebhookKeys,
    /// Which alerts it wants.
    pub filter: Filter,
    /// When a delivery is tried again.
    pub schedule: Schedule,
    place: Place,
    places: BTreeMap<String, Place>,
}

impl Webhook {
    /// A mistake at a key of this endpoint.
    pub fn problem(&self, key: &str, message: impl Into<String>, advice: impl Into<String>) -> Problem {
        let place = self.places.get(key).unwrap_or(&self.place).clone();
        Problem { place, key: format!("{PATH}.{key}"), message: message.into(), advice: advice.into() }
    }

    /// The batches that it asks for.
    pub fn batch(&self) -> Option<Batch> {
        let (max, wait) = (self.keys.batch_max, self.keys.batch_wait);
        (max.is_some() || wait.is_some()).then(|| Batch {
            max: max.unwrap_or(BATCH.max),
            wait_ms: wait.map_or(BATCH.wait_ms, |wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
        })
    }

    /// What of a transaction its chat may say.
    pub fn show(&self) -> Show {
        let is_on = |word| self.keys.show.contains(&word);
        Show { references: is_on("references"), merchant: is_on("merchant"), amount: is_on("amount") }
    }

    /// Between what it may ask for a pause.
    pub fn retry_after(&self) -> Bounds {
        Bounds { least: self.keys.retry_after_min, most: self.keys.retry_after_max }
    }
}

/// Every endpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Webhooks(pub Vec<Webhook>);

/// A part of the example in the reference: a table that begins with these lines, and the keys from this one on.
pub(super) struct Example {
    /// The first key that is explained here.
    pub(super) from: &'static str,
    /// What stands above it.
    pub(super) lines: &'static [&'static str],
}

impl Webhooks {
    /// The list for people.
    pub(super) fn describe() -> (SectionDescription, [Example; 3]) {
        let examples = [
            Example { from: "name", lines: &[] },
            Example { from: "url_file", lines: &[r#"name = "desk""#, r#"body = "slack""#] },
            Example {
                from: "template_file",
                lines: &[r#"name = "teams""#, r#"url_file = "webhooks/teams.url""#, r#"body = "template""#],
            },
        ];
        (WebhookKeys::describe(), examples)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Webhooks> {
        let names: Vec<&'static str> = WebhookKeys::describe().keys.iter().map(|key| key.name).collect();
        let rows = reader.rows(PATH, &names);
        if let Some(row) = rows.get(WEBHOOKS_MAX) {
            let message = format!("is one endpoint more than the {WEBHOOKS_MAX} that there may be");
            let advice = "fewer, with a receiver that passes on, or run another cardwatch beside this one";
            reader.mistake(row.place.clone(), PATH, message, advice.to_owned());
        }
        let mut taken = BTreeSet::new();
        let mut webhooks = Vec::new();
        for row in &rows {
            let (webhook, mut faulty) = one(reader, row)?;
            // Of a name that could not be read nothing more is said.
            faulty.extend((webhook.keys.name.is_none()).then(|| "name".to_owned()));
            let taken_before = webhook.keys.name.clone().is_some_and(|name| !taken.insert(name));
            if taken_before {
                let problem =
                    webhook.problem("name", "is the name of another endpoint too", "a name of its own");
                reader.mistake(problem.place, &problem.key, problem.message, problem.advice);
            }
            for problem in contradictions(&webhook, &faulty) {
                reader.mistake(problem.place, &problem.key, problem.message, problem.advice);
            }
            webhooks.push(webhook);
        }
        Some(Webhooks(webhooks))
    }
}

/// Reads one endpoint; and the keys that could not be read.
fn one<'t>(reader: &mut Reader<'t>, row: &Row<'t>) -> Option<(Webhook, BTreeSet<String>)> {
    let places = row.names().map(|name| (name.to_owned(), reader.cell_place(row, name))).collect();
    let mut cells = Cells { reader, row, faulty: BTreeSet::new() };
    let keys = WebhookKeys::read_from(&mut cells)?;
    let mut faulty = cells.faulty;
    if keys.name.is_none() && !faulty.contains("name") {
        let place = reader.cell_place(row, "name");
        reader.mistake(place, "webhooks.name", "is missing".to_owned(), endpoint_name().allowed);
    }
    let when = keys.when.as_deref().and_then(|text| match When::parse(text) {
        Ok(when) => Some(when),
        Err(wrongs) => {
            faulty.insert("when".to_owned());
            for wrong in wrongs {
                let place = reader.text_place(row, "when", wrong.line);
                reader.mistake(place, "webhooks.when", wrong.message, String::new());
            }
            None
        }
    });
    let schedule = Schedule::new(keys.schedule.clone(), keys.jitter).unwrap_or_else(|error| {
        let place = reader.cell_place(row, "schedule");
        reader.mistake(place, "webhooks.schedule", error.to_string(), String::new());
        Schedule::default()
    });
    let filter = Filter {
        incidents: keys.incidents.iter().cloned().collect(),
        severity_at_least: keys.severity_at_least,
        rules: keys.rules.iter().cloned().collect(),
        kinds: keys.kinds.clone(),
        when,
    };
    Some((Webhook { keys, filter, schedule, place: row.place.clone(), places }, faulty))
}

/// What the keys of one endpoint must be to each other. Of keys that could not be read nothing is said.
fn contradictions(webhook: &Webhook, faulty: &BTreeSet<String>) -> Vec<Problem> {
    let keys = &webhook.keys;
    let is_set = |key: &str| webhook.places.contains_key(key);
    let mut problems = Vec::new();
    let mut wrong = |key: &'static str, because: &[&str], message: String, advice: &str| {
        if !because.iter().chain([&key]).any(|key| faulty.contains(*key)) {
            problems.push(webhook.problem(key, message, advice));
        }
    };
    match (&keys.url, &keys.url_file) {
        (Some(_), Some(_)) => wrong("url_file", &["url"], "stands beside url".to_owned(), "one of the two"),
        (None, None) => {
            let message = "is missing, and so is url_file".to_owned();
            wrong("url", &["url_file"], message, "where alerts are posted, or the file that says it");
        }
        _ => {}
    }
    let body = keys.body.as_str();
    if !keys.body.is_chat() && keys.secret_file.is_none() {
        let message = format!("is missing: the body \"{body}\" is signed, so that its receiver can trust it");
        let advice = "the path of a file with a key, as `cardwatch webhook rotate` makes it";
        wrong("secret_file", &["body"], message, advice);
    }
    let only_for =
        |key: &str, who: &str| format!("is for {who}, and the body is \"{body}\"; {key} says nothing");
    for key in ["show", "link"] {
        if is_set(key) && !keys.body.is_chat() {
            let message = format!("is for chats: the body \"{body}\" is the whole alert");
            wrong(key, &["body"], message, "it nowhere, or another body");
        }
    }
    for key in ["template_file", "content_type"] {
        if is_set(key) && keys.body != BodyForm::Template {
            wrong(key, &["body"], only_for(key, "templates"), "body = \"template\", or leave it out");
        }
    }
    if keys.body == BodyForm::Template && keys.template_file.is_none() {
        wrong("template_file", &["body"], "is missing".to_owned(), "the path of the template");
    }
    if keys.heartbeat.is_some() && keys.body == BodyForm::Template {
        let message = "is not for templates: they are of alerts".to_owned();
        wrong("heartbeat", &["body"], message, "it nowhere, or another body");
    }
    if keys.retry_after_min > keys.retry_after_max {
        let message = "is longer than retry_after_max".to_owned();
        wrong("retry_after_min", &["retry_after_max"], message, "a duration no longer than that");
    }
    problems
}

fn endpoint_name() -> Shape<Option<EndpointName>> {
    let allowed = "a name of 1 to 40 of a-z, 0-9, \"-\" and \"_\"";
    text_that(allowed, "such a name", |text| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    })
}

fn url() -> Shape<Secret> {
    text_that("a URL such as \"https://alerts.issuer.example/cardwatch\"", "a URL", |text| {
        Some(Secret::new(text.as_bytes().to_vec()))
    })
}

fn incident() -> Shape<IncidentId> {
    text_that("incidents' ids, such as \"shop-2026\"", "an incident's id", |text| text.parse().ok())
}

fn some_text() -> Shape<String> {
    text_that("text in quotes", "a text: it is empty", |text| (!text.is_empty()).then(|| text.to_owned()))
}

fn link() -> Shape<Link> {
    shape("an address such as \"https://cases.example/alerts/{alert}\"", |input| {
        let text = input.text().ok_or("is not a text in quotes")?;
        Link::parse(text).map_err(|error| format!("is no link: {error}"))
    })
}

fn headers() -> Shape<BTreeMap<String, PathBuf>> {
    let allowed = "a table of names and paths, such as { Authorization = \"webhooks/issuer.token\" }";
    shape(allowed, |input| {
        let Input::Value(DeValue::Table(table)) = input else { return Err("is not a table".to_owned()) };
        let entries = table.iter().map(|(name, file)| {
            let file = file.get_ref().as_str().filter(|file| !file.is_empty());
            let file =
                file.ok_or("holds something else than paths: a header's value has a file of its own")?;
            Ok((name.get_ref().to_string(), PathBuf::from(file)))
        });
        entries.collect::<Result<BTreeMap<_, _>, &str>>().map_err(str::to_owned)
    })
}

#[cfg(test)]
mod tests;
