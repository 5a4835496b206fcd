//! A simulated world of cards, merchants, subscriptions, thieves and a breach, with its truth.
//!
//! Everything is a function of [`WorldSpec`]: the same spec gives the same bytes (floating-point
//! functions of the platform's mathematics library aside). No real card, person or merchant is in it.
//!
//! - A **cardholder** has a home country with its hours, a spending rate, favourite merchants, amounts
//!   (log-normal by category), subscriptions, now and then a trip, a gift, a mistyped security code, a
//!   handful of small fares within minutes: the things that look odd and are not.
//! - The **breach** is at one web shop. Its order book says when each card was entered there; the first
//!   notice names a wrong period and so a wrong list, the revision corrects both, as in the
//!   Morinaga Milk incident of 2018 (23,000 cards at first, 29,773 in the end).
//! - **Thieves** test cards with small amounts, then buy goods that can be sold on, in web shops, without
//!   the security code: it was not in the shop's order book.
//!
//! Transactions are JSON in the shape that the default mapping reads; [`event`] has the fields.

pub mod event;
pub mod spec;
pub mod world;

pub mod breach;
pub mod load;
pub mod number;

mod catalogue;
mod customer;
mod holder;
mod merchant;
mod thief;

pub use breach::{Change, INCIDENT, ListedCard, Notice};
pub use event::{Event, Scheme, Truth};
pub use load::{Load, LoadSpec};
pub use number::NumberText;
pub use spec::{DayRange, Pace, SpecError, WorldSpec};
pub use world::{Events, MisuseRecord, World};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for; part of its seed, so that streams never overlap.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Purpose {
    Merchants = 1,
    Holder,
    Day,
    Breach,
    Shop,
    Victims,
    Thief,
    Load,
}

/// The stream of random numbers for one purpose and up to two indices.
fn random(seed: u64, purpose: Purpose, first: u64, second: u64) -> ChaCha8Rng {
    let mut bytes = [0u8; 32];
    let words = [seed, purpose as u64, first, second];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

#[cfg(test)]
mod tests;
