//! Alerts of no transaction: what a template is tried on, and what a person sees who tries a connection.

use std::collections::BTreeMap;

use crate::domain::alert::{ALERT_SCHEMA, Alert, AlertKind, JudgedBy, Past, Reason, Severity, State, Timing};
use crate::domain::card::{CardKind, Fingerprint, KeyId};
use crate::domain::incident::{Element, ExposedIn, IncidentId, References};
use crate::domain::money::Money;
use crate::domain::position::Position;
use crate::domain::sighting::SeenCard;
use crate::domain::time::Timestamp;
use crate::domain::transaction::{Merchant, Transaction};
use crate::domain::vocabulary::{Channel, Outcome};

/// The card of an alert without one.
const NO_CARD: Fingerprint = Fingerprint([0; 32]);

/// An alert that tries a connection: of kind `test`, low, on no card, and saying so wherever somebody may look.
/// `random` makes its id, so that every test has its own.
pub fn test_alert(at: Timestamp, random: u64) -> Alert {
    let source = Position {
        topic: "test".to_owned(),
        partition: 0,
        offset: i64::try_from(random >> 1).unwrap_or(0),
        timestamp: at,
    };
    let mut alert = blank(source, at);
    alert.kind = AlertKind::Test;
    alert.transaction.merchant.name = Some("TEST: no transaction took place".to_owned());
    alert.reasons = vec![Reason {
        rule: "test".to_owned(),
        score: 1,
        text: "This is a test of the connection. No card was used.".to_owned(),
        facts: BTreeMap::new(),
    }];
    alert
}

fn blank(source: Position, at: Timestamp) -> Alert {
    Alert {
        schema: ALERT_SCHEMA.to_owned(),
        id: source.derived_id("alr"),
        revision: 1,
        state: State::Open,
        kind: AlertKind::Live,
        raised_at: at,
        severity: Severity::Low,
        score: 1,
        reasons: Vec::new(),
        card: SeenCard {
            fingerprint: NO_CARD,
            key: slug::<KeyId>("test"),
            kind: CardKind::Token,
            references: References::default(),
            others: Vec::new(),
        },
        history: Past { uses: 0, since: None },
        incidents: vec![ExposedIn {
            id: slug::<IncidentId>("test"),
            revision: 1,
            elements: Vec::new(),
            exposed_from: at,
            exposed_until: at,
            watch_from: at,
            watch_until: None,
        }],
        transaction: Transaction::default(),
        covers: vec![source.derived_id("sgt")],
        timing: Timing { transaction_to_alert_ms: 0 },
        judged_by: JudgedBy {
            exposures: 0,
            rules: "0".repeat(16),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        source,
        outcome: None,
    }
}

/// An alert with everything that one can have, and texts that try to be markup.
pub(super) fn full() -> Alert {
    let mut alert = bare();
    alert.severity = Severity::High;
    alert.score = 85;
    let reason = |rule: &str, score, text: &str| Reason {
        rule: rule.to_owned(),
        score,
        text: text.to_owned(),
        facts: BTreeMap::new(),
    };
    alert.reasons = vec![
        reason("card-testing", 45, "4 uses under 5.00 USD in 20 minutes"),
        reason("amount", 40, "6 times the card's mean"),
    ];
    alert.incidents[0].id = slug::<IncidentId>("shop-2018");
    alert.incidents[0].elements = vec![Element::Pan, Element::SecurityCode];
    let mut second = alert.incidents[0].clone();
    second.id = slug::<IncidentId>("shop-2018-b");
    alert.incidents.push(second);
    // Two short references are always taken.
    let _ = alert.card.references.insert("customer", "C-<42> & Sons");
    let _ = alert.card.references.insert("account", "\"9\"\\1");
    alert.transaction = Transaction {
        id: Some("t-1".to_owned()),
        outcome: Outcome::Approved,
        amount: "USD".parse().ok().map(|currency| Money { minor: 12_980, currency }),
        merchant: Merchant {
            id: Some("m-1".to_owned()),
            name: Some("<!channel> *Shop* & \"Söhne\"\n@here {{ 1 }}".to_owned()),
            mcc: Some("5732".to_owned()),
            country: Some("JP".to_owned()),
            place: Some("Tokyo".to_owned()),
        },
        channel: Channel::Ecom,
        ..Transaction::default()
    };
    alert
}

/// An alert with nothing that one can lack.
pub(super) fn bare() -> Alert {
    let at = Timestamp(1_528_177_215_000);
    blank(Position { topic: "transactions".to_owned(), partition: 0, offset: 1, timestamp: at }, at)
}

/// A text of our own as an id.
#[allow(clippy::expect_used, reason = "the ids of this file are slugs")]
fn slug<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a slug")
}
