//! The words everyone says: card, money, time, transaction, incident, position, sighting, alert, outcome,
//! delivery, audit record, the beginning of a group.
//!
//! Nothing here does I/O or reads a clock. Types that leave the process derive `serde` and *are* the
//! contract of their JSON form; [`card::CardNumber`] deliberately cannot be serialised or printed.

pub mod audit;
pub mod begun;
pub mod card;
pub mod country;
pub mod expiry;
pub mod money;
pub mod time;
pub mod time_form;
pub mod vocabulary;

pub mod incident;
pub mod position;
pub mod transaction;

pub mod alert;
pub mod delivery;
pub mod desk;
pub mod outcome;
pub mod reconcile;
pub mod sighting;
