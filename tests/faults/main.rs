//! What the main line withstands, on real brokers: processes killed at every named step and at random
//! moments, members that come and go, a broker that restarts, lists that change under load. And the other
//! way round: builds broken on purpose, each of which the same checker must catch.
//!
//! Tests under load take turns: each wants the machine's few cores for itself, and so do its deadlines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "timings are told to whoever runs this with --nocapture")]

#[path = "../support/mod.rs"]
mod support;

/// What people decide, and that each decision makes one revision.
mod books;

/// Broken builds, and that they are caught.
mod broken;

/// Cards that are deleted, and that the books keep their counts.
mod departed;
/// Removing cards for good, stopped half-way and broken.
mod erasure;

/// Brokers that go away and come back.
mod restart;

/// A cluster that comes back as it was earlier.
mod restored;

/// Processes that are replaced one by one.
mod rolling;

/// Everything at once, for a minute and more.
mod storm;

/// How long it takes until another process has taken over from one that was killed.
mod takeover;

/// A load that goes on whatever happens, somebody who reads along, and the judgement of all of it.
mod under_load;

/// Endpoints that hang, drip and refuse, processes that are killed, a clock that runs, and that the counts balance.
mod webhooks;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How long anything may take that takes seconds on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

static TURN: RwLock<()> = RwLock::new(());

/// For a test that wants machine and brokers for itself.
fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that mostly waits: others like it may run at the same time.
fn beside_others() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}
