//! An alert and a sighting to test with.

use std::collections::BTreeMap;

use crate::domain::alert::{ALERT_SCHEMA, Alert, AlertKind, JudgedBy, Past, Reason, Severity, State, Timing};
use crate::domain::card::{CardKind, Fingerprint};
use crate::domain::incident::References;
use crate::domain::money::Money;
use crate::domain::position::Position;
use crate::domain::sighting::{SIGHTING_SCHEMA, SeenBy, SeenCard, Sighting};
use crate::domain::time::Timestamp;
use crate::domain::transaction::{Merchant, Transaction};
use crate::domain::vocabulary::Channel;

fn seen_card(card: u8) -> SeenCard {
    let mut references = References::default();
    references.insert("account", "A-1207").unwrap();
    SeenCard {
        fingerprint: Fingerprint([card; 32]),
        key: "k1".parse().unwrap(),
        kind: CardKind::Number,
        references,
        others: Vec::new(),
    }
}

fn transaction() -> Transaction {
    Transaction {
        amount: Some(Money { minor: 12_980, currency: "JPY".parse().unwrap() }),
        merchant: Merchant {
            name: Some("Aoba\u{1b} Online".to_owned()),
            country: Some("JP".to_owned()),
            ..Merchant::default()
        },
        channel: Channel::Ecom,
        ..Transaction::default()
    }
}

fn source() -> Position {
    Position { topic: "t".to_owned(), partition: 0, offset: 1, timestamp: Timestamp(1) }
}

/// A sighting with this id of the card with this fingerprint.
pub(crate) fn sighting(id: &str, card: u8) -> Sighting {
    Sighting {
        schema: SIGHTING_SCHEMA.to_owned(),
        id: id.to_owned(),
        seen_at: Timestamp(1),
        card: seen_card(card),
        incidents: Vec::new(),
        transaction: transaction(),
        unreadable: Vec::new(),
        withheld: Vec::new(),
        source: source(),
        judged_by: SeenBy { exposures: 1, version: "0".to_owned() },
    }
}

/// An alert with this id on the card with this fingerprint.
pub(crate) fn alert(id: &str, card: u8) -> Alert {
    let reason = |rule: &str, score, text: &str| Reason {
        rule: rule.to_owned(),
        score,
        text: text.to_owned(),
        facts: BTreeMap::new(),
    };
    Alert {
        schema: ALERT_SCHEMA.to_owned(),
        id: id.to_owned(),
        revision: 1,
        state: State::Open,
        kind: AlertKind::Live,
        raised_at: Timestamp(1_528_177_215_000),
        severity: Severity::High,
        score: 85,
        reasons: vec![
            reason("card-testing", 45, "4 uses under ¥500 in 20 minutes"),
            reason("amount", 40, "6 times the card's mean"),
        ],
        card: seen_card(card),
        history: Past { uses: 3, since: None },
        incidents: Vec::new(),
        transaction: transaction(),
        covers: Vec::new(),
        timing: Timing { transaction_to_alert_ms: 5 },
        source: source(),
        judged_by: JudgedBy { exposures: 1, rules: "0".repeat(16), version: "0".to_owned() },
        outcome: None,
    }
}
