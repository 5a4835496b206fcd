//! cardwatch watches transactions on cards that are known to have leaked.
//!
//! # Layout
//!
//! Rows from top to bottom; a file imports only from rows above its own. ARCHITECTURE.md has the flow,
//! `tests/house.rs` enforces the rows.

// Words: what everyone says.
pub mod backoff;
pub mod clock;
pub mod domain;
pub mod fault;
pub mod health;
pub mod metrics;
pub mod secret;
pub mod stop;

// Pure rooms: no I/O, no clock, no logging.
pub mod codec;
pub mod exposure;
pub mod scoring;
pub mod simulation;

// The core.
pub mod books;
pub mod judge;
pub mod notice;
pub mod watch;

// Edges: everything that touches the world.
pub mod files;
pub mod http;
pub mod kafka;
pub mod report;
pub mod webhook;

// Lines: the core joined to the edges.
pub mod lines;

// The house: builds and starts everything.
pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
