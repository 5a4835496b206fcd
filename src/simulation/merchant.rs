//! The merchants of a world.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::catalogue::{CATEGORIES, COUNTRIES, Category, Country, HOME, NAMES, Role, SHOP};
use super::{Purpose, random};

/// The index of the breached shop.
pub(super) const BREACHED: u32 = 0;

/// One merchant.
#[derive(Debug)]
pub(super) struct Merchant {
    pub(super) name: String,
    category: u8,
    country: u8,
    town: u8,
    /// A web shop, otherwise a terminal in a shop.
    pub(super) web: bool,
    /// A web shop that asks for the security code.
    pub(super) asks_code: bool,
    /// Settles with a clearing message of its own, a day or two later.
    pub(super) clears: bool,
}

impl Merchant {
    pub(super) fn category(&self) -> &'static Category {
        &CATEGORIES[usize::from(self.category)]
    }

    pub(super) fn country(&self) -> &'static Country {
        &COUNTRIES[usize::from(self.country)]
    }

    pub(super) fn town(&self) -> &'static str {
        self.country().towns[usize::from(self.town)]
    }
}

/// All merchants, found by index or by what they trade and where.
#[derive(Debug)]
pub(super) struct Merchants {
    all: Vec<Merchant>,
    /// By category, then country.
    places: Vec<Vec<u32>>,
}

impl Merchants {
    /// `count` merchants; the first is the breached shop, and every category has two in every country: a
    /// web shop and, unless all its merchants are web shops, a terminal.
    pub(super) fn new(seed: u64, count: u32) -> Merchants {
        let mut rng = random(seed, Purpose::Merchants, 0, 0);
        let mut merchants =
            Merchants { all: Vec::new(), places: vec![Vec::new(); CATEGORIES.len() * COUNTRIES.len()] };
        for (index, category) in CATEGORIES.iter().enumerate() {
            for country in 0..COUNTRIES.len() {
                merchants.add(&mut rng, index, country, category.web > 0.0);
                merchants.add(&mut rng, index, country, category.web >= 1.0);
            }
        }
        while merchants.all.len() < count as usize {
            let category = pick(&mut rng, CATEGORIES.iter().map(|category| category.weight + 1));
            let country = pick(&mut rng, COUNTRIES.iter().map(|country| country.merchants));
            let web = rng.random_bool(CATEGORIES[category].web);
            merchants.add(&mut rng, category, country, web);
        }
        let shop = &mut merchants.all[BREACHED as usize];
        debug_assert!(usize::from(shop.category) == SHOP && usize::from(shop.country) == HOME);
        shop.asks_code = true;
        merchants
    }

    fn add(&mut self, rng: &mut ChaCha8Rng, category: usize, country: usize, web: bool) {
        let index = self.all.len() as u32;
        let first = NAMES[rng.random_range(0..NAMES.len())];
        let trade = CATEGORIES[category].trade;
        self.all.push(Merchant {
            name: if web { format!("{first} {trade} Online") } else { format!("{first} {trade}") },
            category: category as u8,
            country: country as u8,
            town: rng.random_range(0..4),
            web,
            asks_code: web && rng.random_bool(0.85),
            clears: CATEGORIES[category].has(Role::Travel) || rng.random_bool(0.1),
        });
        self.places[category * COUNTRIES.len() + country].push(index);
    }

    pub(super) fn get(&self, index: u32) -> &Merchant {
        &self.all[index as usize]
    }

    /// Any merchant of this category in this country.
    pub(super) fn any(&self, rng: &mut ChaCha8Rng, category: usize, country: usize) -> u32 {
        let place = &self.places[category * COUNTRIES.len() + country];
        place[rng.random_range(0..place.len())]
    }

    /// Any merchant whose category has this role.
    pub(super) fn any_for(&self, rng: &mut ChaCha8Rng, role: Role, country: usize) -> u32 {
        let category = pick(rng, CATEGORIES.iter().map(|category| u32::from(category.has(role))));
        self.any(rng, category, country)
    }

    /// Any web shop whose category has this role; a terminal only where there is no web shop.
    pub(super) fn any_web_for(&self, rng: &mut ChaCha8Rng, role: Role, country: usize) -> u32 {
        let mut index = self.any_for(rng, role, country);
        for _ in 0..64 {
            if self.get(index).web {
                break;
            }
            index = self.any_for(rng, role, country);
        }
        index
    }

    /// Any merchant for an everyday purchase.
    pub(super) fn everyday(&self, rng: &mut ChaCha8Rng, country: usize) -> u32 {
        let category = pick(rng, CATEGORIES.iter().map(|category| category.weight));
        self.any(rng, category, country)
    }
}

/// The index of one of `weights`, each as likely as its weight.
pub(super) fn pick(rng: &mut ChaCha8Rng, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let mut place = rng.random_range(0..weights.clone().sum::<u32>().max(1));
    for (index, weight) in weights.enumerate() {
        if place < weight {
            return index;
        }
        place -= weight;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn thieves_and_subscriptions_find_a_web_shop_in_every_country() {
        let merchants = Merchants::new(3, 400);
        assert_eq!(merchants.all.len(), 400);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (country, home) in COUNTRIES.iter().enumerate() {
            for role in [Role::Resale, Role::Testing, Role::Subscription, Role::Gift] {
                for _ in 0..50 {
                    let index = merchants.any_web_for(&mut rng, role, country);
                    let merchant = merchants.get(index);
                    assert!(merchant.web && merchant.category().has(role), "{role:?} {country}");
                    assert_eq!(merchant.country().code, home.code);
                }
            }
        }
    }

    #[test]
    fn picking_follows_the_weights() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0u32; 3];
        for _ in 0..10_000 {
            counts[pick(&mut rng, [1, 0, 3].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_300..2_700).contains(&counts[0]), "{counts:?}");
    }
}
