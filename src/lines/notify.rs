//! Tells endpoints of alerts, at least once.

pub mod endpoint;
