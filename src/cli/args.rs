//! The words of the command line. What they do is in the files beside this one.

mod alerts;
mod card;
mod incident;
mod key;
mod list;
mod record;
mod webhook;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use alerts::{
    AlertsCommand, FilterArgs, FollowArgs, ListAlertsArgs, Moment, OutcomeArgs, ShowAlertArgs, VerdictArg,
};
pub use card::{CardArgs, CardCommand, CardInput, ForgetArgs, SweepArgs};
pub use incident::{
    ChangeArgs, CloseArgs, DetailArgs, HoldArgs, IncidentCommand, ListIncidentsArgs, OpenArgs, ReviseArgs,
    ShowArgs,
};
pub use key::{DeadLettersCommand, KeyCommand, LetterArgs, Place, PrimaryArgs};
pub use list::{CardKindArg, ListArgs, ListFormat, ReferenceColumn, ReferenceColumnError, Source};
pub use record::{AuditCommand, AuditFilter, SkipArgs};
pub use webhook::{DeliveriesArgs, EndpointArgs, ReplayArgs, RotateArgs, SwitchArgs, WebhookCommand};
pub use work::{
    BacktestArgs, CheckArgs, CompletionsArgs, DemoArgs, Ends, FingerprintArgs, HealthArgs, ManArgs, RunArgs,
    SimulateArgs, TokenCommand, TopicsArgs,
};

use crate::stop::exit;

/// Columns that help is broken at, where the terminal is not narrower.
const HELP_WIDTH: usize = 100;

/// Watches transactions on cards that are known to have leaked.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "cardwatch", max_term_width = HELP_WIDTH)]
#[command(after_help = "\
Examples:
  cardwatch demo                                   see it work, without a server
  cardwatch check --config cardwatch.toml          every mistake of a configuration at once
  cardwatch topics --create                        make the topics it needs
  cardwatch run --config cardwatch.toml            the service

Exit codes: 0 done, 64 wrong usage, 65 wrong data, 69 a service is not there,
70 a fault of cardwatch itself, 78 wrong configuration.")]
pub struct Args {
    /// The configuration file; without it every key has its default.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Log more; twice for everything.
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
    /// Markdown: a report to pass on.
    Md,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Run the whole thing in one process, without a server: see it work within a minute.
    Demo(DemoArgs),
    /// Run the service.
    Run(RunArgs),
    /// Report every mistake of the configuration at once.
    Check(CheckArgs),
    /// Say what topics must exist and what does; make those that are missing.
    Topics(TopicsArgs),
    /// Make, take in, list, rotate and retire the keys that fingerprints are made with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make tokens for the HTTP side.
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and open the records that could not be read.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Turn a list of card numbers into a list of fingerprints, where the key lives.
    Fingerprint(FingerprintArgs),
    /// Open, revise, close and look at incidents.
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Say who did what.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Go on reading the input behind records that nobody can or will read.
    SkipTo(SkipArgs),
    /// Show everything that is held about a card, or forget it.
    #[command(subcommand)]
    Card(CardCommand),
    /// Remove what is due: records of cards withdrawn long ago and of watches that are over.
    Sweep(SweepArgs),
    /// List, show and follow alerts.
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Write down what an alert turned out to be.
    Outcome(OutcomeArgs),
    /// Look after the endpoints that are told of alerts, and what is owed to them.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Judge labelled history: precision, recall, false alarms per catch.
    Backtest(BacktestArgs),
    /// Make a world of cards, merchants, thieves and a breach, with the truth about it.
    Simulate(SimulateArgs),
    /// Ask a running service whether it is ready; exit code 0 says yes, 69 no.
    Health(HealthArgs),
    /// Write completions for a shell.
    Completions(CompletionsArgs),
    /// Write the manual: a page for each command.
    Man(ManArgs),
}

/// The cargo features that this binary was built with.
pub fn features() -> &'static str {
    if cfg!(feature = "faults") { "faults" } else { "none" }
}

/// What `--version` prints after the program's name: its version, then `libraries` (such as
/// "librdkafka 2.12.1") and the features built in.
pub fn version_text(libraries: &str) -> String {
    format!("{}\n{libraries}\nfeatures: {}", env!("CARGO_PKG_VERSION"), features())
}

/// The whole command line, to make pages and completions of.
pub fn command() -> clap::Command {
    Args::command().version(env!("CARGO_PKG_VERSION"))
}

/// Reads the command line, the program's name first. `version` is what `--version` prints.
///
/// # Errors
/// Wrong usage, and also what is no mistake: `--help` and `--version`. [`exit_code`] tells them apart;
/// `error.print()` writes each where it belongs.
pub fn parse<I, T>(words: I, version: String) -> Result<Args, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let version: &'static str = version.leak();
    let command = Args::command().version(version);
    let matches = command.try_get_matches_from(words)?;
    let args = Args::from_arg_matches(&matches)?;
    if let Command::Incident(IncidentCommand::Revise(revise)) = &args.command
        && (&revise.add, &revise.withdraw) == (&Some(Source::Stdin), &Some(Source::Stdin))
    {
        let message = "standard input can be only one of --add and --withdraw";
        return Err(Args::command().error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    let reports = matches!(&args.command, Command::Incident(IncidentCommand::Report(_)));
    if args.format == Format::Md && !reports {
        let message = "only `incident report` is written as Markdown; others take --format text or json";
        return Err(Args::command().error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    Ok(args)
}

/// The code to leave with: 0 after help and version, otherwise 64.
pub fn exit_code(error: &clap::Error) -> u8 {
    if error.use_stderr() { exit::USAGE } else { 0 }
}

#[cfg(test)]
mod tests;
