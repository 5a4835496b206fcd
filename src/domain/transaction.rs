//! A card transaction as cardwatch understands it. All but the card may be missing.

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::time::Timestamp;
use super::vocabulary::{Avs, Channel, Credential, Cvv, Expiry, Initiation, Kind, Outcome, ThreeDs};

/// The longest text field kept, in bytes; the rest is cut at a character boundary.
pub const TEXT_BYTES_MAX: usize = 256;

/// A transaction without its card. `None` and *unknown* mean that the stream did not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Transaction {
    /// The user's own id of the transaction.
    pub id: Option<String>,
    /// When the card was used.
    pub at: Option<Timestamp>,
    /// Authorization, clearing, refund, ….
    pub kind: Kind,
    /// Approved or declined.
    pub outcome: Outcome,
    /// The response code as the stream gave it (ISO 8583 field 39 or the house's own).
    pub response_code: Option<String>,
    /// What the merchant asked for. In JSON: `amount` in minor units as text, and `currency`.
    #[serde(flatten, with = "amount")]
    pub amount: Option<Money>,
    /// What the cardholder's account is billed. In JSON: `billing_amount`, `billing_currency`.
    #[serde(flatten, with = "billing")]
    pub billing: Option<Money>,
    /// The merchant.
    pub merchant: Merchant,
    /// Web, terminal, ….
    pub channel: Channel,
    /// Who started it.
    pub initiation: Initiation,
    /// How the card's data came to the merchant.
    pub credential: Credential,
    /// The security code check.
    pub cvv: Cvv,
    /// The address check.
    pub avs: Avs,
    /// 3-D Secure.
    pub three_ds: ThreeDs,
    /// Whether the expiry date is that of the exposed card.
    pub expiry: Expiry,
}

impl Transaction {
    /// The money: what the cardholder is billed where the stream says so, otherwise what the merchant asked for.
    /// One currency a card, as far as the stream allows.
    pub fn money(&self) -> Option<Money> {
        self.billing.or(self.amount)
    }
}

/// The merchant of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Merchant {
    /// The merchant's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The merchant category code (ISO 18245), four digits.
    pub mcc: Option<String>,
    /// The country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The town, as the stream gives it.
    pub place: Option<String>,
}

impl Merchant {
    /// What tells one merchant from another: the id where there is one, otherwise the name.
    pub fn identity(&self) -> Option<&str> {
        self.id.as_deref().or(self.name.as_deref())
    }
}

/// Two flat JSON fields for one [`Money`]: `amount` (minor units, decimal text) and `currency`.
pub(super) mod amount {
    super::flat_money!("amount", "currency");
}

/// The same under `billing_amount` and `billing_currency`.
mod billing {
    super::flat_money!("billing_amount", "billing_currency");
}

/// Reads and writes an optional [`Money`] as two fields of the surrounding object.
macro_rules! flat_money {
    ($amount:literal, $currency:literal) => {
        use crate::domain::money::{Currency, Money};
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct Flat {
            #[serde(rename = $amount, default)]
            amount: Option<String>,
            #[serde(rename = $currency, default)]
            currency: Option<Currency>,
        }

        pub(in crate::domain) fn serialize<S: Serializer>(
            money: &Option<Money>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            Flat {
                amount: money.map(|money| money.minor.to_string()),
                currency: money.map(|money| money.currency),
            }
            .serialize(serializer)
        }

        pub(in crate::domain) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Money>, D::Error> {
            let flat = Flat::deserialize(deserializer)?;
            match (flat.amount, flat.currency) {
                (Some(amount), Some(currency)) => {
                    Money::parse_minor(&amount, currency).map(Some).map_err(serde::de::Error::custom)
                }
                _ => Ok(None),
            }
        }
    };
}
use flat_money;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_lies_flat_in_the_json_and_reads_back() {
        let transaction = Transaction {
            id: Some("t-1".to_owned()),
            at: Some(Timestamp(1_528_177_215_000)),
            amount: Some(Money { minor: 12980, currency: "JPY".parse().unwrap() }),
            channel: Channel::Ecom,
            ..Transaction::default()
        };
        let json = serde_json::to_value(&transaction).unwrap();
        assert_eq!(json["amount"], "12980");
        assert_eq!(json["currency"], "JPY");
        assert_eq!(json["billing_amount"], serde_json::Value::Null);
        assert_eq!(json["cvv"], "unknown");
        assert_eq!(serde_json::from_value::<Transaction>(json).unwrap(), transaction);
    }
}
