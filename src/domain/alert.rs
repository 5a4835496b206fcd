//! An alert: a sighting whose score reached the threshold, with its reasons in words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::incident::ExposedIn;
use super::outcome::Decision;
use super::position::Position;
use super::sighting::SeenCard;
use super::time::Timestamp;
use super::transaction::Transaction;

/// The name and version of the JSON form.
pub const ALERT_SCHEMA: &str = "cardwatch.alert/1";

/// An alert as `cardwatch.alerts` holds it (JSON, `cardwatch.alert/1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Always [`ALERT_SCHEMA`].
    pub schema: String,
    /// `alr_…`, derived from [`Alert::source`]; the webhook's idempotency key.
    pub id: String,
    /// Counts up when the alert changes; a later revision replaces the earlier.
    pub revision: u32,
    /// Where the alert stands in its life.
    pub state: State,
    /// How it came about.
    pub kind: AlertKind,
    /// When `score` raised it, by its own clock.
    pub raised_at: Timestamp,
    /// A word for the score.
    pub severity: Severity,
    /// The sum of the scores of the rules that held.
    pub score: u32,
    /// The rules that held, the heaviest first.
    pub reasons: Vec<Reason>,
    /// The card.
    pub card: SeenCard,
    /// What was known of the card before.
    pub history: Past,
    /// The incidents that expose the card.
    pub incidents: Vec<ExposedIn>,
    /// The transaction.
    pub transaction: Transaction,
    /// Sightings this alert speaks for, itself included.
    pub covers: Vec<String>,
    /// How long it took.
    pub timing: Timing,
    /// The transaction's place in the input.
    pub source: Position,
    /// What judged it.
    pub judged_by: JudgedBy,
    /// What somebody decided; absent while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Decision>,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for somebody.
    Open,
    /// Passed on.
    Escalated,
    /// Taken back.
    Withdrawn,
    /// Decided.
    Closed,
}

impl State {
    /// Every word.
    pub const WORDS: [&'static str; 4] = ["open", "escalated", "withdrawn", "closed"];

    /// The word of this state.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Escalated => "escalated",
            State::Withdrawn => "withdrawn",
            State::Closed => "closed",
        }
    }

    /// The state of a word, if it is one.
    pub fn from_word(word: &str) -> Option<State> {
        [State::Open, State::Escalated, State::Withdrawn, State::Closed]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// How an alert came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// From the stream, in time.
    Live,
    /// From the stream, older than `alerts.live_for`.
    Late,
    /// From a search through the past.
    LookBack,
    /// Asked for by a person trying the connection.
    Test,
}

impl AlertKind {
    /// The word of this kind.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::Live => "live",
            AlertKind::Late => "late",
            AlertKind::LookBack => "look_back",
            AlertKind::Test => "test",
        }
    }
}

/// A word for a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// At the threshold.
    Low,
    /// Half as much again.
    Medium,
    /// Twice the threshold.
    High,
}

impl Severity {
    /// Every word, the lowest first.
    pub const WORDS: [&'static str; 3] = ["low", "medium", "high"];

    /// The word of this severity.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }

    /// The severity of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Severity> {
        [Severity::Low, Severity::Medium, Severity::High].into_iter().find(|one| one.as_str() == word)
    }
}

/// One rule that held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule's name.
    pub rule: String,
    /// What it added to the score.
    pub score: u32,
    /// The rule's text with its facts filled in.
    pub text: String,
    /// The signals that the rule looked at, by name.
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// What was known of the card before this sighting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Uses counted before this one.
    pub uses: u64,
    /// The first of them.
    pub since: Option<Timestamp>,
}

/// How long an alert took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the record's timestamp in the input to `raised_at`, in milliseconds; never negative.
    pub transaction_to_alert_ms: i64,
}

/// What judged an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBy {
    /// The frontier of the exposure list the card was recognised under.
    pub exposures: i64,
    /// The digest of the rule set: 16 hexadecimal digits of SHA-256.
    pub rules: String,
    /// The version of the program.
    pub version: String,
}
