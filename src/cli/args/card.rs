//! `cardwatch card …` and `cardwatch sweep` on the command line.

use clap::{Args, Subcommand};

use super::incident::ChangeArgs;
use crate::domain::card::Fingerprint;

/// What to do about one card.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum CardCommand {
    /// Show everything that is held about a card.
    #[command(after_help = "\
Examples:
  cardwatch card show < number.txt              the number on the first line of standard input
  cardwatch card show --kind token
  cardwatch --format json card show --fingerprint 6f1c…")]
    Show(CardArgs),
    /// Remove a card from every incident and forget its history, at once.
    #[command(after_help = "\
Examples:
  cardwatch card forget --dry-run < number.txt
  cardwatch card forget --yes --as \"Privacy desk\" < number.txt

Under a legal hold it is refused. What stands in sightings, alerts and dead letters stays for as
long as those topics keep anything, and is told.")]
    Forget(ForgetArgs),
}

/// Which card.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CardArgs {
    /// The card's fingerprint, in place of its number on standard input.
    #[arg(long, value_name = "HEX", conflicts_with = "kind")]
    pub fingerprint: Option<Fingerprint>,

    /// What stands on standard input.
    #[arg(long, value_enum, default_value_t = CardInput::Number)]
    pub kind: CardInput,
}

/// What names a card on standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CardInput {
    /// A card number.
    Number,
    /// An opaque token.
    Token,
}

/// `cardwatch card forget`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ForgetArgs {
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,

    /// Do it. What is forgotten cannot be brought back.
    #[arg(long, required_unless_present = "dry_run")]
    pub yes: bool,

    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `cardwatch sweep`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch sweep --dry-run
  cardwatch sweep --as \"Risk desk\"

The running service does the same every retention.sweep_every. A record goes after the histories
of its card, which `score` forgets: where that does not run, records wait for it.")]
pub struct SweepArgs {
    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}
