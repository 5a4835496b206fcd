//! What an endpoint is to be told, and when: which alerts it wants, in which words, under which signature, and what is
//! still owed to it. No I/O: the ledger's state is proposed here and holds once it is committed.

pub mod body;
pub mod control;
pub mod filter;
pub mod ledger;
pub mod record;
pub mod samples;
pub mod schedule;
pub mod sign;
pub mod standing;
