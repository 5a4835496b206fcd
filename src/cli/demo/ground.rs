//! What the demonstration runs on: a mock cluster with its topics, a fresh key, the service's own plan.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::app::{Plan, TopicCheck, settings as build};
use crate::config::{Settings, Start};
use crate::exposure::fingerprint::{KEY_BYTES, Key, Keyring};
use crate::kafka::mock::Mock;
use crate::lines::notify::endpoint::{Endpoint, Endpoints, Since};
use crate::lines::start::Stopped;
use crate::notice::body::{Shape, Show};
use crate::notice::filter::Filter;
use crate::notice::schedule::{Bounds, Schedule};
use crate::notice::sign::{Scheme, Signer, SigningKey};
use crate::secret::Secret;
use crate::stop::exit;
use crate::webhook::target::{self, Target};
use crate::webhook::tls::SystemRoots;

/// Partitions of every topic but the list and the dead letters. With as many a run stays far below the
/// 5 MiB that the mock cluster keeps of each.
pub(super) const PARTITIONS: i32 = 6;
/// The world's weeks pass in seconds, so an alert on any of its days is a live one.
const LIVE_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// The ground. The cluster lives as long as this value.
#[derive(Debug)]
pub(super) struct Ground {
    /// Held for its life alone.
    _mock: Mock,
    /// What a configuration file would say.
    pub(super) settings: Settings,
    /// The keys: one, never written down.
    pub(super) keyring: Keyring,
    /// What the service is started with.
    pub(super) plan: Plan,
}

impl Ground {
    /// What is alerted is told to the receiver at this address, signed with this key.
    pub(super) fn new(receiver: SocketAddr, key: &[u8; KEY_BYTES]) -> Result<Ground, Stopped> {
        let mock = Mock::start().map_err(|error| fault("the mock cluster cannot be started", &error))?;
        let settings = settings(&mock)?;
        let keyring = keyring()?;
        let mut plan = build::plan(&settings, Some(keyring.clone()))?;
        plan.topic_check = TopicCheck::Skip;
        // Nobody decides anything in a minute.
        plan.books = false;
        plan.partitions = Some(PARTITIONS);
        plan.notify = true;
        plan.endpoints = Endpoints(vec![Arc::new(endpoint(receiver, key)?)]);
        // The mock cluster forgets committed offsets, so what one worker holds must never move to another.
        plan.notify_crew.workers = 1;
        plan.notify_crew.workers_max = 1;
        let topics = &plan.topics;
        for (topic, partitions) in [
            (&topics.input, PARTITIONS),
            (&topics.exposures, 1),
            (&topics.sightings, PARTITIONS),
            (&topics.card_history, PARTITIONS),
            (&topics.alerts, PARTITIONS),
            (&topics.deliveries, PARTITIONS),
            (&topics.control, 1),
            (&topics.dead_letters, 1),
        ] {
            mock.create(topic, partitions).map_err(|error| fault("a topic cannot be made", &error))?;
        }
        Ok(Ground { _mock: mock, settings, keyring, plan })
    }
}

/// The defaults, on the mock cluster. Nothing of the user's configuration or environment takes part.
fn settings(mock: &Mock) -> Result<Settings, Stopped> {
    let instance = ("CARDWATCH_INSTANCE__ID".to_owned(), "demo".to_owned());
    let mut settings = Settings::read(None, std::iter::once(instance))
        .map_err(|problems| fault("the defaults are wrong", &problems))?;
    settings.kafka.bootstrap_servers = mock.bootstrap_servers();
    settings.input.start = Some(Start::Earliest);
    settings.alerts.live_for = LIVE_FOR;
    // Nobody ran before, so there is nothing to bring to an end.
    settings.sight.workers_max = settings.sight.workers;
    settings.score.workers_max = settings.score.workers;
    Ok(settings)
}

/// Fresh random bytes.
pub(super) fn random() -> Result<[u8; KEY_BYTES], Stopped> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| fault("the system gives no random numbers", &error))?;
    Ok(bytes)
}

/// The receiver as an endpoint, as if it stood in a configuration. On loopback, plain http and no limit to speak of.
fn endpoint(receiver: SocketAddr, key: &[u8; KEY_BYTES]) -> Result<Endpoint, Stopped> {
    let settings = target::Settings {
        allow_insecure: true,
        allow_networks: vec!["127.0.0.0/8".to_owned()],
        ..target::Settings::new(format!("http://{receiver}/alerts"))
    };
    let target = Target::new(&settings, &SystemRoots::load()).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        fault("the receiver", &problems.join("; "))
    })?;
    let signer = Signer::parse(&SigningKey::fresh(Scheme::Symmetric, key))
        .map_err(|error| fault("the receiver's key", &error))?;
    Ok(Endpoint {
        name: "receiver".parse().map_err(|error| fault("the receiver", &error))?,
        target: Arc::new(target),
        signer: Arc::new(ArcSwap::from_pointee(Some(signer))),
        headers: Vec::new(),
        filter: Filter::default(),
        shape: Shape::Alert,
        show: Show::default(),
        link: None,
        schedule: Schedule::default(),
        retry_after: Bounds::default(),
        batch: None,
        since: Since::Now,
        concurrency: 4,
        rate: 1_000,
        disable_after: Duration::from_secs(3_600),
        probe_every: Duration::from_secs(1),
        heartbeat: None,
    })
}

fn keyring() -> Result<Keyring, Stopped> {
    let bytes = random()?.to_vec();
    let id = "k1".parse().map_err(|error| fault("key", &error))?;
    let key = Key::new(id, Secret::new(bytes)).map_err(|error| fault("key", &error))?;
    Keyring::new(key, Vec::new()).map_err(|error| fault("key", &error))
}

pub(super) fn fault(what: &str, error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::INTERNAL, format!("{what}: {error}"))
}
