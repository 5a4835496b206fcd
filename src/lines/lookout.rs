//! Looks out for what the loops themselves cannot see: how far behind they are, whether an open transaction
//! hides records, and whether the topics are still the ones that were started on.

use std::sync::Arc;
use std::time::Duration;

use super::standings::Standings;
use super::start::{Stopped, check_topic_id};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::kafka::probe::{AskError, Probe};
use crate::metrics::LoopMetrics;
use crate::stop::{Stop, exit};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(5);

/// A line to look out for.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its input.
    pub topic: String,
    /// Where it stands.
    pub standings: Standings,
    /// Where to show it.
    pub metrics: LoopMetrics,
    /// The number of partitions that may not change; `None` where it may grow.
    pub fixed_partitions: Option<i32>,
}

/// Looks out for some lines.
#[derive(Debug)]
pub struct Lookout {
    /// The lines.
    pub lines: Vec<Watched>,
    /// Asks the cluster.
    pub probe: Probe,
    /// Tells the time.
    pub clock: Arc<dyn Clock + 'static>,
    /// Ends it.
    pub stop: Stop,
}

impl Lookout {
    /// Looks every five seconds until somebody asks to stop.
    ///
    /// # Errors
    /// When a topic is no longer the one that was started on.
    pub fn run(&self) -> Result<(), Stopped> {
        let pinned: Vec<Option<String>> =
            self.lines.iter().map(|line| self.probe.topic_id(&line.topic)).collect();
        loop {
            for (line, pinned) in self.lines.iter().zip(&pinned) {
                self.check(line, pinned.as_deref())?;
                if let Err(error) = self.measure(line) {
                    tracing::warn!(%error, "how far behind it is cannot be measured");
                }
            }
            if self.stop.wait(EVERY) {
                return Ok(());
            }
        }
    }

    fn check(&self, line: &Watched, pinned: Option<&str>) -> Result<(), Stopped> {
        check_topic_id(&line.topic, pinned, self.probe.topic_id(&line.topic).as_deref())?;
        let Some(fixed) = line.fixed_partitions else { return Ok(()) };
        match self.probe.partitions(&line.topic) {
            Ok(Some(found)) if found != fixed => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "topic {} now has {found} partitions, it was started with {fixed}: histories lie by partition, so the \
                     number is fixed for life. Make new internal topics under another topics.prefix",
                    line.topic
                ),
            )),
            _ => Ok(()),
        }
    }

    fn measure(&self, line: &Watched) -> Result<(), AskError> {
        for (partition, place) in line.standings.all() {
            let high = self.probe.watermarks(&line.topic, partition)?.high;
            let stable = self.probe.stable_watermarks(&line.topic, partition)?.high;
            let behind = (high - place.next).max(0);
            let age_ms = self.clock.now().millis() - place.newest.millis();
            let waiting = behind > 0 && place.newest > Timestamp::default();
            let seconds = if waiting { age_ms.max(0) as f64 / 1000.0 } else { 0.0 };
            // Given up while it was being asked about: a series set now would stay for ever.
            if line.standings.all().contains_key(&partition) {
                line.metrics.lag(&line.topic, partition, behind, seconds, (high - stable).max(0));
            }
        }
        Ok(())
    }
}
