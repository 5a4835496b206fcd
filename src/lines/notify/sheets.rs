//! Reads alerts back from their topic, on a thread of its own: those of a delivery that is tried again after a
//! restart, and those of a range that is made out.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::reading::Readers;
use crate::clock::Clock;
use crate::codec::wire;
use crate::domain::alert::Alert;
use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;
use crate::kafka::client::Cluster;
use crate::kafka::native::Message;
use crate::kafka::probe::Probe;
use crate::lines::read::Source;
use crate::lines::start::Stopped;
use crate::notice::record::Range;
use crate::stop::exit;

/// Offsets that lie no further apart are read through, further ones are gone to.
const NEAR: i64 = 1_000;
/// Alerts that are read through at once on the way to single ones.
const PART: usize = 1_000;

/// When nobody has asked for so long, no client stays open.
const IDLE: Duration = Duration::from_secs(30);

/// Clients that stay open.
#[derive(Debug, Default)]
struct Kept {
    ranges: Readers,
    singles: Readers,
}

/// An alert as it stands on its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// Its offset.
    pub offset: i64,
    /// The alert.
    pub alert: Alert,
    /// The very bytes of the record.
    pub json: Vec<u8>,
}

impl Sheet {
    /// The alert of a record, if it is one.
    pub fn of(message: &Message<'_>) -> Option<Sheet> {
        let json = message.value()?;
        let alert = wire::decode_alert(json).ok()?;
        Some(Sheet { offset: message.offset(), alert, json: json.to_vec() })
    }

    /// About what it takes in memory: the alert's texts are as long again as those of the record.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Sheet>() + 2 * self.json.len()
    }
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Single alerts, by offset.
    Alerts(Vec<i64>),
    /// The first offset that was written at this time or later.
    From(Timestamp),
    /// The beginning of a range, at most so many records of it, for an endpoint.
    Range {
        /// The endpoint.
        endpoint: EndpointName,
        /// The range.
        range: Range,
        /// Records at most.
        most: usize,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Found {
    /// The alerts that are still there, and the offsets at which none is.
    Alerts {
        /// Those that are there.
        sheets: Vec<Arc<Sheet>>,
        /// Those that are not.
        gone: Vec<i64>,
    },
    /// The beginning of a range.
    Range {
        /// The endpoint.
        endpoint: EndpointName,
        /// The range, as it was asked for.
        range: Range,
        /// The first offset that was not read.
        upto: i64,
        /// Offsets at its beginning that have expired.
        expired: i64,
        /// The alerts in it.
        sheets: Vec<Arc<Sheet>>,
    },
    /// The offset that was asked for.
    From(i64),
    /// It could not be read; somebody may ask again.
    Failed(Wish),
}

/// A partition and a time of holding it: an answer for another time is not wanted any more.
pub type Tenure = (i32, u64);

/// Asks for alerts and gets them.
#[derive(Debug)]
pub struct Sheets {
    wishes: Sender<(Tenure, Wish)>,
    found: Receiver<(Tenure, Found)>,
}

/// Where alerts are read.
#[derive(Clone)]
pub struct Shelf {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// A name for the reading client; the group is not joined.
    pub group: String,
    /// The topic of the alerts.
    pub topic: String,
    /// Tells whether anything moves.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({})", self.topic)
    }
}

impl Sheets {
    /// Starts the thread that reads. It ends when this is dropped.
    pub fn start(shelf: Shelf) -> Sheets {
        let (wishes, asked) = channel::<(Tenure, Wish)>();
        let (answer, found) = channel();
        std::thread::spawn(move || {
            let mut kept = Kept::default();
            loop {
                let (tenure, wish) = match asked.recv_timeout(IDLE) {
                    Ok(asked) => asked,
                    Err(RecvTimeoutError::Timeout) => {
                        kept = Kept::default();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                let found = shelf.fetch_with(&mut kept, tenure.0, &wish).unwrap_or_else(|stopped| {
                    tracing::warn!(
                        partition = tenure.0,
                        reason = stopped.message,
                        "alerts could not be read"
                    );
                    Found::Failed(wish)
                });
                if answer.send((tenure, found)).is_err() {
                    return;
                }
            }
        });
        Sheets { wishes, found }
    }

    /// Asks for something; the answer comes later.
    pub fn ask(&self, tenure: Tenure, wish: Wish) {
        // The thread lives as long as this does.
        let _ = self.wishes.send((tenure, wish));
    }

    /// What has come, without waiting.
    pub fn found(&self) -> impl Iterator<Item = (Tenure, Found)> + '_ {
        self.found.try_iter()
    }
}

impl Shelf {
    /// Reads what is wished for, with clients of its own.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn fetch(&self, partition: i32, wish: &Wish) -> Result<Found, Stopped> {
        self.fetch_with(&mut Kept::default(), partition, wish)
    }

    fn fetch_with(&self, kept: &mut Kept, partition: i32, wish: &Wish) -> Result<Found, Stopped> {
        let low = || self.probe.watermarks(&self.topic, partition).map(|marks| marks.low);
        match wish {
            Wish::From(at) => Ok(Found::From(self.probe.offset_at(&self.topic, partition, *at)?)),
            Wish::Alerts(offsets) => self.alerts(&mut kept.singles, partition, offsets, low()?),
            Wish::Range { endpoint, range, most } => {
                let from = range.from.max(low()?).min(range.to);
                let (sheets, upto) = kept.ranges.part(self, partition, (from, range.to), *most)?;
                let (endpoint, expired) = (endpoint.clone(), from - range.from);
                Ok(Found::Range { endpoint, range: *range, upto, expired, sheets })
            }
        }
    }

    pub(super) fn source(&self, partition: i32) -> Source<'_> {
        let (cluster, group, topic) = (&self.cluster, self.group.as_str(), self.topic.as_str());
        Source { cluster, group, topic, partition, what: "the alerts", clock: &*self.clock }
    }

    fn alerts(
        &self,
        readers: &mut Readers,
        partition: i32,
        offsets: &[i64],
        low: i64,
    ) -> Result<Found, Stopped> {
        let mut wanted: Vec<i64> = offsets.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut sheets: Vec<Arc<Sheet>> = Vec::new();
        for run in wanted.chunk_by(|one, next| next - one <= NEAR) {
            let there: Vec<i64> = run.iter().copied().filter(|offset| *offset >= low).collect();
            let (Some(&first), Some(&last)) = (there.first(), there.last()) else { continue };
            let mut from = first;
            while from <= last {
                let (part, upto) = readers.part(self, partition, (from, last + 1), PART)?;
                if upto == from {
                    let place = format!("{}/{partition} offset {from}", self.topic);
                    return Err(Stopped::new(exit::UNAVAILABLE, format!("{place} does not come")));
                }
                from = upto;
                sheets.extend(part.into_iter().filter(|sheet| there.binary_search(&sheet.offset).is_ok()));
            }
        }
        let found: HashSet<i64> = sheets.iter().map(|sheet| sheet.offset).collect();
        wanted.retain(|offset| !found.contains(offset));
        Ok(Found::Alerts { sheets, gone: wanted })
    }
}
