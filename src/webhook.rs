//! Posts to endpoints: one exchange at a time, to an address that was looked at, within one deadline.

pub mod address;
pub mod post;
pub mod resolve;
pub mod slot;
pub mod target;
pub mod tls;
pub mod url;

mod connect;
