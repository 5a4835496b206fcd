//! `alerts` and `outcome` on the command line.

use clap::{Args, Subcommand, ValueEnum};

use crate::clock::{Clock, SystemClock};
use crate::domain::alert::{Severity, State};
use crate::domain::card::Fingerprint;
use crate::domain::desk::{Order, Query};
use crate::domain::incident::IncidentId;
use crate::domain::outcome::Verdict;
use crate::domain::time::Timestamp;

/// `cardwatch alerts …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AlertsCommand {
    /// List alerts, each by its newest revision: the newest first.
    #[command(after_help = "\
Examples:
  cardwatch alerts list --state open
  cardwatch alerts list --since 24h --severity high --order costliest
  cardwatch --format json alerts list --incident kenko-2018 --limit 1000

Order: newest is by the time they were raised, and of those raised in the same millisecond the
costliest first. costliest goes by currency in the order of the codes, within each by what the
transaction costs (as billed where that is known; nothing where it was declined), and of equal cost
the newest first.")]
    List(ListAlertsArgs),
    /// Show everything about one alert: its reasons in words, whose card it is, what else happened to the card.
    #[command(after_help = "\
Examples:
  cardwatch alerts show alr_k5m2a7q3nq4o6x2zrb7w5c4ilu
  cardwatch --format json alerts show alr_k5m2a7q3nq4o6x2zrb7w5c4ilu")]
    Show(ShowAlertArgs),
    /// Print alerts and their revisions as they come, until interrupted.
    #[command(after_help = "\
Examples:
  cardwatch alerts follow --severity high
  cardwatch --format json alerts follow --since 1h | jq .reasons[0].text")]
    Follow(FollowArgs),
}

/// Which alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct FilterArgs {
    /// Cards exposed in this incident.
    #[arg(long, value_name = "INCIDENT")]
    pub incident: Option<IncidentId>,

    /// This severity or above: low, medium, high.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,

    /// Raised at this time or later: a time with its offset, or how long ago, such as 90m, 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Moment>,

    /// Raised before this time, written in the same way.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Moment>,

    /// In one of these states: open, escalated, withdrawn, closed.
    #[arg(long = "state", value_name = "STATES", value_delimiter = ',', value_parser = state)]
    pub states: Vec<State>,

    /// With this rule among the reasons.
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,

    /// On this card, by its fingerprint.
    #[arg(long, value_name = "FINGERPRINT")]
    pub card: Option<Fingerprint>,
}

impl FilterArgs {
    /// The query these words mean at `now`.
    pub fn query(&self, now: Timestamp) -> Query {
        Query {
            incident: self.incident.clone(),
            severity: self.severity,
            since: self.since.map(|since| since.at(now)),
            until: self.until.map(|until| until.at(now)),
            states: self.states.clone(),
            rule: self.rule.clone(),
            card: self.card,
        }
    }
}

/// `cardwatch alerts list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListAlertsArgs {
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// The order: newest or costliest.
    #[arg(long, value_name = "ORDER", value_parser = order, default_value = "newest")]
    pub order: Order,

    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

/// `cardwatch alerts show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ShowAlertArgs {
    /// The alert's id, or that of its sighting.
    #[arg(value_name = "ALERT")]
    pub alert: String,
}

/// `cardwatch alerts follow`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FollowArgs {
    /// Which; --since begins in the past.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `cardwatch outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(allow_missing_positional = true)]
#[command(after_help = "\
Examples:
  cardwatch outcome alr_k5m2a7q3nq4o6x2zrb7w5c4ilu fraud --note 'the customer did not do it'
  cardwatch outcome --transaction T-20180605-17 genuine --as 'Anna Suzuki'
  cardwatch outcome alr_k5m2a7q3nq4o6x2zrb7w5c4ilu unknown      open it again

A later outcome replaces an earlier one. `cardwatch run` makes a revision of the alert of it.")]
pub struct OutcomeArgs {
    /// The alert's id, or that of its sighting.
    #[arg(value_name = "ALERT", required_unless_present = "transaction", conflicts_with = "transaction")]
    pub alert: Option<String>,

    /// What it was.
    #[arg(value_name = "VERDICT", value_enum)]
    pub verdict: VerdictArg,

    /// Your own id of the transaction, in place of the alert's.
    #[arg(long, value_name = "ID")]
    pub transaction: Option<String>,

    /// A remark, at most 1,000 characters. It may hold no card number.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,

    /// Who you say you are; the user and the host are written down too.
    #[arg(long = "as", value_name = "NAME")]
    pub claimed: Option<String>,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictArg {
    /// Somebody else used the card.
    Fraud,
    /// It was the cardholder.
    Genuine,
    /// Nobody can tell, or an earlier outcome was wrong: the alert is open again.
    Unknown,
}

impl From<VerdictArg> for Verdict {
    fn from(verdict: VerdictArg) -> Verdict {
        match verdict {
            VerdictArg::Fraud => Verdict::Fraud,
            VerdictArg::Genuine => Verdict::Genuine,
            VerdictArg::Unknown => Verdict::Unknown,
        }
    }
}

/// A point in time, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A point.
    At(Timestamp),
    /// So many milliseconds ago.
    Ago(i64),
}

impl Moment {
    /// The point in time that is meant at `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Ago(millis) => now.plus_millis(-millis),
        }
    }
}

/// The point in time that `text` means now, for filters that are applied as the command line is read.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    moment(text).map(|moment| moment.at(SystemClock.now()))
}

pub(super) fn moment(text: &str) -> Result<Moment, String> {
    const UNITS: [(char, i64); 4] = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    for (unit, millis) in UNITS {
        if let Some(number) = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()) {
            return Ok(Moment::Ago(i64::from(number) * millis));
        }
    }
    Timestamp::parse_rfc3339(text)
        .map(Moment::At)
        .map_err(|error| format!("{error}; write 2026-03-01T09:00:00+09:00, or 24h"))
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(word).ok_or_else(|| format!("write one of {}", Severity::WORDS.join(", ")))
}

fn state(word: &str) -> Result<State, String> {
    State::from_word(word).ok_or_else(|| format!("write one of {}", State::WORDS.join(", ")))
}

fn order(word: &str) -> Result<Order, String> {
    Order::from_word(word).ok_or_else(|| format!("write one of {}", Order::WORDS.join(", ")))
}
