//! The `cardwatch` binary.

fn main() {}
