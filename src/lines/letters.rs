//! Reads the topic of dead letters for a person: as far as it is committed, once, without a group.

use std::sync::Arc;

use super::read::Source;
use super::start::Stopped;
use crate::clock::Clock;
use crate::codec::dead_letter::read::Letter;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::stop::exit;

/// Where dead letters are.
pub struct LetterTopic {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic.
    pub topic: String,
    /// The name the reader gives; the group is not joined.
    pub group: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for LetterTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LetterTopic({})", self.topic)
    }
}

impl LetterTopic {
    /// Hands every letter that is committed now to `visit`, one partition after the other, each in order. An
    /// open transaction is not waited for. Returns how many records of the topic were no letters.
    ///
    /// # Errors
    /// When the topic is not there or cannot be read, or what `visit` says.
    pub fn read(
        &self,
        mut visit: impl FnMut(&Message<'_>, &Letter) -> Result<(), Stopped>,
    ) -> Result<u64, Stopped> {
        let partitions = self.probe.partitions(&self.topic)?.ok_or_else(|| {
            let advice =
                "make it with `cardwatch topics --create`, or name another under topics.dead_letters";
            Stopped::new(exit::CONFIG, format!("topic {} does not exist; {advice}", self.topic))
        })?;
        let mut strangers = 0;
        for partition in 0..partitions {
            let marks = self.probe.stable_watermarks(&self.topic, partition)?;
            let source = Source {
                cluster: &self.cluster,
                group: &self.group,
                topic: &self.topic,
                partition,
                what: "the topic of dead letters",
                clock: self.clock.as_ref(),
            };
            source.read(marks.low, marks.high, |message| {
                // What came since the end was asked for may come along.
                match Letter::read(&message.headers()).filter(|_| message.offset() < marks.high) {
                    Some(letter) => visit(message, &letter),
                    None => {
                        strangers += u64::from(message.offset() < marks.high);
                        Ok(())
                    }
                }
            })?;
        }
        Ok(strangers)
    }
}
