//! Lets the world's transactions flow, each when it is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ground::{Ground, fault};
use crate::app::settings::cluster;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::kafka::feed::Feed;
use crate::kafka::producer::Outgoing;
use crate::lines::start::Stopped;
use crate::simulation::{Pace, Truth, World};
use crate::stop::{Stop, exit};

/// How long the last records may take to arrive.
const LAST_RECORDS: Duration = Duration::from_secs(30);

/// How far the stream has come.
#[derive(Debug, Default)]
pub(super) struct Flow {
    sent: AtomicU64,
    misuse: AtomicU64,
    world_ms: AtomicI64,
}

impl Flow {
    /// Transactions on the stream.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Of those: the thieves'.
    pub(super) fn misuse(&self) -> u64 {
        self.misuse.load(Ordering::Acquire)
    }

    /// What time it is in the world.
    pub(super) fn world_time(&self) -> Timestamp {
        Timestamp(self.world_ms.load(Ordering::Acquire))
    }
}

/// The running stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) flow: Arc<Flow>,
    thread: JoinHandle<Result<(), Stopped>>,
}

impl Stream {
    /// Starts to write the world's transactions, laid over time by `pace`, until the world ends or
    /// `curtain` is asked.
    pub(super) fn start(
        world: &Arc<World>,
        pace: Pace,
        ground: &Ground,
        clock: &Arc<dyn Clock>,
        curtain: &Stop,
    ) -> Result<Stream, Stopped> {
        let feed = Feed::new(&cluster(&ground.settings), Arc::clone(clock))
            .map_err(|error| fault("the producer of transactions", &error))?;
        let flow = Arc::new(Flow::default());
        let writer = Writer {
            world: Arc::clone(world),
            pace,
            topic: ground.plan.topics.input.clone(),
            clock: Arc::clone(clock),
            curtain: curtain.clone(),
            flow: Arc::clone(&flow),
            feed,
        };
        let thread = std::thread::Builder::new()
            .name("stream".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| fault("no thread for the stream", &error))?;
        Ok(Stream { flow, thread })
    }

    /// Whether everything is on the cluster.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// How it ended.
    pub(super) fn join(self) -> Result<(), Stopped> {
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Stopped::new(exit::INTERNAL, "the stream of transactions panicked")))
    }
}

struct Writer {
    world: Arc<World>,
    pace: Pace,
    topic: String,
    clock: Arc<dyn Clock>,
    curtain: Stop,
    flow: Arc<Flow>,
    feed: Feed,
}

impl Writer {
    fn run(mut self) -> Result<(), Stopped> {
        let started = self.clock.instant();
        let world = Arc::clone(&self.world);
        for event in world.events() {
            let due = started + Duration::from_millis(self.pace.due_ms(event.at));
            let early = due.saturating_duration_since(self.clock.instant());
            if self.curtain.wait(early) {
                break;
            }
            let key = event.card.to_string();
            let record = Outgoing {
                topic: &self.topic,
                partition: None,
                key: Some(key.as_bytes()),
                value: Some(&event.json),
                headers: &[],
            };
            self.feed.send(record).map_err(|error| fault("a transaction", &error))?;
            self.flow.world_ms.store(event.at.millis(), Ordering::Release);
            if event.truth != Truth::Genuine {
                self.flow.misuse.fetch_add(1, Ordering::AcqRel);
            }
            self.flow.sent.fetch_add(1, Ordering::AcqRel);
        }
        self.feed.finish(LAST_RECORDS).map_err(|error| fault("the last transactions", &error))
    }
}
