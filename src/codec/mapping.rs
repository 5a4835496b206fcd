//! Where the user's records hold what: by JSON Pointer, so that no change upstream is needed.

use std::collections::BTreeMap;

use crate::domain::card::{CardKind, is_slug};
use crate::domain::incident::{REFERENCE_NAME_BYTES_MAX, REFERENCES_MAX};
use crate::domain::time::EpochUnit;

use super::json::Tree;
use super::pointer::{Pointer, PointerError};

/// The largest value read, in bytes: Kafka's own default limit of a record.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// The most arrays and objects inside one another.
pub const DEPTH_MAX: usize = 64;

/// Declares the fields with their name and the pointer of cardwatch's own simulator.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $pointer:literal, $sentence:literal;)+) => {
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

            /// What the field holds and which forms of it are read.
            pub fn sentence(self) -> &'static str {
                match self { $(Field::$name => $sentence,)+ }
            }
        }
    };
}

fields! {
    Id = "id", "/id", "The id of the transaction: text or a number.";
    At = "at", "/at", "When the card was used, in the mapping's time format.";
    Kind = "kind", "/kind", "authorization, clearing, refund, reversal or account_check.";
    Outcome = "outcome", "/outcome", "approved or declined.";
    ResponseCode = "response_code", "/response_code", "The response code: text or a number.";
    Amount = "amount", "/amount", "What the merchant asked for: decimal text or a number.";
    Currency = "currency", "/currency", "Its currency: ISO 4217 letters or number.";
    BillingAmount = "billing_amount", "/billing_amount", "What the account is billed: decimal text or a number.";
    BillingCurrency = "billing_currency", "/billing_currency", "Its currency: ISO 4217 letters or number.";
    MerchantId = "merchant_id", "/merchant/id", "The merchant's id: text or a number.";
    MerchantName = "merchant_name", "/merchant/name", "The merchant's name.";
    MerchantMcc = "merchant_mcc", "/merchant/mcc", "The category code (ISO 18245): four digits, or a number.";
    MerchantCountry = "merchant_country", "/merchant/country", "The merchant's country: ISO 3166-1 alpha-2.";
    MerchantPlace = "merchant_place", "/merchant/place", "The merchant's town.";
    Channel = "channel", "/channel", "ecom, pos, moto or atm.";
    Initiation = "initiation", "/initiation", "cardholder, recurring, instalment or merchant.";
    Credential = "credential", "/credential", "keyed, stored, wallet_token, chip, contactless or magstripe.";
    Cvv = "cvv", "/cvv", "match, no_match or absent.";
    Avs = "avs", "/avs", "match, partial, no_match or absent.";
    ThreeDs = "three_ds", "/three_ds", "authenticated, attempted, failed or none.";
    Expiry = "expiry", "/expiry", "The card's expiry date: MM/YY, MM/YYYY, YYYY-MM or YYMM.";
}

/// The unit of amounts in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Dollars, yen: `12.34`.
    Major,
    /// Cents, yen: `1234`.
    Minor,
}

/// The form of times in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 text with an offset.
    Rfc3339,
    /// A number since 1970, as a JSON number or text.
    Epoch(EpochUnit),
}

/// A mapping as a user writes it. The default is the shape of cardwatch's own simulator, without references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSpec {
    /// The pointer to the card field.
    pub card: String,
    /// What the card field holds.
    pub card_kind: CardKind,
    /// For fingerprints: the pointer to the id of the key they were made with. `None` means the primary key.
    pub card_key: Option<String>,
    /// The pointers to the other fields; a field left out is never read.
    pub fields: BTreeMap<Field, String>,
    /// The unit of both amounts.
    pub amount_unit: AmountUnit,
    /// The form of [`Field::At`].
    pub time_format: TimeFormat,
    /// Names of references (slugs) and the pointers to them.
    pub references: BTreeMap<String, String>,
}

impl Default for MappingSpec {
    fn default() -> MappingSpec {
        MappingSpec {
            card: "/card".to_owned(),
            card_kind: CardKind::Number,
            card_key: None,
            fields: Field::ALL.iter().map(|&field| (field, field.default_pointer().to_owned())).collect(),
            amount_unit: AmountUnit::Major,
            time_format: TimeFormat::Rfc3339,
            references: BTreeMap::new(),
        }
    }
}

/// A mistake in a mapping. Names the entry: `card`, `card_key`, a [`Field`], or `references.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The text is no pointer.
    #[error("{entry}: the JSON pointer {problem}")]
    Pointer {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        problem: PointerError,
    },
    /// The entry reads the card field, whose content is withheld from every output.
    #[error("{entry}: points at the card field, which no output may repeat; leave the entry out")]
    SameAsCard {
        /// The entry.
        entry: String,
    },
    /// A key id is mapped for something that is no fingerprint.
    #[error("card_key: only a card field of kind \"fingerprint\" has a key id; leave the entry out")]
    KeyWithoutFingerprint,
    /// The name is not a slug, or too long.
    #[error("{entry}: a reference's name is 1 to 32 of a-z, 0-9, - and _")]
    ReferenceName {
        /// The entry.
        entry: String,
    },
    /// There are more than eight.
    #[error("references: {count} are given, at most 8 are kept")]
    TooManyReferences {
        /// How many.
        count: usize,
    },
}

/// A checked mapping, ready to read records.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) card_kind: CardKind,
    pub(super) has_card_key: bool,
    /// What a scan looks for: the card in slot 0, the key id in slot 1.
    pub(super) card_tree: Tree,
    /// What decoding looks for; slots as in `fields` and `references`.
    pub(super) field_tree: Tree,
    pub(super) fields: BTreeMap<Field, usize>,
    pub(super) references: BTreeMap<String, usize>,
    pub(super) amount_unit: AmountUnit,
    pub(super) time_format: TimeFormat,
}

/// The slot of the card in [`Mapping::card_tree`].
pub(super) const CARD_SLOT: usize = 0;
/// The slot of the key id in [`Mapping::card_tree`].
pub(super) const CARD_KEY_SLOT: usize = 1;

impl Mapping {
    /// Checks a mapping.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn new(spec: &MappingSpec) -> Result<Mapping, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut pointer = |entry: &str, text: &str| match text.parse::<Pointer>() {
            Ok(pointer) => Some(pointer),
            Err(problem) => {
                errors.push(MappingError::Pointer { entry: entry.to_owned(), problem });
                None
            }
        };
        let card = pointer("card", &spec.card);
        let card_key = spec.card_key.as_deref().and_then(|text| pointer("card_key", text));
        let fields: Vec<_> = (spec.fields.iter())
            .filter_map(|(&field, text)| Some((field, pointer(field.as_str(), text)?)))
            .collect();
        let references: Vec<_> = (spec.references.iter())
            .filter_map(|(name, text)| Some((name, pointer(&format!("references.{name}"), text)?)))
            .collect();

        let entries = card_key.iter().map(|pointer| ("card_key".to_owned(), pointer));
        let entries =
            entries.chain(fields.iter().map(|(field, pointer)| (field.as_str().to_owned(), pointer)));
        let entries =
            entries.chain(references.iter().map(|(name, pointer)| (format!("references.{name}"), pointer)));
        let same: Vec<_> = (entries.filter(|(_, pointer)| Some(*pointer) == card.as_ref()))
            .map(|(entry, _)| MappingError::SameAsCard { entry })
            .collect();
        errors.extend(same);
        errors.extend(check_references(spec));
        if spec.card_key.is_some() && spec.card_kind != CardKind::Fingerprint {
            errors.push(MappingError::KeyWithoutFingerprint);
        }
        match card {
            Some(card) if errors.is_empty() => {
                Ok(Mapping::build(spec, &card, card_key.as_ref(), &fields, &references))
            }
            _ => Err(errors),
        }
    }

    fn build(
        spec: &MappingSpec,
        card: &Pointer,
        card_key: Option<&Pointer>,
        fields: &[(Field, Pointer)],
        references: &[(&String, Pointer)],
    ) -> Mapping {
        let mut card_tree = Tree::default();
        card_tree.place(card);
        if let Some(card_key) = card_key {
            card_tree.place(card_key);
        }
        let mut field_tree = Tree::default();
        let fields = fields.iter().map(|(field, pointer)| (*field, field_tree.place(pointer))).collect();
        let references =
            references.iter().map(|(name, pointer)| ((*name).clone(), field_tree.place(pointer))).collect();
        Mapping {
            card_kind: spec.card_kind,
            has_card_key: card_key.is_some(),
            card_tree,
            field_tree,
            fields,
            references,
            amount_unit: spec.amount_unit,
            time_format: spec.time_format,
        }
    }

    /// What the card field holds.
    pub fn card_kind(&self) -> CardKind {
        self.card_kind
    }
}

fn check_references(spec: &MappingSpec) -> Vec<MappingError> {
    let bad_name = |name: &&String| !is_slug(name, REFERENCE_NAME_BYTES_MAX);
    let mut errors: Vec<_> = (spec.references.keys().filter(bad_name))
        .map(|name| MappingError::ReferenceName { entry: format!("references.{name}") })
        .collect();
    let count = spec.references.len();
    if count > REFERENCES_MAX {
        errors.push(MappingError::TooManyReferences { count });
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mapping_is_sound_and_complete() {
        let mapping = Mapping::new(&MappingSpec::default()).unwrap();
        assert_eq!(mapping.fields.len(), Field::ALL.len());
        for &field in Field::ALL {
            assert_eq!(Field::from_word(field.as_str()), Some(field));
        }
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let mut spec = MappingSpec {
            card: "/pan".to_owned(),
            card_key: Some("key".to_owned()),
            ..MappingSpec::default()
        };
        spec.fields.insert(Field::Amount, "/a~".to_owned());
        spec.fields.insert(Field::MerchantId, "/pan".to_owned());
        spec.references = (0..9).map(|i| (format!("r{i}"), "/x".to_owned())).collect();
        spec.references.insert("Bad name".to_owned(), "/pan".to_owned());
        let errors = Mapping::new(&spec).unwrap_err();
        let texts: Vec<String> = errors.iter().map(MappingError::to_string).collect();
        for start in [
            "card_key: the JSON pointer does not start",
            "amount: the JSON pointer has a tilde",
            "merchant_id: points at the card field",
            "references.Bad name: points at the card field",
            "references.Bad name: a reference's name",
            "references: 10 are given",
            "card_key: only a card field",
        ] {
            assert!(texts.iter().any(|text| text.starts_with(start)), "{start}: {texts:#?}");
        }
        assert_eq!(errors.len(), 7);
    }

    #[test]
    fn two_fields_may_read_the_same_place() {
        let mut spec = MappingSpec::default();
        spec.fields.insert(Field::MerchantId, "/merchant".to_owned());
        spec.fields.insert(Field::MerchantName, "/merchant".to_owned());
        let mapping = Mapping::new(&spec).unwrap();
        assert_eq!(mapping.fields[&Field::MerchantId], mapping.fields[&Field::MerchantName]);
    }
}
