//! What is deployed with cardwatch: files that other programs read, held against those programs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
mod support;
use support::{environment, tool};

/// Libraries of other languages.
#[path = "../support/libraries.rs"]
#[allow(dead_code, reason = "others verify signatures with it")]
mod libraries;

/// A deployment to run commands against.
#[path = "../kafka/deployment.rs"]
#[allow(dead_code, reason = "the tests of Kafka use the rest")]
mod deployment;

/// The dashboards as they are read from their files.
mod boards;

/// Alerts, rules and runbooks.
mod alerting;
/// Dashboards, by the documented rules of Grafana's linter.
mod lint;
/// Dockerfile, Compose, Helm chart, systemd unit.
mod packages;
/// Every query, against a Prometheus that scrapes.
mod queries;
/// Dashboards against their sources and against Grafana's types.
mod sources;
