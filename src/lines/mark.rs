//! What a worker writes beside a committed offset: under which exposure list it read, and which topic.

use std::fmt;

/// The metadata of a committed offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// The frontier under which the records below the offset were judged; -1 where there is none.
    pub frontier: Option<i64>,
    /// The id of the topic the offset belongs to.
    pub topic_id: Option<String>,
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_survives_its_text(frontier in proptest::option::of(any::<i64>()), topic_id in proptest::option::of("[A-Za-z0-9_-]{22}")) {
            let mark = Mark { frontier, topic_id };
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
        assert_eq!(mark, Mark { frontier: Some(7), topic_id: Some("x".to_owned()) });
    }
}
