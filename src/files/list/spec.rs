//! How to read a list.

use std::convert::Infallible;
use std::str::FromStr;

use crate::domain::card::{CardKind, KeyId};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// Values separated by comma, semicolon or tab, under a header.
    Csv,
    /// One card a line.
    Lines,
    /// One JSON object a line.
    Jsonl,
}

/// Where something stands in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The name in the header, in any case, or the field of a JSON line.
    Name(String),
    /// The place in a CSV record, counted from 1.
    Number(usize),
}

impl FromStr for Column {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Column, Infallible> {
        Ok(match text.parse() {
            Ok(number) if number > 0 => Column::Number(number),
            _ => Column::Name(text.to_owned()),
        })
    }
}

/// How to read a list.
#[derive(Debug, Clone)]
pub struct ListSpec {
    /// How it is written; `None` leaves it to the name and the first line.
    pub format: Option<ListFormat>,
    /// What it holds.
    pub kind: CardKind,
    /// The card's column; `None` takes the only one, or one with a usual name.
    pub card: Option<Column>,
    /// The column of the expiry date.
    pub expiry: Option<Column>,
    /// The column of the tier.
    pub tier: Option<Column>,
    /// References by name. A list of fingerprints has them in columns `ref.NAME`, if none are given.
    pub references: Vec<(String, Column)>,
    /// The key of fingerprints in a list that has no column `key`.
    pub key: Option<KeyId>,
}

impl ListSpec {
    /// A list of cards of a kind, all else as found.
    pub fn new(kind: CardKind) -> ListSpec {
        ListSpec {
            format: None,
            kind,
            card: None,
            expiry: None,
            tier: None,
            references: Vec::new(),
            key: None,
        }
    }

    /// The descriptions that the specification itself names.
    pub(super) fn columns(&self) -> ListColumns {
        ListColumns {
            expiry: self.expiry.is_some(),
            tier: self.tier.is_some(),
            references: self.references.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// Which descriptions of cards a list brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListColumns {
    /// Expiry dates.
    pub expiry: bool,
    /// Tiers.
    pub tier: bool,
    /// References, by name.
    pub references: Vec<String>,
}
