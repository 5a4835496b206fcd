//! What a chat may know of an alert.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::alert::{Alert, AlertKind, State};
use crate::domain::time::Timestamp;

use super::Context;

/// What the chat shapes of an endpoint carry beyond severity, state, incidents, id, rules and link. It leaves the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Show {
    /// The references that lead to the card's owner.
    pub references: bool,
    /// The merchant.
    pub merchant: bool,
    /// The amount and its currency.
    pub amount: bool,
}

impl Show {
    /// What is switched on, by the names of the settings: `check` says that it leaves the house.
    pub fn switched_on(self) -> impl Iterator<Item = &'static str> {
        let names = [("references", self.references), ("merchant", self.merchant), ("amount", self.amount)];
        names.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name)
    }
}

/// An alert as chats and templates have it: everything is there, what is not to be shown is null.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) revision: u32,
    pub(super) kind: AlertKind,
    pub(super) is_test: bool,
    pub(super) state: State,
    pub(super) is_open: bool,
    pub(super) raised_at: Timestamp,
    pub(super) severity: &'static str,
    pub(super) incident: Option<String>,
    pub(super) incidents: Vec<String>,
    pub(super) rules: Vec<String>,
    pub(super) verdict: Option<&'static str>,
    pub(super) link: Option<String>,
    pub(super) title: String,
    pub(super) references: Option<BTreeMap<String, String>>,
    pub(super) merchant: Option<MerchantView>,
    pub(super) amount: Option<AmountView>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct MerchantView {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) mcc: Option<String>,
    pub(super) country: Option<String>,
    pub(super) place: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct AmountView {
    /// In major units: `129.80`.
    pub(super) value: String,
    pub(super) currency: &'static str,
}

impl View {
    pub(super) fn of(alert: &Alert, context: &Context<'_>) -> View {
        let incidents: Vec<String> =
            alert.incidents.iter().map(|incident| plain(incident.id.as_str())).collect();
        let is_open = matches!(alert.state, State::Open | State::Escalated);
        let is_test = alert.kind == AlertKind::Test;
        let severity = alert.severity.as_str();
        let title = match (is_test, is_open) {
            (true, _) => "TEST of the connection: no card was used".to_owned(),
            (_, true) => format!("Exposed card used: {severity} severity"),
            (_, false) => format!("Alert {}: exposed card used, {severity} severity", alert.state.as_str()),
        };
        let references = || alert.card.references.iter().map(|(name, value)| (plain(name), plain(value)));
        let merchant = &alert.transaction.merchant;
        let text = |text: &Option<String>| text.as_deref().map(plain);
        View {
            id: plain(&alert.id),
            revision: alert.revision,
            kind: alert.kind,
            is_test,
            state: alert.state,
            is_open,
            raised_at: alert.raised_at,
            severity,
            incident: incidents.first().cloned(),
            incidents,
            rules: alert.reasons.iter().map(|reason| plain(&reason.rule)).collect(),
            verdict: alert.outcome.as_ref().map(|decision| decision.verdict.as_str()),
            link: context.link.map(|link| link.of(alert)),
            title,
            references: context.show.references.then(|| references().collect()),
            merchant: context.show.merchant.then(|| MerchantView {
                id: text(&merchant.id),
                name: text(&merchant.name),
                mcc: text(&merchant.mcc),
                country: text(&merchant.country),
                place: text(&merchant.place),
            }),
            amount: alert
                .transaction
                .money()
                .filter(|_| context.show.amount)
                .map(|money| AmountView { value: money.major_text(), currency: money.currency.code() }),
        }
    }

    /// The merchant in a line, where it is shown and known.
    pub(super) fn merchant_line(&self) -> Option<String> {
        let merchant = self.merchant.as_ref()?;
        let parts = [
            merchant.name.as_ref().or(merchant.id.as_ref()),
            merchant.place.as_ref(),
            merchant.country.as_ref(),
        ];
        let line = parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        Some(line).filter(|line| !line.is_empty())
    }

    /// The amount in a line, where it is shown and known.
    pub(super) fn amount_line(&self) -> Option<String> {
        self.amount.as_ref().map(|amount| format!("{} {}", amount.value, amount.currency))
    }
}

/// A text of the stream in one line: control characters, and those that turn the direction of writing, become spaces.
fn plain(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}
