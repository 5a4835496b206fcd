//! The process as others see it: its logs, its last words, its memory.

mod process;

use std::io::{self, Write as _};
use std::panic::PanicHookInfo;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{LogFormat, LogLevel};
use crate::fault;

pub use process::measure_process;

/// Starts the logs, on standard error. `verbose` is the number of `-v`: each raises the level by one.
///
/// Libraries log from `warn` only, but at the level `trace`: what they say about their own insides is
/// noise to everybody else.
///
/// # Errors
/// When they were started before.
pub fn start_logs(format: LogFormat, level: LogLevel, verbose: u8) -> Result<(), TryInitError> {
    let level = filter(level, verbose);
    let libraries = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    let targets = Targets::new().with_default(libraries).with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The filter stands before the layer, not on it: a filter of one layer keeps what it said of the last event
    // in the thread, and a line of a library that logs through `log` would make it swallow one of ours.
    tracing_subscriber::registry().with(targets).with(lines).try_init()
}

fn filter(level: LogLevel, verbose: u8) -> LevelFilter {
    const LEVELS: [LevelFilter; 5] =
        [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];
    let at = match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
        LogLevel::Trace => 4,
    };
    LEVELS[(at + usize::from(verbose)).min(LEVELS.len() - 1)]
}

/// Makes a panic say where it happened and nothing else: its message may hold data.
pub fn withhold_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = place(panic);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        // Function names and lines, no values; empty unless RUST_BACKTRACE asks for it.
        let backtrace = std::backtrace::Backtrace::capture();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(%place, thread, %backtrace, "a fault of cardwatch itself; its message is withheld");
        } else {
            // Nobody could be told if standard error is closed as well.
            let _ = writeln!(
                io::stderr(),
                "a fault of cardwatch itself at {place} in thread {thread}; its message is withheld\n{backtrace}"
            );
        }
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

/// Keeps card numbers and keys in this process's memory out of core dumps, and the memory out of reach
/// of other processes of the same user (ptrace, `/proc/PID/mem`).
///
/// # Errors
/// When the kernel refuses. The caller decides whether to go on.
pub fn harden() -> io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    if fault::broken("memory-is-private") {
        return Ok(());
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const SECRET: &str = "4242424242424242";

    /// Runs `inner` in a process of its own, because what it does to the process stays: starts the test
    /// binary again with the test `name` alone, which comes back here and runs it. `None` there, what was
    /// written to standard output and standard error here.
    fn apart(name: &str, inner: fn()) -> Option<(String, String)> {
        const APART: &str = "TELEMETRY_TEST_APART";
        if crate::config::environment().any(|(variable, _)| variable == APART) {
            inner();
            return None;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &format!("telemetry::tests::{name}")])
            .env(APART, "1")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(stdout.contains("test result: ok. 1 passed"), "{stdout}{stderr}");
        Some((stdout, stderr))
    }

    fn panic_with_a_secret() {
        let panicked = std::thread::Builder::new()
            .name("sight-0".to_owned())
            .spawn(|| {
                let values: Vec<u8> = SECRET.bytes().collect();
                let _: u32 = Err(values).map_err(|bad| String::from_utf8(bad).unwrap()).unwrap();
            })
            .unwrap()
            .join();
        assert!(panicked.is_err());
    }

    fn keeps_its_message(stdout: &str, stderr: &str) {
        assert!(stderr.contains("src/telemetry.rs:"), "{stderr}");
        assert!(stderr.contains("sight-0") && stderr.contains("its message is withheld"), "{stderr}");
        assert!(!stderr.contains(SECRET) && !stdout.contains(SECRET), "{stderr}{stdout}");
    }

    #[test]
    fn json_logs_are_one_object_a_line_on_standard_error() {
        let apart = apart("json_logs_are_one_object_a_line_on_standard_error", || {
            withhold_panic_messages();
            start_logs(LogFormat::Json, LogLevel::Info, 0).unwrap();
            assert!(start_logs(LogFormat::Json, LogLevel::Info, 0).is_err());
            tracing::info!(partition = 3, "assigned");
            tracing::debug!("not at this level");
            tracing::info!(target: "hyper::proto", "insides of a library");
            panic_with_a_secret();
        });
        let Some((stdout, stderr)) = apart else { return };
        let lines: Vec<serde_json::Value> =
            stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert_eq!((&lines[0]["message"], &lines[0]["partition"]), (&"assigned".into(), &3.into()));
        assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"INFO".into(), &"ERROR".into()));
        keeps_its_message(&stdout, &stderr);
    }

    #[test]
    fn a_panic_before_the_logs_start_keeps_its_message_too() {
        let apart = apart("a_panic_before_the_logs_start_keeps_its_message_too", || {
            withhold_panic_messages();
            panic_with_a_secret();
        });
        let Some((stdout, stderr)) = apart else { return };
        keeps_its_message(&stdout, &stderr);
    }

    #[test]
    fn a_hardened_process_leaves_no_core() {
        apart("a_hardened_process_leaves_no_core", || {
            harden().unwrap();
            let core = rustix::process::getrlimit(Resource::Core);
            assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
            assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        });
    }

    #[test]
    fn verbosity_raises_the_level() {
        assert_eq!(filter(LogLevel::Info, 0), LevelFilter::INFO);
        assert_eq!(filter(LogLevel::Warn, 1), LevelFilter::INFO);
        assert_eq!(filter(LogLevel::Info, 9), LevelFilter::TRACE);
    }
}
