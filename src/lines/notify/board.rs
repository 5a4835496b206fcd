//! Follows what all processes share about webhooks, and writes to it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::endpoint::Endpoints;
use crate::clock::Clock;
use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;
use crate::health::Condition;
use crate::kafka::reader::{Read, Reader};
use crate::lines::control::Control;
use crate::lines::start::Stopped;
use crate::notice::control::{
    Beat, Board, EndpointState, Instance, endpoint_key, heartbeat_key, instance_key,
};
use crate::stop::{Stop, exit};

/// How often a process says that it is there.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// For how long it is taken to be there after that, in milliseconds.
const ALIVE_FOR_MS: i64 = 35_000;
/// How often it is looked for what nobody needs any more.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// For how long a command stays for partitions that nobody holds, in milliseconds.
const COMMANDS_FOR_MS: i64 = 7 * 86_400_000;
/// For how long a process stays that was not heard of, in milliseconds.
const INSTANCES_FOR_MS: i64 = 86_400_000;
/// How long a record may take to be written.
const WITHIN: Duration = Duration::from_secs(10);

/// What is known, and how far the topic is read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What stands on it.
    pub board: Board,
    /// The next offset.
    pub reached: i64,
    /// Whether it was read to its end once.
    pub loaded: bool,
}

/// What workers see of the board, and how they write on it.
#[derive(Debug, Clone)]
pub struct Shared {
    seen: Arc<Mutex<Seen>>,
    owed: Arc<Mutex<Owed>>,
    instance: Arc<str>,
    writes: Sender<Write>,
}

/// What each worker of this process owes to each endpoint.
type Owed = BTreeMap<EndpointName, BTreeMap<String, u64>>;

/// A record to be written.
#[derive(Debug)]
enum Write {
    State(EndpointName, EndpointState),
    Beat(EndpointName, Beat),
}

impl Shared {
    /// What is known at this moment.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Endpoints whose newest key does not sign here; with what it is called.
    pub fn unsigned(&self, endpoints: &Endpoints) -> BTreeMap<EndpointName, String> {
        let seen = self.seen();
        let unsigned = endpoints.0.iter().filter_map(|endpoint| {
            let newest = seen.board.endpoints.get(&endpoint.name)?.generation.clone()?;
            let signer = endpoint.signer.load();
            let signs =
                signer.iter().flat_map(|signer| signer.keys()).any(|(key, _)| key.generation() == newest);
            (!signs).then(|| (endpoint.name.clone(), newest))
        });
        unsigned.collect()
    }

    /// Writes the state of an endpoint soon, and takes it for known at once.
    pub fn set(&self, endpoint: &EndpointName, state: EndpointState) {
        self.seen().board.endpoints.insert(endpoint.clone(), state.clone());
        // The thread lives as long as the process tells anybody anything.
        let _ = self.writes.send(Write::State(endpoint.clone(), state));
    }

    /// Writes that an endpoint took a heartbeat.
    pub fn beaten(&self, endpoint: &EndpointName, beat: Beat) {
        self.seen().board.heartbeats.insert(endpoint.clone(), beat);
        let _ = self.writes.send(Write::Beat(endpoint.clone(), beat));
    }

    /// Says what a worker of this process owes to an endpoint.
    pub fn owes(&self, worker: &str, endpoint: &EndpointName, alerts: u64) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.entry(endpoint.clone()).or_default().insert(worker.to_owned(), alerts);
    }

    /// What all processes owe to an endpoint: this one now, the others when they last said so.
    pub fn owed(&self, endpoint: &EndpointName, now: Timestamp) -> u64 {
        let own = self.own().get(endpoint).copied().unwrap_or(0);
        let seen = self.seen();
        let others = seen.board.instances.iter().filter(|(name, instance)| {
            **name != *self.instance && instance.alive.plus_millis(ALIVE_FOR_MS) > now
        });
        others.filter_map(|(_, instance)| instance.owed.get(endpoint)).sum::<u64>() + own
    }

    fn own(&self) -> BTreeMap<EndpointName, u64> {
        let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.iter().map(|(name, workers)| (name.clone(), workers.values().sum())).collect()
    }
}

/// Follows the topic.
#[derive(Debug)]
pub struct Follower {
    control: Control,
    instance: String,
    endpoints: Vec<EndpointName>,
    shared: Shared,
    writes: Receiver<Write>,
    ready: Condition,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl Follower {
    /// Follows `control` for the process `instance`, which tells these endpoints.
    pub fn new(
        control: Control,
        instance: String,
        endpoints: Vec<EndpointName>,
        ready: Condition,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Follower {
        let (sender, writes) = channel();
        let (seen, owed) = (Arc::default(), Arc::default());
        let shared = Shared { seen, owed, instance: instance.as_str().into(), writes: sender };
        Follower { control, instance, endpoints, shared, writes, ready, clock, stop }
    }

    /// What workers look at.
    pub fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Reads and writes until somebody asks to stop.
    ///
    /// # Errors
    /// When the topic cannot be read, or another process tells other endpoints.
    pub fn run(&self) -> Result<(), Stopped> {
        let low = self.control.probe.watermarks(&self.control.topic, 0)?.low;
        let (cluster, group, topic) = (&self.control.cluster, &self.control.group, &self.control.topic);
        let mut reader =
            Reader::new(cluster, group, topic, &[(0, low)]).map_err(|error| self.unreadable(&error))?;
        self.shared.seen().reached = low;
        let (mut alive, mut tidied) = (None::<Instant>, self.clock.instant());
        while !self.stop.is_asked() {
            self.read(&mut reader)?;
            if !self.shared.seen().loaded {
                self.load()?;
            }
            if self.shared.seen().loaded && alive.is_none_or(|at| self.clock.instant() - at >= ALIVE_EVERY) {
                alive = Some(self.clock.instant());
                self.contradict()?;
                self.say_alive(self.clock.now());
            }
            if self.clock.instant() - tidied >= TIDY_EVERY {
                tidied = self.clock.instant();
                self.tidy();
            }
            self.write()?;
        }
        // Whoever starts next need not wait until this one is taken to be gone.
        self.say_alive(Timestamp::default());
        Ok(())
    }

    fn read(&self, reader: &mut Reader) -> Result<(), Stopped> {
        for read in reader.read(Duration::from_millis(50)) {
            match read {
                Read::Record(message) => {
                    let mut seen = self.shared.seen();
                    let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
                    seen.board.apply(message.offset(), key, message.value()).map_err(|error| {
                        Stopped::new(
                            exit::DATA,
                            format!(
                                "{} does not read at offset {}: {error}; something else wrote to it, or a newer \
                                 version did",
                                self.control.topic,
                                message.offset()
                            ),
                        )
                    })?;
                    seen.reached = message.offset() + 1;
                }
                Read::End { offset, .. } => {
                    let mut seen = self.shared.seen();
                    seen.reached = seen.reached.max(offset);
                }
                Read::Failed { code, .. } => return Err(self.unreadable(&code)),
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<(), Stopped> {
        let high = self.control.probe.watermarks(&self.control.topic, 0)?.high;
        let mut seen = self.shared.seen();
        if seen.reached >= high {
            seen.loaded = true;
            self.ready.ready();
        }
        Ok(())
    }

    /// Two processes that tell different endpoints would each take what is owed to the other's for nobody's.
    fn contradict(&self) -> Result<(), Stopped> {
        let seen = self.shared.seen();
        let now = self.clock.now();
        let other = seen.board.contradicts(&self.instance, &self.endpoints, now, ALIVE_FOR_MS);
        let Some((name, instance)) = other else { return Ok(()) };
        let list =
            |names: &[EndpointName]| names.iter().map(EndpointName::as_str).collect::<Vec<_>>().join(", ");
        Err(Stopped::new(
            exit::CONFIG,
            format!(
                "the running process {name} tells the endpoints [{}], this one [{}]: all must have the same. Stop those \
                 with the old configuration first (one that was killed counts as running for 35 s)",
                list(&instance.endpoints),
                list(&self.endpoints)
            ),
        ))
    }

    fn say_alive(&self, at: Timestamp) {
        let owed = self.shared.own();
        let instance = Instance { endpoints: self.endpoints.clone(), alive: at, owed };
        let value = serde_json::to_vec(&instance).unwrap_or_default();
        if let Err(stopped) = self.control.put(&[(instance_key(&self.instance), value)], WITHIN) {
            tracing::warn!(reason = stopped.message, "this process could not say that it is there");
        }
    }

    /// Takes away what is stale. Whichever process does it, and twice does no harm.
    fn tidy(&self) {
        let stale = self.shared.seen().board.stale(self.clock.now(), COMMANDS_FOR_MS, INSTANCES_FOR_MS);
        if !stale.is_empty()
            && let Err(stopped) = self.control.remove(&stale, WITHIN)
        {
            tracing::warn!(reason = stopped.message, "what nobody needs any more stays on the control topic");
        }
    }

    fn write(&self) -> Result<(), Stopped> {
        match self.writes.try_recv() {
            Ok(write) => {
                let (endpoint, key, value) = match &write {
                    Write::State(name, state) => (name, endpoint_key(name), serde_json::to_vec(state)),
                    Write::Beat(name, beat) => (name, heartbeat_key(name), serde_json::to_vec(beat)),
                };
                let value = value.map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
                if let Err(stopped) = self.control.put(&[(key, value)], WITHIN) {
                    tracing::warn!(%endpoint, reason = stopped.message, "the state of an endpoint could not be written");
                }
                Ok(())
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(()),
        }
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> Stopped {
        Stopped::new(exit::UNAVAILABLE, format!("{} cannot be read: {error}", self.control.topic))
    }
}
