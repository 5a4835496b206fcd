//! Where the fields of a transaction are in the user's own records.

use std::collections::BTreeMap;

use super::section::{Section, SectionDescription, section};
use super::shape::{choice, optional, pointer};
use crate::config::reader::Reader;
use crate::domain::card::is_slug;
use crate::domain::incident::{REFERENCE_NAME_BYTES_MAX, REFERENCES_MAX};
use crate::domain::time::EpochUnit;

/// The unit that amounts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Units of the currency, with decimal places: "12.50".
    Major,
    /// The smallest unit of ISO 4217: 1250 cents.
    Minor,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 text with an offset.
    Rfc3339,
    /// A number since 1970.
    Epoch(EpochUnit),
}

section! {
    /// Where the fields of a transaction are, as JSON Pointers (RFC 6901). A field that is not there is
    /// unknown; "" says that the stream does not have it.
    pub struct MappingSettings = "mapping" {
        /// The transaction's own id.
        id: Option<String> = r#""/id""#, optional(pointer());
        /// When the card was used. Without it the record's timestamp counts.
        at: Option<String> = r#""/at""#, optional(pointer());
        /// How that time is written: RFC 3339, or seconds, milliseconds or microseconds since 1970.
        time_format: TimeFormat = r#""rfc3339""#, choice(&[
            ("rfc3339", TimeFormat::Rfc3339),
            ("epoch_s", TimeFormat::Epoch(EpochUnit::Seconds)),
            ("epoch_ms", TimeFormat::Epoch(EpochUnit::Millis)),
            ("epoch_us", TimeFormat::Epoch(EpochUnit::Micros)),
        ]);
        /// What the message is: authorization, clearing, refund, reversal or account_check.
        kind: Option<String> = r#""/kind""#, optional(pointer());
        /// How the issuer answered: approved or declined.
        outcome: Option<String> = r#""/outcome""#, optional(pointer());
        /// The response code (ISO 8583 field 39, or the house's own).
        response_code: Option<String> = r#""/response_code""#, optional(pointer());
        /// What the merchant asked for: a number, or a decimal number as text.
        amount: Option<String> = r#""/amount""#, optional(pointer());
        /// What amounts are written in: "major" for 12.50, "minor" for 1250.
        amount_unit: AmountUnit = r#""major""#, choice(&[
            ("major", AmountUnit::Major),
            ("minor", AmountUnit::Minor),
        ]);
        /// Its currency: an ISO 4217 code, in letters or digits.
        currency: Option<String> = r#""/currency""#, optional(pointer());
        /// What the cardholder's account is billed.
        billing_amount: Option<String> = r#""/billing_amount""#, optional(pointer());
        /// The currency of that.
        billing_currency: Option<String> = r#""/billing_currency""#, optional(pointer());
        /// The merchant's id.
        merchant_id: Option<String> = r#""/merchant/id""#, optional(pointer());
        /// The merchant's name.
        merchant_name: Option<String> = r#""/merchant/name""#, optional(pointer());
        /// The merchant's category code (ISO 18245).
        merchant_mcc: Option<String> = r#""/merchant/mcc""#, optional(pointer());
        /// The merchant's country (ISO 3166-1).
        merchant_country: Option<String> = r#""/merchant/country""#, optional(pointer());
        /// The merchant's town.
        merchant_place: Option<String> = r#""/merchant/place""#, optional(pointer());
        /// Where the sale took place: ecom, pos, moto or atm.
        channel: Option<String> = r#""/channel""#, optional(pointer());
        /// Who started it: cardholder, recurring, instalment or merchant.
        initiation: Option<String> = r#""/initiation""#, optional(pointer());
        /// How the card's data came to the merchant: keyed, stored, wallet_token, chip, contactless or magstripe.
        credential: Option<String> = r#""/credential""#, optional(pointer());
        /// The result of the security code check: match, no_match or absent.
        cvv: Option<String> = r#""/cvv""#, optional(pointer());
        /// The result of the address check: match, partial, no_match or absent.
        avs: Option<String> = r#""/avs""#, optional(pointer());
        /// The result of 3-D Secure: authenticated, attempted, failed or none.
        three_ds: Option<String> = r#""/three_ds""#, optional(pointer());
        /// The card's expiry date, as MM/YY, MM/YYYY, YYYY-MM or YYMM.
        expiry: Option<String> = r#""/expiry""#, optional(pointer());
    }
}

impl MappingSettings {
    /// Every mapped field: its key, and where it is.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("id", &self.id),
            ("at", &self.at),
            ("kind", &self.kind),
            ("outcome", &self.outcome),
            ("response_code", &self.response_code),
            ("amount", &self.amount),
            ("currency", &self.currency),
            ("billing_amount", &self.billing_amount),
            ("billing_currency", &self.billing_currency),
            ("merchant_id", &self.merchant_id),
            ("merchant_name", &self.merchant_name),
            ("merchant_mcc", &self.merchant_mcc),
            ("merchant_country", &self.merchant_country),
            ("merchant_place", &self.merchant_place),
            ("channel", &self.channel),
            ("initiation", &self.initiation),
            ("credential", &self.credential),
            ("cvv", &self.cvv),
            ("avs", &self.avs),
            ("three_ds", &self.three_ds),
            ("expiry", &self.expiry),
        ]
        .into_iter()
        .filter_map(|(key, pointer)| Some((key, pointer.as_deref()?)))
    }
}

/// Named strings that lead to a card's owner: where each is in the transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferencePointers(pub BTreeMap<String, String>);

const PATH: &str = "mapping.references";

impl Section for ReferencePointers {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "References: up to eight strings that lead a person or a case system to the card's owner. The",
                "name is yours; the value says where the string is in the transaction.",
            ],
            keys: Vec::new(),
            examples: &[r#"account = "/account""#],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let found = reader.map(PATH, &pointer(), str::to_lowercase);
        if found.len() > REFERENCES_MAX {
            reader.wrong(PATH, "names more than eight references", "eight at most");
        }
        let mut pointers = BTreeMap::new();
        for (name, (place, pointer)) in found {
            if is_slug(&name, REFERENCE_NAME_BYTES_MAX) {
                pointers.insert(name, pointer);
            } else {
                let advice = "a name of 1 to 32 of a-z, 0-9, \"-\" and \"_\"";
                reader.mistake(
                    place,
                    &format!("{PATH}.{name}"),
                    "is not a reference's name".to_owned(),
                    advice.to_owned(),
                );
            }
        }
        Some(ReferencePointers(pointers))
    }
}
