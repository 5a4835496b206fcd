//! Alerts as somebody who works them sees them: a line each, what is asked for, and in which order it comes.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::alert::{Alert, AlertKind, Severity, State};
use super::card::Fingerprint;
use super::incident::IncidentId;
use super::money::Money;
use super::outcome::Verdict;
use super::position::{derived_bytes, id_of_bytes};
use super::time::Timestamp;
use super::transaction::Transaction;
use super::vocabulary::{Kind, Outcome};

/// An alert's id as its 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey(pub [u8; 16]);

impl AlertKey {
    /// The bits of an alert's id.
    pub fn of_alert(id: &str) -> Option<AlertKey> {
        derived_bytes(id, "alr").map(AlertKey)
    }

    /// The bits of the alert that is derived from the same record as this sighting.
    pub fn of_sighting(id: &str) -> Option<AlertKey> {
        derived_bytes(id, "sgt").map(AlertKey)
    }
}

impl std::fmt::Display for AlertKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&id_of_bytes("alr", &self.0))
    }
}

impl std::fmt::Debug for AlertKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for AlertKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An alert in one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub id: AlertKey,
    /// Its newest revision.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// How it came about.
    pub kind: AlertKind,
    /// A word for the score.
    pub severity: Severity,
    /// The score.
    pub score: u32,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When the card was used.
    pub transaction_at: Option<Timestamp>,
    /// What the transaction would cost the cardholder; `None` where no money moved or the amount is not known. In
    /// JSON `amount` in minor units as text, and `currency`.
    #[serde(flatten, with = "super::transaction::amount")]
    pub cost: Option<Money>,
    /// The card.
    pub fingerprint: Fingerprint,
    /// The incidents that expose it.
    #[serde(serialize_with = "incidents")]
    pub incidents: Arc<[IncidentId]>,
    /// The rules that held, the heaviest first.
    #[serde(serialize_with = "rules")]
    pub rules: Arc<[Arc<str>]>,
    /// What was decided last.
    pub verdict: Option<Verdict>,
}

fn incidents<S: Serializer>(list: &Arc<[IncidentId]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}

fn rules<S: Serializer>(list: &Arc<[Arc<str>]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|rule| &**rule))
}

impl Summary {
    /// The line of `alert`; `None` where its id is none of ours.
    pub fn of(alert: &Alert) -> Option<Summary> {
        Some(Summary {
            id: AlertKey::of_alert(&alert.id)?,
            revision: alert.revision,
            state: alert.state,
            kind: alert.kind,
            severity: alert.severity,
            score: alert.score,
            raised_at: alert.raised_at,
            transaction_at: alert.transaction.at,
            cost: cost(&alert.transaction),
            fingerprint: alert.card.fingerprint,
            incidents: alert.incidents.iter().map(|incident| incident.id.clone()).collect(),
            rules: alert.reasons.iter().map(|reason| Arc::from(reason.rule.as_str())).collect(),
            verdict: alert.outcome.as_ref().map(|decision| decision.verdict),
        })
    }
}

/// What a transaction would cost: as billed where that is known, for it is in the card's own currency. Nothing where it
/// was declined, or moves no money or moves it back.
pub fn cost(transaction: &Transaction) -> Option<Money> {
    let moves = !matches!(transaction.kind, Kind::AccountCheck | Kind::Refund | Kind::Reversal);
    transaction.money().filter(|money| moves && transaction.outcome != Outcome::Declined && money.minor > 0)
}

/// What is asked for. Every condition must hold; an empty one always does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// Cards exposed in this incident.
    pub incident: Option<IncidentId>,
    /// This severity or above.
    pub severity: Option<Severity>,
    /// Raised at this time or later.
    pub since: Option<Timestamp>,
    /// Raised before this time.
    pub until: Option<Timestamp>,
    /// In one of these states.
    pub states: Vec<State>,
    /// With this rule among the reasons.
    pub rule: Option<String>,
    /// Of this card.
    pub card: Option<Fingerprint>,
}

impl Query {
    /// Whether an alert is asked for.
    pub fn fits(&self, alert: &Summary) -> bool {
        self.incident.as_ref().is_none_or(|incident| alert.incidents.contains(incident))
            && self.severity.is_none_or(|severity| alert.severity >= severity)
            && self.since.is_none_or(|since| alert.raised_at >= since)
            && self.until.is_none_or(|until| alert.raised_at < until)
            && (self.states.is_empty() || self.states.contains(&alert.state))
            && self.rule.as_deref().is_none_or(|rule| alert.rules.iter().any(|held| &**held == rule))
            && self.card.is_none_or(|card| alert.fingerprint == card)
    }
}

/// In which order alerts come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest first; of those raised in the same millisecond the costliest.
    #[default]
    Newest,
    /// The costliest first, one currency after the other in the order of their codes (sums of two currencies cannot
    /// be compared), those without a cost last; of equal cost the newest.
    Costliest,
}

impl Order {
    /// Every word.
    pub const WORDS: [&'static str; 2] = ["newest", "costliest"];

    /// The word of this order.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Newest => "newest",
            Order::Costliest => "costliest",
        }
    }

    /// The order of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Order> {
        [Order::Newest, Order::Costliest].into_iter().find(|order| order.as_str() == word)
    }

    /// The place of an alert in this order; the smallest comes first.
    pub fn place(self, alert: &Summary) -> Place {
        let newest = alert.raised_at.millis().saturating_neg();
        let dearest = alert.cost.map_or(0, |money| money.minor.saturating_neg());
        match self {
            Order::Newest => Place(String::new(), newest, dearest, alert.id),
            Order::Costliest => {
                // Behind every code of three letters.
                let currency = alert.cost.map_or("~", |money| money.currency.code());
                Place(currency.to_owned(), dearest, newest, alert.id)
            }
        }
    }
}

/// Where an alert stands in an order. No two have the same place, and none moves when others come in, so a page begins
/// where the one before it ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(String, i64, i64, AlertKey);

/// A text is no cursor, or one of another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list: take `next` of the page before, with the same order")]
pub struct CursorError;

impl Place {
    /// The place as an opaque text.
    pub fn cursor(&self, order: Order) -> String {
        let Place(currency, first, second, id) = self;
        let text = format!("{} {currency} {first} {second} {id}", order.as_str());
        data_encoding::BASE64URL_NOPAD.encode(text.as_bytes())
    }

    /// The place behind a [`Place::cursor`] of this order.
    ///
    /// # Errors
    /// [`CursorError`] when it is none.
    pub fn of_cursor(cursor: &str, order: Order) -> Result<Place, CursorError> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| CursorError)?;
        let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
        let parts: Vec<&str> = text.split(' ').collect();
        let [word, currency, first, second, id] = parts[..] else { return Err(CursorError) };
        if word != order.as_str() || currency.len() > 3 {
            return Err(CursorError);
        }
        let number = |text: &str| text.parse::<i64>().map_err(|_| CursorError);
        let id = AlertKey::of_alert(id).ok_or(CursorError)?;
        Ok(Place(currency.to_owned(), number(first)?, number(second)?, id))
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The cursor of the page behind it; `None` on the last.
    pub next: Option<String>,
}
