//! The lines join the core to the edges: refresh, sight, score, and what people decide.
//!
//! A transaction's way: [`sight`] recognises it under the set that [`refresh`] keeps current and writes a
//! sighting; [`score`] judges the sighting with the card's history and writes alert and history. What somebody
//! decides about the alert, at the [`desk`] or elsewhere, [`decisions`] makes a revision of it. All three run on the same
//! loop, [`pump`].

pub mod refresh;
pub mod sight;

pub mod score;

pub mod decisions;
pub mod desk;

pub mod pump;

pub mod access;

mod aborts;
pub mod audit;
pub mod beginnings;
pub mod bookkeeper;
pub mod books;
pub mod control;
pub mod dead;
pub mod feed;
pub mod import;
pub mod letters;
pub mod lookout;
pub mod mark;
mod names;
pub mod notify;
mod patience;
pub mod pulse;
mod read;
pub mod restore;
pub mod sample;
pub mod skip;
pub mod snapshot;
pub mod standings;
pub mod start;
pub mod sweep;
pub mod tally;
