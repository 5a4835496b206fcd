//! Everything that speaks to Kafka.
//!
//! [`consumer`] and [`producer`] are the two halves of a worker; [`reader`] follows one topic without a
//! group (the exposure list, a history being restored); [`probe`] asks the cluster how things stand
//! without reading committed data only; [`topics`] knows what must exist.

pub mod client;
pub mod native;

pub mod consumer;
pub mod producer;

pub mod probe;
pub mod reader;
pub mod topics;
