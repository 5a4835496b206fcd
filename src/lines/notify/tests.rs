//! The line as a whole without Kafka, under a virtual clock: nobody waits for anybody, and nothing grows.

mod endpoints;
mod isolation;
mod outage;
mod owed;
mod town;
