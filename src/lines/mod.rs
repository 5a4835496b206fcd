//! The lines join the core to the edges: refresh, sight, score.
