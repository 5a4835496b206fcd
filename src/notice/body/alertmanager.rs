//! What Prometheus Alertmanager sends to webhooks, version 4, so that whatever takes its notifications takes ours.
//!
//! An alert fires while it is open or escalated, and is resolved once it is closed or withdrawn. Each is a group of its
//! own, known by the alert's id; a batch is one group.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::alert::Alert;
use crate::domain::time::Timestamp;

use super::view::View;
use super::{Context, Heartbeat, Told};

const NAME: &str = "CardwatchAlert";
/// Go's zero time: not ended.
const NO_END: &str = "0001-01-01T00:00:00Z";

type Map = BTreeMap<String, String>;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload {
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
    status: &'static str,
    receiver: String,
    group_labels: Map,
    common_labels: Map,
    common_annotations: Map,
    #[serde(rename = "externalURL")]
    external_url: String,
    alerts: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    status: &'static str,
    labels: Map,
    annotations: Map,
    starts_at: Timestamp,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// The payload about these alerts.
pub(super) fn message(told: &[Told<'_>], is_batch: bool, context: &Context<'_>) -> Payload {
    let entries = told.iter().map(|told| entry(told.alert, context)).collect();
    let group = match told {
        [told] if !is_batch => ("alert_id", told.alert.id.as_str()),
        _ => ("alertname", NAME),
    };
    payload(group, entries, context)
}

/// A sign of life: an alert that always fires, as the watchdog of Prometheus does.
pub(super) fn heartbeat(heartbeat: &Heartbeat, context: &Context<'_>) -> Payload {
    const NAME: &str = "CardwatchHeartbeat";
    let mut annotations = map([
        ("summary", "cardwatch is alive".to_owned()),
        ("transactions", heartbeat.transactions.to_string()),
        ("sightings", heartbeat.sightings.to_string()),
        ("alerts", heartbeat.alerts.to_string()),
        ("owed", heartbeat.owed.to_string()),
    ]);
    if let Some(newest) = heartbeat.newest_transaction {
        annotations.insert("newest_transaction".to_owned(), newest.to_string());
    }
    let labels = map([("alertname", NAME.to_owned()), ("severity", "none".to_owned())]);
    let entry = Entry {
        status: "firing",
        fingerprint: fingerprint(context.endpoint.as_str()),
        labels,
        annotations,
        starts_at: heartbeat.at,
        ends_at: NO_END.to_owned(),
        generator_url: String::new(),
    };
    payload(("alertname", NAME), vec![entry], context)
}

fn payload(group: (&str, &str), alerts: Vec<Entry>, context: &Context<'_>) -> Payload {
    let firing = alerts.iter().any(|entry| entry.status == "firing");
    Payload {
        version: "4",
        group_key: format!("{{}}:{{{}={:?}}}", group.0, group.1),
        truncated_alerts: 0,
        status: if firing { "firing" } else { "resolved" },
        receiver: context.endpoint.to_string(),
        group_labels: map([(group.0, group.1.to_owned())]),
        common_labels: common(&alerts, |entry| &entry.labels),
        common_annotations: common(&alerts, |entry| &entry.annotations),
        external_url: context.link.map_or(String::new(), |link| link.origin().to_owned()),
        alerts,
    }
}

fn entry(alert: &Alert, context: &Context<'_>) -> Entry {
    let view = View::of(alert, context);
    let labels = map([
        ("alertname", NAME.to_owned()),
        ("alert_id", view.id.clone()),
        ("severity", view.severity.to_owned()),
        ("incident", view.incident.clone().unwrap_or_default()),
        ("test", view.is_test.to_string()),
    ]);
    let mut annotations = map([
        ("summary", view.title.clone()),
        ("incidents", view.incidents.join(", ")),
        ("rules", view.rules.join(", ")),
        ("state", view.state.as_str().to_owned()),
        ("revision", view.revision.to_string()),
    ]);
    let mut add = |name: &str, value: Option<String>| {
        annotations.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("verdict", view.verdict.map(str::to_owned));
    add("amount", view.amount_line());
    add("merchant", view.merchant_line());
    for (name, value) in view.references.iter().flatten() {
        add(&format!("reference_{}", name.replace('-', "_")), Some(value.clone()));
    }
    // A later revision happened when somebody decided.
    let ended = alert.outcome.as_ref().map_or(alert.raised_at, |decision| decision.at);
    Entry {
        status: if view.is_open { "firing" } else { "resolved" },
        labels,
        annotations,
        starts_at: alert.raised_at,
        ends_at: if view.is_open { NO_END.to_owned() } else { ended.to_string() },
        generator_url: view.link.unwrap_or_default(),
        fingerprint: fingerprint(&view.id),
    }
}

/// Alertmanager's name for an alert, 16 hexadecimal digits; here of the alert's id, so that all revisions share it. It
/// has nothing to do with the card's.
fn fingerprint(id: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(id.as_bytes())[..8])
}

fn map<const N: usize>(entries: [(&str, String); N]) -> Map {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What all have alike.
fn common(alerts: &[Entry], of: impl Fn(&Entry) -> &Map) -> Map {
    let Some((first, others)) = alerts.split_first() else { return Map::new() };
    let shared =
        |name: &String, value: &String| others.iter().all(|entry| of(entry).get(name) == Some(value));
    of(first)
        .iter()
        .filter(|(name, value)| shared(name, value))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}
