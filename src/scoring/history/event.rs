//! One event of a card, as the history keeps it: what judging needs, hashed where it is a text.

use serde::{Deserialize, Serialize};

use crate::domain::money::Money;
use crate::domain::sighting::Sighting;
use crate::domain::transaction::Transaction;
use crate::domain::vocabulary::{Kind, Outcome};
use crate::scoring::cardholder::{ForCardholder, is_in_force};

/// How far an event may lie after the moment it was seen, in milliseconds; later times are cut to it.
pub(super) const AHEAD_MS: i64 = 5 * 60_000;

/// What an event means for velocity and money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The card was used: counts, and its amount is money.
    Use,
    /// A use that the issuer declined: counts for testing, never as money.
    Declined,
    /// An account check, or an authorization over nothing: counts for testing, never as money.
    Check,
    /// A clearing: a use, unless its authorization is known.
    Settlement,
    /// A refund, a reversal, or a negative amount: moves nothing.
    Return,
}

impl Role {
    /// The words, in the order of the members.
    pub const WORDS: &'static [&'static str] = &["use", "declined", "check", "settlement", "return"];

    /// The word used in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Use => "use",
            Role::Declined => "declined",
            Role::Check => "check",
            Role::Settlement => "settlement",
            Role::Return => "return",
        }
    }

    /// Whether money is paid to a merchant.
    pub fn is_purchase(self) -> bool {
        matches!(self, Role::Use | Role::Settlement)
    }

    /// What a transaction's kind, outcome and amount make it. A stream that says neither kind nor
    /// outcome is taken to hold approved authorizations.
    pub fn of(transaction: &Transaction) -> Role {
        let minor = money_of(transaction).map(|money| money.minor);
        match (transaction.kind, transaction.outcome) {
            (Kind::Refund | Kind::Reversal, _) => Role::Return,
            (Kind::AccountCheck, _) => Role::Check,
            _ if minor.is_some_and(|minor| minor < 0) => Role::Return,
            (Kind::Clearing, _) => Role::Settlement,
            _ if minor == Some(0) => Role::Check,
            (_, Outcome::Declined) => Role::Declined,
            _ => Role::Use,
        }
    }
}

/// The money of a transaction: what the cardholder is billed where the stream says so, otherwise
/// what the merchant asked for. One currency a card, as far as the stream allows.
pub fn money_of(transaction: &Transaction) -> Option<Money> {
    transaction.money()
}

/// The 128 bits of a sighting's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SightingRef([u8; 16]);

impl SightingRef {
    /// Of a sighting: read from its id, or derived again from its place where the id has another form.
    pub fn of(sighting: &Sighting) -> SightingRef {
        SightingRef::parse(&sighting.id)
            .or_else(|| SightingRef::parse(&sighting.source.derived_id("sgt")))
            .unwrap_or(SightingRef([0; 16]))
    }

    fn parse(id: &str) -> Option<SightingRef> {
        let mut text: [u8; 26] = id.strip_prefix("sgt_")?.as_bytes().try_into().ok()?;
        text.make_ascii_uppercase();
        let mut bytes = [0; 16];
        data_encoding::BASE32_NOPAD.decode_mut(&text, &mut bytes).ok()?;
        Some(SightingRef(bytes))
    }

    /// The id as text.
    pub fn to_text(self) -> String {
        let mut id = String::from("sgt_");
        data_encoding::BASE32_NOPAD.encode_append(&self.0, &mut id);
        id.make_ascii_lowercase();
        id
    }
}

/// An event of a card. Texts are hashed: equality is all that judging asks of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in epoch milliseconds.
    pub at: i64,
    /// Which sighting.
    pub sighting: SightingRef,
    /// The transaction's id.
    pub id: Option<IdHash>,
    /// Authorization, clearing, ….
    pub kind: Kind,
    /// What it means.
    pub role: Role,
    /// Amount in minor units and ISO 4217 code; never negative unless a return.
    pub money: Option<(i64, [u8; 3])>,
    /// The merchant.
    pub merchant: Option<MerchantHash>,
    /// The merchant category: one of 251 buckets.
    pub mcc: Option<u8>,
    /// The country: one of 251 buckets.
    pub country: Option<u8>,
    /// Whether nothing in the transaction itself speaks for the cardholder.
    pub open: bool,
}

impl Event {
    /// The order in which events are kept: by time, then by sighting.
    pub fn order(&self) -> (i64, SightingRef) {
        (self.at, self.sighting)
    }

    /// Whether this is a use, a decline or a check in which nothing speaks for the cardholder.
    pub fn is_open_attempt(&self) -> bool {
        self.open && self.role != Role::Return
    }

    /// What was paid, in minor units, if the event is a purchase in `currency`.
    pub fn paid_in(&self, currency: [u8; 3]) -> Option<i64> {
        self.money.filter(|money| self.role.is_purchase() && money.1 == currency).map(|money| money.0)
    }
}

/// The hash of a transaction's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdHash(#[serde(with = "postcard::fixint::le")] u64);

/// The hash of a merchant's identity: 32 bits tell the few hundred merchants of one card apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MerchantHash(#[serde(with = "postcard::fixint::le")] u32);

/// FNV-1a with the finishing mix of MurmurHash3, so that every bit of the result is good: fast,
/// dependency-free and the same on every machine and in every version.
pub(super) fn hash64(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// How many merchant categories, and how many countries, are told apart: a prime below 256. ISO 18245
/// has some 400 categories once the brand codes of airlines, car rentals and hotels are one each; a card
/// uses a few dozen, so that two of its own rarely share a bucket.
const BUCKETS: u16 = 251;

/// The bucket of a merchant category code.
fn mcc_bucket(mcc: &str) -> u8 {
    let code = match mcc.parse::<u16>() {
        // One code for each airline, car rental and hotel brand: the same kind of purchase.
        Ok(3000..=3299) => 4511,
        Ok(3351..=3441) => 7512,
        Ok(3501..=3999) => 7011,
        Ok(code) => code,
        Err(_) => (hash64(mcc.as_bytes()) % 65_521) as u16,
    };
    (code % BUCKETS) as u8
}

/// The bucket of a country. ISO 3166-1 has 249; a card is used in a few.
fn country_bucket(country: &str) -> u8 {
    let number = match country.as_bytes() {
        [a @ (b'A'..=b'Z' | b'a'..=b'z'), b @ (b'A'..=b'Z' | b'a'..=b'z')] => {
            u64::from(a.to_ascii_uppercase() - b'A') * 26 + u64::from(b.to_ascii_uppercase() - b'A')
        }
        other => hash64(other),
    };
    (number % u64::from(BUCKETS)) as u8
}

/// The event of a sighting. A transaction without a time takes that of its record; a time ahead of
/// the moment it was seen is cut to five minutes after it.
pub fn event_of(sighting: &Sighting) -> Event {
    let transaction = &sighting.transaction;
    let at = transaction.at.unwrap_or(sighting.source.timestamp);
    let at = at.min(sighting.seen_at.plus_millis(AHEAD_MS)).millis();
    let in_force = sighting.incidents.iter().filter(|incident| is_in_force(incident, at));
    let for_cardholder = ForCardholder::of(transaction, in_force);
    Event {
        at,
        sighting: SightingRef::of(sighting),
        id: transaction.id.as_deref().map(|id| IdHash(hash64(id.as_bytes()))),
        kind: transaction.kind,
        role: Role::of(transaction),
        money: money_of(transaction).map(|money| (money.minor, code_of(money))),
        merchant: transaction.merchant.identity().map(|id| MerchantHash(hash64(id.as_bytes()) as u32)),
        mcc: transaction.merchant.mcc.as_deref().map(mcc_bucket),
        country: transaction.merchant.country.as_deref().map(country_bucket),
        open: !for_cardholder.is_proven() && !for_cardholder.is_agreed(),
    }
}

fn code_of(money: Money) -> [u8; 3] {
    let mut code = [0; 3];
    for (to, from) in code.iter_mut().zip(money.currency.code().bytes()) {
        *to = from;
    }
    code
}
