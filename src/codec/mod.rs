//! Bytes to meaning and back: the user's records in, cardwatch's own records out.
//!
//! A record of the input goes [`mapping::Mapping::scan`] → the card field ([`card`]) → on a hit
//! [`mapping::Mapping::decode`] ([`transaction`]). A record whose card field does not read becomes a
//! [`dead_letter`]. What cardwatch itself writes is in [`wire`].

pub mod dead;

pub mod codes;
pub mod field;
pub mod mapping;
pub mod pointer;

mod json;

pub mod card;
pub mod transaction;
mod withhold;

pub mod sample;
pub mod suggest;

pub mod cloudevents;
pub mod dead_letter;
pub mod outcome;
pub mod seal;
pub mod wire;

#[cfg(test)]
pub(crate) mod generate;
