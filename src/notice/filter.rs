//! Which alerts an endpoint wants.
//!
//! All that is set must hold. The condition `when` is CEL as in rules, over the fields below. **An alert whose condition
//! is unknown is sent**: what the stream did not say must not hide fraud from anybody. (In a rule the unknown does
//! not count: there it would make alerts out of silence.)

use std::collections::BTreeSet;

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::incident::IncidentId;
use crate::scoring::condition::{Condition, Wrong, condition};
use crate::scoring::signals::Value;

mod field;

pub use field::Field;

/// What an endpoint wants to be told. Empty sets, and what is `None`, ask for nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// At least one of these incidents exposes the card.
    pub incidents: BTreeSet<IncidentId>,
    /// The severity is this or higher.
    pub severity_at_least: Option<Severity>,
    /// At least one of these rules held.
    pub rules: BTreeSet<String>,
    /// It came about in one of these ways.
    pub kinds: Vec<AlertKind>,
    /// The condition is true, or unknown.
    pub when: Option<When>,
}

/// A checked condition of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct When(Condition<Field>);

impl When {
    /// Parses and checks a condition.
    ///
    /// # Errors
    /// Every mistake at once, each with its line in the text.
    pub fn parse(text: &str) -> Result<When, Vec<Wrong>> {
        condition(text).map(When)
    }

    /// Whether the condition is true or unknown for an alert.
    pub fn allows(&self, alert: &Alert) -> bool {
        self.0.value(&field::Fields(alert)) != Value::Bool(false)
    }
}

impl Filter {
    /// Whether the endpoint wants this revision of an alert.
    pub fn wants(&self, alert: &Alert) -> bool {
        let one_of = |incidents: &BTreeSet<IncidentId>| {
            incidents.is_empty() || alert.incidents.iter().any(|incident| incidents.contains(&incident.id))
        };
        let held = |rules: &BTreeSet<String>| {
            rules.is_empty() || alert.reasons.iter().any(|reason| rules.contains(&reason.rule))
        };
        one_of(&self.incidents)
            && self.severity_at_least.is_none_or(|least| alert.severity >= least)
            && held(&self.rules)
            && (self.kinds.is_empty() || self.kinds.contains(&alert.kind))
            && self.when.as_ref().is_none_or(|when| when.allows(alert))
    }

    /// The rules that the filter names, in its list or its condition: `check` can say which of them there are not.
    pub fn rules_named(&self) -> BTreeSet<&str> {
        let listed = self.rules.iter().map(String::as_str);
        let members = self.when.iter().flat_map(|when| when.0.members());
        let looked_for = members.filter(|(field, _)| *field == Field::Rules).map(|(_, rule)| rule);
        listed.chain(looked_for).collect()
    }
}

#[cfg(test)]
mod tests;
