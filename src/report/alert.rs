//! Alerts for a person: as rows, as a line, and one of them in full.

use super::plain::{counted, plain};
use super::table::{Cell, Table};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::card::Fingerprint;
use crate::domain::desk::{Summary, cost};
use crate::domain::money::Money;
use crate::domain::outcome::{By, Decision};

/// How much of a fingerprint tells cards apart for a reader.
const FINGERPRINT_SHOWN: usize = 12;

/// A list of alerts.
pub fn alerts_table(key: &'static str, alerts: &[Summary]) -> Table {
    table_of(key, "Alert", alerts)
}

/// The same under another heading.
fn table_of(key: &'static str, heading: &'static str, alerts: &[Summary]) -> Table {
    let mut table = Table::new(
        key,
        [
            ("alert", heading),
            ("raised_at", "Raised"),
            ("severity", "Severity"),
            ("score", "Score"),
            ("state", "State"),
            ("kind", "Kind"),
            ("cost", "Cost"),
            ("incidents", "Incidents"),
            ("rules", "Rules"),
            ("card", "Card"),
        ],
    );
    for alert in alerts {
        let state = match alert.verdict {
            Some(verdict) => format!("{}: {}", alert.state.as_str(), verdict.as_str()),
            None => alert.state.as_str().to_owned(),
        };
        let incidents: Vec<&str> = alert.incidents.iter().map(|incident| incident.as_str()).collect();
        let rules: Vec<&str> = alert.rules.iter().map(|rule| &**rule).collect();
        table.row([
            alert.id.to_string().into(),
            alert.raised_at.to_string().into(),
            alert.severity.as_str().into(),
            u64::from(alert.score).into(),
            state.into(),
            alert.kind.as_str().into(),
            alert.cost.map(money).into(),
            incidents.join(", ").into(),
            rules.join(", ").into(),
            short(&alert.fingerprint).into(),
        ]);
    }
    table
}

/// An alert in one line, without its end.
pub fn alert_line(alert: &Alert) -> String {
    let reason = alert.reasons.first().map_or("", |reason| reason.text.as_str());
    let state = match &alert.outcome {
        Some(decision) => format!("{} ({})", alert.state.as_str(), decision.verdict.as_str()),
        None => alert.state.as_str().to_owned(),
    };
    let state = match alert.kind {
        AlertKind::Live => state,
        kind => format!("{state}, {}", kind.as_str()),
    };
    let cost = cost(&alert.transaction).map_or("–".to_owned(), money);
    let (raised_at, severity, score) = (alert.raised_at, alert.severity.as_str(), alert.score);
    plain(&format!("{raised_at}  {severity:<6} {score:>3}  {state}  {cost}  {}  {reason}", alert.id))
}

/// Everything about one alert, and the other alerts of its card.
pub fn alert_tables(alert: &Alert, others: &[Summary]) -> Vec<Table> {
    let mut tables = vec![about(alert), reasons(alert), transaction(alert)];
    tables.extend(alert.outcome.as_ref().map(outcome));
    if !others.is_empty() {
        tables.push(table_of("other_alerts", "Other alerts of the card", others));
    }
    tables
}

fn rows(key: &'static str, title: &'static str, rows: Vec<(String, Cell)>) -> Table {
    let mut table = Table::new(key, [("field", title), ("value", "")]);
    for (field, value) in rows {
        if value != Cell::Empty {
            table.row([field.into(), value]);
        }
    }
    table
}

fn about(alert: &Alert) -> Table {
    let revision = format!("{}, {}", alert.revision, alert.state.as_str());
    let severity = format!("{}, {} points", alert.severity.as_str(), alert.score);
    let history = match alert.history.since {
        Some(since) => format!("{} since {since}", counted(alert.history.uses, "use", "uses")),
        None => "none".to_owned(),
    };
    let card = format!("{} (key {})", alert.card.fingerprint, alert.card.key);
    let mut all = vec![
        ("Id".to_owned(), alert.id.as_str().into()),
        ("Revision".to_owned(), revision.into()),
        ("Severity".to_owned(), severity.into()),
        ("Kind".to_owned(), kind(alert.kind).into()),
        ("Raised".to_owned(), alert.raised_at.to_string().into()),
        ("Card".to_owned(), card.into()),
    ];
    let references = alert.card.references.iter();
    all.extend(references.map(|(name, value)| (format!("Card's {name}"), value.into())));
    for incident in &alert.incidents {
        let elements: Vec<&str> = incident.elements.iter().map(|element| element.as_str()).collect();
        let exposed = format!("{} (revision {}): {}", incident.id, incident.revision, elements.join(", "));
        all.push(("Exposed in".to_owned(), exposed.into()));
    }
    all.push(("Earlier uses".to_owned(), history.into()));
    all.push(("Judged by".to_owned(), format!("rules {}", alert.judged_by.rules).into()));
    rows("alert", "Alert", all)
}

/// The kind, with what it means to whoever works the alert.
fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Live => "live",
        AlertKind::Late => "late: the transaction was older than alerts.live_for when it was judged",
        AlertKind::LookBack => "look_back: found in a search through the past",
        AlertKind::Test => "test: asked for by somebody who tries the connection",
    }
}

fn reasons(alert: &Alert) -> Table {
    let mut table = Table::new("reasons", [("score", "Points"), ("text", "Because"), ("rule", "Rule")]);
    for reason in &alert.reasons {
        let (text, rule) = (reason.text.as_str(), reason.rule.as_str());
        table.row([u64::from(reason.score).into(), text.into(), rule.into()]);
    }
    table
}

fn transaction(alert: &Alert) -> Table {
    let transaction = &alert.transaction;
    let merchant = &transaction.merchant;
    let text = |text: &Option<String>| -> Cell { text.as_deref().into() };
    let word = |word: &'static str| -> Cell { if word == "unknown" { Cell::Empty } else { word.into() } };
    let all: Vec<(&str, Cell)> = vec![
        ("Id", text(&transaction.id)),
        ("At", transaction.at.map(|at| at.to_string()).into()),
        ("Kind", word(transaction.kind.as_str())),
        ("Outcome", word(transaction.outcome.as_str())),
        ("Response code", text(&transaction.response_code)),
        ("Amount", transaction.amount.map(money).into()),
        ("Billed", transaction.billing.map(money).into()),
        ("Merchant", text(&merchant.name)),
        ("Merchant's id", text(&merchant.id)),
        ("Category", text(&merchant.mcc)),
        ("Country", text(&merchant.country)),
        ("Place", text(&merchant.place)),
        ("Channel", word(transaction.channel.as_str())),
        ("Started by", word(transaction.initiation.as_str())),
        ("Card data", word(transaction.credential.as_str())),
        ("Security code", word(transaction.cvv.as_str())),
        ("Address", word(transaction.avs.as_str())),
        ("3-D Secure", word(transaction.three_ds.as_str())),
        ("Expiry date", word(transaction.expiry.as_str())),
    ];
    let all = all.into_iter().map(|(field, value)| (field.to_owned(), value));
    rows("transaction", "Transaction", all.collect())
}

fn outcome(decision: &Decision) -> Table {
    let all: Vec<(&str, Cell)> = vec![
        ("Verdict", decision.verdict.as_str().into()),
        ("Note", decision.note.as_ref().map(|note| note.as_str()).into()),
        ("By", who(&decision.by).into()),
        ("At", decision.at.to_string().into()),
    ];
    rows("outcome", "Outcome", all.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

/// Who decided, in words.
pub fn who(by: &By) -> String {
    let name = by.name.as_deref().unwrap_or("a system that did not say");
    match &by.claimed {
        Some(claimed) => format!("{name}, as {claimed}"),
        None => name.to_owned(),
    }
}

/// The beginning of a fingerprint.
pub fn short(fingerprint: &Fingerprint) -> String {
    let mut text = fingerprint.to_string();
    text.truncate(FINGERPRINT_SHOWN);
    text
}

/// An amount with its currency.
pub fn money(money: Money) -> String {
    format!("{} {}", money.major_text(), money.currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{Verdict, Via};
    use crate::report::live::samples;

    #[test]
    fn an_alert_in_full_has_reasons_references_and_its_outcome_and_obeys_nobody() {
        let mut alert = samples::alert("alr_aaaaaaaaaaaaaaaaaaaaaaaaaa", 7);
        alert.outcome = Some(Decision {
            verdict: Verdict::Genuine,
            note: Some("called\u{1b}[2J her".parse().unwrap()),
            by: By {
                name: Some("anna@desk".to_owned()),
                claimed: Some("Anna".to_owned()),
                via: Via::Command,
            },
            at: crate::domain::time::Timestamp(0),
        });
        let others = [Summary::of(&alert).unwrap()];
        let text: String = alert_tables(&alert, &others)
            .iter()
            .map(|table| table.text(false) + &alert_line(&alert))
            .collect();
        for part in
            ["4 uses under ¥500 in 20 minutes", "A-1207", "12980 JPY", "anna@desk, as Anna", "genuine"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("Other alerts of the card") && !text.contains("late"), "{text}");
    }

    #[test]
    fn a_late_alert_says_so_in_full_in_the_list_and_in_its_line() {
        let mut alert = samples::alert("alr_aaaaaaaaaaaaaaaaaaaaaaaaaa", 7);
        alert.kind = AlertKind::Late;
        let full: String = alert_tables(&alert, &[]).iter().map(|table| table.text(false)).collect();
        assert!(full.contains("late: the transaction was older than alerts.live_for"), "{full}");
        assert!(!full.contains("Other alerts"), "{full}");
        let list = alerts_table("alerts", &[Summary::of(&alert).unwrap()]).text(false);
        assert!(list.contains("Kind") && list.contains("  late  "), "{list}");
        assert!(alert_line(&alert).contains("open, late  "), "{}", alert_line(&alert));
    }
}
