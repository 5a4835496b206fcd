//! Totals over the events that are no longer remembered one by one.
//!
//! Every part is a commutative fold, exact whatever the order: saturating sums of numbers that are
//! never negative, sets over bounded alphabets, and a table of merchants that keeps those seen last.
//! That table is exact too: a merchant that was pushed out had [`MERCHANTS_MAX`] others seen later, and
//! "last seen" only grows, so it can only come back by an event that is later still. Anything counted
//! per merchant would not survive being pushed out; therefore nothing is.

use serde::{Deserialize, Serialize};

use super::event::{Event, MerchantHash, Role};

/// How many merchants are remembered, those seen last.
pub(super) const MERCHANTS_MAX: usize = 128;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The fold of every settled event. Tables are sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Uses.
    pub(super) uses: u64,
    /// Clearings, whose authorizations may be among the uses: see [`super::Past`].
    pub(super) settlements: u64,
    /// Uses by hour of the day in UTC. Clearings come in batches and say nothing here.
    pub(super) hours: [u32; 24],
    /// Money by currency and class.
    money: Vec<(([u8; 3], Class), Money)>,
    /// Merchant categories used (buckets) and the day each was used last.
    mccs: Vec<(u8, u32)>,
    /// Countries used in (buckets) and the day each was used in last.
    countries: Vec<(u8, u32)>,
    /// Merchants used and the day each was used last.
    merchants: Vec<(MerchantHash, u32)>,
}

/// Uses and clearings are totalled apart: where a stream has both, each purchase is in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Class {
    /// Authorizations, and what a stream without kinds holds.
    Use,
    /// Clearings.
    Settlement,
}

impl Class {
    /// The class of an event that moved money.
    pub(super) fn of(event: &Event) -> Option<Class> {
        match event.role {
            Role::Use => Some(Class::Use),
            Role::Settlement => Some(Class::Settlement),
            Role::Declined | Role::Check | Role::Return => None,
        }
    }
}

/// Money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Money {
    /// How many amounts.
    pub count: u64,
    /// Their sum in minor units, saturating.
    pub sum: u64,
}

impl Money {
    /// Counts an amount.
    pub(super) fn add(&mut self, minor: i64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(minor.unsigned_abs());
    }

    /// Adds another's amounts.
    pub fn merge(&mut self, other: Money) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

impl Totals {
    /// Folds an event in.
    pub(super) fn add(&mut self, event: &Event) {
        let Some(class) = Class::of(event) else { return };
        match class {
            Class::Use => {
                self.uses = self.uses.saturating_add(1);
                let hour = &mut self.hours[hour_of(event.at)];
                *hour = hour.saturating_add(1);
            }
            Class::Settlement => self.settlements = self.settlements.saturating_add(1),
        }
        if let Some((minor, currency)) = event.money {
            slot(&mut self.money, (currency, class)).add(minor);
        }
        let day = day_of(event.at);
        if let Some(mcc) = event.mcc {
            see(&mut self.mccs, mcc, day);
        }
        if let Some(country) = event.country {
            see(&mut self.countries, country, day);
        }
        if let Some(merchant) = event.merchant {
            see(&mut self.merchants, merchant, day);
            self.forget_merchants();
        }
    }

    /// Keeps the merchants seen last; of those seen on one day, the higher hashes.
    fn forget_merchants(&mut self) {
        if self.merchants.len() > MERCHANTS_MAX {
            let oldest =
                self.merchants.iter().enumerate().min_by_key(|(_, (merchant, day))| (*day, *merchant));
            if let Some((place, _)) = oldest {
                self.merchants.remove(place);
            }
        }
    }

    /// Sets the merchants, for the naive model of the tests.
    #[cfg(test)]
    pub(super) fn set_merchants(&mut self, merchants: Vec<(u32, MerchantHash)>) {
        self.merchants = merchants.into_iter().map(|(day, merchant)| (merchant, day)).collect();
        self.merchants.sort_unstable();
    }

    /// Money of one currency and class.
    pub(super) fn money(&self, currency: [u8; 3], class: Class) -> Money {
        find(&self.money, (currency, class)).unwrap_or_default()
    }

    /// The day a merchant was used last.
    pub(super) fn merchant_day(&self, merchant: MerchantHash) -> Option<u32> {
        find(&self.merchants, merchant)
    }

    /// The day a category was used last.
    pub(super) fn mcc_day(&self, mcc: u8) -> Option<u32> {
        find(&self.mccs, mcc)
    }

    /// The day a country was used in last.
    pub(super) fn country_day(&self, country: u8) -> Option<u32> {
        find(&self.countries, country)
    }
}

/// The day, counted from 1970 in UTC.
pub(super) fn day_of(at: i64) -> u32 {
    (at.max(0) / DAY_MS) as u32
}

/// The hour of the day in UTC.
pub(super) fn hour_of(at: i64) -> usize {
    (at.rem_euclid(DAY_MS) / 3_600_000) as usize
}

/// The value of `key` in a sorted table, made when missing.
pub(super) fn slot<K: Ord + Copy, V: Default>(table: &mut Vec<(K, V)>, key: K) -> &mut V {
    let place = match table.binary_search_by_key(&key, |entry| entry.0) {
        Ok(place) => place,
        Err(place) => {
            table.insert(place, (key, V::default()));
            place
        }
    };
    &mut table[place].1
}

/// The value of `key` in a sorted table.
pub(super) fn find<K: Ord + Copy, V: Copy>(table: &[(K, V)], key: K) -> Option<V> {
    table.binary_search_by_key(&key, |entry| entry.0).ok().map(|place| table[place].1)
}

/// Moves the day `key` was seen last forward.
fn see<K: Ord + Copy>(table: &mut Vec<(K, u32)>, key: K, day: u32) {
    let last = slot(table, key);
    *last = day.max(*last);
}
