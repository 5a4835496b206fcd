//! `cardwatch key` and `cardwatch dead-letters`: what secrets there are, and what they open.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::alerts::instant;
use crate::codec::dead::DeadReason;
use crate::domain::card::KeyId;
use crate::domain::time::Timestamp;

/// `cardwatch key …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Make a key. The first is the primary; a later one is active beside it until it is made the primary.
    #[command(after_help = "\
Examples:
  cardwatch key new
  cardwatch key new k2026
  cardwatch key new k2026 --primary --yes         rotate at once; without --yes it says what changes")]
    New {
        /// The key's id: 1 to 32 of a-z, 0-9, - and _; without it the next of k1, k2, …
        #[arg(value_name = "ID")]
        id: Option<KeyId>,
        /// Whether it becomes the primary.
        #[command(flatten)]
        change: PrimaryArgs,
        /// Who does this; written down as a claim, beside the user and the host.
        #[arg(long = "as", value_name = "WHO")]
        by: Option<String>,
    },
    /// Take in a key that was made elsewhere: by a KMS or HSM, a credential, or its digits on standard input.
    #[command(after_help = "\
Examples:
  cardwatch key import k2                         from keys.commands.k2 or keys.files.k2
  cardwatch key import k2 < k2.hex                64 hexadecimal digits, kept as k2.key")]
    Import {
        /// The key's id: 1 to 32 of a-z, 0-9, - and _.
        #[arg(value_name = "ID")]
        id: KeyId,
        /// Whether it becomes the primary.
        #[command(flatten)]
        change: PrimaryArgs,
        /// Who does this; written down as a claim, beside the user and the host.
        #[arg(long = "as", value_name = "WHO")]
        by: Option<String>,
    },
    /// Make an active key the primary: lists are written, and sightings and histories kept, under it.
    #[command(after_help = "\
Examples:
  cardwatch key primary k2                        say what changes
  cardwatch key primary k2 --yes                  do it")]
    Primary {
        /// The key.
        #[arg(value_name = "ID")]
        id: KeyId,
        /// Do it, knowing what changes.
        #[arg(long)]
        yes: bool,
        /// Who does this; written down as a claim, beside the user and the host.
        #[arg(long = "as", value_name = "WHO")]
        by: Option<String>,
    },
    /// List the keys, without their secrets.
    #[command(after_help = "\
Examples:
  cardwatch key list
  cardwatch key list --cards                      and how many cards are listed under each")]
    List {
        /// Count the cards that the exposed list has under each key; asks the cluster.
        #[arg(long)]
        cards: bool,
    },
    /// Stop using a key: lists made with it no longer match.
    #[command(after_help = "\
Examples:
  cardwatch key retire k1
  cardwatch key retire k1 --yes                although cards are listed under it, or nobody can say")]
    Retire {
        /// The key.
        #[arg(value_name = "ID")]
        id: KeyId,
        /// Do it, knowing what is lost.
        #[arg(long)]
        yes: bool,
        /// Who does this; written down as a claim, beside the user and the host.
        #[arg(long = "as", value_name = "WHO")]
        by: Option<String>,
    },
}

/// Whether a key becomes the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct PrimaryArgs {
    /// Make it the primary.
    #[arg(long)]
    pub primary: bool,

    /// Do it, knowing what changes.
    #[arg(long, requires = "primary")]
    pub yes: bool,
}

/// `cardwatch dead-letters …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DeadLettersCommand {
    /// List dead letters: where their records stand, why they could not be read, what was kept. Shows nothing
    /// of the records.
    #[command(after_help = "\
Examples:
  cardwatch dead-letters list --config cardwatch.toml
  cardwatch dead-letters list --reason card_wrong_length --since 2026-04-01T00:00:00Z
  cardwatch --format json dead-letters list --limit 100000")]
    List {
        /// Which letters.
        #[command(flatten)]
        which: LetterArgs,
    },
    /// Print the records in dead letters, one JSON object a line: value, key and headers as they were. Sealed
    /// ones are opened. What is printed may hold card numbers.
    #[command(after_help = "\
Examples:
  cardwatch dead-letters open --identity letters.key --letter 0/17
  cardwatch dead-letters open --identity letters.key --reason not_json | jq -r .value")]
    Open {
        /// A file of `cardwatch dead-letters keygen`, readable by its owner alone; may be given several times.
        #[arg(long, value_name = "FILE")]
        identity: Vec<PathBuf>,
        /// Which letters.
        #[command(flatten)]
        which: LetterArgs,
    },
    /// Make a key pair: the public half for dead_letters.public_key, the private one in a file to keep elsewhere.
    #[command(after_help = "\
Examples:
  cardwatch dead-letters keygen --out letters.key")]
    Keygen {
        /// The file for the private half; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which letters")]
pub struct LetterArgs {
    /// Those with this reason, such as card_wrong_length.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<DeadReason>,

    /// Those of records with this timestamp or a later one: a time with its offset, or how long ago, such as 24h.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub since: Option<Timestamp>,

    /// Those of records of this partition.
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,

    /// The one at this partition and offset of the dead letters themselves.
    #[arg(long, value_name = "PARTITION/OFFSET")]
    pub letter: Option<Place>,

    /// The newest N at most.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// A place on the topic of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Place, Self::Err> {
        let place = || {
            let (partition, offset) = text.split_once('/')?;
            Some(Place { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        };
        place().ok_or("write PARTITION/OFFSET, such as 0/17")
    }
}

fn reason(word: &str) -> Result<DeadReason, String> {
    DeadReason::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = DeadReason::ALL.iter().map(|reason| reason.as_str()).collect();
        format!("write one of {}", words.join(", "))
    })
}
