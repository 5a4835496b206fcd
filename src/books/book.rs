//! One incident's book.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Decided, Finding, Standing};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::scoring::history::{Account, Departed, Flow, Money};

/// Decisions by finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdicts {
    /// Confirmed by a person.
    pub fraud: u64,
    /// It was the cardholder.
    pub genuine: u64,
    /// Somebody looked and could not tell.
    pub unknown: u64,
}

impl Verdicts {
    /// Counts a decision.
    pub(super) fn count(&mut self, finding: Finding) {
        match finding {
            Finding::Fraud => self.fraud += 1,
            Finding::Genuine => self.genuine += 1,
            Finding::Unknown => self.unknown += 1,
        }
    }
}

/// Money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MoneyBook {
    /// What the cards' transactions moved, and what of it alerts were raised on.
    pub flow: Flow,
    /// Of approved transactions that a person found to be fraud.
    pub confirmed_approved: Money,
    /// Of declined attempts that a person found to be fraud.
    pub confirmed_declined: Money,
}

/// What happened with the cards of one standing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Cards. Of [`Standing::Other`]: those that were seen. Of [`Standing::Departed`]: those whose records were
    /// removed.
    pub cards: u64,
    /// Of those: seen within the watch.
    pub seen: u64,
    /// Of those: used, and nobody knows whether within this watch (histories of an earlier version, and cards
    /// in very many incidents). In neither `seen` nor never seen.
    pub untold: u64,
    /// Cards on which an alert was raised.
    pub suspected: u64,
    /// Cards where a person found fraud.
    pub confirmed: u64,
    /// Transactions of these cards within the watch, duplicates left out.
    pub sightings: u64,
    /// Approved purchases, each once.
    pub purchases: u64,
    /// Declined attempts.
    pub declined: u64,
    /// Account checks.
    pub checks: u64,
    /// Refunds and reversals.
    pub returns: u64,
    /// Sightings that came too late for an alert to help.
    pub late: u64,
    /// Sightings before the exposure or outside the watch period; in no other number.
    pub outside: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// What was decided.
    pub verdicts: Verdicts,
    /// Money by currency.
    pub money: BTreeMap<Currency, MoneyBook>,
    /// The earliest sighting.
    pub first: Option<Timestamp>,
    /// The latest.
    pub last: Option<Timestamp>,
}

impl Tally {
    /// Cards that were never seen within the watch, as far as it is known of each.
    pub fn never_seen(&self) -> u64 {
        self.cards.saturating_sub(self.seen).saturating_sub(self.untold)
    }

    /// Alerts that nobody has decided.
    pub fn undecided(&self) -> u64 {
        let Verdicts { fraud, genuine, unknown } = self.verdicts;
        [fraud, genuine, unknown].into_iter().fold(self.alerts, u64::saturating_sub)
    }

    /// Adds another's numbers.
    pub fn merge(&mut self, other: &Tally) {
        for (own, more) in self.counts().into_iter().zip(other.clone().counts()) {
            *own = own.saturating_add(*more);
        }
        for (currency, more) in &other.money {
            let own = self.money.entry(*currency).or_default();
            own.flow.merge(&more.flow);
            own.confirmed_approved.merge(more.confirmed_approved);
            own.confirmed_declined.merge(more.confirmed_declined);
        }
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
    }

    fn counts(&mut self) -> [&mut u64; 16] {
        [
            &mut self.cards,
            &mut self.seen,
            &mut self.untold,
            &mut self.suspected,
            &mut self.confirmed,
            &mut self.sightings,
            &mut self.purchases,
            &mut self.declined,
            &mut self.checks,
            &mut self.returns,
            &mut self.late,
            &mut self.outside,
            &mut self.alerts,
            &mut self.verdicts.fraud,
            &mut self.verdicts.genuine,
            &mut self.verdicts.unknown,
        ]
    }

    /// The tally of one card's account.
    fn of(account: &Account) -> Tally {
        let seen = account.sightings() > 0;
        let money =
            account.money().map(|(currency, flow)| (currency, MoneyBook { flow, ..Default::default() }));
        Tally {
            seen: u64::from(seen),
            suspected: u64::from(account.alerts > 0),
            sightings: account.sightings(),
            purchases: account.purchases,
            declined: account.declined,
            checks: account.checks,
            returns: account.returns,
            late: account.late,
            outside: account.outside,
            alerts: account.alerts,
            money: money.collect(),
            first: account.first(),
            last: account.last(),
            ..Tally::default()
        }
    }
}

/// Cards in one week, each counted in the week of its first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Week {
    /// Seen for the first time.
    pub seen: u64,
    /// Used for the first time in a way that raised an alert.
    pub suspected: u64,
}

/// What is known of one incident's cards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// Cards on the list.
    pub listed: Tally,
    /// Cards that revisions took off.
    pub withdrawn: Tally,
    /// Cards that were seen for this incident and are neither: see [`Standing::Other`].
    pub other: Tally,
    /// Cards whose records were removed: see [`Standing::Departed`].
    pub departed: Tally,
    /// By Monday, in the incident's time zone.
    pub weeks: BTreeMap<Date, Week>,
}

impl Book {
    /// All cards together.
    pub fn total(&self) -> Tally {
        let mut total = self.listed.clone();
        total.merge(&self.withdrawn);
        total.merge(&self.other);
        total.merge(&self.departed);
        total
    }

    /// The tally of a standing.
    pub(super) fn tally(&mut self, standing: Standing) -> &mut Tally {
        match standing {
            Standing::Listed => &mut self.listed,
            Standing::Withdrawn => &mut self.withdrawn,
            Standing::Other => &mut self.other,
            Standing::Departed => &mut self.departed,
        }
    }

    /// Enters a card's account.
    pub(super) fn enter(&mut self, standing: Standing, account: &Account, zone: &TimeZone) {
        let mut own = Tally::of(account);
        own.cards = u64::from(standing == Standing::Other && own.seen > 0);
        self.tally(standing).merge(&own);
        if let Some(monday) = account.first().and_then(|at| monday(at, zone)) {
            self.weeks.entry(monday).or_default().seen += 1;
        }
        if let Some(monday) = account.first_alerted().and_then(|at| monday(at, zone)) {
            self.weeks.entry(monday).or_default().suspected += 1;
        }
    }

    /// Enters what stays of cards whose histories are gone.
    pub(super) fn depart(&mut self, departed: &Departed) {
        let Departed { seen, suspected, ref total, .. } = *departed;
        self.departed.merge(&Tally { seen, suspected, ..Tally::of(total) });
        for (day, first) in departed.weeks() {
            let Some(monday) = date_of(*day) else { continue };
            let week = self.weeks.entry(monday).or_default();
            week.seen = week.seen.saturating_add(first.seen);
            week.suspected = week.suspected.saturating_add(first.suspected);
        }
    }

    /// Enters a decision; who counts cards does so by itself.
    pub(super) fn decide(&mut self, standing: Standing, decided: &Decided) {
        let tally = self.tally(standing);
        tally.verdicts.count(decided.finding);
        let Some(money) = decided.money.filter(|_| decided.finding == Finding::Fraud) else { return };
        let book = tally.money.entry(money.currency).or_default();
        let sum = if decided.declined { &mut book.confirmed_declined } else { &mut book.confirmed_approved };
        sum.merge(Money { count: 1, sum: money.minor.unsigned_abs() });
    }
}

/// The Monday of the week of a moment.
pub(super) fn monday(at: Timestamp, zone: &TimeZone) -> Option<Date> {
    let date = jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(zone.clone()).date();
    let days = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(jiff::Span::new().days(days)).ok()
}

/// The days from 1970 to a date.
pub(super) fn day_of(date: Date) -> i32 {
    date.since(EPOCH).map_or(0, |span| span.get_days())
}

fn date_of(day: i32) -> Option<Date> {
    EPOCH.checked_add(jiff::Span::new().try_days(day).ok()?).ok()
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}
