//! `cardwatch incident …` on the command line.

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::list::{ListArgs, Source};
use crate::domain::incident::{Element, IncidentId};

/// What to do with incidents.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum IncidentCommand {
    /// Open an incident and import its cards.
    #[command(after_help = "\
Examples:
  cardwatch incident open shop-2026 --name \"Shop\" --party \"Shop KK\" --time-zone Asia/Tokyo \\
    --exposed-from 2025-11-01 --exposed-until 2026-02-14 --watch-until 2027-12-31 \\
    --elements pan,expiry,name --list cards.csv --column card_number --expiry-column expiry
  zstdcat cards.zst | cardwatch incident open shop-2026 … --list - --list-format jsonl --dry-run")]
    Open(Box<OpenArgs>),
    /// Add and withdraw cards, change what an incident says of itself, or undo a revision.
    #[command(after_help = "\
Examples:
  cardwatch incident revise shop-2026 --add more.csv --withdraw ok.csv --exposed-until 2026-02-28
  cardwatch incident revise shop-2026 --replace all.csv --dry-run
  cardwatch incident revise shop-2026 --undo 3")]
    Revise(Box<ReviseArgs>),
    /// End the watch: none of its cards is recognised any more.
    #[command(after_help = "\
Examples:
  cardwatch incident close shop-2026 --as \"Risk desk\"")]
    Close(CloseArgs),
    /// Put an incident under a legal hold: nothing of it is removed until that is released.
    #[command(after_help = "\
Examples:
  cardwatch incident hold shop-2026 --why \"case 7 of the district court\" --as \"Legal\"
  cardwatch incident hold shop-2026 --release --as \"Legal\"")]
    Hold(HoldArgs),
    /// Show an incident: its cards, what was seen and decided of them, its revisions.
    #[command(after_help = "\
Examples:
  cardwatch incident show shop-2026")]
    Show(ShowArgs),
    /// Report on an incident for the breached company: what was seen, what was not looked at.
    #[command(after_help = "\
Examples:
  cardwatch incident report shop-2026 > shop-2026.md
  cardwatch --format json incident report shop-2026")]
    Report(ShowArgs),
    /// List the incidents.
    #[command(after_help = "\
Examples:
  cardwatch incident list --open
  cardwatch --format json incident list")]
    List(ListIncidentsArgs),
}

/// What an incident says of itself. Required to open one; in a revision whatever is given changes.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "The incident")]
pub struct DetailArgs {
    /// A name for people.
    #[arg(long)]
    pub name: Option<String>,

    /// Who was breached.
    #[arg(long)]
    pub party: Option<String>,

    /// The IANA time zone in which the dates are meant, such as Asia/Tokyo.
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub time_zone: Option<String>,

    /// The first day on which cards were exposed.
    #[arg(long, value_name = "DATE")]
    pub exposed_from: Option<Date>,

    /// The last day on which cards were exposed.
    #[arg(long, value_name = "DATE")]
    pub exposed_until: Option<Date>,

    /// The first day to watch; without it the first day of exposure.
    #[arg(long, value_name = "DATE")]
    pub watch_from: Option<Date>,

    /// The last day to watch.
    #[arg(long, value_name = "DATE", conflicts_with = "until_closed")]
    pub watch_until: Option<Date>,

    /// Watch until the incident is closed.
    #[arg(long)]
    pub until_closed: bool,

    /// What was exposed: pan, name, expiry, security_code, track, pin, address, email, phone, password.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = element)]
    pub elements: Option<Vec<Element>>,
}

/// `cardwatch incident open`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(clap::ArgGroup::new("watch_end").args(["watch_until", "until_closed"]).required(true)))]
#[command(mut_arg("name", |arg| arg.required(true)), mut_arg("party", |arg| arg.required(true)))]
#[command(mut_arg("time_zone", |arg| arg.required(true)), mut_arg("elements", |arg| arg.required(true)))]
#[command(mut_arg("exposed_from", |arg| arg.required(true)), mut_arg("exposed_until", |arg| arg.required(true)))]
pub struct OpenArgs {
    /// The incident's id: 1 to 64 of a-z, 0-9, - and _.
    #[arg(value_name = "ID")]
    pub incident: IncidentId,

    /// The list of exposed cards: a file, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub list: Source,

    /// What the incident says of itself.
    #[command(flatten)]
    pub details: DetailArgs,

    /// How the list is written.
    #[command(flatten)]
    pub form: ListArgs,

    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `cardwatch incident revise`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args([
    "add", "withdraw", "replace", "undo", "name", "party", "time_zone", "exposed_from", "exposed_until",
    "watch_from", "watch_until", "until_closed", "elements",
])))]
pub struct ReviseArgs {
    /// The incident.
    #[arg(value_name = "ID")]
    pub incident: IncidentId,

    /// Cards to add.
    #[arg(long, value_name = "FILE")]
    pub add: Option<Source>,

    /// Cards to withdraw.
    #[arg(long, value_name = "FILE")]
    pub withdraw: Option<Source>,

    /// The whole list anew: cards not on it are withdrawn.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["add", "withdraw"])]
    pub replace: Option<Source>,

    /// Take back revision N. Final: to have it again, revise again.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with_all = ["add", "withdraw", "replace", "name", "party", "time_zone", "exposed_from",
            "exposed_until", "watch_from", "watch_until", "until_closed", "elements"],
    )]
    pub undo: Option<u32>,

    /// What changes in what the incident says of itself.
    #[command(flatten)]
    pub details: DetailArgs,

    /// How the lists are written.
    #[command(flatten)]
    pub form: ListArgs,

    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// How a change of an incident is done.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "How")]
pub struct ChangeArgs {
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Who does this; without it the user's name on this host.
    #[arg(long = "as", value_name = "WHO")]
    pub by: Option<String>,
}

/// `cardwatch incident close`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CloseArgs {
    /// The incident.
    #[arg(value_name = "ID")]
    pub incident: IncidentId,

    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `cardwatch incident hold`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HoldArgs {
    /// The incident.
    #[arg(value_name = "ID")]
    pub incident: IncidentId,

    /// Why: it is written down and shown.
    #[arg(long, value_name = "TEXT", required_unless_present = "release")]
    pub why: Option<String>,

    /// Release the hold: what was due meanwhile is removed by the next sweep.
    #[arg(long, conflicts_with = "why")]
    pub release: bool,

    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `cardwatch incident show` and `report`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ShowArgs {
    /// The incident.
    #[arg(value_name = "ID")]
    pub incident: IncidentId,
}

/// `cardwatch incident list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListIncidentsArgs {
    /// Leave out those that are closed.
    #[arg(long)]
    pub open: bool,
}

fn element(word: &str) -> Result<Element, String> {
    Element::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Element::ALL.iter().map(|element| element.as_str()).collect();
        format!("write some of {}", words.join(", "))
    })
}

fn time_zone(name: &str) -> Result<String, String> {
    match jiff::tz::TimeZone::get(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err("no such time zone in the IANA database; write one such as Asia/Tokyo".to_owned()),
    }
}
