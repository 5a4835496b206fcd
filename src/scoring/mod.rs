//! Judging: a card's history, signals, rules, score.
//!
//! A [`history::History`] is what is remembered of one card. [`signals`] is the closed list of facts
//! that a sighting and the history give. [`rules`] are conditions ([`condition`]) over those facts
//! with a score and a text. Nothing here does I/O, reads a clock or knows Kafka.

pub mod amounts;
pub mod cardholder;
pub mod history;

pub mod signals;

pub mod facts;

pub mod condition;

pub mod rules;

#[cfg(test)]
pub(crate) mod fixtures;
