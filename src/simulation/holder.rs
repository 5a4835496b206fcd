//! Cardholders: where they live, how often and where they buy, what they subscribe to.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::catalogue::{COUNTRIES, Country, Role};
use super::merchant::{Merchants, pick};
use super::spec::{DayRange, WorldSpec};
use super::{Purpose, random};

/// A subscription is charged every so many days.
pub(super) const CYCLE_DAYS: i32 = 30;

/// One cardholder, who has one card.
#[derive(Debug)]
pub(super) struct Holder {
    country: u8,
    /// Uses a day, subscriptions not counted.
    pub(super) rate: f64,
    /// What this person spends beside what everyone spends.
    pub(super) wealth: f64,
    /// Shops late in the evening and at night.
    pub(super) late: bool,
    /// Month and last two digits of the year in which the card ends.
    pub(super) expiry: (u8, u8),
    /// Merchants used again and again, the most frequent first.
    pub(super) favourites: Box<[u32]>,
    pub(super) subscriptions: Box<[Subscription]>,
    pub(super) trip: Option<Trip>,
}

/// A standing order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription {
    pub(super) merchant: u32,
    /// The day it was taken out, negative if before the world began.
    pub(super) from_day: i32,
    /// In the merchant's currency; the same each time.
    pub(super) minor: i64,
}

impl Subscription {
    /// Whether it is charged on `day`.
    pub(super) fn is_due(&self, day: i32) -> bool {
        day >= self.from_day && (day - self.from_day) % CYCLE_DAYS == 0
    }
}

/// Days spent in another country.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trip {
    pub(super) days: DayRange,
    pub(super) country: u8,
}

impl Holder {
    pub(super) fn new(spec: &WorldSpec, merchants: &Merchants, card: u32) -> Holder {
        let mut rng = random(spec.seed, Purpose::Holder, u64::from(card), 0);
        let country = pick(&mut rng, COUNTRIES.iter().map(|country| country.holders));
        let days = spec.days as i32;
        let favourites =
            (0..rng.random_range(6..16)).map(|_| merchants.everyday(&mut rng, country)).collect();
        // Log-normal with mean 1: a few people spend several times what most do.
        let rate = spec.uses_per_day * (0.6 * normal(&mut rng) - 0.18).exp();
        let wealth = (0.4 * normal(&mut rng)).exp();
        let subscriptions = (0..pick(&mut rng, [25, 35, 25, 15].into_iter()))
            .map(|_| {
                let merchant = merchants.any_web_for(&mut rng, Role::Subscription, country);
                let yen = amount(&mut rng, merchants, merchant, 1.0);
                Subscription {
                    merchant,
                    from_day: rng.random_range(-400..days),
                    minor: COUNTRIES[country].minor_of(yen),
                }
            })
            .collect();
        // Somebody travels about twice a year, for a few days.
        let trip = rng.random_bool((f64::from(spec.days) / 180.0 * 0.3).min(0.5)).then(|| {
            let from = rng.random_range(0..days);
            let days = DayRange { from, until: from + rng.random_range(2..10) };
            Trip { days, country: rng.random_range(0..COUNTRIES.len()) as u8 }
        });
        Holder {
            country: country as u8,
            rate,
            wealth,
            late: rng.random_bool(0.06),
            expiry: (rng.random_range(1..=12), expiry_year(spec) + rng.random_range(1..5)),
            favourites,
            subscriptions,
            trip,
        }
    }

    pub(super) fn country(&self) -> &'static Country {
        &COUNTRIES[self.country_index()]
    }

    pub(super) fn country_index(&self) -> usize {
        usize::from(self.country)
    }

    /// The mean amount of this holder's purchases at the favourite merchants, in yen.
    pub(super) fn mean_yen(&self, merchants: &Merchants) -> f64 {
        let total: f64 = self.favourites.iter().map(|&index| merchants.get(index).category().mean()).sum();
        self.wealth * total / self.favourites.len().max(1) as f64
    }
}

/// The last two digits of the year in which the world ends.
fn expiry_year(spec: &WorldSpec) -> u8 {
    let year = jiff::Timestamp::from_millisecond(spec.end().millis())
        .map_or(2018, |end| jiff::tz::Offset::UTC.to_datetime(end).year());
    (year.rem_euclid(100) as u8).min(90)
}

/// A draw from the standard normal distribution.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// What a purchase at this merchant costs, in yen: log-normal, times what the holder is used to.
pub(super) fn amount(rng: &mut ChaCha8Rng, merchants: &Merchants, merchant: u32, wealth: f64) -> f64 {
    let category = merchants.get(merchant).category();
    wealth * category.median * (category.spread * normal(rng)).exp()
}
