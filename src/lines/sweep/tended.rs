//! How far `score` has forgotten histories, as it notes beside the offsets that it commits.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::kafka::consumer::Lookup;
use crate::lines::mark::{Mark as Beside, Tended};
use crate::lines::start::Stopped;
use crate::stop::{Stop, exit};

/// How long `score` is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far `score` has forgotten histories, over all partitions.
#[derive(Debug)]
pub struct TendedUntil {
    /// Asks for what `score` committed for the sightings.
    pub lookup: Lookup,
    /// How many partitions the sightings have.
    pub partitions: i32,
}

impl TendedUntil {
    /// What every partition was gone over for; `None` where `score` has never judged anything.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    pub fn now(&self) -> Result<Option<Tended>, Stopped> {
        let partitions: Vec<i32> = (0..self.partitions).collect();
        let committed = self.lookup.committed(&partitions).map_err(|error| {
            Stopped::new(
                exit::UNAVAILABLE,
                format!("how far histories are forgotten could not be asked: {error}"),
            )
        })?;
        let never = Tended { frontier: i64::MIN, at: Timestamp(i64::MIN) };
        let each = committed.into_iter().filter_map(|(_, committed)| committed);
        let each = each.map(|committed| Beside::parse(&committed.metadata).tended.unwrap_or(never));
        Ok(each.reduce(|a, b| Tended { frontier: a.frontier.min(b.frontier), at: a.at.min(b.at) }))
    }

    /// Waits until every history that was due at `at` under the list up to `frontier` is gone; how far it came.
    ///
    /// # Errors
    /// When the coordinator does not answer for as long as is waited.
    pub(super) fn wait(&self, frontier: i64, at: Timestamp, stop: &Stop) -> Result<Option<Tended>, Stopped> {
        let mut waited = Duration::ZERO;
        loop {
            let now = self.now();
            let is_there = |tended: &Tended| is_past(tended, frontier, at);
            if waited >= PATIENCE || now.as_ref().is_ok_and(|now| now.as_ref().is_none_or(is_there)) {
                return now;
            }
            if stop.wait(LOOK_EVERY) {
                return now;
            }
            waited += LOOK_EVERY;
        }
    }
}

/// Whether the histories were gone over under a list as new as `frontier` and as late as `at`: then those that were
/// due by then are gone.
pub(super) fn is_past(tended: &Tended, frontier: i64, at: Timestamp) -> bool {
    tended.frontier >= frontier && tended.at >= at
}
