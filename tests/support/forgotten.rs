//! Which cards were forgotten, and from where on they begin anew: for the checker.

use std::collections::BTreeMap;

use super::check::{Run, Wire};

/// Whether a key of the histories' topic is a card's.
pub fn is_history(key: &[u8]) -> bool {
    !key.starts_with(b"checkpoint/") && !key.starts_with(b"names/")
}

/// From which sighting on a card that was forgotten begins anew: the checkpoint in the transaction of its last
/// tombstone, which is the next one in the partition.
pub fn forgotten<'a>(run: &'a Run, wire: &dyn Wire) -> BTreeMap<(i32, &'a [u8]), i64> {
    let mut forgotten = BTreeMap::new();
    let mut open: BTreeMap<i32, Vec<&[u8]>> = BTreeMap::new();
    for message in &run.history {
        let (partition, key) = (message.partition, message.key.as_deref().unwrap_or_default());
        match &message.value {
            None if is_history(key) => open.entry(partition).or_default().push(key),
            Some(value) if key.starts_with(b"checkpoint/") => {
                let Ok(checkpoint) = wire.checkpoint(value) else { continue };
                let keys = open.remove(&partition).unwrap_or_default();
                forgotten.extend(keys.into_iter().map(|key| ((partition, key), checkpoint.next)));
            }
            _ => {}
        }
    }
    forgotten
}
