//! Builds every room, starts the lines and owns the order of stopping.
