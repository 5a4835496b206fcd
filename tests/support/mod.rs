//! What the integration tests stand on: a real Kafka broker, a client for looking at it from outside, the
//! program as a process, and the checker of a run.
//!
//! Included by each test binary that needs it (`mod support;`), which is why parts may be unused in one
//! of them.

#![allow(dead_code, unused_imports, reason = "a binary that includes the harness rarely needs all of it")]
#![allow(unreachable_pub, reason = "`pub` marks what the tests use; a test binary exports nothing")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test harness a panic is the report; clippy only knows functions marked #[test]"
)]

pub mod wait;

pub mod jars;
pub mod reaper;

pub mod balance;
pub mod check;
pub mod ledger;
pub mod load;
pub mod told;
pub mod wire;

pub mod acls;
pub mod broker;
pub mod chaos;
pub mod clock;
pub mod cluster;
pub mod deployment;
pub mod kafka;
pub mod observe;
pub mod ports;
pub mod program;
pub mod receiver;
pub mod records;
pub mod schema;
pub mod secured;
pub mod tool;

pub use broker::{Broker, BrokerOptions, Listener, own_broker, shared_kafka};
pub use cluster::{Cluster, shared_cluster};
pub use deployment::{Deployment, Revision};
pub use kafka::Kafka;
pub use program::Program;
pub use records::{Isolation, Message, Outgoing, Place, Producer, Reader};

/// A setting of the test run, from the environment.
#[allow(clippy::disallowed_methods, reason = "a test run is told by its environment, as cargo itself does")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
