//! A day in the life of a card that its holder uses, odd days included.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::time::Timestamp;
use crate::domain::vocabulary::{Avs, Credential, Cvv, Initiation, Kind, Outcome, ThreeDs};

use super::catalogue::Role;
use super::event::{Purchase, Truth};
use super::holder::{Holder, amount, normal};
use super::merchant::{BREACHED, Merchants};
use super::spec::{DAY_MS, WorldSpec};
use super::{Purpose, random};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Serial numbers a card may use up in a day; thieves' serial numbers lie above all of them.
const SERIALS_PER_DAY: u32 = 1 << 16;

/// Serial numbers of misuse: the upper half of a card's.
pub(super) fn misuse_serial(card: u32, count: u32) -> u64 {
    (u64::from(card) << 32) | (1 << 31) | u64::from(count)
}

/// Whether the season of gifts is on.
fn is_december(at: Timestamp) -> bool {
    jiff::Timestamp::from_millisecond(at.millis())
        .is_ok_and(|at| jiff::tz::Offset::UTC.to_datetime(at).month() == 12)
}

/// One card on one day. `purchases` is what comes of it; clearings and refunds lie on later days.
pub(super) struct CardDay<'w> {
    spec: &'w WorldSpec,
    merchants: &'w Merchants,
    holder: &'w Holder,
    card: u32,
    day: i32,
    rng: ChaCha8Rng,
    serial: u32,
    pub(super) purchases: &'w mut Vec<Purchase>,
}

impl<'w> CardDay<'w> {
    pub(super) fn new(
        spec: &'w WorldSpec,
        merchants: &'w Merchants,
        holder: &'w Holder,
        (card, day): (u32, i32),
        purchases: &'w mut Vec<Purchase>,
    ) -> CardDay<'w> {
        let rng = random(spec.seed, Purpose::Day, u64::from(card), day as u64);
        CardDay { spec, merchants, holder, card, day, rng, serial: 0, purchases }
    }

    /// Everything that the card does on this day, in no particular order.
    pub(super) fn live(mut self) {
        let december = is_december(self.spec.day_start(self.day));
        let trip = self.holder.trip.filter(|trip| trip.days.contains(self.day));
        let rate =
            self.holder.rate * if december { 1.5 } else { 1.0 } * if trip.is_some() { 2.0 } else { 1.0 };
        for _ in 0..poisson(&mut self.rng, rate) {
            let odd: f64 = self.rng.random();
            let gifts = if december { 0.06 } else { 0.01 };
            match trip {
                _ if odd < gifts => self.gift(),
                Some(trip) if odd < 0.8 => self.abroad(usize::from(trip.country)),
                _ if odd > 0.985 => self.fares(),
                _ => self.ordinary(),
            }
        }
        self.subscriptions();
    }

    /// A purchase at the breached shop: the card is entered there, security code and all.
    pub(super) fn enter_at_shop(mut self) {
        // The day's serial numbers are shared with `live`; begin in the middle.
        self.serial = SERIALS_PER_DAY / 2;
        self.rng = random(self.spec.seed, Purpose::Shop, u64::from(self.card), self.day as u64);
        let at = self.daytime();
        let yen = amount(&mut self.rng, self.merchants, BREACHED, self.holder.wealth);
        let purchase = self.purchase(at, BREACHED, yen);
        let purchase = Purchase { credential: Credential::Keyed, cvv: Cvv::Match, ..purchase };
        self.settle(purchase);
    }

    /// Mostly a favourite, sometimes a merchant never used before.
    fn ordinary(&mut self) {
        let favourites = &self.holder.favourites;
        let known = self.rng.random_bool(0.9);
        let merchant = if known {
            // The square prefers the first: everybody has one place they go to most.
            let place = self.rng.random::<f64>().powi(2) * favourites.len() as f64;
            favourites[(place as usize).min(favourites.len() - 1)]
        } else {
            let country = self.holder.country_index();
            self.merchants.everyday(&mut self.rng, country)
        };
        let at = self.daytime();
        let yen = amount(&mut self.rng, self.merchants, merchant, self.holder.wealth);
        let mut purchase = self.purchase(at, merchant, yen);
        if known && self.merchants.get(merchant).web && self.rng.random_bool(0.5) {
            purchase.credential = Credential::Stored;
            purchase.cvv = Cvv::Absent;
        }
        self.settle(purchase);
    }

    /// Something dear for somebody else, often from a new merchant.
    fn gift(&mut self) {
        let country = self.holder.country_index();
        let merchant = self.merchants.any_for(&mut self.rng, Role::Gift, country);
        let at = self.daytime();
        let wealth = self.holder.wealth * self.rng.random_range(1.0..3.0);
        let yen = amount(&mut self.rng, self.merchants, merchant, wealth);
        let purchase = self.purchase(at, merchant, yen);
        self.settle(purchase);
    }

    /// A purchase on a trip: hotels, meals, shops of another country.
    fn abroad(&mut self, country: usize) {
        let merchant = if self.rng.random_bool(0.25) {
            self.merchants.any_for(&mut self.rng, Role::Travel, country)
        } else {
            self.merchants.everyday(&mut self.rng, country)
        };
        let at = self.daytime();
        let yen = amount(&mut self.rng, self.merchants, merchant, self.holder.wealth);
        let purchase = self.purchase(at, merchant, yen);
        self.settle(purchase);
    }

    /// Several small fares within minutes.
    fn fares(&mut self) {
        let country = self.holder.country_index();
        let merchant = self.merchants.any_for(&mut self.rng, Role::Fares, country);
        let mut at = self.daytime();
        for _ in 0..self.rng.random_range(3..6) {
            let yen = amount(&mut self.rng, self.merchants, merchant, 0.7);
            let purchase = self.purchase(at, merchant, yen);
            self.purchases.push(purchase);
            let pause = self.rng.random_range(MINUTE_MS..5 * MINUTE_MS);
            at = self.within_day(at.plus_millis(pause));
        }
    }

    /// Charges that nobody is there for. Only the one that takes the subscription out carries a code.
    fn subscriptions(&mut self) {
        let (holder, day) = (self.holder, self.day);
        for subscription in holder.subscriptions.iter().filter(|due| due.is_due(day)) {
            let first = subscription.from_day == day;
            let at = if first { self.daytime() } else { self.night() };
            let mut purchase = self.purchase(at, subscription.merchant, 1.0);
            purchase.minor = subscription.minor;
            if first {
                purchase.credential = Credential::Keyed;
                purchase.cvv = Cvv::Match;
            } else {
                purchase.initiation = Initiation::Recurring;
                purchase.credential = Credential::Stored;
                purchase.cvv = Cvv::Absent;
                purchase.avs = Avs::Unknown;
                purchase.three_ds = ThreeDs::None;
            }
            if self.rng.random_bool(0.01) {
                purchase = purchase.declined("51");
            }
            self.purchases.push(purchase);
        }
    }

    /// An approved authorization by the cardholder.
    fn purchase(&mut self, at: Timestamp, merchant_index: u32, yen: f64) -> Purchase {
        let merchant = self.merchants.get(merchant_index);
        let rng = &mut self.rng;
        let draw: f64 = rng.random();
        let (credential, cvv, three_ds, avs) = if merchant.web {
            let avs = if merchant.country().checks_address { Avs::Match } else { Avs::Unknown };
            let three_ds = match draw {
                0.0..0.25 => ThreeDs::Authenticated,
                0.25..0.3 => ThreeDs::Attempted,
                _ => ThreeDs::None,
            };
            let cvv = if merchant.asks_code { Cvv::Match } else { Cvv::Absent };
            (Credential::Keyed, cvv, three_ds, avs)
        } else {
            let credential = match draw {
                0.0..0.45 => Credential::Chip,
                0.45..0.85 => Credential::Contactless,
                0.85..0.95 => Credential::WalletToken,
                _ => Credential::Magstripe,
            };
            (credential, Cvv::Unknown, ThreeDs::Unknown, Avs::Unknown)
        };
        Purchase {
            at,
            card: self.card,
            merchant: merchant_index,
            serial: self.next_serial(),
            minor: merchant.country().minor_of(yen),
            kind: Kind::Authorization,
            outcome: Outcome::Approved,
            response_code: "00",
            initiation: Initiation::Cardholder,
            credential,
            cvv,
            avs,
            three_ds,
            truth: Truth::Genuine,
        }
    }

    fn next_serial(&mut self) -> u64 {
        let within_card = self.day as u32 * SERIALS_PER_DAY + self.serial;
        self.serial += 1;
        (u64::from(self.card) << 32) | u64::from(within_card)
    }

    /// Adds the purchase with what goes wrong (a mistyped code, no funds) and what follows days later (a
    /// clearing, a refund).
    fn settle(&mut self, mut purchase: Purchase) {
        if purchase.cvv == Cvv::Match && self.rng.random_bool(0.02) {
            let mistyped = Purchase { cvv: Cvv::NoMatch, ..purchase.clone() }.declined("N7");
            let again = self.rng.random_range(20_000..2 * MINUTE_MS);
            purchase.serial = self.next_serial();
            purchase.at = self.within_day(purchase.at.plus_millis(again));
            self.purchases.push(mistyped);
        }
        if self.rng.random_bool(0.012) {
            self.purchases.push(purchase.declined("51"));
            return;
        }
        if self.merchants.get(purchase.merchant).clears {
            let after = self.rng.random_range(DAY_MS..2 * DAY_MS);
            self.purchases.push(Purchase {
                kind: Kind::Clearing,
                at: purchase.at.plus_millis(after),
                ..purchase.clone()
            });
        }
        if self.merchants.get(purchase.merchant).web && self.rng.random_bool(0.015) {
            let after = self.rng.random_range(2 * DAY_MS..9 * DAY_MS);
            let serial = self.next_serial();
            self.purchases.push(Purchase {
                kind: Kind::Refund,
                at: purchase.at.plus_millis(after),
                serial,
                initiation: Initiation::Merchant,
                credential: Credential::Stored,
                cvv: Cvv::Unknown,
                avs: Avs::Unknown,
                three_ds: ThreeDs::Unknown,
                ..purchase.clone()
            });
        }
        self.purchases.push(purchase);
    }

    /// A moment of the day when people are about: noon, evening, or any waking hour.
    fn daytime(&mut self) -> Timestamp {
        let hour = match self.rng.random_range(0..100) {
            0..25 => 12.5 + 1.2 * normal(&mut self.rng),
            25..70 => 18.75 + 2.0 * normal(&mut self.rng),
            _ => self.rng.random_range(8.0..22.0),
        };
        let hour = if self.holder.late { hour + 5.0 } else { hour };
        self.local(hour)
    }

    /// A moment when batch jobs run.
    fn night(&mut self) -> Timestamp {
        let hour = self.rng.random_range(2.0..5.0);
        self.local(hour)
    }

    /// The moment of this 24-hour day of the world at which it is `hour` where the holder lives.
    fn local(&self, hour: f64) -> Timestamp {
        let start = self.spec.day_start(self.day);
        let wanted = (hour * HOUR_MS as f64) as i64 - self.holder.country().ahead_of_utc * HOUR_MS;
        start.plus_millis((wanted - start.millis()).rem_euclid(DAY_MS))
    }

    /// `at`, held within this day.
    fn within_day(&self, at: Timestamp) -> Timestamp {
        at.min(self.spec.day_start(self.day + 1).plus_millis(-1))
    }
}

/// A draw from the Poisson distribution (Knuth's product of uniforms: `mean` is small).
fn poisson(rng: &mut ChaCha8Rng, mean: f64) -> u32 {
    let limit = (-mean.min(50.0)).exp();
    let mut product: f64 = rng.random();
    let mut count = 0;
    while product > limit {
        product *= rng.random::<f64>();
        count += 1;
    }
    count
}
