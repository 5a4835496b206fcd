//! What a person reads on a terminal: tables, progress, summaries.
