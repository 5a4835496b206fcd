//! What a card's history has on account for each incident: the books that outlive sightings and alerts.
//!
//! Sightings end with their topic's retention and alerts with theirs; histories stay as long as the watch. So what
//! an incident's books are made of is counted here, once for each judgement, in the transaction that judges.
//!
//! Every account is a commutative total of what its sightings moved. A card in more than [`ACCOUNTS_MAX`] incidents
//! keeps those whose hashes are lowest: an incident that is pushed out has [`ACCOUNTS_MAX`] below it for ever, so the
//! accounts that are left are exact whatever the order of arrival. The entries of all others are only counted.

use serde::{Deserialize, Serialize};

use super::event::{Event, Role, hash64};
use super::past::{settles, settles_known};
use super::totals::{Money, slot};
use crate::domain::incident::IncidentId;
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// How many incidents a card has an account for.
pub const ACCOUNTS_MAX: usize = 16;

/// The hash of an incident's id: whoever keeps the books has the ids from the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentHash(#[serde(with = "postcard::fixint::le")] pub(super) u64);

impl IncidentHash {
    /// Of an incident.
    pub fn of(incident: &IncidentId) -> IncidentHash {
        IncidentHash(hash64(incident.as_str().as_bytes()))
    }
}

/// What one sighting adds to the accounts of its incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The sighting's event.
    pub event: Event,
    /// Whether it is a purchase that no earlier sighting has brought: see [`brings_purchase`].
    pub brings_purchase: bool,
    /// Whether it was seen so late that an alert on it could not help any more.
    pub late: bool,
    /// Whether an alert was raised on it.
    pub alerted: bool,
}

/// What a card's sightings came to for one incident. Times are those of the transactions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Purchases that were approved, each once: the clearing of a known authorization is none.
    pub purchases: u64,
    /// Declined attempts.
    pub declined: u64,
    /// Account checks.
    pub checks: u64,
    /// Refunds and reversals.
    pub returns: u64,
    /// Authorizations and clearings of purchases that were known by then.
    pub repeated: u64,
    /// Sightings before the exposure or outside the watch period; in none of the other numbers.
    pub outside: u64,
    /// Sightings that came later than alerts are live.
    pub late: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// The earliest sighting.
    first: Option<i64>,
    /// The latest.
    last: Option<i64>,
    /// The earliest sighting with an alert.
    first_alerted: Option<i64>,
    /// Money by currency, sorted by its code.
    money: Vec<([u8; 3], Flow)>,
}

/// Money in one currency: never negative, approved and declined apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flow {
    /// Of approved purchases.
    pub approved: Money,
    /// Of declined attempts.
    pub declined: Money,
    /// Of `approved`: what alerts were raised on.
    pub alerted_approved: Money,
    /// Of `declined`: what alerts were raised on.
    pub alerted_declined: Money,
}

impl Flow {
    /// Adds another's sums.
    pub fn merge(&mut self, other: &Flow) {
        self.approved.merge(other.approved);
        self.declined.merge(other.declined);
        self.alerted_approved.merge(other.alerted_approved);
        self.alerted_declined.merge(other.alerted_declined);
    }
}

impl Account {
    /// Sightings within the watch, duplicates left out.
    pub fn sightings(&self) -> u64 {
        let parts = [self.purchases, self.declined, self.checks, self.returns, self.repeated];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// The earliest sighting within the watch.
    pub fn first(&self) -> Option<Timestamp> {
        self.first.map(Timestamp)
    }

    /// The latest sighting within the watch.
    pub fn last(&self) -> Option<Timestamp> {
        self.last.map(Timestamp)
    }

    /// The earliest sighting on which an alert was raised.
    pub fn first_alerted(&self) -> Option<Timestamp> {
        self.first_alerted.map(Timestamp)
    }

    /// Money by currency, in the order of codes.
    pub fn money(&self) -> impl Iterator<Item = (Currency, Flow)> {
        // Codes were written from currencies; one that this version does not know any more has no exponent.
        self.money
            .iter()
            .filter_map(|(code, flow)| Some((std::str::from_utf8(code).ok()?.parse().ok()?, *flow)))
    }

    /// Adds another's counts and sums, and takes the wider times.
    pub fn merge(&mut self, other: &Account) {
        for (own, more) in [
            (&mut self.purchases, other.purchases),
            (&mut self.declined, other.declined),
            (&mut self.checks, other.checks),
            (&mut self.returns, other.returns),
            (&mut self.repeated, other.repeated),
            (&mut self.outside, other.outside),
            (&mut self.late, other.late),
            (&mut self.alerts, other.alerts),
        ] {
            *own = own.saturating_add(more);
        }
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.first_alerted = earliest(self.first_alerted, other.first_alerted);
        for (currency, flow) in &other.money {
            slot(&mut self.money, *currency).merge(flow);
        }
    }

    fn enter(&mut self, entry: &Entry) {
        let Entry { event, brings_purchase, late, alerted } = entry;
        let declined = event.role == Role::Declined;
        let count = match event.role {
            Role::Use | Role::Settlement if *brings_purchase => &mut self.purchases,
            Role::Use | Role::Settlement => &mut self.repeated,
            Role::Declined => &mut self.declined,
            Role::Check => &mut self.checks,
            Role::Return => &mut self.returns,
        };
        *count = count.saturating_add(1);
        self.late = self.late.saturating_add(u64::from(*late));
        self.alerts = self.alerts.saturating_add(u64::from(*alerted));
        self.first = earliest(self.first, Some(event.at));
        self.last = self.last.max(Some(event.at));
        self.first_alerted = earliest(self.first_alerted, alerted.then_some(event.at));
        let moved = event.money.filter(|_| *brings_purchase || declined);
        let Some((minor, code)) = moved else { return };
        let flow = slot(&mut self.money, code);
        let (all, of_alerts) = match declined {
            true => (&mut flow.declined, &mut flow.alerted_declined),
            false => (&mut flow.approved, &mut flow.alerted_approved),
        };
        all.add(minor);
        if *alerted {
            of_alerts.add(minor);
        }
    }
}

/// The earlier of two times that may be missing.
pub(super) fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// The accounts of a card, sorted by hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Accounts {
    accounts: Vec<(IncidentHash, Account)>,
    /// Entries that are in no account: of incidents beyond the bound, or from before there were accounts.
    pub(super) unaccounted: u64,
}

impl Accounts {
    /// What a history of the first version has: so many entries, and nobody knows for which incident.
    pub(super) fn unaccounted(entries: u64) -> Accounts {
        Accounts { accounts: Vec::new(), unaccounted: entries }
    }

    /// The account of an incident.
    pub(super) fn of(&self, incident: IncidentHash) -> Option<&Account> {
        let place = self.accounts.binary_search_by_key(&incident, |account| account.0).ok()?;
        Some(&self.accounts[place].1)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IncidentHash, &Account)> {
        self.accounts.iter().map(|(incident, account)| (*incident, account))
    }

    /// Adds a sighting to an incident's account; `None` for one outside the incident's watch.
    pub(super) fn enter(&mut self, incident: IncidentHash, entry: Option<&Entry>) {
        let account = slot(&mut self.accounts, incident);
        match entry {
            Some(entry) => account.enter(entry),
            None => account.outside = account.outside.saturating_add(1),
        }
        if self.accounts.len() > ACCOUNTS_MAX
            && let Some((_, pushed_out)) = self.accounts.pop()
        {
            let entries = pushed_out.sightings().saturating_add(pushed_out.outside);
            self.unaccounted = self.unaccounted.saturating_add(entries);
        }
    }
}

/// Whether `event` is a purchase that none of the `known` events has brought.
///
/// Where a stream has authorizations and clearings, whichever comes first brings the purchase. A clearing settles
/// any authorization that it fits; an authorization finds its own purchase known if more clearings fit it than there
/// are other authorizations for them.
pub(super) fn brings_purchase(event: &Event, known: &[Event]) -> bool {
    match event.role {
        Role::Settlement => !settles_known(event, known),
        Role::Use => {
            let clearings: Vec<&Event> = known.iter().filter(|clearing| settles(clearing, event)).collect();
            let settled = |other: &&Event| clearings.iter().any(|clearing| settles(clearing, other));
            clearings.is_empty() || clearings.len() <= known.iter().filter(settled).count()
        }
        Role::Declined | Role::Check | Role::Return => false,
    }
}

#[cfg(test)]
mod tests;
