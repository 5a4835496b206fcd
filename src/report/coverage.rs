//! How much of the stream of transactions is watched.

use crate::domain::audit::LostRange;
use crate::domain::time::Timestamp;

/// The watch on one topic, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The moment.
    pub as_of: Timestamp,
    /// The topic of transactions.
    pub topic: String,
    /// Its partitions.
    pub watched: Vec<Watched>,
    /// What was lost or skipped, in order of time.
    pub lost: Vec<Lost>,
    /// Sightings that wait to be judged.
    pub unjudged: u64,
}

/// The watch on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The partition.
    pub partition: i32,
    /// Since when it is read; `None` where that was not noted.
    pub began: Option<Timestamp>,
    /// Whether anything of it was read.
    pub is_read: bool,
    /// Records that wait to be read.
    pub unread: i64,
    /// When the oldest of them was written.
    pub oldest_unread: Option<Timestamp>,
}

/// Records that nobody will read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Which.
    pub range: LostRange,
    /// When it was decided to go on without them.
    pub at: Timestamp,
    /// Who answers for it.
    pub by: String,
    /// Whether they were there and were skipped.
    pub skipped: bool,
}

impl Coverage {
    /// Since when the topic is watched as a whole: the latest beginning of a partition that is read, where every
    /// one was noted.
    pub fn since(&self) -> Option<Timestamp> {
        let read = self.watched.iter().filter(|watched| watched.is_read);
        let began: Option<Vec<Timestamp>> = read.map(|watched| watched.began).collect();
        began?.into_iter().max()
    }

    /// Records that wait to be read.
    pub fn unread(&self) -> u64 {
        self.watched.iter().map(|watched| watched.unread.unsigned_abs()).sum()
    }

    /// When the oldest record that waits was written.
    pub fn oldest_unread(&self) -> Option<Timestamp> {
        self.watched.iter().filter_map(|watched| watched.oldest_unread).min()
    }
}
