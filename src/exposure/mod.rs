//! The exposed list: fingerprints and keys, list records, revisions, the set in memory.
