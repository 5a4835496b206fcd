//! Sightings for tests.

use crate::domain::card::{CardKind, Fingerprint};
use crate::domain::incident::{Element, ExposedIn};
use crate::domain::money::Money;
use crate::domain::position::Position;
use crate::domain::sighting::{SIGHTING_SCHEMA, SeenBy, SeenCard, Sighting};
use crate::domain::time::Timestamp;
use crate::domain::transaction::{Merchant, Transaction};

/// Milliseconds of a minute.
pub(crate) const MINUTE: i64 = 60_000;
/// Milliseconds of an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Milliseconds of a day.
pub(crate) const DAY: i64 = 24 * HOUR;
/// Noon of 2018-06-04, in UTC.
pub(crate) const START: i64 = 1_528_113_600_000;

/// An incident that exposed number and expiry, in force from 1970 on.
pub(crate) fn incident(id: &str) -> ExposedIn {
    ExposedIn {
        id: id.parse().unwrap(),
        revision: 1,
        elements: vec![Element::Pan, Element::Expiry],
        exposed_from: Timestamp(0),
        exposed_until: Timestamp(DAY),
        watch_from: Timestamp(0),
        watch_until: None,
    }
}

/// The `number`-th record of the input: a use at `at` over `yen` at merchant `M1`, seen as it happened.
pub(crate) fn sighting(number: i64, at: i64, yen: i64) -> Sighting {
    let source =
        Position { topic: "transactions".to_owned(), partition: 0, offset: number, timestamp: Timestamp(at) };
    Sighting {
        schema: SIGHTING_SCHEMA.to_owned(),
        id: source.derived_id("sgt"),
        seen_at: Timestamp(at),
        card: SeenCard {
            fingerprint: Fingerprint([7; 32]),
            key: "k1".parse().unwrap(),
            kind: CardKind::Number,
            references: Default::default(),
            others: Vec::new(),
        },
        incidents: vec![incident("shop")],
        transaction: Transaction {
            id: Some(format!("t-{number}")),
            at: Some(Timestamp(at)),
            amount: Some(Money { minor: yen, currency: "JPY".parse().unwrap() }),
            merchant: Merchant {
                id: Some("M1".to_owned()),
                mcc: Some("5411".to_owned()),
                country: Some("JP".to_owned()),
                ..Merchant::default()
            },
            ..Transaction::default()
        },
        unreadable: Vec::new(),
        withheld: Vec::new(),
        source,
        judged_by: SeenBy { exposures: 17, version: "test".to_owned() },
    }
}

/// The same, changed.
pub(crate) fn sighting_with(
    number: i64,
    at: i64,
    yen: i64,
    change: impl FnOnce(&mut Transaction),
) -> Sighting {
    let mut sighting = sighting(number, at, yen);
    change(&mut sighting.transaction);
    sighting
}
