//! Where the fields of a transaction are in the user's own records.

use std::collections::BTreeMap;

use super::section::{Section, SectionDescription, section};
use super::source::{places, source};
use crate::codec::field::{Field, FieldSpec};
use crate::config::reader::Reader;

section! {
    /// Where the fields of a transaction are, as JSON Pointers (RFC 6901), and how they are written. A field that
    /// is not there is unknown; "" says that the stream does not have it. docs/mapping.md has examples of whole
    /// houses; `cardwatch check --sample 1000` shows how your records read.
    pub struct MappingSettings = "mapping" {
        /// The transaction's own id.
        id: Option<FieldSpec> = r#""/id""#, source(Field::Id);
        /// When the card was used. Without it the record's timestamp counts. Written as RFC 3339 with an offset,
        /// unless format says "epoch_s", "epoch_ms", "epoch_us" or a pattern such as "%Y%m%d%H%M%S"; times without
        /// an offset need a timezone.
        at: Option<FieldSpec> = r#""/at""#, source(Field::At);
        /// What the message is: authorization, clearing, refund, reversal or account_check. values translates codes
        /// of your own, default stands for codes in no table, preset = "iso8583" knows those of ISO 8583: here a
        /// message type and a processing code, of which what is no plain authorization wins.
        kind: Option<FieldSpec> = r#""/kind""#, source(Field::Kind);
        /// How the issuer answered: approved or declined. The preset reads a response code.
        outcome: Option<FieldSpec> = r#""/outcome""#, source(Field::Outcome);
        /// The response code (ISO 8583 field 39, or the house's own).
        response_code: Option<FieldSpec> = r#""/response_code""#, source(Field::ResponseCode);
        /// What the merchant asked for: a number, or a decimal number as text. unit says what of: "major" (the default)
        /// for 12.50, "minor" for 1250.
        amount: Option<FieldSpec> = r#""/amount""#, source(Field::Amount);
        /// Its currency: an ISO 4217 code, in letters or digits.
        currency: Option<FieldSpec> = r#""/currency""#, source(Field::Currency);
        /// What the cardholder's account is billed.
        billing_amount: Option<FieldSpec> = r#""/billing_amount""#, source(Field::BillingAmount);
        /// The currency of that.
        billing_currency: Option<FieldSpec> = r#""/billing_currency""#, source(Field::BillingCurrency);
        /// The merchant's id.
        merchant_id: Option<FieldSpec> = r#""/merchant/id""#, source(Field::MerchantId);
        /// The merchant's name.
        merchant_name: Option<FieldSpec> = r#""/merchant/name""#, source(Field::MerchantName);
        /// The merchant's category code (ISO 18245).
        merchant_mcc: Option<FieldSpec> = r#""/merchant/mcc""#, source(Field::MerchantMcc);
        /// The merchant's country: an ISO 3166-1 code of two letters, three letters, or digits.
        merchant_country: Option<FieldSpec> = r#""/merchant/country""#, source(Field::MerchantCountry);
        /// The merchant's town.
        merchant_place: Option<FieldSpec> = r#""/merchant/place""#, source(Field::MerchantPlace);
        /// Where the sale took place: ecom, pos, moto or atm. The preset reads a POS entry mode.
        channel: Option<FieldSpec> = r#""/channel""#, source(Field::Channel);
        /// Who started it: cardholder, recurring, instalment or merchant.
        initiation: Option<FieldSpec> = r#""/initiation""#, source(Field::Initiation);
        /// How the card's data came to the merchant: keyed, stored, wallet_token, chip, contactless or magstripe.
        /// The preset reads a POS entry mode.
        credential: Option<FieldSpec> = r#""/credential""#, source(Field::Credential);
        /// The result of the security code check: match, no_match or absent.
        cvv: Option<FieldSpec> = r#""/cvv""#, source(Field::Cvv);
        /// The result of the address check: match, partial, no_match or absent.
        avs: Option<FieldSpec> = r#""/avs""#, source(Field::Avs);
        /// The result of 3-D Secure: authenticated, attempted, failed or none.
        three_ds: Option<FieldSpec> = r#""/three_ds""#, source(Field::ThreeDs);
        /// The card's expiry date, as MM/YY, MM/YYYY, YYYY-MM or YYMM.
        expiry: Option<FieldSpec> = r#""/expiry""#, source(Field::Expiry);
    }
}

impl MappingSettings {
    /// Every mapped field, and how it is read.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &FieldSpec)> {
        [
            (Field::Id, &self.id),
            (Field::At, &self.at),
            (Field::Kind, &self.kind),
            (Field::Outcome, &self.outcome),
            (Field::ResponseCode, &self.response_code),
            (Field::Amount, &self.amount),
            (Field::Currency, &self.currency),
            (Field::BillingAmount, &self.billing_amount),
            (Field::BillingCurrency, &self.billing_currency),
            (Field::MerchantId, &self.merchant_id),
            (Field::MerchantName, &self.merchant_name),
            (Field::MerchantMcc, &self.merchant_mcc),
            (Field::MerchantCountry, &self.merchant_country),
            (Field::MerchantPlace, &self.merchant_place),
            (Field::Channel, &self.channel),
            (Field::Initiation, &self.initiation),
            (Field::Credential, &self.credential),
            (Field::Cvv, &self.cvv),
            (Field::Avs, &self.avs),
            (Field::ThreeDs, &self.three_ds),
            (Field::Expiry, &self.expiry),
        ]
        .into_iter()
        .filter_map(|(field, how)| Some((field, how.as_ref()?)))
    }
}

/// Named strings that lead to a card's owner: where each is in the transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferencePointers(pub BTreeMap<String, Vec<String>>);

const PATH: &str = "mapping.references";

impl Section for ReferencePointers {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "References: up to eight strings that lead a person or a case system to the card's owner. The",
                "name is yours; the value says where the string is in the transaction. A list can bring others.",
            ],
            keys: Vec::new(),
            examples: &[r#"account = "/account""#],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let found = reader.map(PATH, &places(), str::to_lowercase);
        Some(ReferencePointers(found.into_iter().map(|(name, (_, places))| (name, places)).collect()))
    }
}
