//! Configuration: every key, its default, its check.
