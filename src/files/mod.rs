//! Everything that reads and writes files: lists, keys, transactions.
