//! The closed list of signals: the facts that rules may speak of, each with a name and a type.
//!
//! Every signal is true, false, a number, a word or **unknown**. Unknown is what the stream did not say
//! or what a card without enough past cannot tell; it is never taken for false.

use std::fmt;

use crate::domain::money::{Currency, Money};
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Expiry, Initiation, Kind, Outcome, ThreeDs};

use super::history::Role;

/// The type of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Money in minor units of the transaction's currency; a whole number in rules.
    Amount,
    /// A decimal number, rounded to two places.
    Double,
    /// One of a closed list of words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
}

/// The value of a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Not said, or not enough past.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// A whole number, or minor units.
    Int(i64),
    /// A decimal number.
    Double(f64),
    /// A word or a text.
    Text(&'a str),
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Value<'a> {
        value.map_or(Value::Unknown, Into::into)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Value::Double(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

/// Declares the signals: variant, name in rules, type, meaning.
macro_rules! signals {
    ($($member:ident = $name:literal : $type:expr, $doc:literal;)+) => {
        /// A signal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Signal {
            $(#[doc = $doc] $member,)+
        }

        impl Signal {
            /// Every signal, in the order in which they are shown.
            pub const ALL: &'static [Signal] = &[$(Signal::$member,)+];

            /// The name used in rules.
            pub fn name(self) -> &'static str {
                match self { $(Signal::$member => $name,)+ }
            }

            /// The type.
            pub fn kind(self) -> SignalType {
                use SignalType::*;
                match self { $(Signal::$member => $type,)+ }
            }

            /// What it means, in a sentence.
            pub fn doc(self) -> &'static str {
                match self { $(Signal::$member => $doc,)+ }
            }

            /// The signal of a name.
            pub fn from_name(name: &str) -> Option<Signal> {
                match name { $($name => Some(Signal::$member),)+ _ => None }
            }
        }
    };
}

signals! {
    // What the transaction says.
    Kind = "kind": Word(Kind::WORDS), "The kind of message.";
    Outcome = "outcome": Word(Outcome::WORDS), "How the issuer answered.";
    Role = "role": Word(Role::WORDS), "What the transaction means for velocity and money: `use`; `declined`; `check` (an account check, or an authorization over nothing); `settlement` (the clearing of a known authorization; any other clearing is a `use`); `return` (a refund, a reversal or a negative amount).";
    Amount = "amount": Amount, "The amount billed where the stream says so, otherwise the amount asked for, in minor units.";
    Currency = "currency": Text, "The ISO 4217 code of `amount`.";
    Mcc = "mcc": Text, "The merchant category code.";
    Country = "country": Text, "The merchant's country.";
    Channel = "channel": Word(Channel::WORDS), "Where the sale took place.";
    Initiation = "initiation": Word(Initiation::WORDS), "Who started the transaction.";
    Credential = "credential": Word(Credential::WORDS), "How the card's data came to the merchant.";
    Cvv = "cvv": Word(Cvv::WORDS), "The result of the security code check.";
    Avs = "avs": Word(Avs::WORDS), "The result of the address check.";
    ThreeDs = "three_ds": Word(ThreeDs::WORDS), "The result of 3-D Secure.";
    Expiry = "expiry": Word(Expiry::WORDS), "The expiry date beside that of the exposed card.";
    CardNotPresent = "card_not_present": Bool, "Whether the card was away from the merchant, by channel or else by credential.";
    CardholderInitiated = "cardholder_initiated": Bool, "Whether the cardholder started it, there and then.";
    AmountSmall = "amount_small": Bool, "Whether the amount is at most the currency's `small`.";
    AmountLarge = "amount_large": Bool, "Whether the amount is at least the currency's `large`.";
    SmallAmount = "small_amount": Amount, "The currency's `small`.";
    LargeAmount = "large_amount": Amount, "The currency's `large`.";

    // What speaks for the cardholder. Never unknown: silence is no excuse.
    StandingAgreement = "standing_agreement": Bool, "Whether a recurring, instalment or merchant-initiated charge, or one with the card on file, comes from a merchant that the card has used before, or from one of which too little is known to say otherwise. False where the stream does not say.";
    CardInHand = "card_in_hand": Bool, "Whether chip, contactless or a wallet's token shows that the card itself was there, or the magnetic stripe where the stripe's data was not exposed. False where the stream does not say.";
    Authenticated = "authenticated": Bool, "Whether 3-D Secure authenticated the cardholder. False where the stream does not say.";
    KnewCode = "knew_code": Bool, "Whether the security code was given and right although it was not exposed. False where the stream does not say.";
    Reissued = "reissued": Bool, "Whether the expiry date differs from that of the exposed card: a card issued since. False where either is not known.";
    OpenAttempt = "open_attempt": Bool, "Whether this is a use, a decline or a check that nothing speaks for: none of `standing_agreement`, `card_in_hand`, `authenticated`, `knew_code` and `reissued` holds. Never unknown.";
    OpenUse = "open_use": Bool, "Whether `open_attempt` holds and `role` is `use`. Never unknown.";

    // What was exposed, in the incidents in force.
    PanExposed = "pan_exposed": Bool, "Whether the card number was exposed.";
    NameExposed = "name_exposed": Bool, "Whether the cardholder's name was exposed.";
    ExpiryExposed = "expiry_exposed": Bool, "Whether the expiry date was exposed.";
    SecurityCodeExposed = "security_code_exposed": Bool, "Whether the security code was exposed.";
    TrackExposed = "track_exposed": Bool, "Whether the magnetic stripe's data was exposed.";
    PinExposed = "pin_exposed": Bool, "Whether the PIN was exposed.";
    AddressExposed = "address_exposed": Bool, "Whether the address was exposed.";
    EmailExposed = "email_exposed": Bool, "Whether the e-mail address was exposed.";
    PhoneExposed = "phone_exposed": Bool, "Whether the telephone number was exposed.";
    PasswordExposed = "password_exposed": Bool, "Whether the password was exposed.";
    Incidents = "incidents": Int, "How many incidents that expose the card are in force.";
    DaysSinceExposure = "days_since_exposure": Int, "Whole days since the first day of the latest exposure in force.";

    // Velocity. The sighting itself counts where it is what is counted.
    Uses10m = "uses_10m": Int, "Uses within 10 minutes.";
    Uses1h = "uses_1h": Int, "Uses within an hour.";
    Uses24h = "uses_24h": Int, "Uses within 24 hours.";
    Amount1h = "amount_1h": Amount, "Money used within an hour, in the currency of `amount`.";
    Amount24h = "amount_24h": Amount, "Money used within 24 hours, in the currency of `amount`.";
    SmallUses20m = "small_uses_20m": Int, "Uses of at most the currency's `small` within 20 minutes.";
    Tests20m = "tests_20m": Int, "Small uses, declines and account checks within 20 minutes.";
    Declines1h = "declines_1h": Int, "Declines within an hour.";
    Declines24h = "declines_24h": Int, "Declines within 24 hours.";
    Checks24h = "checks_24h": Int, "Account checks within 24 hours.";
    Merchants1h = "merchants_1h": Int, "Different merchants used within an hour.";
    LargeUses24h = "large_uses_24h": Int, "Uses of at least the currency's `large` within 24 hours.";
    LargeUses72h = "large_uses_72h": Int, "Uses of at least the currency's `large` within 72 hours.";
    HighUses72h = "high_uses_72h": Int, "Uses within 72 hours of at least three times the mean of the card's past (see `amount_ratio`). Unknown where `amount_ratio` is.";

    Refusals24h = "refusals_24h": Int, "Declines and account checks within 24 hours that nothing speaks for (see `open_attempt`).";
    UnfamiliarMccs24h = "unfamiliar_mccs_24h": Int, "Different merchant categories within 24 hours that the card's past has not used for a week, among uses, declines and checks that nothing speaks for. Unknown below `history.min_uses`.";

    // The card's own past, which ends 24 hours before the sighting.
    PastUses = "past_uses": Int, "Uses known of the card's past.";
    AmountRatio = "amount_ratio": Double, "The amount as a multiple of the mean of the card's past uses in this currency. Unknown below `history.min_uses` of them.";
    UsesRatio24h = "uses_ratio_24h": Double, "Uses within 24 hours as a multiple of the card's daily mean. Unknown below `history.min_uses` or where the past is shorter than a week.";
    HourShare = "hour_share": Int, "The share of past uses, in per cent, that fell into this hour of the day or the hours beside it. Unknown below `history.min_uses`.";
    NewMerchant = "new_merchant": Bool, "Whether the card's past has no use at this merchant. Unknown below `history.min_uses`.";
    MerchantKnown = "merchant_known": Bool, "The opposite of `new_merchant`; true even below `history.min_uses` where the merchant was used.";
    NewMcc = "new_mcc": Bool, "Whether the card's past has no use in this merchant category. Unknown below `history.min_uses`.";
    MccIdleDays = "mcc_idle_days": Int, "Days (by the calendar, in UTC) since the card's past last used this merchant category. Unknown below `history.min_uses` or where it never did: see `new_mcc`.";
    NewCountry = "new_country": Bool, "Whether the card's past has no use in this country. Unknown below `history.min_uses`.";
}

/// How many signals there are.
pub const SIGNALS: usize = Signal::ALL.len();

const _: () = assert!(SIGNALS <= 128, "a SignalSet is one u128");

/// A set of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSet(u128);

impl SignalSet {
    /// Adds a signal.
    pub fn insert(&mut self, signal: Signal) {
        self.0 |= 1 << signal as u8;
    }

    /// Adds every signal of `other`.
    pub fn extend(&mut self, other: SignalSet) {
        self.0 |= other.0;
    }

    /// The signals, in their order.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.iter().copied().filter(move |signal| self.0 & (1 << *signal as u8) != 0)
    }
}

/// The value of every signal for one sighting.
#[derive(Clone, PartialEq)]
pub struct Signals<'a> {
    values: [Value<'a>; SIGNALS],
    /// The currency of every amount among them.
    pub currency: Option<Currency>,
}

impl<'a> Signals<'a> {
    /// All unknown.
    pub fn unknown(currency: Option<Currency>) -> Signals<'a> {
        Signals { values: [Value::Unknown; SIGNALS], currency }
    }

    /// The value of a signal.
    pub fn get(&self, signal: Signal) -> Value<'a> {
        self.values[signal as usize]
    }

    /// Sets the value of a signal.
    pub fn set(&mut self, signal: Signal, value: impl Into<Value<'a>>) {
        self.values[signal as usize] = value.into();
    }

    /// The value for a person: money in major units with its currency, decimals without idle zeros.
    pub fn render(&self, signal: Signal) -> String {
        match (self.get(signal), signal.kind(), self.currency) {
            (Value::Unknown, ..) => "unknown".to_owned(),
            (Value::Int(minor), SignalType::Amount, Some(currency)) => Money { minor, currency }.to_string(),
            (Value::Bool(value), ..) => if value { "yes" } else { "no" }.to_owned(),
            (Value::Int(value), ..) => value.to_string(),
            (Value::Double(value), ..) => value.to_string(),
            (Value::Text(text), ..) => text.to_owned(),
        }
    }
}

impl fmt::Debug for Signals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Signal::ALL.iter().map(|signal| (signal.name(), self.get(*signal)));
        f.debug_map().entries(known.filter(|(_, value)| *value != Value::Unknown)).finish()
    }
}
