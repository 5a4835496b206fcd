//! `cardwatch audit …` and `cardwatch skip-to` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::alerts::instant;
use crate::domain::audit::{Act, Ending};
use crate::domain::time::Timestamp;

/// `cardwatch audit …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// List who did what, the oldest first.
    #[command(after_help = "\
Examples:
  cardwatch audit list --since 2026-04-01T00:00:00Z --act import --act revision
  cardwatch audit list --subject incident/shop-2026 --last 20
  cardwatch audit list --since 24h --outcome failed
  cardwatch --format json audit list --file audit.jsonl       the records of this host, one a line")]
    List {
        /// Which records.
        #[command(flatten)]
        filter: AuditFilter,

        /// The last N alone.
        #[arg(long, value_name = "N")]
        last: Option<usize>,

        /// Read an audit file in place of the topic.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print records as they come, until interrupted; with --since those that are there first.
    #[command(after_help = "\
Examples:
  cardwatch audit follow
  cardwatch --format json audit follow --outcome failed")]
    Follow {
        /// Which records.
        #[command(flatten)]
        filter: AuditFilter,
    },
}

/// Which audit records.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Which records")]
pub struct AuditFilter {
    /// Of this kind: import, revision, undo, close, hold, forget, key_change, token_change, skip, accept_gap,
    /// rule_reload, replay, endpoint_change, outcome. May be given several times.
    #[arg(long = "act", value_name = "ACT", value_parser = act)]
    pub acts: Vec<Act>,

    /// On this subject, or one below it: incident/shop-2026, topic/transactions.
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,

    /// By this user or token, or by whoever called themselves so.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,

    /// That ended so: intent, done or failed.
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub outcome: Option<Ending>,

    /// From this time on: a time with its offset, or how long ago, such as 90m, 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub since: Option<Timestamp>,

    /// Before this time, written in the same way.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub until: Option<Timestamp>,
}

/// `cardwatch skip-to`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(clap::ArgGroup::new("target").args(["offset", "time"]).required(true)))]
#[command(after_help = "\
Examples:
  cardwatch skip-to --topic transactions --partition 3 --offset 120451 \\
    --reason \"a batch that cannot be read, ticket 7\"
  cardwatch skip-to --topic transactions --partition 0 --time 2026-04-01T00:00:00Z \\
    --reason \"replayed by upstream\"

Stop every `cardwatch run` on the topic first. Nobody reads the records in between; the range is
written down.")]
pub struct SkipArgs {
    /// The input topic.
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,

    /// The partition.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: i32,

    /// The offset to go on with.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: Option<i64>,

    /// Go on with the first record of this time or later.
    #[arg(long, value_name = "TIME")]
    pub time: Option<Timestamp>,

    /// Why; it is written down.
    #[arg(long, value_name = "TEXT", value_parser = words)]
    pub reason: String,

    /// Who does this; written down as a claim, beside the user and the host.
    #[arg(long = "as", value_name = "WHO")]
    pub by: Option<String>,
}

fn words(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("write why".to_owned()) } else { Ok(text.trim().to_owned()) }
}

fn act(word: &str) -> Result<Act, String> {
    Act::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Act::ALL.iter().map(|act| act.as_str()).collect();
        format!("write one of {}", words.join(", "))
    })
}

fn outcome(word: &str) -> Result<Ending, String> {
    [Ending::Intent, Ending::Done, Ending::Failed]
        .into_iter()
        .find(|ending| ending.as_str() == word)
        .ok_or_else(|| "write intent, done or failed".to_owned())
}
