//! What a world is furnished with: countries, categories of trade, names. Round figures, invented names.

/// A country: its currency, its hours, its towns.
#[derive(Debug)]
pub(super) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(super) code: &'static str,
    /// ISO 4217.
    pub(super) currency: &'static str,
    /// Decimal places of the currency.
    pub(super) exponent: u32,
    /// What one major unit is worth in yen, roughly, in 2018.
    pub(super) yen: f64,
    /// Hours ahead of UTC; summer time is left out.
    pub(super) ahead_of_utc: i64,
    /// Cardholders of a hundred who live here.
    pub(super) holders: u32,
    /// Merchants of a hundred that trade here.
    pub(super) merchants: u32,
    /// Whether its web shops check postal addresses.
    pub(super) checks_address: bool,
    /// Where its merchants are.
    pub(super) towns: [&'static str; 4],
}

/// The country the breached shop is in.
pub(super) const HOME: usize = 0;

pub(super) const COUNTRIES: [Country; 6] = [
    Country {
        code: "JP",
        currency: "JPY",
        exponent: 0,
        yen: 1.0,
        ahead_of_utc: 9,
        holders: 82,
        merchants: 52,
        checks_address: false,
        towns: ["Tokyo", "Osaka", "Sendai", "Fukuoka"],
    },
    Country {
        code: "US",
        currency: "USD",
        exponent: 2,
        yen: 110.0,
        ahead_of_utc: -5,
        holders: 8,
        merchants: 22,
        checks_address: true,
        towns: ["Boston", "Austin", "Denver", "Portland"],
    },
    Country {
        code: "GB",
        currency: "GBP",
        exponent: 2,
        yen: 147.0,
        ahead_of_utc: 0,
        holders: 4,
        merchants: 9,
        checks_address: true,
        towns: ["London", "Leeds", "Bristol", "Glasgow"],
    },
    Country {
        code: "DE",
        currency: "EUR",
        exponent: 2,
        yen: 130.0,
        ahead_of_utc: 1,
        holders: 3,
        merchants: 7,
        checks_address: false,
        towns: ["Berlin", "Hamburg", "Mainz", "Jena"],
    },
    Country {
        code: "FR",
        currency: "EUR",
        exponent: 2,
        yen: 130.0,
        ahead_of_utc: 1,
        holders: 2,
        merchants: 6,
        checks_address: false,
        towns: ["Paris", "Lyon", "Nantes", "Lille"],
    },
    Country {
        code: "KR",
        currency: "KRW",
        exponent: 0,
        yen: 0.1,
        ahead_of_utc: 9,
        holders: 1,
        merchants: 4,
        checks_address: false,
        towns: ["Seoul", "Busan", "Daegu", "Incheon"],
    },
];

impl Country {
    /// `yen` in minor units of this country's currency, at least one.
    pub(super) fn minor_of(&self, yen: f64) -> i64 {
        let minor = yen / self.yen * f64::from(10u32.pow(self.exponent));
        (minor.round() as i64).max(1)
    }

    /// Minor units of this country's currency in yen.
    pub(super) fn yen_of(&self, minor: i64) -> f64 {
        minor as f64 * self.yen / f64::from(10u32.pow(self.exponent))
    }
}

/// A category of trade.
#[derive(Debug)]
pub(super) struct Category {
    /// Merchant category code (ISO 18245).
    pub(super) mcc: &'static str,
    /// What its merchants call themselves.
    pub(super) trade: &'static str,
    /// How often people go there, relative to the others.
    pub(super) weight: u32,
    /// The share of its merchants that are web shops.
    pub(super) web: f64,
    /// The median amount in yen.
    pub(super) median: f64,
    /// The standard deviation of the amount's logarithm.
    pub(super) spread: f64,
    /// What else it serves for.
    pub(super) roles: &'static [Role],
}

/// What a category serves for besides everyday purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Charges every month.
    Subscription,
    /// Paid on trips.
    Travel,
    /// Bought for others.
    Gift,
    /// Easily sold on: what thieves buy.
    Resale,
    /// Takes small amounts without shipping anything: where thieves test.
    Testing,
    /// Small amounts in quick succession, by honest people.
    Fares,
}

macro_rules! categories {
    ($(($mcc:literal, $trade:literal, $weight:literal, $web:literal, $median:literal, $spread:literal $(, $role:ident)*),)+) => {
        &[$(Category {
            mcc: $mcc, trade: $trade, weight: $weight, web: $web, median: $median, spread: $spread,
            roles: &[$(Role::$role),*],
        }),+]
    };
}

/// The category of the breached shop: the first.
pub(super) const SHOP: usize = 0;

pub(super) const CATEGORIES: &[Category] = categories![
    ("5499", "Health Foods", 4, 0.6, 4_200.0, 0.5),
    ("5411", "Grocery", 26, 0.1, 2_200.0, 0.6),
    ("5812", "Kitchen", 14, 0.0, 1_900.0, 0.6),
    ("5814", "Noodles", 10, 0.0, 780.0, 0.4),
    ("5541", "Fuel", 6, 0.0, 4_300.0, 0.35),
    ("5912", "Pharmacy", 6, 0.1, 1_600.0, 0.6),
    ("4111", "Railway", 9, 0.0, 320.0, 0.5, Fares),
    ("5311", "Department Store", 4, 0.2, 6_500.0, 0.7, Gift),
    ("5651", "Clothing", 4, 0.45, 5_800.0, 0.6),
    ("5942", "Books", 4, 0.6, 1_700.0, 0.5),
    ("5977", "Cosmetics", 3, 0.5, 3_600.0, 0.6),
    ("7832", "Cinema", 2, 0.4, 2_800.0, 0.4),
    ("5732", "Electronics", 2, 0.6, 14_000.0, 0.9, Gift, Resale),
    ("5045", "Computers", 1, 0.8, 32_000.0, 0.8, Resale),
    ("5944", "Jewellery", 1, 0.5, 21_000.0, 0.8, Gift, Resale),
    ("5661", "Shoes", 2, 0.6, 8_800.0, 0.5, Resale),
    ("5945", "Toys", 2, 0.5, 3_900.0, 0.6, Gift),
    ("5816", "Games", 3, 1.0, 1_400.0, 0.8, Resale, Testing),
    ("5815", "Music", 3, 1.0, 900.0, 0.6, Testing),
    ("8398", "Relief Fund", 1, 1.0, 3_000.0, 0.7, Testing),
    ("7011", "Hotel", 1, 0.3, 13_000.0, 0.6, Travel),
    ("4511", "Airways", 1, 0.8, 38_000.0, 0.6, Travel),
    ("4899", "Streaming", 0, 1.0, 980.0, 0.3, Subscription),
    ("4814", "Mobile", 0, 1.0, 5_200.0, 0.4, Subscription),
    ("4900", "Water and Power", 0, 1.0, 7_600.0, 0.4, Subscription),
    ("6300", "Insurance", 0, 1.0, 4_100.0, 0.5, Subscription),
    ("7997", "Fitness", 0, 1.0, 7_300.0, 0.3, Subscription),
];

impl Category {
    /// Whether it serves for this.
    pub(super) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The mean amount in yen.
    pub(super) fn mean(&self) -> f64 {
        self.median * (self.spread * self.spread / 2.0).exp()
    }
}

/// First words of merchants' names.
pub(super) const NAMES: [&str; 32] = [
    "Asagiri",
    "Hibari",
    "Kaede",
    "Mizuki",
    "Natsume",
    "Oborozuki",
    "Sazanami",
    "Tsubame",
    "Wakaba",
    "Yukari",
    "Alderbrook",
    "Brightwell",
    "Copperfield",
    "Dunmore",
    "Eastgate",
    "Fernhill",
    "Greenlane",
    "Hollybank",
    "Ironbridge",
    "Juniper",
    "Kestrel",
    "Larkspur",
    "Maplewood",
    "Northwind",
    "Oakhurst",
    "Pinecrest",
    "Quayside",
    "Redfern",
    "Silverbirch",
    "Thornbury",
    "Umberfield",
    "Violetta",
];
