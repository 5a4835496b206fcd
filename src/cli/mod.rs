//! The command line: its words are in [`args`], what they do is in a file per command.

pub mod args;

mod lists;
mod output;
mod signals;

mod alerts;
mod audit;
mod backtest;
mod card;
mod check;
mod dead_letters;
mod demo;
mod fingerprint;
mod health;
mod incident;
mod key;
mod outcome;
mod pages;
mod run;
mod simulate;
mod skip;
mod sweep;
mod token;
mod topics;
mod webhook;

use std::process::ExitCode;

use args::{Args, Command};

use crate::app::settings::key_directory;
use crate::config::{Settings, environment};
use crate::exposure::fingerprint::Keyring;
use crate::kafka::built;
use crate::lines::start::Stopped;
use crate::stop::exit;
use crate::telemetry;
use output::Output;

/// Runs the command line and says how to leave.
pub fn main() -> ExitCode {
    let version = args::version_text(&built::libraries());
    let args = match args::parse(std::env::args_os(), version) {
        Ok(args) => args,
        Err(error) => {
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return ExitCode::from(args::exit_code(&error));
        }
    };
    let output = Output::new(args.format);
    match dispatch(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => {
            output.error(&stopped.message);
            ExitCode::from(stopped.code)
        }
    }
}

fn dispatch(args: Args, output: &Output) -> Result<(), Stopped> {
    match &args.command {
        Command::Run(run) => run::run(&args, run),
        Command::Check(check) => check::run(&args, check, output),
        Command::Key(command) => key::run(&args, command, output),
        Command::Token(command) => token::run(&args, command, output),
        Command::DeadLetters(command) => dead_letters::run(&args, command, output),
        Command::Demo(demo) => demo::run(&args, demo, output),
        Command::Simulate(simulate) => simulate::run(&args, simulate, output),
        Command::Fingerprint(command) => fingerprint::run(&args, command, output),
        Command::Incident(command) => incident::run(&args, command, output),
        Command::Card(command) => card::run(&args, command, output),
        Command::Sweep(command) => sweep::run(&args, command, output),
        Command::Alerts(command) => alerts::run(&args, command, output),
        Command::Outcome(outcome) => outcome::run(&args, outcome, output),
        Command::Webhook(command) => webhook::run(&args, command, output),
        Command::Topics(topics) => topics::run(&args, topics, output),
        Command::Audit(command) => audit::run(&args, command, output),
        Command::SkipTo(skip) => skip::run(&args, skip, output),
        Command::Backtest(backtest) => backtest::run(&args, backtest, output),
        Command::Health(health) => health::run(&args, health, output),
        Command::Completions(completions) => {
            pages::completions(completions, output);
            Ok(())
        }
        Command::Man(man) => pages::manual(man, output),
    }
}

/// The settings of the command line's configuration file and the environment.
fn settings(args: &Args) -> Result<Settings, Stopped> {
    Settings::load(args.config.as_deref(), environment())
        .map_err(|problems| Stopped::new(exit::CONFIG, problems.to_string()))
}

/// For a command that handles card numbers: nothing of it may be left in a core dump or a panic's message.
/// It logs only when asked to.
fn guard(args: &Args, settings: &Settings) -> Result<(), Stopped> {
    if args.verbose > 0 {
        return run::start_process(settings, args.verbose);
    }
    telemetry::withhold_panic_messages();
    // Without a log there is nobody to tell; the command itself works all the same.
    let _ = telemetry::harden();
    Ok(())
}

/// The keys of the settings.
fn keyring(settings: &Settings) -> Result<Keyring, Stopped> {
    key_directory(settings).load().map_err(|error| key::stopped(&error))
}
