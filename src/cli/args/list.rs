//! Lists of cards on the command line: where they are, and how they are written.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::domain::card::{CardKind, KeyId, is_slug};
use crate::domain::incident::REFERENCE_NAME_BYTES_MAX;

/// How a list of cards is written. Gzip and zstd are recognised by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "The list")]
pub struct ListArgs {
    /// How the list is written; without it the file's name decides, and then its first line.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub list_format: Option<ListFormat>,

    /// What the list holds.
    #[arg(long, value_enum, default_value_t = CardKindArg::Number)]
    pub kind: CardKindArg,

    /// The column of the card: its name in the header, its number from 1, or the field of a JSON line.
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,

    /// The column of the expiry date, as MM/YY or YYYY-MM.
    #[arg(long, value_name = "COLUMN")]
    pub expiry_column: Option<String>,

    /// The column of your own class of exposure.
    #[arg(long, value_name = "COLUMN")]
    pub tier_column: Option<String>,

    /// The key that fingerprints were made with, where the list has no column `key`.
    #[arg(long, value_name = "KEYID")]
    pub key: Option<KeyId>,

    /// A column to keep as a reference; up to eight.
    #[arg(long = "reference", value_name = "NAME=COLUMN")]
    pub references: Vec<ReferenceColumn>,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Comma-separated values.
    Csv,
    /// One card a line.
    Lines,
    /// One JSON object a line.
    Jsonl,
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CardKindArg {
    /// Card numbers.
    Number,
    /// Opaque tokens.
    Token,
    /// References to accounts, such as the EMVCo payment account reference.
    AccountReference,
    /// Fingerprints made by `cardwatch fingerprint`.
    Fingerprint,
}

impl From<CardKindArg> for CardKind {
    fn from(kind: CardKindArg) -> CardKind {
        match kind {
            CardKindArg::Number => CardKind::Number,
            CardKindArg::Token => CardKind::Token,
            CardKindArg::AccountReference => CardKind::AccountReference,
            CardKindArg::Fingerprint => CardKind::Fingerprint,
        }
    }
}

/// A reference, and the column it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceColumn {
    /// The reference's name.
    pub name: String,
    /// The column: its name, or its number from 1.
    pub column: String,
}

/// A text is not `NAME=COLUMN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write NAME=COLUMN, the name of 1 to 32 of a-z, 0-9, - and _")]
pub struct ReferenceColumnError;

impl FromStr for ReferenceColumn {
    type Err = ReferenceColumnError;
    fn from_str(text: &str) -> Result<Self, ReferenceColumnError> {
        let (name, column) = text.split_once('=').ok_or(ReferenceColumnError)?;
        if !is_slug(name, REFERENCE_NAME_BYTES_MAX) || column.is_empty() {
            return Err(ReferenceColumnError);
        }
        Ok(ReferenceColumn { name: name.to_owned(), column: column.to_owned() })
    }
}

/// A file, or `-` for standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Source::Stdin } else { Source::File(PathBuf::from(text)) })
    }
}
