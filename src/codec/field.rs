//! The fields of a transaction that may be mapped, and how each is said to be read.

use std::collections::BTreeMap;

use super::codes::Preset;
use crate::domain::time_form::TimeForm;
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Initiation, Kind, Outcome, ThreeDs};

/// What kind of value a field holds, which decides what may be said about reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// An id or a name, kept as it is.
    Text,
    /// A time.
    Time,
    /// An amount of money.
    Amount,
    /// An ISO 4217 currency.
    Currency,
    /// An ISO 3166-1 country.
    Country,
    /// A merchant's category.
    Category,
    /// A date of expiry.
    Expiry,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Class {
    /// Whether values are codes that a table can translate.
    pub fn is_coded(self) -> bool {
        matches!(self, Class::Word(_) | Class::Currency | Class::Country)
    }

    /// Whether the same value can be true of every record.
    pub fn takes_constant(self, field: Field) -> bool {
        field != Field::Id && (self.is_coded() || matches!(self, Class::Text | Class::Category))
    }
}

/// Declares the fields with their name, class and the pointer of cardwatch's own simulator.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $pointer:literal, $class:expr, $sentence:literal;)+) => {
        /// A field of a transaction that may be mapped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $sentence] $name,)+
        }

        impl Field {
            /// Every field, in the order in which they are shown.
            pub const ALL: &'static [Field] = &[$(Field::$name,)+];

            /// The name in configuration and in `unreadable` and `withheld`.
            pub fn as_str(self) -> &'static str {
                match self { $(Field::$name => $word,)+ }
            }

            /// The field of a name, if it is one.
            pub fn from_word(word: &str) -> Option<Field> {
                match word { $($word => Some(Field::$name),)+ _ => None }
            }

            /// The pointer where nothing is configured: the shape of cardwatch's own simulator.
            pub fn default_pointer(self) -> &'static str {
                match self { $(Field::$name => $pointer,)+ }
            }

            /// What kind of value it holds.
            pub fn class(self) -> Class {
                match self { $(Field::$name => $class,)+ }
            }

            /// What the field holds and which forms of it are read.
            pub fn sentence(self) -> &'static str {
                match self { $(Field::$name => $sentence,)+ }
            }
        }
    };
}

fields! {
    Id = "id", "/id", Class::Text, "The id of the transaction: text or a number.";
    At = "at", "/at", Class::Time, "When the card was used, in the mapping's time format.";
    Kind = "kind", "/kind", Class::Word(Kind::WORDS), "authorization, clearing, refund, reversal or account_check.";
    Outcome = "outcome", "/outcome", Class::Word(Outcome::WORDS), "approved or declined.";
    ResponseCode = "response_code", "/response_code", Class::Text, "The response code: text or a number.";
    Amount = "amount", "/amount", Class::Amount, "What the merchant asked for: decimal text or a number.";
    Currency = "currency", "/currency", Class::Currency, "Its currency: ISO 4217 letters or number.";
    BillingAmount = "billing_amount", "/billing_amount", Class::Amount,
        "What the account is billed: decimal text or a number.";
    BillingCurrency = "billing_currency", "/billing_currency", Class::Currency,
        "Its currency: ISO 4217 letters or number.";
    MerchantId = "merchant_id", "/merchant/id", Class::Text, "The merchant's id: text or a number.";
    MerchantName = "merchant_name", "/merchant/name", Class::Text, "The merchant's name.";
    MerchantMcc = "merchant_mcc", "/merchant/mcc", Class::Category,
        "The category code (ISO 18245): four digits, or a number.";
    MerchantCountry = "merchant_country", "/merchant/country", Class::Country,
        "The merchant's country: ISO 3166-1, two letters, three or a number.";
    MerchantPlace = "merchant_place", "/merchant/place", Class::Text, "The merchant's town.";
    Channel = "channel", "/channel", Class::Word(Channel::WORDS), "ecom, pos, moto or atm.";
    Initiation = "initiation", "/initiation", Class::Word(Initiation::WORDS),
        "cardholder, recurring, instalment or merchant.";
    Credential = "credential", "/credential", Class::Word(Credential::WORDS),
        "keyed, stored, wallet_token, chip, contactless or magstripe.";
    Cvv = "cvv", "/cvv", Class::Word(Cvv::WORDS), "match, no_match or absent.";
    Avs = "avs", "/avs", Class::Word(Avs::WORDS), "match, partial, no_match or absent.";
    ThreeDs = "three_ds", "/three_ds", Class::Word(ThreeDs::WORDS), "authenticated, attempted, failed or none.";
    Expiry = "expiry", "/expiry", Class::Expiry, "The card's expiry date: MM/YY, MM/YYYY, YYYY-MM or YYMM.";
}

/// The unit of amounts in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmountUnit {
    /// Dollars, yen: `12.34`.
    #[default]
    Major,
    /// Cents, yen: `1234`.
    Minor,
}

/// How one field is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSpec {
    /// JSON Pointers to where it may be: the first that holds something counts.
    pub pointers: Vec<String>,
    /// What it is where none of them holds anything.
    pub value: Option<String>,
    /// The unit of an amount; `None` is [`AmountUnit::Major`].
    pub unit: Option<AmountUnit>,
    /// The form of a time; `None` is RFC 3339 with an offset.
    pub time: Option<TimeForm>,
    /// A table that comes with cardwatch.
    pub preset: Option<Preset>,
    /// The house's own codes, each with the word or code it stands for. They win over the preset.
    pub values: BTreeMap<String, String>,
    /// What a code stands for that is in no table.
    pub default: Option<String>,
}

impl FieldSpec {
    /// A field that is where a pointer says, read as it is.
    pub fn at(pointer: &str) -> FieldSpec {
        FieldSpec { pointers: vec![pointer.to_owned()], ..FieldSpec::default() }
    }
}

impl From<&str> for FieldSpec {
    fn from(pointer: &str) -> FieldSpec {
        FieldSpec::at(pointer)
    }
}
