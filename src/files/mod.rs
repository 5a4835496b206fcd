//! Everything that reads and writes files: lists, keys, transactions.
//!
//! What decompressors and the operating system buffer on the way is theirs; every buffer of ours that held card
//! numbers is wiped when it is dropped.

pub mod audit;
pub mod bounded;
pub mod identity;
pub mod input;
pub mod keys;
pub mod list;
pub mod private;
pub mod tokens;
pub mod transactions;
pub mod unwrap;
