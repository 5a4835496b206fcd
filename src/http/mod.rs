//! The service's HTTP side: metrics and health.
