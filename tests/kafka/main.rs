//! Tests against a real Kafka broker. One binary and one shared broker: a JVM start is the dear part.
//!
//! Every test here needs the broker; on a machine that cannot run one they return after one plain line.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
mod support;

/// The harness itself: what all other tests here take for granted.
mod harness;

/// A deployment to run commands against.
mod deployment;

/// The same with endpoints to tell.
mod hooks;

/// What of a page is prose, and what is code; the words in between are for other tests.
#[allow(dead_code, reason = "pages are held against the program elsewhere")]
#[path = "../pages/blocks.rs"]
mod blocks;

mod audit;
mod books;
mod commands;
mod consumers;
mod dead_letters;
mod desk;
mod erasure;
mod first_light;
mod heartbeats;
mod houses;
mod import;
mod memory;
mod moving;
mod page;
mod quarter;
mod rights;
mod rotation;
mod secured;
mod service;
mod starts;
mod sweeping;
mod tutorial;
mod webhooks;
mod webhooks_api;
