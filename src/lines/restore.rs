//! Brings a partition's card histories back from `card-history` before anything on it is judged.
//!
//! Five steps, of which the second is the one that others got wrong: (1) the committed offset of the
//! input is asked for first, stable; (2) the target is the *high watermark* seen by a client that reads
//! uncommitted, for behind the last stable offset a committed snapshot may wait for a transaction to end;
//! (3) what is committed is read up to it, where the last record may be a tombstone, a checkpoint or a
//! mark without content; (4) the checkpoint must say the same offset as the group; (5) only then does
//! the partition flow. A restore that makes no progress fails loudly.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::patience::until_answered;
use super::start::{Checkpoints, Start, Stopped};
use crate::clock::Clock;
use crate::fault;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::kafka::reader::{Read, Reader};
use crate::lines::score::Memory;
use crate::stop::{Stop, exit};

/// The prefix of a checkpoint's key.
const CHECKPOINT_PREFIX: &str = "checkpoint/";

/// How far the input of a partition was judged: written in every transaction of `score`, beside the
/// histories it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The next offset of the sightings partition.
    pub next_offset: i64,
    /// How many partitions the sightings have; fixed for life.
    pub partitions: i32,
    /// The id of the sightings' topic, where the cluster tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
}

impl Checkpoint {
    /// The key of a partition's checkpoint.
    pub fn key(partition: i32) -> String {
        format!("{CHECKPOINT_PREFIX}{partition}")
    }

    /// Whether it is the key of a checkpoint.
    pub fn is_key(key: &str) -> bool {
        key.starts_with(CHECKPOINT_PREFIX)
    }
}

/// Restores partitions on threads of their own.
#[derive(Clone)]
pub struct Restorer {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The name the readers give; the group is not joined.
    pub group: String,
    /// The topic of the histories.
    pub topic: String,
    /// How many partitions the sightings have.
    pub partitions: i32,
    /// How long it may stand still.
    pub stall: Duration,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends the waiting.
    pub stop: Stop,
}

impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restorer({})", self.topic)
    }
}

impl Checkpoints for Restorer {
    fn place(&self, partition: i32) -> Result<Option<(i64, Option<String>)>, Stopped> {
        Ok(self.checkpoint(partition)?.map(|checkpoint| (checkpoint.next_offset, checkpoint.topic_id)))
    }
}

impl Restorer {
    /// Begins to restore the partition that `start` takes up; the result comes through the channel.
    pub fn begin(&self, start: &Start) -> Receiver<Result<Memory, Stopped>> {
        let (sender, receiver) = sync_channel(1);
        let restorer = self.clone();
        let start = start.clone();
        std::thread::spawn(move || {
            // The worker may have lost the partition by now; then nobody needs the result.
            let _ = sender.send(restorer.restore(&start));
        });
        receiver
    }

    /// The checkpoint of a partition; `None` before the first transaction. Reads the partition to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn checkpoint(&self, partition: i32) -> Result<Option<Checkpoint>, Stopped> {
        let what = format!("watermarks of {}/{partition}", self.topic);
        let ask = || self.probe.watermarks(&self.topic, partition);
        let marks = until_answered(&*self.clock, &self.stop, &what, ask)?;
        match marks.high > marks.low {
            true => Ok(self.read(partition, marks.low, marks.high)?.checkpoint),
            false => Ok(None),
        }
    }

    fn restore(&self, start: &Start) -> Result<Memory, Stopped> {
        let partition = start.partition;
        let ask = || match fault::broken("restore-to-stable-offset") {
            true => self.probe.stable_watermarks(&self.topic, partition),
            false => self.probe.watermarks(&self.topic, partition),
        };
        let what = format!("watermarks of {}/{partition}", self.topic);
        let marks = until_answered(&*self.clock, &self.stop, &what, ask)?;
        fault::point("score", "in-restore");
        let memory = if marks.high > marks.low {
            self.read(partition, marks.low, marks.high)?
        } else {
            Memory::default()
        };
        self.verify(start, &memory)?;
        tracing::info!(
            partition,
            histories = memory.histories.len(),
            high_watermark = marks.high,
            "histories restored"
        );
        Ok(memory)
    }

    fn read(&self, partition: i32, low: i64, target: i64) -> Result<Memory, Stopped> {
        let failed = |error: &dyn std::fmt::Display| {
            Stopped::new(exit::UNAVAILABLE, format!("{}/{partition} cannot be read: {error}", self.topic))
        };
        let mut reader = Reader::new(&self.cluster, &self.group, &self.topic, &[(partition, low)])
            .map_err(|error| failed(&error))?;
        let mut memory = Memory::default();
        let mut last_progress: Instant = self.clock.instant();
        let mut reached = low;
        loop {
            if self.stop.is_asked() {
                return Err(Stopped::new(exit::UNAVAILABLE, "stopped while restoring histories"));
            }
            let before = reached;
            for read in reader.read(Duration::from_millis(100)) {
                match read {
                    Read::Record(message) => {
                        self.take(&message, &mut memory)?;
                        reached = message.offset() + 1;
                    }
                    Read::End { offset, .. } => reached = reached.max(offset),
                    Read::Failed { code, .. } => return Err(failed(&code)),
                }
            }
            if reached >= target {
                memory.join_names();
                return Ok(memory);
            }
            if reached > before {
                last_progress = self.clock.instant();
            } else if self.clock.instant() - last_progress > self.stall {
                return Err(failed(&format!(
                    "no progress for {} s at offset {reached} of {target}; is a transaction left open?",
                    self.stall.as_secs()
                )));
            }
        }
    }

    fn take(&self, message: &Message<'_>, memory: &mut Memory) -> Result<(), Stopped> {
        let place = format!("{}/{} offset {}", self.topic, message.partition(), message.offset());
        let foreign = |what: &str| {
            Stopped::new(
                exit::DATA,
                format!("{place}: {what}; something else wrote to this topic, or a newer version did"),
            )
        };
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let key = key.ok_or_else(|| foreign("the key is not text"))?;
        memory.take(key, message.value(), message.timestamp()).map_err(|what| foreign(&what))
    }

    /// The checkpoint and the group must agree, or histories would miss judgements or count them twice.
    fn verify(&self, start: &Start, memory: &Memory) -> Result<(), Stopped> {
        let partition = start.partition;
        if let Some(checkpoint) = &memory.checkpoint
            && checkpoint.partitions != self.partitions
        {
            return Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "the histories of partition {partition} were written for {} partitions of sightings, there are {}; \
                     the number is fixed for life: make new internal topics and import history by a look-back",
                    checkpoint.partitions, self.partitions
                ),
            ));
        }
        let checkpoint = memory.checkpoint.as_ref().map(|checkpoint| checkpoint.next_offset);
        if checkpoint != start.committed {
            let say = |offset: Option<i64>| offset.map_or("nothing".to_owned(), |offset| offset.to_string());
            return Err(Stopped::new(
                exit::DATA,
                format!(
                    "partition {partition}: the group has committed {} but the histories on {} stand at {}; \
                     offsets were reset, or the topic was cut. Reset both together: delete the group's offsets and \
                     the history topic, then start again",
                    say(start.committed),
                    self.topic,
                    say(checkpoint)
                ),
            ));
        }
        Ok(())
    }
}
