//! What a worker writes beside a committed offset: under which exposure list it read, and which topic.

use std::fmt;

use super::tally::Tally;
use crate::domain::time::Timestamp;

/// The metadata of a committed offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// The frontier under which the records below the offset were judged; -1 where there is none.
    pub frontier: Option<i64>,
    /// The id of the topic the offset belongs to.
    pub topic_id: Option<String>,
    /// The newest range that was lost, and who answers for going on without it.
    pub gap: Option<Gap>,
    /// What the histories of the partition were last gone over for.
    pub tended: Option<Tended>,
    /// Where and when the group began to read the partition; `None` where it began before that was noted.
    pub began: Option<Began>,
    /// What was worked off of the partition; `None` where it was not counted yet.
    pub tally: Option<Tally>,
}

/// A pass over the histories of a partition: none that was due then is there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tended {
    /// The frontier of the exposure list that it was made under.
    pub frontier: i64,
    /// The time that it was made for.
    pub at: Timestamp,
}

impl Tended {
    fn parse(text: &str) -> Option<Tended> {
        let (frontier, at) = text.split_once('@')?;
        Some(Tended { frontier: frontier.parse().ok()?, at: Timestamp(at.parse().ok()?) })
    }
}

/// The beginning of the watch on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// The first offset that was read.
    pub offset: i64,
    /// When it was.
    pub at: Timestamp,
}

impl Began {
    fn parse(text: &str) -> Option<Began> {
        let (offset, at) = text.split_once('@')?;
        Some(Began { offset: offset.parse().ok()?, at: at.parse().ok()? })
    }
}

/// A range of records that nobody will read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gap {
    /// The first offset that is lost.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// Who answers for it.
    pub by: String,
}

/// The longest name that is kept beside an offset, in characters: brokers bound the whole.
const BY_CHARS_MAX: usize = 100;

impl Gap {
    /// A range and a name, without what would break the text it is kept in.
    pub fn new(first: i64, last: i64, by: &str) -> Gap {
        let plain = |letter: &char| *letter != ';' && !letter.is_control();
        Gap { first, last, by: by.chars().filter(plain).take(BY_CHARS_MAX).collect() }
    }

    fn parse(text: &str) -> Option<Gap> {
        let (range, by) = text.split_once(" by ")?;
        let (first, last) = range.split_once('-')?;
        Some(Gap { first: first.parse().ok()?, last: last.parse().ok()?, by: by.to_owned() })
    }
}

impl Mark {
    /// Reads the text that [`Mark`]'s `Display` writes. Parts it does not know are passed over: a newer
    /// version may have written them.
    pub fn parse(text: &str) -> Mark {
        let mut mark = Mark::default();
        for part in text.split(';') {
            match part.split_once('=') {
                Some(("frontier", value)) => mark.frontier = value.parse().ok(),
                Some(("topic", value)) => mark.topic_id = Some(value.to_owned()),
                Some(("gap", value)) => mark.gap = Gap::parse(value),
                Some(("tended", value)) => mark.tended = Tended::parse(value),
                Some(("began", value)) => mark.began = Began::parse(value),
                Some(("tally", value)) => mark.tally = Tally::parse(value),
                _ => {}
            }
        }
        mark
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v1")?;
        if let Some(frontier) = self.frontier {
            write!(f, ";frontier={frontier}")?;
        }
        if let Some(topic_id) = &self.topic_id {
            write!(f, ";topic={topic_id}")?;
        }
        if let Some(Gap { first, last, by }) = &self.gap {
            write!(f, ";gap={first}-{last} by {by}")?;
        }
        if let Some(Tended { frontier, at }) = self.tended {
            write!(f, ";tended={frontier}@{}", at.millis())?;
        }
        if let Some(Began { offset, at }) = &self.began {
            write!(f, ";began={offset}@{at}")?;
        }
        if let Some(tally) = self.tally {
            write!(f, ";tally={tally}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_survives_its_text(frontier in proptest::option::of(any::<i64>()), topic_id in proptest::option::of("[A-Za-z0-9_-]{22}"), gap in proptest::option::of((0i64.., 0i64.., ".{0,120}")), tended in proptest::option::of((-1i64.., 0i64..)), began in proptest::option::of((0i64.., 0..253_402_300_799_999_i64)), tally in proptest::option::of((0u64.., 0u64.., 0i64..))) {
            let gap = gap.map(|(first, last, by)| Gap::new(first, last, &by));
            let tended = tended.map(|(frontier, at)| Tended { frontier, at: Timestamp(at) });
            let began = began.map(|(offset, at)| Began { offset, at: Timestamp(at) });
            let tally = tally.map(|(read, made, newest)| Tally { read, made, newest: Timestamp(newest) });
            let mark = Mark { frontier, topic_id, gap, tended, began, tally };
            prop_assert_eq!(Mark::parse(&mark.to_string()), mark);
        }

        #[test]
        fn any_text_is_read_without_failing(text in ".{0,80}") {
            Mark::parse(&text);
        }
    }

    #[test]
    fn parts_of_a_newer_version_are_passed_over() {
        let mark = Mark::parse("v2;frontier=7;colour=blue;topic=x");
        assert_eq!(mark, Mark { frontier: Some(7), topic_id: Some("x".to_owned()), ..Mark::default() });
    }
}
