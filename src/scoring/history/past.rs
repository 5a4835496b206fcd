//! The past that a sighting is compared with.
//!
//! It ends [`LAG_MS`] before the sighting, so that a burst of misuse is not compared with itself.

use super::event::{Event, Role};
use super::totals::{Class, Money, day_of, hour_of};
use super::{History, RECENT_MS};

/// How long before a sighting its past ends, in milliseconds: one day.
pub const LAG_MS: i64 = 24 * 3_600_000;

/// What a history says of the time before a point.
#[derive(Debug, Clone)]
pub struct Past<'a> {
    history: &'a History,
    /// The recent events that belong to the past and moved money, without clearings of known
    /// authorizations.
    recent: Vec<&'a Event>,
    /// The class that the totals are read from.
    class: Class,
    /// How many uses there were.
    pub uses: u64,
}

impl<'a> Past<'a> {
    /// The past up to and including `until` (epoch milliseconds). Settled events count whenever they
    /// were: for a sighting that is itself older than the recent events they may lie after it.
    pub fn before(history: &'a History, until: i64) -> Past<'a> {
        let known = &history.recent[..history.recent.partition_point(|event| event.at <= until)];
        let recent: Vec<&Event> = known
            .iter()
            .filter(|event| event.role.is_purchase() && !settles_known(event, &history.recent))
            .collect();
        let (uses, settlements) = (history.settled.uses, history.settled.settlements);
        // Where a stream has authorizations and clearings, each purchase is in both totals: the fuller
        // one is the truer.
        let class = if settlements > uses { Class::Settlement } else { Class::Use };
        let uses = uses.max(settlements).saturating_add(recent.len() as u64);
        Past { history, recent, class, uses }
    }

    /// Money in one currency.
    pub fn money(&self, currency: [u8; 3]) -> Money {
        let mut money = self.history.settled.money(currency, self.class);
        for event in &self.recent {
            if let Some((minor, code)) = event.money
                && code == currency
            {
                money.add(minor);
            }
        }
        money
    }

    /// How many uses fell into the hour of `at` or the hours beside it, in per cent; `None` where none
    /// has an hour.
    pub fn hour_share(&self, at: i64) -> Option<i64> {
        let mut hours = self.history.settled.hours.map(u64::from);
        for event in self.recent.iter().filter(|event| event.role == Role::Use) {
            hours[hour_of(event.at)] += 1;
        }
        let hour = hour_of(at);
        let near = hours[(hour + 23) % 24] + hours[hour] + hours[(hour + 1) % 24];
        let all: u64 = hours.iter().sum();
        (near * 100).checked_div(all).map(|share| share as i64)
    }

    /// The day on which the merchant of `event` was used last, if it ever was.
    pub fn merchant_day(&self, event: &Event) -> Option<u32> {
        let settled = self.history.settled.merchant_day(event.merchant?);
        settled.max(self.last_day(|known| known.merchant == event.merchant))
    }

    /// The day on which the merchant category of `event` was used last, if it ever was.
    pub fn mcc_day(&self, event: &Event) -> Option<u32> {
        self.history.settled.mcc_day(event.mcc?).max(self.last_day(|known| known.mcc == event.mcc))
    }

    /// The day on which the country of `event` was used in last, if it ever was.
    pub fn country_day(&self, event: &Event) -> Option<u32> {
        let settled = self.history.settled.country_day(event.country?);
        settled.max(self.last_day(|known| known.country == event.country))
    }

    fn last_day(&self, is_like: impl Fn(&Event) -> bool) -> Option<u32> {
        self.recent.iter().rev().find(|known| is_like(known)).map(|known| day_of(known.at))
    }
}

/// Whether `event` is the clearing of an authorization among `known`.
pub fn settles_known(event: &Event, known: &[Event]) -> bool {
    event.role == Role::Settlement && known.iter().any(|other| settles(event, other))
}

/// Whether `clearing` settles `authorization`: the same transaction id, or the same merchant and
/// amount at most seven days before.
pub fn settles(clearing: &Event, authorization: &Event) -> bool {
    let same_id = clearing.id.is_some() && clearing.id == authorization.id;
    let same_sale = clearing.merchant.is_some()
        && clearing.merchant == authorization.merchant
        && clearing.money.is_some()
        && clearing.money == authorization.money
        && (0..=RECENT_MS).contains(&clearing.at.saturating_sub(authorization.at));
    clearing.role == Role::Settlement && authorization.role == Role::Use && (same_id || same_sale)
}
