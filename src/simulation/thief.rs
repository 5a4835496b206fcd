//! Thieves: what happens to a misused card.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::time::Timestamp;
use crate::domain::vocabulary::{Avs, Credential, Cvv, Initiation, Kind, Outcome, ThreeDs};

use super::catalogue::{COUNTRIES, Role};
use super::customer::misuse_serial;
use super::event::{Purchase, Scheme, Truth};
use super::holder::Holder;
use super::merchant::{Merchants, pick};
use super::spec::{DAY_MS, WorldSpec};
use super::{Purpose, random};

const MINUTE_MS: i64 = 60_000;

/// One thief with one card.
struct Thief<'w> {
    merchants: &'w Merchants,
    holder: &'w Holder,
    card: u32,
    scheme: Scheme,
    rng: ChaCha8Rng,
    at: Timestamp,
    uses: Vec<Purchase>,
}

/// Everything that a thief does with this card, in time order; what lies beyond the world's end is left out.
pub(super) fn misuse(spec: &WorldSpec, merchants: &Merchants, holder: &Holder, card: u32) -> Vec<Purchase> {
    let mut rng = random(spec.seed, Purpose::Thief, u64::from(card), 0);
    let scheme = match pick(&mut rng, [55, 30, 15].into_iter()) {
        0 => Scheme::TestThenBurst,
        1 => Scheme::Burst,
        _ => Scheme::Quiet,
    };
    // A day and a half before the end at the latest, so that most of the scheme lies within the world.
    let latest = spec.end().millis() - DAY_MS * 3 / 2;
    let from = spec.misuse_from().millis();
    let at = Timestamp(rng.random_range(from..latest.max(from + 1)));
    let mut thief = Thief { merchants, holder, card, scheme, rng, at, uses: Vec::new() };
    match scheme {
        Scheme::TestThenBurst => {
            thief.test();
            let pause = thief.rng.random_range(10 * MINUTE_MS..30 * 60 * MINUTE_MS);
            thief.at = thief.at.plus_millis(pause);
            thief.burst();
        }
        Scheme::Burst => thief.burst(),
        Scheme::Quiet => thief.quiet(),
    }
    thief.uses.retain(|purchase| purchase.at < spec.end());
    thief.uses
}

impl Thief<'_> {
    /// Two to five small uses or checks where nothing is shipped; some are declined.
    fn test(&mut self) {
        let merchants = [self.shop(Role::Testing), self.shop(Role::Testing)];
        for _ in 0..self.rng.random_range(2..6) {
            let merchant = merchants[self.rng.random_range(0..2)];
            let yen = self.rng.random_range(50.0..480.0);
            let mut purchase = self.purchase(merchant, yen);
            if self.rng.random_bool(0.3) {
                purchase.kind = Kind::AccountCheck;
                purchase.minor = 0;
            }
            if purchase.outcome == Outcome::Approved && self.rng.random_bool(0.2) {
                purchase = purchase.declined("05");
            }
            self.uses.push(purchase);
            self.wait(1, 6);
        }
    }

    /// Three to seven purchases of goods that can be sold on, until the card is refused.
    fn burst(&mut self) {
        let mean = self.holder.mean_yen(self.merchants);
        let limit = 120_000.0 * self.holder.wealth;
        let mut spent = 0.0;
        for _ in 0..self.rng.random_range(3..8) {
            let merchant = self.shop(Role::Resale);
            let yen = (mean * self.rng.random_range(2.5..9.0)).clamp(9_000.0, 200_000.0);
            let mut purchase = self.purchase(merchant, yen);
            let refused = spent + yen > limit && spent > 0.0;
            if purchase.outcome == Outcome::Approved && refused {
                purchase = purchase.declined("61");
            } else if purchase.outcome == Outcome::Approved {
                spent += yen;
            }
            self.uses.push(purchase);
            self.wait(2, 40);
            if refused && self.rng.random_bool(0.6) {
                break;
            }
        }
    }

    /// Two to four purchases a day or so apart, of amounts that the cardholder might spend too.
    fn quiet(&mut self) {
        let mean = self.holder.mean_yen(self.merchants);
        for _ in 0..self.rng.random_range(2..5) {
            let merchant = self.shop(Role::Resale);
            let yen = mean * self.rng.random_range(0.8..2.2);
            let purchase = self.purchase(merchant, yen);
            self.uses.push(purchase);
            self.wait(16 * 60, 34 * 60);
        }
    }

    /// A web shop that the cardholder does not use, mostly of the cardholder's own country.
    fn shop(&mut self, role: Role) -> u32 {
        let country = if self.rng.random_bool(0.65) {
            self.holder.country_index()
        } else {
            self.rng.random_range(0..COUNTRIES.len())
        };
        let mut shop = self.merchants.any_web_for(&mut self.rng, role, country);
        for _ in 0..8 {
            if !self.holder.favourites.contains(&shop) {
                break;
            }
            shop = self.merchants.any_web_for(&mut self.rng, role, country);
        }
        shop
    }

    /// A use without the security code, or with a guessed one that is refused.
    fn purchase(&mut self, merchant_index: u32, yen: f64) -> Purchase {
        let country = self.merchants.get(merchant_index).country();
        let guessed = self.rng.random_bool(0.15);
        let purchase = Purchase {
            at: self.at,
            card: self.card,
            merchant: merchant_index,
            serial: misuse_serial(self.card, self.uses.len() as u32),
            minor: country.minor_of(yen),
            kind: Kind::Authorization,
            outcome: Outcome::Approved,
            response_code: "00",
            initiation: Initiation::Cardholder,
            credential: Credential::Keyed,
            cvv: if guessed { Cvv::NoMatch } else { Cvv::Absent },
            avs: match (country.checks_address, self.rng.random_bool(0.6)) {
                (false, _) => Avs::Unknown,
                (true, true) => Avs::NoMatch,
                (true, false) => Avs::Absent,
            },
            three_ds: match self.rng.random_range(0..20) {
                0 => ThreeDs::Failed,
                1 => ThreeDs::Attempted,
                _ => ThreeDs::None,
            },
            truth: Truth::Misuse { scheme: self.scheme },
        };
        if guessed { purchase.declined("N7") } else { purchase }
    }

    fn wait(&mut self, from_minutes: i64, to_minutes: i64) {
        let pause = self.rng.random_range(from_minutes * MINUTE_MS..to_minutes * MINUTE_MS);
        self.at = self.at.plus_millis(pause);
    }
}
