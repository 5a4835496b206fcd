//! Bytes to meaning and back: JSON in, the mapping, wire forms out, dead letters.
