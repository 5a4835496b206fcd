//! The cards of one key: an immutable base and an overlay of what changed since it was built.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::References;
use crate::exposure::set::membership::NOWHERE;

/// An overlay smaller than this is never folded: copying the base would cost more than the second probe.
/// Tests fold all the time.
const FOLD_CARDS_MIN: usize = if cfg!(test) { 3 } else { 8_192 };
/// An overlay is folded when it has reached this share of the base, so that folding costs each card a bounded
/// number of copies however the list grows.
const FOLD_SHARE: usize = 4;

/// Takes the first eight bytes of a fingerprint for its hash.
///
/// A fingerprint is the output of HMAC-SHA-256 under a key that attackers do not have, so its bytes are
/// already evenly spread and nobody can choose cards that collide. Whoever has the key and writes to the
/// list needs no slow table to do harm.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PrefixHasher(u64);

impl Hasher for PrefixHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    /// Arrays announce their length first; it is the same for every fingerprint.
    #[inline]
    fn write_usize(&mut self, _length: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

type ByPrefix = BuildHasherDefault<PrefixHasher>;
pub(super) type Base = HashMap<Fingerprint, u32, ByPrefix>;

/// What is known of a card beyond its membership. Few cards have any of it, and only a hit asks.
#[derive(Debug, Clone)]
pub(super) struct Extra {
    pub(super) incident: u32,
    pub(super) expiry: Option<ExpiryDate>,
    pub(super) references: References,
}

pub(super) type Extras = DashMap<Fingerprint, Vec<Extra>, ByPrefix>;

/// The cards listed under one key, by membership id.
#[derive(Debug)]
pub(super) struct KeyTable {
    pub(super) id: KeyId,
    base: Base,
    /// Changed while views look at it: what it holds for a card overrides the base, [`NOWHERE`] included.
    overlay: DashMap<Fingerprint, u32, ByPrefix>,
    /// The overlay's size. Asking the map itself would lock every shard.
    overlaid: AtomicUsize,
    pub(super) extras: Arc<Extras>,
}

impl KeyTable {
    pub(super) fn new(id: KeyId, base: Base, extras: Arc<Extras>) -> KeyTable {
        KeyTable { id, base, overlay: DashMap::default(), overlaid: AtomicUsize::new(0), extras }
    }

    /// The card's membership. A miss is one probe of the base, and one of the overlay unless that is empty.
    #[inline]
    pub(super) fn get(&self, card: &Fingerprint) -> Option<u32> {
        if self.overlaid.load(Ordering::Acquire) > 0
            && let Some(membership) = self.overlay.get(card)
        {
            return (*membership != NOWHERE).then_some(*membership);
        }
        self.base.get(card).copied()
    }

    pub(super) fn set(&self, card: Fingerprint, membership: u32) {
        if self.overlay.insert(card, membership).is_none() {
            self.overlaid.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn is_due_to_fold(&self) -> bool {
        self.overlaid.load(Ordering::Acquire) >= FOLD_CARDS_MIN.max(self.base.len() / FOLD_SHARE)
    }

    /// A table with the overlay in its base. This one stays as it is, for the views that hold it.
    pub(super) fn folded(&self) -> KeyTable {
        let mut base = Base::with_capacity_and_hasher(
            self.base.len() + self.overlaid.load(Ordering::Acquire),
            ByPrefix::default(),
        );
        base.extend(&self.base);
        for entry in &self.overlay {
            match *entry.value() {
                NOWHERE => drop(base.remove(entry.key())),
                membership => drop(base.insert(*entry.key(), membership)),
            }
        }
        KeyTable::new(self.id.clone(), base, Arc::clone(&self.extras))
    }

    /// An estimate of what the table holds in memory, in bytes.
    pub(super) fn memory_bytes(&self) -> u64 {
        // Both maps keep one control byte for each bucket and fill at most seven of eight buckets.
        let bucket_bytes = size_of::<(Fingerprint, u32)>() + 1;
        let cards = self.base.capacity() + self.overlaid.load(Ordering::Acquire) * 2;
        // References dominate what an extra costs; 100 bytes stand for their texts and tree.
        let extras = self.extras.len() * (size_of::<(Fingerprint, Vec<Extra>)>() + size_of::<Extra>() + 100);
        (cards * 8 / 7 * bucket_bytes + extras) as u64
    }
}
