//! Counts what all processes have worked off, for heartbeats: `sight` and `score` commit their tallies beside their
//! offsets, so whoever asks Kafka knows them exactly, wherever the work is done.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::domain::time::Timestamp;
use crate::kafka::client::Cluster;
use crate::kafka::group::Group;
use crate::kafka::probe::Probe;
use crate::lines::mark::Mark;
use crate::lines::start::Stopped;
use crate::lines::tally::Tally;
use crate::notice::control::Counts;
use crate::stop::exit;

/// What was worked off by all processes together, since counting began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How much.
    pub counts: Counts,
    /// The timestamp of the newest transaction; `None` before the first.
    pub newest: Option<Timestamp>,
}

/// A line whose tallies are asked for.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its group.
    pub group: String,
    /// Its input.
    pub topic: String,
}

impl Watched {
    fn failed(&self, error: &dyn std::fmt::Display) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("offsets of {}: {error}", self.group))
    }
}

/// Where to ask.
#[derive(Clone)]
pub struct Source {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for partitions.
    pub probe: Probe,
    /// Reads transactions.
    pub sight: Watched,
    /// Judges sightings.
    pub score: Watched,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({}, {})", self.sight.group, self.score.group)
    }
}

/// Asks on a thread of its own: an answer takes a round trip, and longer while a transaction is open.
#[derive(Debug)]
pub struct Census {
    wishes: Sender<()>,
    found: Receiver<Option<Counted>>,
}

impl Census {
    /// Starts the thread that asks. It ends when this is dropped.
    pub fn start(source: Source) -> Census {
        let (wishes, asked) = channel::<()>();
        let (answer, found) = channel();
        std::thread::spawn(move || {
            // Made at the first question: most processes are never asked.
            let mut groups = None;
            for () in asked {
                let counted = source.count(&mut groups);
                if let Err(stopped) = &counted {
                    tracing::warn!(reason = stopped.message, "a heartbeat waits: nothing could be counted");
                }
                if answer.send(counted.ok()).is_err() {
                    return;
                }
            }
        });
        Census { wishes, found }
    }

    /// Asks; the answer comes later.
    pub fn ask(&self) {
        // The thread lives as long as this does.
        let _ = self.wishes.send(());
    }

    /// An answer, if one has come; nothing in it where nobody could be asked.
    pub fn found(&self) -> Option<Option<Counted>> {
        self.found.try_recv().ok()
    }
}

impl Source {
    /// Counts.
    ///
    /// # Errors
    /// When the cluster does not answer.
    fn count(&self, groups: &mut Option<[Group; 2]>) -> Result<Counted, Stopped> {
        let known = match groups.take() {
            Some(known) => known,
            None => [self.group(&self.sight)?, self.group(&self.score)?],
        };
        let [sight, score] = groups.insert(known);
        let (sight, score) = (self.tally(sight, &self.sight)?, self.tally(score, &self.score)?);
        let counts = Counts { transactions: sight.read, sightings: sight.made, alerts: score.made };
        Ok(Counted { counts, newest: (sight.read > 0).then_some(sight.newest) })
    }

    fn group(&self, watched: &Watched) -> Result<Group, Stopped> {
        Group::new(&self.cluster, &watched.group).map_err(|error| watched.failed(&error))
    }

    fn tally(&self, group: &Group, watched: &Watched) -> Result<Tally, Stopped> {
        let partitions = self.probe.partitions(&watched.topic)?.unwrap_or(0);
        let committed =
            group.committed(&watched.topic, partitions).map_err(|error| watched.failed(&error))?;
        let tallies =
            committed.into_iter().filter_map(|(_, committed)| Mark::parse(&committed?.metadata).tally);
        Ok(tallies.fold(Tally::default(), Tally::and))
    }
}
