//! What stays of outcomes that are removed with their cards: an incident's verdicts and confirmed money, and no card.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Decided, Finding, MoneyBook, Tally, Verdicts};
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::money::Currency;
use crate::scoring::history::Money;

/// The name and version of the JSON form.
const REMOVED_SCHEMA: &str = "cardwatch.removed-outcomes/1";
/// The key under which the topic of the outcomes keeps it: with an incident's id, the outcomes that went with the
/// cards of that incident; without, those of cards that no incident held.
const REMOVED_KEY: &str = "cardwatch/removed";

/// Outcomes that were removed, by the incidents that they are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    schema: String,
    incidents: BTreeMap<IncidentId, Decisions>,
}

/// What people had decided for one incident.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Decisions {
    /// Cards where somebody found fraud.
    confirmed: u64,
    verdicts: Verdicts,
    /// Confirmed money by currency.
    money: BTreeMap<Currency, Confirmed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Confirmed {
    approved: Money,
    declined: Money,
}

impl Default for Removed {
    fn default() -> Removed {
        Removed { schema: REMOVED_SCHEMA.to_owned(), incidents: BTreeMap::new() }
    }
}

impl Removed {
    /// The key of what went with an incident's cards, or with cards that none held.
    pub fn key(incident: Option<&IncidentId>) -> String {
        match incident {
            Some(id) => format!("{REMOVED_KEY}/{id}"),
            None => REMOVED_KEY.to_owned(),
        }
    }

    /// Whether a record's key says that it is one of these.
    pub fn is_key(key: &[u8]) -> bool {
        let rest = key.strip_prefix(REMOVED_KEY.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// Reads the record's value.
    ///
    /// # Errors
    /// When it is something else, or of another version.
    pub fn from_json(value: &[u8]) -> Result<Removed, serde_json::Error> {
        let read: Removed = serde_json::from_slice(value)?;
        match read.schema == REMOVED_SCHEMA {
            true => Ok(read),
            false => Err(serde::de::Error::custom(format!("{REMOVED_SCHEMA} is expected"))),
        }
    }

    /// The record's value.
    ///
    /// # Errors
    /// Never, for what this type can hold.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Folds in outcomes that go together. A card with several counts once.
    pub fn fold<'a>(&mut self, outcomes: impl IntoIterator<Item = &'a Decided>) {
        let mut confirmed: HashSet<(&IncidentId, Fingerprint)> = HashSet::new();
        for decided in outcomes {
            for id in &decided.incidents {
                let sums = self.incidents.entry(id.clone()).or_default();
                sums.verdicts.count(decided.finding);
                if decided.finding != Finding::Fraud {
                    continue;
                }
                sums.confirmed += u64::from(confirmed.insert((id, decided.fingerprint)));
                let Some(money) = decided.money else { continue };
                let own = sums.money.entry(money.currency).or_default();
                let sum = if decided.declined { &mut own.declined } else { &mut own.approved };
                sum.merge(Money { count: 1, sum: money.minor.unsigned_abs() });
            }
        }
    }

    /// What it adds to each incident's book.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (&IncidentId, Tally)> {
        self.incidents.iter().map(|(id, decisions)| {
            let Decisions { confirmed, verdicts, money } = decisions;
            let money = money.iter().map(|(currency, sums)| {
                let book = MoneyBook {
                    confirmed_approved: sums.approved,
                    confirmed_declined: sums.declined,
                    ..MoneyBook::default()
                };
                (*currency, book)
            });
            let money = money.collect();
            (id, Tally { confirmed: *confirmed, verdicts: *verdicts, money, ..Tally::default() })
        })
    }
}
