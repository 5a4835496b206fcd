//! What the main line withstands, on real brokers: processes killed at every named step and at random
//! moments, members that come and go, a broker that restarts, lists that change under load. And the other
//! way round: builds broken on purpose, each of which the same checker must catch.
//!
//! The tests take turns: each wants the machine's few cores for itself, and so do its deadlines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "timings are told to whoever runs this with --nocapture")]

#[path = "../support/mod.rs"]
mod support;

/// Broken builds, and that they are caught.
mod broken;

/// A broker that goes away and comes back.
mod restart;

/// Everything at once, for a minute and more.
mod storm;

/// How long it takes until another process has taken over from one that was killed.
mod takeover;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anything may take that takes seconds on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether to run what is not reliable yet on a lone broker: after a restart the group's offsets were at times
/// held back for minutes by a transaction that had ended. CHANGELOG.md lists it as open.
fn long_run() -> bool {
    support::environment("CARDWATCH_LONG").is_some()
}
