//! An endpoint as the configuration has it: whom to tell what, where, in which words and how often.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::delivery::EndpointName;
use crate::domain::time::Timestamp;
use crate::notice::body::{Link, Shape, Show};
use crate::notice::filter::Filter;
use crate::notice::ledger::Batch;
use crate::notice::schedule::{Bounds, Schedule};
use crate::notice::sign::Signer;
use crate::secret::Secret;
use crate::webhook::target::Target;

/// From where a new endpoint is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From the moment it is first seen.
    Now,
    /// Every alert that was written at this time or later.
    At(Timestamp),
}

/// One endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// Where requests go.
    pub target: Arc<Target>,
    /// Who signs; a chat that looks at no signature may have none. SIGHUP and a rotation replace it.
    pub signer: Arc<ArcSwap<Option<Signer>>>,
    /// Further headers, for receivers that ask for a token of their own.
    pub headers: Vec<(String, Secret)>,
    /// Which alerts it wants.
    pub filter: Filter,
    /// In which form.
    pub shape: Shape,
    /// What of a transaction a chat may say.
    pub show: Show,
    /// Where a reader of a chat finds the alert.
    pub link: Option<Link>,
    /// When a delivery is tried again.
    pub schedule: Schedule,
    /// Between what `Retry-After` is honoured.
    pub retry_after: Bounds,
    /// Whether alerts are put into batches.
    pub batch: Option<Batch>,
    /// From where it is told when it is new.
    pub since: Since,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests a second at most.
    pub rate: u32,
    /// How long it may fail before it is disabled.
    pub disable_after: Duration,
    /// The longest pause between two questions whether it is back.
    pub probe_every: Duration,
    /// How often it is told that cardwatch lives, where it wants that.
    pub heartbeat: Option<Duration>,
}

/// Everything that `notify` tells.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(pub Vec<Arc<Endpoint>>);

impl Endpoints {
    /// The names, in the order of the configuration.
    pub fn names(&self) -> Vec<EndpointName> {
        self.0.iter().map(|endpoint| endpoint.name.clone()).collect()
    }
}
