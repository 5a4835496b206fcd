//! The core of `sight`: a transaction and the set make a sighting.
