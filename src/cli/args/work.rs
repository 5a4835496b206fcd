//! The commands beside `incident` on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::list::{ListArgs, Source};
use crate::config::{Line, TOKEN_NAME_BYTES_MAX};
use crate::domain::card::is_slug;
use crate::domain::time::Timestamp;
use crate::http::auth::Role;
use crate::lines::sample::Position;

/// `cardwatch demo`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch demo
  cardwatch demo --seconds 60 --seed 7
  cardwatch --format json demo | tail -n 1        the summary as one JSON object")]
pub struct DemoArgs {
    /// How long it runs.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub seconds: u64,

    /// The seed of the simulated world; without it a new one each time.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Where to show metrics and health; port 0 takes any that is free.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    pub http: SocketAddr,
}

/// `cardwatch run`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch run --config cardwatch.toml
  cardwatch run --config cardwatch.toml --lines score     a process that never opens the key

SIGTERM and SIGINT drain and leave within 5 seconds; SIGHUP reads the rules anew.")]
pub struct RunArgs {
    /// The lines to run, in place of lines.enabled.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = line)]
    pub lines: Option<Vec<Line>>,

    /// Go on although a range of the input is lost; WHO answers for it, and is written down.
    #[arg(long, value_name = "WHO")]
    pub accept_gap: Option<String>,
}

/// `cardwatch check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch check --config cardwatch.toml
  cardwatch check --config cardwatch.toml --suggest      a mapping to begin with, read off the topic
  cardwatch check --config cardwatch.toml --sample 1000  how the topic reads under the mapping
  cardwatch check --config cardwatch.toml --sample 1000 --start 2026-04-01T00:00:00Z
  cardwatch check --config cardwatch.toml --sample 1000 --from transactions.jsonl.zst
  cardwatch --format json check --config cardwatch.toml

A sample is read without joining a group, and nothing is written. No value is printed, only its
shape: every digit as 9 and every letter as A.")]
pub struct CheckArgs {
    /// Read up to N records of the input and say how they read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub sample: Option<u64>,

    /// Propose a mapping from a sample (of 1,000 records unless --sample says), with the evidence for each line.
    #[arg(long)]
    pub suggest: bool,

    /// Take the records from a file, one JSON object a line, or - for standard input; gzip and zstd are recognised.
    #[arg(long, value_name = "FILE")]
    pub from: Option<Source>,

    /// Where the sample begins in the topic: "newest" (it ends with the newest record), "earliest", or a time.
    #[arg(long, value_name = "POSITION", value_parser = position, conflicts_with = "from")]
    pub start: Option<Position>,
}

/// `cardwatch topics`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch topics --config cardwatch.toml
  cardwatch topics --config cardwatch.toml --create
  cardwatch topics --config cardwatch.toml --create --input-partitions 4      to try it out")]
pub struct TopicsArgs {
    /// Make those that are missing, the input aside, which is yours.
    #[arg(long)]
    pub create: bool,

    /// For trying out: make the input topic too, with N partitions.
    #[arg(long, value_name = "N", requires = "create", value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub input_partitions: Option<i32>,
}

/// `cardwatch token …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenCommand {
    /// Make a token for the HTTP side, in a file of its own, readable by you alone.
    #[command(after_help = "\
Examples:
  cardwatch token new fraud-desk --role decide
  cardwatch token new grafana --role read --file /etc/cardwatch/grafana.token

Roles: read sees incidents and alerts; decide also decides about alerts; import is for changing
incidents, which the command line alone does so far, and until then sees what read sees;
admin may do all of it; receive is for a receiver of webhooks, who sees what its own endpoints are
told and nothing else.")]
    New {
        /// What its owner is called in audit records: 1 to 64 of a-z, 0-9, - and _.
        #[arg(value_name = "NAME", value_parser = token_name)]
        name: String,

        /// What it may do: read, decide, import, admin or receive.
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,

        /// Where to write it; without it tokens/NAME.token.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,

        /// Who does this; written down as a claim, beside the user and the host.
        #[arg(long = "as", value_name = "WHO")]
        by: Option<String>,
    },
}

/// `cardwatch fingerprint`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch fingerprint cards.csv --column card_number > fingerprints.csv
  cardwatch fingerprint - --list-format lines < cards.txt")]
pub struct FingerprintArgs {
    /// The list: a file, or - for standard input.
    #[arg(value_name = "LIST")]
    pub list: Source,

    /// How the list is written.
    #[command(flatten)]
    pub form: ListArgs,
}

/// `cardwatch backtest`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch backtest --config sparkov.toml --label /fraud 2018h1.jsonl.zst       every card exposed
  cardwatch backtest --list cards.csv --list-from 2018-04-01T00:00:00Z 2018h1.jsonl.zst")]
pub struct BacktestArgs {
    /// Transactions, one JSON object a line; gzip and zstd are recognised.
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<PathBuf>,

    /// Where the truth is in a transaction: a JSON Pointer to true or false.
    #[arg(long, value_name = "POINTER", default_value = "/fraud", value_parser = pointer)]
    pub label: String,

    /// The exposed cards; without it every card is exposed.
    #[arg(long, value_name = "FILE")]
    pub list: Option<Source>,

    /// When the list was there: earlier transactions leave no history.
    #[arg(long, value_name = "TIME")]
    pub list_from: Option<Timestamp>,

    /// Rules, in place of those of the configuration.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,

    /// How the list is written.
    #[command(flatten)]
    pub form: ListArgs,
}

/// `cardwatch health`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch health                                  the service of the configuration, on this host
  cardwatch health --live --address 127.0.0.1:9464")]
pub struct HealthArgs {
    /// Where the service is asked; without it http.listen of the configuration.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub address: Option<SocketAddr>,

    /// Ask whether it lives, not whether it is ready.
    #[arg(long)]
    pub live: bool,

    /// How long an answer may take, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub timeout: u32,
}

/// `cardwatch completions`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch completions bash > /etc/bash_completion.d/cardwatch
  cardwatch completions zsh > ~/.zfunc/_cardwatch")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

/// `cardwatch man`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  cardwatch man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The directory of the pages.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `cardwatch simulate`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(clap::ArgGroup::new("where").args(["out", "kafka"]).required(true)))]
#[command(after_help = "\
Examples:
  cardwatch simulate --seed 7 --cards 20000 --days 90 --out world
  cardwatch simulate --config cardwatch.toml --seed 7 --kafka
  cardwatch simulate --config cardwatch.toml --ends now --kafka")]
pub struct SimulateArgs {
    /// The seed: the same seed makes the same world.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How many cards there are.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub cards: u32,

    /// How many days pass.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,

    /// When the last day ends, so that its alerts are live ones: "now", or a time such as 2026-04-01T00:00:00Z. Without it
    /// the first day is 1 January 2018.
    #[arg(long, value_name = "TIME", value_parser = ends)]
    pub ends: Option<Ends>,

    /// Write transactions, list and truth to files in this directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Write the transactions to the input topic.
    #[arg(long)]
    pub kafka: bool,
}

/// When a world's last day ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When the command is given.
    Now,
    /// At this time.
    At(Timestamp),
}

fn ends(text: &str) -> Result<Ends, String> {
    match text {
        "now" => Ok(Ends::Now),
        _ => Timestamp::parse_rfc3339(text)
            .map(Ends::At)
            .map_err(|_| "write now or a time such as 2026-04-01T00:00:00Z".to_owned()),
    }
}

fn position(text: &str) -> Result<Position, String> {
    match text {
        "newest" => Ok(Position::Newest),
        "earliest" => Ok(Position::Earliest),
        _ => Timestamp::parse_rfc3339(text)
            .map(Position::At)
            .map_err(|_| "write newest, earliest or a time such as 2026-04-01T00:00:00Z".to_owned()),
    }
}

fn line(word: &str) -> Result<Line, String> {
    Line::ALL.into_iter().find(|line| line.as_str() == word).ok_or_else(|| {
        "write one or more of \"sight\", \"score\", \"books\" and \"notify\", separated by commas".to_owned()
    })
}

fn token_name(text: &str) -> Result<String, String> {
    match is_slug(text, TOKEN_NAME_BYTES_MAX) {
        true => Ok(text.to_owned()),
        false => Err("write 1 to 64 of a-z, 0-9, - and _".to_owned()),
    }
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "write read, decide, import, admin or receive".to_owned())
}

fn pointer(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("write a JSON Pointer such as /fraud".to_owned())
    }
}
