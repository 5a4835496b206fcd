//! What is deployed with cardwatch: files that other programs read, held against those programs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
mod support;
use support::tool;

/// Libraries of other languages.
#[path = "../support/libraries.rs"]
#[allow(dead_code, reason = "others verify signatures with it")]
mod libraries;

/// Dockerfile, Compose, Helm chart, systemd unit.
mod packages;
