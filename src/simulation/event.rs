//! Transactions as the stream carries them: one JSON object each, about 380 bytes.
//!
//! `id`, `at` (RFC 3339, UTC), `kind`, `outcome`, `response_code` (ISO 8583 field 39), `card`, `expiry`
//! (`MM/YY`), `account` (a reference), `amount` (major units, decimal text), `currency`, `merchant` (`id`,
//! `name`, `mcc`, `country`, `place`), `channel`, `initiation`, `credential`; where the currencies differ
//! `billing_amount` and `billing_currency`; for web shops `cvv` and `three_ds`, and `avs` where addresses are
//! checked. What a terminal cannot know is left out, as in real streams.

use std::fmt;
use std::io::Write as _;

use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;
use crate::domain::vocabulary::{Avs, Credential, Cvv, Initiation, Kind, Outcome, ThreeDs};

use super::holder::Holder;
use super::merchant::Merchants;
use super::number::{self, NumberText};

/// Who was behind a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The cardholder, or a merchant with the cardholder's agreement.
    Genuine,
    /// A thief.
    Misuse {
        /// How the thief goes about it.
        scheme: Scheme,
    },
}

/// How a thief goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Small amounts first, to see whether the card works; then a burst of purchases.
    TestThenBurst,
    /// A burst without a test.
    Burst,
    /// One modest purchase a day: hard to tell from the cardholder.
    Quiet,
}

impl Scheme {
    /// A word for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::TestThenBurst => "test then burst",
            Scheme::Burst => "burst",
            Scheme::Quiet => "quiet",
        }
    }
}

/// One transaction of the world, with its truth.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened; the stream is in this order.
    pub at: Timestamp,
    /// The index of the card.
    pub card: u32,
    /// Who was behind it. Not in the JSON.
    pub truth: Truth,
    /// The transaction's id, as it stands in the JSON. A clearing repeats its authorization's.
    pub id: String,
    /// The record, card number included.
    pub json: Vec<u8>,
}

impl fmt::Debug for Event {
    /// Without the record: it holds a card number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("at", &self.at)
            .field("card", &self.card)
            .field("truth", &self.truth)
            .field("id", &self.id)
            .field("json_bytes", &self.json.len())
            .finish()
    }
}

/// What happened, before it is written out.
#[derive(Debug, Clone)]
pub(super) struct Purchase {
    pub(super) at: Timestamp,
    pub(super) card: u32,
    pub(super) merchant: u32,
    /// Unique in a world before [`number::mix`] hides its pattern; a clearing shares its authorization's.
    pub(super) serial: u64,
    /// In the merchant's currency.
    pub(super) minor: i64,
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    pub(super) response_code: &'static str,
    pub(super) initiation: Initiation,
    pub(super) credential: Credential,
    pub(super) cvv: Cvv,
    pub(super) avs: Avs,
    pub(super) three_ds: ThreeDs,
    pub(super) truth: Truth,
}

impl Purchase {
    /// The number that stands, in hexadecimal, in the transaction's id.
    pub(super) fn id(&self, seed: u64) -> u64 {
        number::mix(self.serial ^ seed.rotate_left(17))
    }

    /// The same purchase, declined.
    pub(super) fn declined(mut self, response_code: &'static str) -> Purchase {
        self.outcome = Outcome::Declined;
        self.response_code = response_code;
        self
    }
}

/// The text of a transaction's id.
pub(super) fn id_text(id: u64) -> String {
    format!("tx-{id:016x}")
}

/// The number in a transaction's id, if it looks like one of this world's.
pub(super) fn id_number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("tx-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// The text of an account's reference.
pub(super) fn account_text(card: u32) -> String {
    format!("A-{}", card + 1000)
}

/// Appends `purchase` as one JSON object without a line end.
///
/// Nothing needs escaping: every text comes from the catalogue or is made of letters, digits and dashes.
pub(super) fn write_json(
    out: &mut Vec<u8>,
    purchase: &Purchase,
    id: &str,
    card: NumberText,
    holder: &Holder,
    merchants: &Merchants,
) {
    let merchant = merchants.get(purchase.merchant);
    let country = merchant.country();
    let (month, year) = holder.expiry;
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        r#"{{"id":"{id}","at":"{}","kind":"{}","outcome":"{}","response_code":"{}","card":"{}","expiry":"{month:02}/{year:02}","account":"{}""#,
        purchase.at,
        purchase.kind.as_str(),
        purchase.outcome.as_str(),
        purchase.response_code,
        card.as_str(),
        account_text(purchase.card),
    );
    let _ = write!(
        out,
        r#","amount":"{}","currency":"{}""#,
        major_text(purchase.minor, country.currency),
        country.currency
    );
    let home = holder.country();
    if home.currency != country.currency {
        let billed = home.minor_of(country.yen_of(purchase.minor));
        let billed = if purchase.minor == 0 { 0 } else { billed };
        let text = major_text(billed, home.currency);
        let _ = write!(out, r#","billing_amount":"{text}","billing_currency":"{}""#, home.currency);
    }
    let _ = write!(
        out,
        r#","merchant":{{"id":"M{:05}","name":"{}","mcc":"{}","country":"{}","place":"{}"}},"channel":"{}","initiation":"{}","credential":"{}""#,
        purchase.merchant,
        merchant.name,
        merchant.category().mcc,
        country.code,
        merchant.town(),
        if merchant.web { "ecom" } else { "pos" },
        purchase.initiation.as_str(),
        purchase.credential.as_str(),
    );
    for (name, word) in [
        ("cvv", purchase.cvv.as_str()),
        ("avs", purchase.avs.as_str()),
        ("three_ds", purchase.three_ds.as_str()),
    ] {
        if word != "unknown" {
            let _ = write!(out, r#","{name}":"{word}""#);
        }
    }
    out.push(b'}');
}

/// Minor units as decimal text of major units.
fn major_text(minor: i64, currency: &str) -> String {
    match currency.parse::<Currency>() {
        Ok(currency) => Money { minor, currency }.major_text(),
        Err(_) => minor.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text(id in any::<u64>()) {
            prop_assert_eq!(id_number(&id_text(id)), Some(id));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "tx-", "tx-1", "tx-00000000000000001", "id-0000000000000001", "tx-000000000000000g"]
        {
            assert_eq!(id_number(text), None, "{text}");
        }
    }
}
