//! What a worker shows of itself: that it lives, that it is ready, how many partitions it owns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::health::{Condition, Health, Heartbeat};
use crate::metrics::LoopMetrics;

/// How long a loop may go without a turn. A commit may take a transaction's time-out.
const BEAT_LIMIT: Duration = Duration::from_secs(60);
/// How long a worker without partitions counts as one that is still joining; afterwards it is a spare one.
const JOINING: Duration = Duration::from_secs(10);

/// Shows a worker's state to health and metrics.
#[derive(Debug)]
pub struct Pulse {
    heartbeat: Heartbeat,
    condition: Condition,
    metrics: LoopMetrics,
    clock: Arc<dyn Clock>,
    started: Instant,
    ready: bool,
    shown: (usize, usize),
}

impl Pulse {
    /// The worker `name` starts now.
    pub fn new(name: &str, health: &Health, metrics: LoopMetrics, clock: Arc<dyn Clock>) -> Pulse {
        Pulse {
            heartbeat: health.heartbeat(name, BEAT_LIMIT),
            condition: health.condition(name, "joining the group"),
            metrics,
            started: clock.instant(),
            clock,
            ready: false,
            shown: (0, 0),
        }
    }

    /// A turn of the loop has passed; the worker owns so many partitions, and so many of them wait for
    /// their state.
    pub fn beat(&mut self, owned: usize, held: usize) {
        self.heartbeat.beat();
        let (owned_before, held_before) = self.shown;
        if (owned, held) != self.shown {
            self.metrics.owns(owned_before, owned, held_before, held);
            self.shown = (owned, held);
            if held > 0 {
                self.ready = false;
                self.condition.not_ready(format!("{held} of {owned} partitions wait for their state"));
            }
        }
        let joined = owned > 0 || self.clock.instant() - self.started > JOINING;
        if !self.ready && held == 0 && joined {
            self.ready = true;
            self.condition.ready();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.metrics.owns(self.shown.0, 0, self.shown.1, 0);
    }
}
