//! The exposed list: fingerprints and keys, list records, revisions, the set in memory.
//!
//! `record` is what stands on the topic, `revision` how an incident's log may change, `retention` when records are
//! removed, `plan` what an import writes, `set` what a worker looks a card up in.

pub mod derived;
pub mod fingerprint;
pub mod record;
pub mod retention;
pub mod revision;

pub mod plan;
pub mod set;

#[cfg(test)]
mod model;
