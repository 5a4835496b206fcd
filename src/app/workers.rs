//! Builds the workers of each line.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rdkafka::error::RDKafkaErrorCode;

use super::Common;
use super::plan::Crew;
use super::topics::sightings_partitions;
use crate::codec::dead::DeadReason;
use crate::codec::dead_letter::Payload;
use crate::domain::alert::Severity;
use crate::domain::outcome::Verdict;
use crate::exposure::derived::Digester;
use crate::exposure::fingerprint::{Fingerprinter, Keyring};
use crate::fault;
use crate::kafka::consumer::GroupConsumer;
use crate::kafka::group::Group;
use crate::kafka::producer::TransactionalProducer;
use crate::lines::dead::Undertaker;
use crate::lines::decisions::{Decisions, DecisionsState};
use crate::lines::desk::Desk;
use crate::lines::lookout::Watched;
use crate::lines::pulse::Pulse;
use crate::lines::pump::{Line, Parts, Pump};
use crate::lines::refresh::Exposed;
use crate::lines::restore::Restorer;
use crate::lines::score::{Score, ScoreState, ScoreTopics, SharedJudge, Tender};
use crate::lines::sight::{Sight, SightState};
use crate::lines::standings::Standings;
use crate::lines::start::{First, Remembers, Starts, Stopped, pin};
use crate::metrics::{BooksMetrics, LoopMetrics, ScoreMetrics, SightMetrics};
use crate::scoring::signals::Signal;
use crate::stop::exit;
use crate::watch::Watch;

/// Named workers, ready to run.
pub(super) type Pumps<L> = Vec<(String, Pump<L>)>;

/// Takes over every slot that no worker of this run will use, so that what an earlier run with more
/// workers left open is ended now and not when it times out.
pub(super) fn sweep_slots(common: &Common) -> Result<(), Stopped> {
    let lines = [
        ("sight", common.plan.sight, common.plan.sight_crew),
        ("score", common.plan.score, common.plan.score_crew),
        ("books", common.plan.books, common.plan.books_crew),
        ("notify", common.plan.notify, common.plan.notify_crew),
    ];
    for (line, runs, crew) in lines {
        if runs {
            for worker in crew.workers..crew.workers_max {
                producer(common, line, worker)?;
            }
        }
    }
    Ok(())
}

/// Says where the input begins, before any worker joins the group.
pub(super) fn pin_input(common: &Common) -> Result<(), Stopped> {
    let plan = &common.plan;
    let group = Group::new(&plan.cluster, &plan.group(Sight::NAME)).map_err(|error| client(&error))?;
    let topic = &plan.topics.input;
    // Read now and not when somebody waits for a partition: what is known of all of them is kept.
    let remembered = match &common.beginnings {
        Some(beginnings) => !beginnings.recall(group.name(), topic)?.is_empty(),
        None => false,
    };
    let remembered = remembered && !fault::broken("begun-not-remembered");
    pin(&group, &common.probe, topic, plan.first, common.clock.now(), remembered)
}

pub(super) fn sight(
    common: &Common,
    keyring: &Keyring,
    exposed: &Arc<Exposed>,
) -> Result<(Pumps<Sight>, Watched), Stopped> {
    let plan = &common.plan;
    let loop_metrics = loop_metrics(common, Sight::NAME);
    let metrics = SightMetrics::new(&common.registry).map_err(|error| fault(&error))?;
    let remembers = common.beginnings.clone().map_or(Remembers::Nothing, Remembers::Near);
    let source = Input { topic: &plan.topics.input, first: plan.first, remembers };
    let watch = Watch::new(plan.mapping.clone(), Fingerprinter::new(keyring), env!("CARGO_PKG_VERSION"));
    let standings = Standings::default();
    let mut pumps = Vec::new();
    for worker in 0..plan.sight_crew.workers {
        let name = format!("sight-{worker}");
        let line = Sight {
            watch: watch.clone(),
            exposed: Arc::clone(exposed),
            topic: plan.topics.input.clone(),
            sightings: plan.topics.sightings.clone(),
            undertaker: undertaker(common, Some(keyring), &loop_metrics),
            loop_metrics: loop_metrics.clone(),
            metrics: metrics.clone(),
            pulse: Pulse::new(&name, &common.health, loop_metrics.clone(), Arc::clone(&common.clock)),
            clock: Arc::clone(&common.clock),
            state: SightState::default(),
        };
        let parts = parts::<Sight>(common, &source, plan.sight_crew, worker, &standings)?;
        pumps.push((name, Pump::new(line, parts)));
    }
    let watched = Watched {
        topic: plan.topics.input.clone(),
        standings,
        metrics: loop_metrics,
        fixed_partitions: None,
    };
    Ok((pumps, watched))
}

/// How many partitions the sightings have.
pub(super) fn partitions(common: &Common) -> Result<i32, Stopped> {
    match common.plan.partitions {
        Some(partitions) => Ok(partitions),
        None => sightings_partitions(&common.plan.topics, &common.probe),
    }
}

pub(super) fn score(
    common: &Common,
    judge: &SharedJudge,
    exposed: &Arc<Exposed>,
    leads: &Arc<AtomicBool>,
) -> Result<(Pumps<Score>, Watched), Stopped> {
    let plan = &common.plan;
    let partitions = partitions(common)?;
    let loop_metrics = loop_metrics(common, Score::NAME);
    let rules: Vec<&str> = plan.judge.rules().rules().iter().map(|rule| rule.name()).collect();
    let signals: Vec<&str> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    let metrics = ScoreMetrics::new(&common.registry, &Severity::WORDS, &rules, &signals)
        .map_err(|error| fault(&error))?;
    let restorer = Restorer {
        cluster: plan.cluster.clone(),
        probe: common.probe.clone(),
        group: plan.group(Score::NAME),
        topic: plan.topics.card_history.clone(),
        partitions,
        stall: plan.restore_timeout,
        clock: Arc::clone(&common.clock),
        stop: common.stop.clone(),
    };
    let remembers = match &common.beginnings {
        Some(_) => Remembers::Exactly(Arc::new(restorer.clone())),
        None => Remembers::Nothing,
    };
    let standings = Standings::default();
    let mut pumps = Vec::new();
    for worker in 0..plan.score_crew.workers {
        let name = format!("score-{worker}");
        let line = Score {
            judge: Arc::clone(judge),
            topics: ScoreTopics {
                sightings: plan.topics.sightings.clone(),
                alerts: plan.topics.alerts.clone(),
                card_history: plan.topics.card_history.clone(),
            },
            restorer: restorer.clone(),
            undertaker: undertaker(common, None, &loop_metrics),
            loop_metrics: loop_metrics.clone(),
            metrics: metrics.clone(),
            pulse: Pulse::new(&name, &common.health, loop_metrics.clone(), Arc::clone(&common.clock)),
            clock: Arc::clone(&common.clock),
            tender: Tender::new(Arc::clone(exposed), plan.forgetting),
            leads: Arc::clone(leads),
            state: ScoreState::default(),
        };
        let topic = &plan.topics.sightings;
        let source = Input { topic, first: First::Earliest, remembers: remembers.clone() };
        let parts = parts::<Score>(common, &source, plan.score_crew, worker, &standings)?;
        pumps.push((name, Pump::new(line, parts)));
    }
    let watched = Watched {
        topic: plan.topics.sightings.clone(),
        standings,
        metrics: loop_metrics,
        fixed_partitions: Some(partitions),
    };
    Ok((pumps, watched))
}

pub(super) fn decisions(common: &Common, desk: &Arc<Desk>) -> Result<(Pumps<Decisions>, Watched), Stopped> {
    let plan = &common.plan;
    let loop_metrics = loop_metrics(common, Decisions::NAME);
    let verdicts = Verdict::ALL.map(Verdict::as_str);
    let metrics = BooksMetrics::new(&common.registry, &verdicts).map_err(|error| fault(&error))?;
    let standings = Standings::default();
    let name = "books-0".to_owned();
    let line = Decisions {
        topic: plan.topics.outcomes.clone(),
        alerts: plan.topics.alerts.clone(),
        desk: Arc::clone(desk),
        cluster: plan.cluster.clone(),
        undertaker: undertaker_of_others(common, &loop_metrics),
        loop_metrics: loop_metrics.clone(),
        metrics,
        pulse: Pulse::new(&name, &common.health, loop_metrics.clone(), Arc::clone(&common.clock)),
        clock: Arc::clone(&common.clock),
        state: DecisionsState::default(),
    };
    let topic = &plan.topics.outcomes;
    // An outcome that is read again says nothing new in the end, and what is not read yet is never compacted away.
    let remembers = common.beginnings.clone().map_or(Remembers::Nothing, Remembers::NearEnough);
    let source = Input { topic, first: First::Earliest, remembers };
    let parts = parts::<Decisions>(common, &source, plan.books_crew, 0, &standings)?;
    let watched =
        Watched { topic: topic.clone(), standings, metrics: loop_metrics, fixed_partitions: Some(1) };
    Ok((vec![(name, Pump::new(line, parts))], watched))
}

pub(super) fn loop_metrics(common: &Common, line: &'static str) -> LoopMetrics {
    let reasons: Vec<&'static str> = DeadReason::ALL.iter().map(|reason| reason.as_str()).collect();
    common.families.of(line, &reasons)
}

/// Of what others write to cardwatch's own topics nothing is kept, and however much of it is wrong, the line goes on.
pub(super) fn undertaker_of_others(common: &Common, metrics: &LoopMetrics) -> Undertaker {
    let topic = common.plan.topics.dead_letters.clone();
    Undertaker::new(topic, Payload::Omit, None, f64::INFINITY, metrics.clone())
}

fn undertaker(common: &Common, keyring: Option<&Keyring>, metrics: &LoopMetrics) -> Undertaker {
    let digest = keyring.map(|keyring| {
        let digester = Digester::new(keyring.primary());
        let digest = move |bytes: &[u8]| digester.digest(bytes);
        Arc::new(digest) as crate::lines::dead::Digest
    });
    let plan = &common.plan;
    let topic = plan.topics.dead_letters.clone();
    Undertaker::new(topic, plan.payload, digest, plan.stop_at, metrics.clone())
}

/// What a line reads, and where it begins.
pub(super) struct Input<'a> {
    pub(super) topic: &'a str,
    pub(super) first: First,
    pub(super) remembers: Remembers,
}

pub(super) fn parts<L: Line>(
    common: &Common,
    input: &Input<'_>,
    crew: Crew,
    worker: usize,
    standings: &Standings,
) -> Result<Parts, Stopped> {
    let (group, topic) = (common.plan.group(L::NAME), input.topic);
    let producer = producer(common, L::NAME, worker)?;
    let consumer =
        GroupConsumer::join(&common.plan.cluster, &group, topic).map_err(|error| client(&error))?;
    let starts = Starts {
        lookup: consumer.lookup(),
        probe: common.probe.clone(),
        topic: topic.to_owned(),
        group,
        first: input.first,
        remembers: input.remembers.clone(),
        accept_gap: common.plan.accept_gap.clone(),
        clock: Arc::clone(&common.clock),
        stop: common.stop.clone(),
    };
    Ok(Parts {
        consumer,
        producer,
        starts,
        standings: standings.clone(),
        pace: crew.pace,
        clock: Arc::clone(&common.clock),
        stop: common.stop.clone(),
    })
}

fn producer(common: &Common, line: &'static str, worker: usize) -> Result<TransactionalProducer, Stopped> {
    let id = common.plan.transactional_id(line, worker);
    TransactionalProducer::start(&common.plan.cluster, &id, line, Arc::clone(&common.clock)).map_err(
        |error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
                let message = format!(
                    "the brokers do not let this user write transactions; missing: Write on transactional id {id} \
                     (those that begin with {}-); docs/kafka.md has the command that gives it",
                    common.plan.transactional_prefix
                );
                Stopped::new(exit::CONFIG, message)
            }
            _ => Stopped::new(exit::UNAVAILABLE, format!("transactional id {id} could not be taken over: {error}")),
        },
    )
}

fn client(error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
}

fn fault(error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::INTERNAL, error.to_string())
}
