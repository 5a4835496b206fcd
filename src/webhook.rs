//! Posts to endpoints: one exchange at a time, to an address that was looked at, within one deadline.

pub mod address;
