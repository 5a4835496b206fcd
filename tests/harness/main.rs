//! The parts of the test harness that need no broker.

#[path = "../support/mod.rs"]
mod support;

/// Running the program as a process.
mod program;
