//! Named stops and deliberately broken variants, for the fault tests.
//!
//! Without the cargo feature `faults` (release builds) both functions are empty and vanish. With it,
//! the environment variable `CARDWATCH_FAULTS` names what to do, separated by `;`:
//!
//! - `stop:NAME@N` ends the process at once, as `kill -9` would, when the point NAME is passed the
//!   N-th time (default 1);
//! - `abort:LINE@N` turns the N-th commit of LINE into an abort, with everything already sent;
//! - `session:MS` shortens the group's session time-out, so that a test need not wait ten seconds for
//!   each process it kills;
//! - `clock:FILE` moves the wall clock forward by the milliseconds that stand in FILE, whenever that is written anew;
//!   [`crate::clock`] says what follows it;
//! - `break:NAME` switches the broken variant NAME on.

/// The points a fault test may stop at.
pub const POINTS: [&str; 6] =
    ["after-produce", "after-send-offsets", "after-end-txn", "after-commit", "in-revoke", "in-restore"];

/// The points of a sweep that a fault test may stop at: between its transactions, and within the one that removes.
pub const SWEEP_POINTS: [&str; 4] = ["after-close", "in-part", "after-part", "before-late"];

/// The broken variants that tests must catch: those of `tests/faults` and `tests/kafka`, and of this file and
/// `tests/webhook` where no process is needed.
pub const BROKEN: [&str; 30] = [
    "offsets-outside-transaction",
    "merge-before-commit",
    "restore-to-stable-offset",
    "group-metadata-cached",
    "frontier-not-awaited",
    "revision-visible-in-part",
    "alerts-not-awaited",
    "outcome-not-compared",
    "revision-outside-transaction",
    "begun-not-remembered",
    "act-before-its-record",
    "other-key-check-skipped",
    "published-key-accepted",
    "second-key-not-looked-up",
    "keyed-by-another-key",
    "sealed-in-the-clear",
    "digest-under-the-raw-key",
    "departed-not-kept",
    "record-before-history",
    "hold-ignored",
    "late-outcome-kept",
    "other-names-ignored",
    "request-before-ledger",
    "offsets-before-ledger",
    "batch-formed-anew",
    "pace-of-all-endpoints",
    "begins-proposed-once",
    "late-failure-waits",
    "address-looked-up-again",
    "kept-after-its-end",
];

#[cfg(feature = "faults")]
mod enabled {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    const VARIABLE: &str = "CARDWATCH_FAULTS";
    /// How long what the file of a moved clock said holds before it is read again, in milliseconds.
    const MOVED_FOR_MS: i64 = 50;

    /// A clock that can be moved.
    struct Moved {
        file: PathBuf,
        read_at_ms: AtomicI64,
        ahead_ms: AtomicI64,
    }

    #[derive(Default)]
    struct Plan {
        stops: HashMap<String, (u64, AtomicU64)>,
        aborts: HashMap<String, (u64, AtomicU64)>,
        session_ms: Option<u64>,
        moved: Option<Moved>,
        broken: Vec<String>,
    }

    #[allow(clippy::disallowed_methods, reason = "faults are no setting: they exist in test builds alone")]
    fn plan() -> &'static Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        PLAN.get_or_init(|| {
            let mut plan = Plan::default();
            let text = std::env::var(VARIABLE).unwrap_or_default();
            for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
                match entry.split_once(':') {
                    Some((kind @ ("stop" | "abort"), point)) => {
                        let (name, pass) = point.split_once('@').unwrap_or((point, "1"));
                        let counted = (pass.parse().unwrap_or(1), AtomicU64::new(0));
                        let planned = if kind == "stop" { &mut plan.stops } else { &mut plan.aborts };
                        planned.insert(name.to_owned(), counted);
                    }
                    Some(("session", ms)) => plan.session_ms = ms.parse().ok(),
                    Some(("clock", file)) => {
                        let (read_at_ms, ahead_ms) = (AtomicI64::new(i64::MIN), AtomicI64::new(0));
                        plan.moved = Some(Moved { file: file.into(), read_at_ms, ahead_ms });
                    }
                    Some(("break", name)) => plan.broken.push(name.to_owned()),
                    _ => {}
                }
            }
            plan
        })
    }

    /// Ends the process here if the plan says so. `line` is `sight`, `score`, `books` or `sweep`.
    pub fn point(line: &str, name: &str) {
        if plan().stops.is_empty() {
            return;
        }
        if let Some((pass, passed)) = plan().stops.get(&format!("{line}/{name}"))
            && passed.fetch_add(1, Ordering::SeqCst) + 1 == *pass
        {
            tracing::warn!(line, point = name, "stopping here, as the fault plan says");
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort();
        }
    }

    /// Whether this commit of `line` must end in an abort.
    pub fn aborts(line: &str) -> bool {
        let planned = plan().aborts.get(line);
        planned.is_some_and(|(pass, passed)| passed.fetch_add(1, Ordering::SeqCst) + 1 == *pass)
    }

    /// The session time-out in place of the usual one, in milliseconds.
    pub fn session_ms() -> Option<u64> {
        plan().session_ms
    }

    /// What the moved clock says when the machine's says `machine_ms`.
    pub fn moved(machine_ms: i64) -> i64 {
        let Some(moved) = &plan().moved else { return machine_ms };
        let read_at = moved.read_at_ms.load(Ordering::Relaxed);
        if machine_ms.abs_diff(read_at) >= MOVED_FOR_MS.unsigned_abs() {
            moved.read_at_ms.store(machine_ms, Ordering::Relaxed);
            // Whoever moves it replaces the file; until there is one, nothing has moved.
            let text = std::fs::read_to_string(&moved.file).unwrap_or_default();
            if let Ok(ahead) = text.trim().parse() {
                moved.ahead_ms.store(ahead, Ordering::Relaxed);
            }
        }
        machine_ms.saturating_add(moved.ahead_ms.load(Ordering::Relaxed))
    }

    /// Whether a stop at this point is planned at all, so that the way to it may be prepared.
    pub fn is_planned(line: &str, name: &str) -> bool {
        plan().stops.contains_key(&format!("{line}/{name}"))
    }

    /// Whether this is the name of the environment variable with the plan, which is no setting.
    pub fn is_variable(name: &str) -> bool {
        name == VARIABLE
    }

    /// What a test of this same binary prints when it is run again under the faults of `plan`.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn run_again(test: &str, plan: &str) -> std::io::Result<String> {
        let mut again = Command::new(std::env::current_exe()?);
        again.args(["--exact", test, "--test-threads=1"]).env(VARIABLE, plan);
        // What a broken build fails with is no case to remember.
        let ended = again.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1").output()?;
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    }

    /// Whether the broken variant `name` is switched on.
    pub fn broken(name: &str) -> bool {
        plan().broken.iter().any(|broken| broken == name)
    }
}

#[cfg(feature = "faults")]
pub use enabled::{aborts, broken, is_planned, is_variable, moved, point, run_again, session_ms};

/// Does nothing: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_line: &str, _name: &str) {}

/// False: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn aborts(_line: &str) -> bool {
    false
}

/// Nothing: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn session_ms() -> Option<u64> {
    None
}

/// The machine's clock: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn moved(machine_ms: i64) -> i64 {
    machine_ms
}

/// False: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn broken(_name: &str) -> bool {
    false
}

/// False: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn is_planned(_line: &str, _name: &str) -> bool {
    false
}

/// False: this build has no faults, and a variable for them is a mistake like any other.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn is_variable(_name: &str) -> bool {
    false
}

#[cfg(test)]
mod tests;
