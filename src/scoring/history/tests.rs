//! Claims about histories.
