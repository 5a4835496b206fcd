//! Posting over real sockets, to receivers that behave and to those that do not.
//!
//! Tests of time run under a paused clock, which moves on by itself whenever everybody waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/receiver.rs"]
#[allow(dead_code, reason = "the fault tests use the rest")]
mod receiver;

/// What the tests stand on: targets, resolvers, slots.
mod stage;

/// Every way to answer, and not to.
mod answers;
/// Who may be reached.
mod guard;
/// Through a proxy.
mod proxy;
/// Certificates of both sides.
mod tls;

/// How many posts a second, told and not judged.
mod speed;
