//! Everything that speaks to Kafka.
//!
//! [`consumer`] and [`producer`] are the two halves of a worker; [`reader`] follows one topic without a
//! group (the exposure list, a history being restored); [`probe`] asks the cluster how things stand
//! without reading committed data only; [`topics`] knows what must exist. [`feed`] writes transactions
//! as a user's own system would, and [`mock`] is a cluster inside this process: both serve the
//! demonstration and the simulator. [`built`] tells what the client library can do, [`token`] gives every client
//! what brokers ask for, [`rights`] asks what they let this user do.

pub mod built;
pub mod client;
pub mod fetch;
pub mod native;
mod refusal;
pub mod token;

pub mod consumer;
mod deadline;
pub mod group;
pub mod outcome;
pub mod producer;

pub mod probe;
pub mod reader;
pub mod rights;
pub mod stay;
pub mod topics;

pub mod feed;
pub mod mock;
