//! Strategies for whole sightings and alerts: any content that the types allow within their documented bounds.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::domain::alert::*;
use crate::domain::card::{CardKind, Fingerprint, KeyId};
use crate::domain::incident::{Element, ExposedIn, References};
use crate::domain::money::{Currency, Money};
use crate::domain::outcome::{About, By, Decision, Outcome, Subject, Verdict, Via};
use crate::domain::position::Position;
use crate::domain::sighting::*;
use crate::domain::time::Timestamp;
use crate::domain::transaction::{Merchant, Transaction};
use crate::domain::vocabulary as words;

fn time() -> impl Strategy<Value = Timestamp> {
    (0i64..=253_402_300_799_999).prop_map(Timestamp)
}

/// A text of the longest length, of characters that take the most room in JSON, or a usual one.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~é日\u{0}\u{1f}\"\\\\]{0,60}", Just("\u{1}".repeat(256)), Just("日".repeat(85))]
}

fn money() -> impl Strategy<Value = Money> {
    let currency = select(vec!["JPY", "USD", "KWD", "XAU"]);
    (any::<i64>(), currency)
        .prop_map(|(minor, code)| Money { minor, currency: code.parse::<Currency>().unwrap() })
}

/// One of a vocabulary's members.
macro_rules! word {
    ($name:ident) => {
        select(words::$name::WORDS.to_vec()).prop_map(|word| words::$name::from_word(word).unwrap())
    };
}

pub(super) fn transaction() -> impl Strategy<Value = Transaction> {
    let merchant = (option::of(text()), option::of(text()), option::of("[0-9]{4}"), option::of("[A-Z]{2}"));
    let merchant = (merchant, option::of(text())).prop_map(|((id, name, mcc, country), place)| Merchant {
        id,
        name,
        mcc,
        country,
        place,
    });
    let head = (option::of(text()), option::of(time()), word!(Kind), word!(Outcome), option::of(text()));
    let body = (option::of(money()), option::of(money()), merchant);
    let tail = (
        word!(Channel),
        word!(Initiation),
        word!(Credential),
        word!(Cvv),
        word!(Avs),
        word!(ThreeDs),
        word!(Expiry),
    );
    (head, body, tail).prop_map(|(head, body, tail)| {
        let (id, at, kind, outcome, response_code) = head;
        let (amount, billing, merchant) = body;
        let (channel, initiation, credential, cvv, avs, three_ds, expiry) = tail;
        Transaction {
            id,
            at,
            kind,
            outcome,
            response_code,
            amount,
            billing,
            merchant,
            channel,
            initiation,
            credential,
            cvv,
            avs,
            three_ds,
            expiry,
        }
    })
}

fn key() -> impl Strategy<Value = KeyId> {
    "[a-z0-9_-]{1,32}".prop_map(|text| text.parse().unwrap())
}

fn references() -> impl Strategy<Value = References> {
    let value = prop_oneof!["[ -~]{0,20}", Just("\u{2}".repeat(128))];
    btree_map("[a-z0-9_-]{1,32}", value, 0..=8).prop_map(|entries| {
        let mut references = References::default();
        entries.iter().for_each(|(name, value)| references.insert(name, value).unwrap());
        references
    })
}

fn card() -> impl Strategy<Value = SeenCard> {
    let kind = || {
        select(vec![
            CardKind::Number,
            CardKind::FundingNumber,
            CardKind::Token,
            CardKind::AccountReference,
            CardKind::Fingerprint,
        ])
    };
    let other = (any::<[u8; 32]>(), key(), kind()).prop_map(|(bytes, key, kind)| OtherFingerprint {
        fingerprint: Fingerprint(bytes),
        key,
        kind,
    });
    (any::<[u8; 32]>(), key(), kind(), references(), vec(other, 0..3)).prop_map(
        |(bytes, key, kind, references, others)| SeenCard {
            fingerprint: Fingerprint(bytes),
            key,
            kind,
            references,
            others,
        },
    )
}

fn incident() -> impl Strategy<Value = ExposedIn> {
    let elements = subsequence(Element::ALL.to_vec(), 0..=10);
    ("[a-z0-9_-]{1,64}", any::<u32>(), elements, [time(), time(), time()], option::of(time())).prop_map(
        |(id, revision, elements, [exposed_from, exposed_until, watch_from], watch_until)| ExposedIn {
            id: id.parse().unwrap(),
            revision,
            elements,
            exposed_from,
            exposed_until,
            watch_from,
            watch_until,
        },
    )
}

fn position() -> impl Strategy<Value = Position> {
    ("[a-zA-Z0-9._-]{1,249}", 0..=i32::MAX, 0..=i64::MAX, time())
        .prop_map(|(topic, partition, offset, timestamp)| Position { topic, partition, offset, timestamp })
}

pub(super) fn sighting() -> impl Strategy<Value = Sighting> {
    let names = || vec("[a-z_]{1,16}", 0..4);
    let judged_by =
        (-1..i64::MAX, "[0-9.]{1,12}").prop_map(|(exposures, version)| SeenBy { exposures, version });
    let about = (time(), card(), vec(incident(), 1..12), transaction());
    (about, names(), names(), position(), judged_by).prop_map(
        |((seen_at, card, incidents, transaction), unreadable, withheld, source, judged_by)| Sighting {
            schema: SIGHTING_SCHEMA.to_owned(),
            id: source.derived_id("sgt"),
            seen_at,
            card,
            incidents,
            transaction,
            unreadable,
            withheld,
            source,
            judged_by,
        },
    )
}

fn reason() -> impl Strategy<Value = Reason> {
    let fact = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        (-1e9..1e9f64).prop_map(serde_json::Value::from),
        "[ -~]{0,8}".prop_map(serde_json::Value::from),
    ];
    let facts = btree_map("[a-z_]{1,12}", fact, 0..4);
    ("[a-z-]{1,16}", any::<u32>(), ".{1,40}", facts)
        .prop_map(|(rule, score, text, facts): (_, _, _, BTreeMap<_, _>)| Reason { rule, score, text, facts })
}

pub(super) fn decision() -> impl Strategy<Value = Decision> {
    let note = option::of("[ -/A-Za-zé日\"\\\\]{0,30}[a-z]".prop_map(|text| text.parse().unwrap()));
    let via = select(vec![Via::Api, Via::Command, Via::Topic]);
    let name = || option::of("[a-z@]{1,12}");
    let by = (name(), name(), via).prop_map(|(name, claimed, via)| By { name, claimed, via });
    (select(Verdict::ALL.to_vec()), note, by, time()).prop_map(|(verdict, note, by, at)| Decision {
        verdict,
        note,
        by,
        at,
    })
}

pub(super) fn outcome() -> impl Strategy<Value = Outcome> {
    let subject = (any::<u8>(), position(), "[ -~é]{1,60}").prop_map(|(kind, position, id)| match kind % 3 {
        0 => Subject::Alert(position.derived_id("alr")),
        1 => Subject::Sighting(position.derived_id("sgt")),
        _ => Subject::Transaction(id),
    });
    (subject, decision(), option::of(alert().prop_map(|alert| About::of(&alert))))
        .prop_map(|(subject, decision, about)| Outcome { subject, decision, about })
}

pub(crate) fn alert() -> impl Strategy<Value = Alert> {
    let state = select(vec![State::Open, State::Escalated, State::Withdrawn, State::Closed]);
    let kind = select(vec![AlertKind::Live, AlertKind::Late, AlertKind::LookBack, AlertKind::Test]);
    let severity = select(vec![Severity::Low, Severity::Medium, Severity::High]);
    let head = (1u32.., state, kind, severity, any::<u32>(), vec(reason(), 0..4), time());
    let past = (any::<u64>(), option::of(time())).prop_map(|(uses, since)| Past { uses, since });
    let judged = (0..i64::MAX, "[0-9a-f]{16}", option::of(decision()));
    (head, sighting(), past, judged).prop_map(|(head, sighting, history, (took, rules, outcome))| {
        let (revision, state, kind, severity, score, reasons, raised_at) = head;
        Alert {
            schema: ALERT_SCHEMA.to_owned(),
            id: sighting.source.derived_id("alr"),
            revision,
            state,
            kind,
            raised_at,
            severity,
            score,
            reasons,
            card: sighting.card,
            history,
            incidents: sighting.incidents,
            transaction: sighting.transaction,
            covers: vec![sighting.id],
            timing: Timing { transaction_to_alert_ms: took },
            source: sighting.source,
            judged_by: JudgedBy {
                exposures: sighting.judged_by.exposures,
                rules,
                version: sighting.judged_by.version,
            },
            outcome,
        }
    })
}
