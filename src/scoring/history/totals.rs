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
/// How many spreads are kept apart; more kinds of purchase than that share.
const SPREAD_BUCKETS: u64 = 499;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Steps of an octave in which logarithms of amounts are counted.
const LOG_STEPS: f64 = 16.0;

/// The fold of every settled event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Uses.
    pub(super) uses: u64,
    /// Clearings, whose authorizations may be among the uses: see [`super::Past`].
    pub(super) settlements: u64,
    /// Uses by hour of the day in UTC. Clearings come in batches and say nothing here.
    pub(super) hours: [u32; 24],
    /// Money by currency and class, sorted.
    money: Vec<(([u8; 3], Class), Money)>,
    /// Amounts by kind of purchase (a bucket), sorted.
    spreads: Vec<(u16, Spread)>,
    /// Merchant categories used (buckets), sorted.
    mccs: Vec<u8>,
    /// Countries used, sorted.
    countries: Vec<u16>,
    /// Merchants used and the day each was seen last, sorted by merchant.
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
    /// Minor units, saturating; with the count of the spread it gives the mean.
    pub sum: u64,
    /// How the amounts spread.
    pub spread: Spread,
}

impl Money {
    /// Counts an amount.
    pub(super) fn add(&mut self, minor: i64) {
        self.sum = self.sum.saturating_add(minor.unsigned_abs());
        self.spread.add(minor);
    }
}

/// How amounts spread: the moments of their logarithms, because amounts spread by factors. Sums of
/// integers, so that any order gives the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    log_sum: u64,
    log_square_sum: u64,
}

/// An amount's logarithm varies by at least this much from use to use, in octaves: a card used three
/// times for the same amount does not make every other amount strange.
const DEVIATION_MIN: f64 = 0.5;

impl Spread {
    /// Counts an amount.
    pub(super) fn add(&mut self, minor: i64) {
        let log = log_steps(minor.unsigned_abs());
        self.count = self.count.saturating_add(1);
        self.log_sum = self.log_sum.saturating_add(log);
        self.log_square_sum = self.log_square_sum.saturating_add(log * log);
    }

    /// By how many standard deviations the logarithm of `minor` lies above the mean.
    pub fn deviations(&self, minor: i64) -> f64 {
        let count = self.count.max(1) as f64;
        let mean = self.log_sum as f64 / count;
        let variance = (self.log_square_sum as f64 / count - mean * mean).max(0.0);
        let deviation = (variance.sqrt() / LOG_STEPS).max(DEVIATION_MIN);
        (log_steps(minor.unsigned_abs()) as f64 - mean) / LOG_STEPS / deviation
    }
}

/// The binary logarithm of `minor` (at least 1) in sixteenths of an octave, by integers alone: the
/// same on every machine.
fn log_steps(minor: u64) -> u64 {
    let minor = minor.max(1);
    let octave = minor.ilog2();
    // The mantissa in [1, 2) as a fixed-point number with 31 places; squaring it four times yields the
    // four binary places of its logarithm.
    let mut mantissa = if octave >= 31 { minor >> (octave - 31) } else { minor << (31 - octave) };
    let mut steps = u64::from(octave);
    for _ in 0..4 {
        mantissa = (mantissa * mantissa) >> 31;
        let carry = mantissa >> 32;
        steps = steps * 2 + carry;
        mantissa >>= carry;
    }
    steps
}

/// The bucket of a kind of purchase: category, presence of the card, currency and class.
pub(super) fn spread_bucket(mcc: u8, remote: Option<bool>, currency: [u8; 3], class: Class) -> u16 {
    let [a, b, c] = currency;
    let key = [mcc, remote.map_or(2, u8::from), a, b, c, class as u8];
    (super::event::hash64(&key) % SPREAD_BUCKETS) as u16
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
            if let Some(mcc) = event.mcc {
                slot(&mut self.spreads, spread_bucket(mcc, event.remote, currency, class)).add(minor);
            }
        }
        if let Some(mcc) = event.mcc {
            include(&mut self.mccs, mcc);
        }
        if let Some(country) = event.country {
            include(&mut self.countries, country);
        }
        if let Some(merchant) = event.merchant {
            self.see_merchant(merchant, (event.at.max(0) / DAY_MS) as u32);
        }
    }

    fn see_merchant(&mut self, merchant: MerchantHash, day: u32) {
        let seen = slot(&mut self.merchants, merchant);
        *seen = day.max(*seen);
        if self.merchants.len() > MERCHANTS_MAX {
            let oldest =
                self.merchants.iter().enumerate().min_by_key(|(_, (merchant, day))| (*day, *merchant));
            if let Some((place, _)) = oldest {
                self.merchants.remove(place);
            }
        }
    }

    /// Money of one currency and class.
    pub(super) fn money(&self, currency: [u8; 3], class: Class) -> Money {
        find(&self.money, (currency, class))
    }

    /// The spread of one kind of purchase.
    pub(super) fn spread(&self, bucket: u16) -> Spread {
        find(&self.spreads, bucket)
    }

    /// Whether a merchant is remembered.
    pub(super) fn knows_merchant(&self, merchant: MerchantHash) -> bool {
        self.merchants.binary_search_by_key(&merchant, |entry| entry.0).is_ok()
    }

    /// Whether a category was used.
    pub(super) fn knows_mcc(&self, mcc: u8) -> bool {
        self.mccs.binary_search(&mcc).is_ok()
    }

    /// Whether a country was used in.
    pub(super) fn knows_country(&self, country: u16) -> bool {
        self.countries.binary_search(&country).is_ok()
    }
}

/// The hour of the day in UTC.
pub(super) fn hour_of(at: i64) -> usize {
    (at.rem_euclid(DAY_MS) / 3_600_000) as usize
}

/// The value of `key` in a sorted table, made when missing.
fn slot<K: Ord + Copy, V: Default>(table: &mut Vec<(K, V)>, key: K) -> &mut V {
    let place = match table.binary_search_by_key(&key, |entry| entry.0) {
        Ok(place) => place,
        Err(place) => {
            table.insert(place, (key, V::default()));
            place
        }
    };
    &mut table[place].1
}

/// The value of `key` in a sorted table, or nothing counted.
fn find<K: Ord + Copy, V: Default + Copy>(table: &[(K, V)], key: K) -> V {
    table.binary_search_by_key(&key, |entry| entry.0).map_or_else(|_| V::default(), |place| table[place].1)
}

/// Adds to a sorted set.
fn include<K: Ord + Copy>(set: &mut Vec<K>, key: K) {
    if let Err(place) = set.binary_search(&key) {
        set.insert(place, key);
    }
}
