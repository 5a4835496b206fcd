//! Claims about rules.
