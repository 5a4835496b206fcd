//! The sweep inside the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Sweeper, is_moving};
use crate::exposure::record::Mark;
use crate::lines::refresh::Exposed;
use crate::stop::Stop;

/// Sweeps from time to time, inside the service.
#[derive(Debug)]
pub struct Rounds {
    /// Sweeps.
    pub sweeper: Sweeper,
    /// The list as this process knows it.
    pub exposed: Arc<Exposed>,
    /// Whether this process is the one that does it. Two at once would only fence each other.
    pub leads: Arc<AtomicBool>,
    /// How often.
    pub every: Duration,
    /// Who does it, for the record.
    pub by: String,
    /// Ends it.
    pub stop: Stop,
}

impl Rounds {
    /// Sweeps until somebody asks to stop. A round that fails is tried again at the next.
    pub fn run(&self) {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let retention = self.sweeper.forgetting.retention;
        while !self.stop.wait(self.every) {
            if !self.leads.load(Ordering::Relaxed) {
                continue;
            }
            let view = self.exposed.set.view();
            let mark = Mark { at: self.sweeper.list.clock.now(), by: self.by.clone(), host: host.clone() };
            if let Err(error) = self.sweeper.late_outcomes(&view, &mark) {
                tracing::warn!(%error, "outcomes whose card no incident lists could not be removed yet");
            }
            // Outcomes may be rare, and nobody knows which of them were removed a while ago.
            if let Err(error) = self.sweeper.stir_outcomes() {
                tracing::warn!(%error, "outcomes that were removed may stay on disk for longer");
            }
            // What is due is seen without reading the list: most rounds find nothing.
            let quiet = view.due(retention, mark.at).is_empty()
                && !view
                    .incidents()
                    .iter()
                    .any(|incident| incident.is_over(retention, mark.at) || is_moving(incident, mark.at));
            if quiet {
                continue;
            }
            if let Err(error) = self.sweeper.records(&mark) {
                tracing::warn!(%error, "records of cards that are due could not be removed yet");
            }
        }
    }
}
