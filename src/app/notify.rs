//! Builds what tells endpoints: the runtime, the couriers, the follower of the board and the workers.

use std::sync::Arc;
use std::sync::mpsc::channel;

use tokio::runtime::{Builder, Runtime};

use super::Common;
use super::workers::{self, Pumps};
use crate::domain::delivery::Failure;
use crate::lines::control::Control;
use crate::lines::lookout::Watched;
use crate::lines::notify::board::Follower;
use crate::lines::notify::census::{self, Census};
use crate::lines::notify::courier::Couriers;
use crate::lines::notify::endpoint::Endpoint;
use crate::lines::notify::restore::Restorer;
use crate::lines::notify::sheets::{Sheets, Shelf};
use crate::lines::notify::{Bounds, Notify, NotifyState};
use crate::lines::pulse::Pulse;
use crate::lines::pump::{Line, Pump};
use crate::lines::score::Score;
use crate::lines::sight::Sight;
use crate::lines::standings::Standings;
use crate::lines::start::{First, Remembers, Stopped};
use crate::metrics::WebhookMetrics;
use crate::stop::exit;
use crate::webhook::post::Post;
use crate::webhook::resolve::{Resolve, SystemResolver};
use crate::webhook::slot::Slot;

/// Threads that carry.
const CARRIERS: usize = 2;

/// Everything that tells endpoints, ready to run.
pub(super) struct Telling {
    /// The workers.
    pub(super) pumps: Pumps<Notify>,
    /// Where they stand.
    pub(super) watched: Watched,
    /// Follows the board.
    pub(super) follower: Follower,
    /// Runs the couriers; they end with it.
    pub(super) runtime: Runtime,
}

/// A courier's connection to an endpoint.
fn slot(endpoint: &Endpoint) -> Box<dyn Post> {
    let resolver: Arc<dyn Resolve> = Arc::new(SystemResolver);
    Box::new(Slot::new(Arc::clone(&endpoint.target), resolver))
}

/// Follows the board.
fn follower(common: &Common) -> Follower {
    let plan = &common.plan;
    let control = Control::new(
        plan.cluster.clone(),
        common.probe.clone(),
        plan.topics.control.clone(),
        plan.group(Notify::NAME),
        Arc::clone(&common.clock),
    );
    let ready = common.health.condition("webhooks", "what endpoints are told is being read");
    let (instance, names) = (plan.instance.clone(), plan.endpoints.names());
    Follower::new(control, instance, names, ready, Arc::clone(&common.clock), common.stop.clone())
}

/// Restores ledgers.
fn restorer(common: &Common) -> Result<Restorer, Stopped> {
    let plan = &common.plan;
    Ok(Restorer {
        cluster: plan.cluster.clone(),
        probe: common.probe.clone(),
        group: plan.group(Notify::NAME),
        deliveries: plan.topics.deliveries.clone(),
        alerts: plan.topics.alerts.clone(),
        partitions: workers::partitions(common)?,
        endpoints: plan.endpoints.clone(),
        stall: plan.deliveries_restore_timeout,
        clock: Arc::clone(&common.clock),
        stop: common.stop.clone(),
    })
}

/// Reads alerts back.
fn shelf(common: &Common) -> Shelf {
    let plan = &common.plan;
    Shelf {
        cluster: plan.cluster.clone(),
        probe: common.probe.clone(),
        group: plan.group(Notify::NAME),
        topic: plan.topics.alerts.clone(),
        clock: Arc::clone(&common.clock),
    }
}

/// Counts what heartbeats say.
fn census(common: &Common) -> census::Source {
    let plan = &common.plan;
    let watched =
        |line: &str, topic: &String| census::Watched { group: plan.group(line), topic: topic.clone() };
    census::Source {
        cluster: plan.cluster.clone(),
        probe: common.probe.clone(),
        sight: watched(Sight::NAME, &plan.topics.input),
        score: watched(Score::NAME, &plan.topics.sightings),
    }
}

pub(super) fn telling(common: &Common) -> Result<Telling, Stopped> {
    let plan = &common.plan;
    let fault = |error: &dyn std::fmt::Display| Stopped::new(exit::INTERNAL, error.to_string());
    let names: Vec<&str> = plan.endpoints.0.iter().map(|endpoint| endpoint.name.as_str()).collect();
    let metrics =
        WebhookMetrics::new(&common.registry, &names, &Failure::CLASSES).map_err(|error| fault(&error))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(CARRIERS)
        .thread_name("courier")
        .enable_all()
        .build()
        .map_err(|error| fault(&error))?;
    let (room, retention_ms) = (plan.deliveries_room, common.alerts_retention_ms);
    let bounds = Bounds { room, retention_ms, ..Bounds::default() };
    let couriers = Arc::new(Couriers::start(&runtime, &plan.endpoints, bounds.window, &slot, &common.clock));
    let (follower, restorer) = (follower(common), restorer(common)?);
    let loop_metrics = workers::loop_metrics(common, Notify::NAME);
    let standings = Standings::default();
    let remembers = match &common.beginnings {
        Some(_) => Remembers::Exactly(Arc::new(restorer.clone())),
        None => Remembers::Nothing,
    };
    let mut pumps = Vec::new();
    for worker in 0..plan.notify_crew.workers {
        let name = format!("notify-{worker}");
        let line = Notify {
            name: name.clone(),
            alerts: plan.topics.alerts.clone(),
            deliveries: plan.topics.deliveries.clone(),
            endpoints: plan.endpoints.clone(),
            shared: follower.shared(),
            couriers: Arc::clone(&couriers),
            settled: channel(),
            sheets: Sheets::start(shelf(common)),
            census: Census::start(census(common)),
            restorer: restorer.clone(),
            undertaker: workers::undertaker_of_others(common, &loop_metrics),
            bounds,
            loop_metrics: loop_metrics.clone(),
            metrics: plan
                .endpoints
                .names()
                .into_iter()
                .map(|name| (name.clone(), metrics.of(name.as_str())))
                .collect(),
            pulse: Pulse::new(&name, &common.health, loop_metrics.clone(), Arc::clone(&common.clock)),
            clock: Arc::clone(&common.clock),
            state: NotifyState::new(&bounds),
        };
        let topic = &plan.topics.alerts;
        let source = workers::Input { topic, first: First::Earliest, remembers: remembers.clone() };
        let parts = workers::parts::<Notify>(common, &source, plan.notify_crew, worker, &standings)?;
        pumps.push((name, Pump::new(line, parts)));
    }
    let watched = Watched {
        topic: plan.topics.alerts.clone(),
        standings,
        metrics: loop_metrics,
        fixed_partitions: Some(restorer.partitions),
    };
    Ok(Telling { pumps, watched, follower, runtime })
}
