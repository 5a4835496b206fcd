//! Where the partitions of a line stand: written by its workers, read by those who look on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::time::Timestamp;

/// Where the partitions of one line stand: written by its workers after each commit.
#[derive(Debug, Clone, Default)]
pub struct Standings {
    places: Arc<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    owned: BTreeMap<i32, Place>,
    /// Given up since somebody asked for them last.
    left: BTreeMap<i32, Place>,
}

/// Where one partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The next offset to read: everything below is committed.
    pub next: i64,
    /// The timestamp of the newest record worked off.
    pub newest: Timestamp,
    /// Whether Kafka has this offset as committed; not so where a partition was just begun.
    pub committed: bool,
}

impl Standings {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition was taken up.
    pub fn taken_up(&self, partition: i32, next: i64, committed: bool) {
        let mut places = self.places();
        places.left.remove(&partition);
        places.owned.insert(partition, Place { next, newest: Timestamp::default(), committed });
    }

    /// Offsets of a partition were committed.
    pub fn committed(&self, partition: i32, next: i64, newest: Option<Timestamp>) {
        let mut places = self.places();
        let known = places.owned.get(&partition).map_or_else(Timestamp::default, |place| place.newest);
        let place = Place { next, newest: newest.unwrap_or(known), committed: true };
        places.owned.insert(partition, place);
    }

    /// A partition was given up.
    pub fn remove(&self, partition: i32) {
        let mut places = self.places();
        if let Some(place) = places.owned.remove(&partition) {
            places.left.insert(partition, place);
        }
    }

    /// Where everything stands now.
    pub fn all(&self) -> BTreeMap<i32, Place> {
        self.places().owned.clone()
    }

    /// Where partitions stood that were given up since the last call and are not owned again.
    pub fn take_left(&self) -> BTreeMap<i32, Place> {
        std::mem::take(&mut self.places().left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_told_once_and_not_where_it_came_back() {
        let standings = Standings::default();
        standings.taken_up(0, 5, false);
        standings.taken_up(1, 7, true);
        standings.committed(0, 9, Some(Timestamp(3)));
        standings.committed(0, 10, None);
        (0..2).for_each(|partition| standings.remove(partition));
        standings.taken_up(1, 7, true);
        let place = Place { next: 10, newest: Timestamp(3), committed: true };
        assert_eq!(standings.take_left(), BTreeMap::from([(0, place)]));
        assert!(standings.take_left().is_empty());
        assert_eq!(standings.all().keys().copied().collect::<Vec<_>>(), [1]);
    }
}
