//! Builds every room, starts the lines and owns the order of stopping.
//!
//! Start: topics checked, transactions of every worker slot brought to an end, the list's reader, then the
//! workers. Stop: everybody is asked at once; workers commit what is open and leave their groups; whatever
//! still blocks after five seconds is left behind, and the next start resolves it.

pub mod audit;
mod keys;
mod notify;
mod oauth;
pub mod office;
pub mod plan;
mod rights;
pub mod settings;
pub mod tokens;
pub mod topics;
pub mod webhooks;
mod workers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::Registry;

pub use plan::{Plan, TopicCheck};

use crate::clock::Clock;
use crate::domain::alert::Severity;
use crate::domain::delivery::EndpointName;
use crate::exposure::fingerprint::Keyring;
use crate::exposure::set::ExposureSet;
use crate::health::Health;
use crate::judge::Judge;
use crate::kafka::built;
use crate::kafka::consumer::Lookup;
use crate::kafka::probe::Probe;
use crate::lines::audit::deliver_until;
use crate::lines::beginnings::{Beginnings, Minded, Minder};
use crate::lines::bookkeeper::Bookkeeper;
use crate::lines::control::Control;
use crate::lines::desk::{Desk, Keeper};
use crate::lines::import::ListTopic;
use crate::lines::lookout::{Lookout, Watched};
use crate::lines::notify::board::Shared;
use crate::lines::notify::endpoint::Endpoints;
use crate::lines::refresh::{Exposed, Refresh};
use crate::lines::score::SharedJudge;
use crate::lines::start::Stopped;
use crate::lines::sweep::{Rounds, Sweeper, TendedUntil};
use crate::metrics::{self, DeskMetrics, IncidentMetrics, LoopFamilies, RefreshMetrics};
use crate::stop::{Stop, exit};

/// How long stopping may take before the process ends whatever blocks.
pub const STOP_TIMEOUT: Duration = Duration::from_millis(3_500);

/// How long requests under way may take when the process stops.
const COURIERS_WITHIN: Duration = Duration::from_secs(2);

/// What every room is handed.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) plan: Arc<Plan>,
    pub(crate) probe: Probe,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
    pub(crate) health: Health,
    pub(crate) registry: Registry,
    pub(crate) families: LoopFamilies,
    /// What remembers that groups have begun; `None` on a cluster that lives no longer than the process.
    pub(crate) beginnings: Option<Beginnings>,
    /// How long alerts stay on their topic, in milliseconds; `None` for ever, or where nobody tells.
    pub(crate) alerts_retention_ms: Option<i64>,
}

/// The running service.
#[derive(Debug)]
pub struct Service {
    threads: Vec<JoinHandle<()>>,
    judge: SharedJudge,
    stop: Stop,
    /// What all processes share about endpoints, where `notify` runs.
    board: Option<Shared>,
}

impl Service {
    /// Starts everything the plan says.
    ///
    /// # Errors
    /// When the cluster is not reached, a topic is not as it must be, or a client cannot be made.
    pub fn start(
        plan: Plan,
        clock: Arc<dyn Clock>,
        stop: Stop,
        health: Health,
        registry: Registry,
    ) -> Result<Service, Stopped> {
        let fault = |error: &dyn std::fmt::Display| Stopped::new(exit::INTERNAL, error.to_string());
        // The lines are started one after the other: that the first is ready says nothing before all are.
        let _starting = health.condition("start", "the lines are being started");
        let mut probe = Probe::new(&plan.cluster).map_err(|error| {
            Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
        })?;
        if plan.topic_check == TopicCheck::Skip {
            probe = probe.without_ids();
        }
        let alerts_retention_ms = topics::check_at_start(&plan, &probe)?;
        metrics::build_info(&registry, env!("CARGO_PKG_VERSION"), &built::librdkafka_version())
            .map_err(|error| fault(&error))?;
        let families = LoopFamilies::new(&registry).map_err(|error| fault(&error))?;
        let judge: SharedJudge = Arc::new(Mutex::new(Arc::new(plan.judge.clone())));
        let beginnings = beginnings(&plan, &probe, &clock);
        let common = Common {
            plan: Arc::new(plan),
            probe,
            clock,
            stop,
            health,
            registry,
            families,
            beginnings,
            alerts_retention_ms,
        };
        let mut service = Service { threads: Vec::new(), judge, stop: common.stop.clone(), board: None };
        workers::sweep_slots(&common)?;
        let mut watched = Vec::new();
        let exposed = service.start_refresh(&common)?;
        if common.plan.sight {
            watched.push(service.start_sight(&common, &exposed)?);
        }
        if common.plan.score {
            watched.push(service.start_score(&common, &exposed)?);
        }
        if common.plan.books {
            service.start_books(&common)?;
            watched.push(service.start_desk(&common)?);
        }
        if common.plan.notify {
            watched.push(service.start_notify(&common)?);
        }
        service.start_minder(&common, &watched);
        service.start_lookout(&common, watched);
        service.start_delivery(&common);
        Ok(service)
    }

    /// The list is read wherever cards are recognised or histories kept; keys are needed for the first alone.
    fn start_refresh(&mut self, common: &Common) -> Result<Arc<Exposed>, Stopped> {
        let ring = common.plan.keyring.clone().filter(|_| common.plan.sight);
        let (set, writer) = ExposureSet::new(&ring.as_ref().map_or_else(Vec::new, Keyring::ids));
        let exposed = Arc::new(Exposed::new(set));
        let metrics = RefreshMetrics::new(&common.registry)
            .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let line = if common.plan.sight { "sight" } else { "score" };
        let refresh = Refresh {
            cluster: common.plan.cluster.clone(),
            probe: common.probe.clone(),
            group: common.plan.group(line),
            topic: common.plan.topics.exposures.clone(),
            alarm_after: common.plan.alarm_after,
            exposed: Arc::clone(&exposed),
            ready: common.health.condition("exposures", "the list is being read"),
            keys_ready: common.health.condition("keys", "the list is being read"),
            metrics,
            clock: Arc::clone(&common.clock),
            stop: common.stop.clone(),
        };
        let run = move || {
            refresh.run(writer, &|view| match &ring {
                Some(ring) => keys::check(view, ring),
                None => Ok(()),
            })
        };
        self.spawn("refresh", &common.stop, move || (run(), ()));
        Ok(exposed)
    }

    fn start_sight(&mut self, common: &Common, exposed: &Arc<Exposed>) -> Result<Watched, Stopped> {
        let keyring = common.plan.keyring.clone().ok_or_else(|| {
            Stopped::new(
                exit::CONFIG,
                "sight needs the keys of fingerprints; make one with `cardwatch key new`",
            )
        })?;
        workers::pin_input(common)?;
        let (pumps, watched) = workers::sight(common, &keyring, exposed)?;
        for (name, mut pump) in pumps {
            self.spawn(&name, &common.stop, move || (pump.run(), pump));
        }
        Ok(watched)
    }

    fn start_score(&mut self, common: &Common, exposed: &Arc<Exposed>) -> Result<Watched, Stopped> {
        let leads = Arc::default();
        let (pumps, watched) = workers::score(common, &self.judge, exposed, &leads)?;
        for (name, mut pump) in pumps {
            self.spawn(&name, &common.stop, move || (pump.run(), pump));
        }
        let rounds = Rounds {
            sweeper: sweeper(common)?,
            exposed: Arc::clone(exposed),
            leads,
            every: common.plan.forgetting.every,
            by: format!("cardwatch at {}", common.plan.instance),
            stop: common.stop.clone(),
        };
        self.spawn("sweep", &common.stop, move || {
            rounds.run();
            (Ok(()), ())
        });
        Ok(watched)
    }

    fn start_books(&mut self, common: &Common) -> Result<(), Stopped> {
        let metrics = IncidentMetrics::new(&common.registry)
            .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let plan = &common.plan;
        let keeper = Bookkeeper {
            cluster: plan.cluster.clone(),
            probe: common.probe.clone(),
            group: plan.group("books"),
            topics: [&plan.topics.exposures, &plan.topics.card_history, &plan.topics.outcomes]
                .map(String::clone),
            made_up: Arc::clone(&plan.made_up),
            metrics,
            clock: Arc::clone(&common.clock),
            stop: common.stop.clone(),
        };
        self.spawn("books", &common.stop, move || (keeper.run(), ()));
        Ok(())
    }

    fn start_desk(&mut self, common: &Common) -> Result<Watched, Stopped> {
        let desk = match &common.plan.desk {
            Some(desk) => Arc::clone(desk),
            None => desk(&common.plan, &common.clock)?,
        };
        let rules = common.plan.judge.rules().rules();
        let rules: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
        let metrics = DeskMetrics::new(&common.registry, &Severity::WORDS, &rules)
            .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let keeper = Keeper {
            cluster: common.plan.cluster.clone(),
            probe: common.probe.clone(),
            group: common.plan.group("books"),
            outcomes: common.plan.topics.outcomes.clone(),
            desk: Arc::clone(&desk),
            ready: common.health.condition("alerts", "the alerts are being read"),
            metrics,
            clock: Arc::clone(&common.clock),
            stop: common.stop.clone(),
        };
        self.spawn("desk", &common.stop, move || (keeper.run(), ()));
        let (pumps, watched) = workers::decisions(common, &desk)?;
        for (name, mut pump) in pumps {
            self.spawn(&name, &common.stop, move || (pump.run(), pump));
        }
        Ok(watched)
    }

    /// Of `score` the checkpoints remember where it stands.
    fn start_minder(&mut self, common: &Common, lines: &[Watched]) {
        let Some(beginnings) = common.beginnings.clone() else { return };
        let plan = &common.plan;
        let groups = [("sight", &plan.topics.input), ("books", &plan.topics.outcomes)];
        let minded = groups.into_iter().filter_map(|(line, topic)| {
            let watched = lines.iter().find(|watched| watched.topic == *topic)?;
            Some(Minded {
                group: plan.group(line),
                topic: topic.clone(),
                standings: watched.standings.clone(),
            })
        });
        let lines: Vec<Minded> = minded.collect();
        if lines.is_empty() {
            return;
        }
        let minder =
            Minder { beginnings, lines, clock: Arc::clone(&common.clock), stop: common.stop.clone() };
        self.spawn("minder", &common.stop, move || {
            minder.run();
            (Ok(()), ())
        });
    }

    fn start_notify(&mut self, common: &Common) -> Result<Watched, Stopped> {
        let notify::Telling { pumps, watched, follower, runtime } = notify::telling(common)?;
        self.board = Some(follower.shared());
        self.spawn("webhooks", &common.stop, move || {
            let ended = follower.run();
            // What is under way may come to its end, and is tried again by the next start where it does not.
            runtime.shutdown_timeout(COURIERS_WITHIN);
            (ended, ())
        });
        for (name, mut pump) in pumps {
            self.spawn(&name, &common.stop, move || (pump.run(), pump));
        }
        Ok(watched)
    }

    fn start_lookout(&mut self, common: &Common, lines: Vec<Watched>) {
        let lookout = Lookout {
            lines,
            probe: common.probe.clone(),
            clock: Arc::clone(&common.clock),
            stop: common.stop.clone(),
        };
        self.spawn("lookout", &common.stop, move || (lookout.run(), ()));
    }

    /// Commands on this host may have written into the audit file while there was no cluster.
    fn start_delivery(&mut self, common: &Common) {
        let Some(audit) = common.plan.audit.clone() else { return };
        let stop = common.stop.clone();
        // Not among those that are waited for: a transaction that it waits to begin may take a minute, and whoever
        // comes next sends what it did not.
        let thread = std::thread::Builder::new().name("audit".to_owned());
        if let Err(error) = thread.spawn(move || deliver_until(&audit, &stop)) {
            common.stop.fail(exit::INTERNAL, format!("no thread for audit: {error}"));
        }
    }

    /// What `run` gives beside its result is dropped after the result was told: leaving a group takes its
    /// time, and a cluster that is away must not keep the reason back.
    fn spawn<T>(
        &mut self,
        name: &str,
        stop: &Stop,
        run: impl FnOnce() -> (Result<(), Stopped>, T) + Send + 'static,
    ) {
        let stop = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let (name, stop) = (name.to_owned(), stop.clone());
            move || match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
                Ok((Ok(()), _held)) => tracing::debug!(thread = name, "ended"),
                Ok((Err(stopped), _held)) => stop.fail(stopped.code, stopped.message),
                // The panic hook has said where; what it said is not repeated.
                Err(_) => stop.fail(exit::INTERNAL, format!("{name} panicked; this is a fault of cardwatch")),
            }
        });
        match thread {
            Ok(thread) => self.threads.push(thread),
            Err(error) => stop.fail(exit::INTERNAL, format!("no thread for {name}: {error}")),
        }
    }

    /// Endpoints whose newest key, as all processes know it, does not sign here; with what that key is called.
    pub fn rotated(&self, endpoints: &Endpoints) -> BTreeMap<EndpointName, String> {
        self.board.as_ref().map(|board| board.unsigned(endpoints)).unwrap_or_default()
    }

    /// Replaces the judge from the next batch on.
    pub fn set_judge(&self, judge: Judge) {
        *self.judge.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(judge);
    }

    /// The judge in force.
    pub fn judge(&self) -> Arc<Judge> {
        Arc::clone(&self.judge.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Asks everybody to stop and waits until they have, up to [`STOP_TIMEOUT`]. False when somebody is
    /// still at it: the process may end all the same, the next start resolves what is open.
    pub fn finish(self, clock: &dyn Clock) -> bool {
        self.stop.ask(crate::stop::Reason::Asked);
        let deadline = clock.instant() + STOP_TIMEOUT;
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if clock.instant() >= deadline {
                let left = self.threads.iter().filter(|thread| !thread.is_finished());
                let names: Vec<&str> = left.filter_map(|thread| thread.thread().name()).collect();
                tracing::warn!(
                    threads = names.join(", "),
                    "still at work when the time for stopping was over"
                );
                return false;
            }
            self.stop.wait_more(Duration::from_millis(5));
        }
        true
    }
}

/// What remembers that groups have begun, as the plan says.
fn beginnings(plan: &Plan, probe: &Probe, clock: &Arc<dyn Clock>) -> Option<Beginnings> {
    if plan.topic_check == TopicCheck::Skip {
        return None;
    }
    let (cluster, topic) = (plan.cluster.clone(), plan.topics.control.clone());
    let control = Control::new(cluster, probe.clone(), topic, plan.group("sight"), Arc::clone(clock));
    Some(Beginnings::new(control, env!("CARGO_PKG_VERSION")))
}

/// Removes what is due from the list, as the plan says.
fn sweeper(common: &Common) -> Result<Sweeper, Stopped> {
    let plan = &common.plan;
    let group = plan.group("score");
    let lookup = Lookup::new(&plan.cluster, &group, &plan.topics.sightings)
        .map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?;
    Ok(Sweeper {
        list: ListTopic {
            cluster: plan.cluster.clone(),
            probe: common.probe.clone(),
            topic: plan.topics.exposures.clone(),
            prefix: plan.transactional_prefix.clone(),
            clock: Arc::clone(&common.clock),
        },
        outcomes: plan.topics.outcomes.clone(),
        card_history: plan.topics.card_history.clone(),
        tended: TendedUntil { lookup, partitions: workers::partitions(common)? },
        forgetting: plan.forgetting,
        grace_ms: plan.grace_ms,
        audit: plan.audit.clone(),
        stop: common.stop.clone(),
    })
}

/// The desk of a plan: empty until the service that is started with it has read the alerts.
///
/// # Errors
/// When the client refuses its configuration.
pub fn desk(plan: &Plan, clock: &Arc<dyn Clock>) -> Result<Arc<Desk>, Stopped> {
    let group = plan.group("books");
    let desk = Desk::new(&plan.cluster, &group, &plan.topics.alerts, plan.alerts_max, Arc::clone(clock))?;
    Ok(Arc::new(desk))
}
