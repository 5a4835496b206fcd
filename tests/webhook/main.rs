//! Posting over real sockets, to receivers that behave and to those that do not.
//!
//! Tests of time run under a paused clock, which moves on by itself whenever everybody waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/receiver.rs"]
#[allow(dead_code, reason = "the fault tests use the rest")]
mod receiver;

/// Verifiers of others.
#[path = "../support/libraries.rs"]
mod libraries;
#[path = "../support/tool.rs"]
mod tool;

/// A setting of the test run, from the environment.
#[allow(clippy::disallowed_methods, reason = "a test run is told by its environment, as cargo itself does")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What the tests stand on: targets, resolvers, slots.
mod stage;

/// Every way to answer, and not to.
mod answers;
/// Builds that are broken on purpose.
mod broken;
/// Who may be reached.
mod guard;
/// Signatures, verified by others.
mod interop;
/// Through a proxy.
mod proxy;
/// Certificates of both sides.
mod tls;

/// How many posts a second, told and not judged.
mod speed;
