//! The parts of the test harness that need no broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

/// The judge of what endpoints were told: each violation on a planted run, none on a sound one.
mod balance;

/// The checker of a run: each violation on a planted run, none on a sound one.
mod check;

/// The load and the schedule of kills: the same from the same seed.
mod load;

/// Running the program as a process.
mod program;

/// The program's own forms, and judging in one piece.
mod wire;
