//! From the settings to the plan.

use std::sync::Arc;
use std::time::Duration;

use super::plan::{Crew, Names, Plan, TopicCheck};
use crate::clock::{Clock, SystemClock};
use crate::codec::dead_letter::Payload;
use crate::codec::mapping::Mapping;
use crate::config::{self, Line, Settings, Start};
use crate::exposure::fingerprint::Keyring;
use crate::exposure::retention::Retention;
use crate::files::keys::{KeyDirectory, KeySources};
use crate::judge::{Judge, JudgeSettings};
use crate::kafka::client::Cluster;
use crate::kafka::consumer::Lookup;
use crate::kafka::probe::Probe;
use crate::lines::access::Access;
use crate::lines::audit::Audit;
use crate::lines::beginnings::Beginnings;
use crate::lines::books::BookTopics;
use crate::lines::control::Control;
use crate::lines::import::ListTopic;
use crate::lines::notify::endpoint::Endpoints;
use crate::lines::notify::office::Office;
use crate::lines::pump::Pace;
use crate::lines::score::Forgetting;
use crate::lines::snapshot::Snapshots;
use crate::lines::start::{First, Stopped};
use crate::lines::sweep::{Sweeper, TendedUntil};
use crate::scoring::rules::{DEFAULT_RULES, RuleSet};
use crate::stop::{Stop, exit};

/// Outcomes come one by one, and lie on one partition.
const BOOKS_CREW: Crew = Crew {
    workers: 1,
    workers_max: 1,
    pace: Pace {
        linger: Duration::from_millis(5),
        offsets_interval: Duration::from_millis(100),
        offsets_records: 1_000,
    },
};

/// The cluster of the settings.
pub fn cluster(settings: &Settings) -> Cluster {
    let properties = settings.kafka.properties.iter();
    Cluster {
        bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
        client_id: format!("cardwatch-{}", settings.instance.id),
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        tokens: super::oauth::tokens(settings),
    }
}

/// The key directory of the settings, with the keys that come from elsewhere.
pub fn key_directory(settings: &Settings) -> KeyDirectory {
    KeyDirectory::new(&settings.keys.directory).with(KeySources {
        files: settings.key_files.0.clone(),
        commands: settings.key_commands.0.clone(),
        timeout: settings.keys.command_timeout,
    })
}

/// The topics of the settings.
pub fn names(settings: &Settings) -> Names {
    Names {
        input: settings.input.topic.clone(),
        exposures: settings.topics.exposures.clone(),
        sightings: settings.topics.sightings.clone(),
        card_history: settings.topics.card_history.clone(),
        alerts: settings.topics.alerts.clone(),
        audit: settings.topics.audit.clone(),
        outcomes: settings.topics.outcomes.clone(),
        deliveries: settings.topics.deliveries.clone(),
        control: settings.topics.control.clone(),
        dead_letters: settings.topics.dead_letters.clone(),
    }
}

/// The exposure list of the settings, for reading and changing it.
///
/// # Errors
/// When the client refuses its settings.
pub fn list_topic(settings: &Settings) -> Result<ListTopic, Stopped> {
    let cluster = cluster(settings);
    Ok(ListTopic {
        probe: Probe::new(&cluster).map_err(|error| refused(&error))?,
        cluster,
        topic: settings.topics.exposures.clone(),
        prefix: settings.instance.transactional_prefix.clone(),
        clock: Arc::new(SystemClock),
    })
}

/// Where the books of the settings are kept.
pub fn book_topics(settings: &Settings) -> BookTopics {
    let names = names(settings);
    let group = |line: &str| format!("{}-{line}", settings.instance.group_prefix);
    BookTopics {
        card_history: names.card_history,
        outcomes: names.outcomes,
        input: names.input,
        sightings: names.sightings,
        sight_group: group("sight"),
        score_group: group("score"),
    }
}

/// Where somebody who is not `notify` sees what is owed to endpoints, and asks for things.
///
/// # Errors
/// When the client refuses its settings.
pub fn webhook_office(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Office, Stopped> {
    let (cluster, names) = (cluster(settings), names(settings));
    let probe = Probe::new(&cluster).map_err(|error| refused(&error))?;
    let group = format!("{}-webhook", settings.instance.group_prefix);
    Ok(Office {
        snapshots: Snapshots {
            cluster: cluster.clone(),
            probe: probe.clone(),
            group: group.clone(),
            clock: Arc::clone(clock),
        },
        deliveries: names.deliveries,
        alerts: names.alerts,
        control: Control::new(cluster, probe.clone(), names.control, group, Arc::clone(clock)),
        probe,
        clock: Arc::clone(clock),
    })
}

/// Removes records of cards as the settings say, and writes it down in `audit`.
///
/// # Errors
/// When the client refuses its settings, the cluster does not answer or the sightings' topic is not there.
pub fn sweeper(settings: &Settings, audit: Audit) -> Result<Sweeper, Stopped> {
    let list = list_topic(settings)?;
    let group = format!("{}-score", settings.instance.group_prefix);
    let lookup = Lookup::new(&list.cluster, &group, &settings.topics.sightings);
    let partitions = super::topics::sightings_partitions(&names(settings), &list.probe)?;
    Ok(Sweeper {
        tended: TendedUntil { lookup: lookup.map_err(|error| refused(&error))?, partitions },
        list,
        outcomes: settings.topics.outcomes.clone(),
        card_history: settings.topics.card_history.clone(),
        forgetting: forgetting(settings),
        grace_ms: millis(settings.retention.outcome_grace),
        audit: Some(audit),
        stop: Stop::new(),
    })
}

/// What is remembered of the groups of the settings. `group` names the reading client.
pub fn beginnings(settings: &Settings, probe: &Probe, group: &str) -> Beginnings {
    let (topic, clock) = (settings.topics.control.clone(), Arc::new(SystemClock));
    let control = Control::new(cluster(settings), probe.clone(), topic, group.to_owned(), clock);
    Beginnings::new(control, env!("CARGO_PKG_VERSION"))
}

/// Looks for a card on the topics of the settings.
///
/// # Errors
/// As [`list_topic`].
pub fn access(settings: &Settings) -> Result<Access, Stopped> {
    Ok(Access {
        list: list_topic(settings)?,
        sightings: settings.topics.sightings.clone(),
        card_history: settings.topics.card_history.clone(),
        alerts: settings.topics.alerts.clone(),
        outcomes: settings.topics.outcomes.clone(),
    })
}

fn refused(error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
}

/// How long the settings keep records of cards.
pub fn retention(settings: &Settings) -> Retention {
    let retention = &settings.retention;
    Retention { withdrawn_ms: millis(retention.withdrawn), ended_ms: millis(retention.ended) }
}

/// When the settings have histories forgotten.
fn forgetting(settings: &Settings) -> Forgetting {
    Forgetting {
        retention: retention(settings),
        max_idle_ms: millis(settings.history.max_idle),
        every: settings.retention.sweep_every,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The mapping of the settings.
///
/// # Errors
/// Every mistake in it.
pub fn mapping(settings: &Settings) -> Result<Mapping, Stopped> {
    Mapping::new(&settings.mapping_spec()).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Stopped::new(exit::CONFIG, format!("the mapping is wrong: {}", errors.join("; ")))
    })
}

/// The judge of the settings: its rules are read from their file, or built in.
///
/// # Errors
/// When the file cannot be read, or every mistake in the rules.
pub fn judge(settings: &Settings) -> Result<Judge, Stopped> {
    let (text, file) = match &settings.alerts.rules {
        None => (DEFAULT_RULES.to_owned(), "built-in rules".to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Stopped::new(exit::CONFIG, format!("{}: the rules cannot be read: {error}", path.display()))
            })?;
            (text, path.display().to_string())
        }
    };
    let rules = RuleSet::parse(&text, &file).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Stopped::new(exit::CONFIG, errors.join("\n"))
    })?;
    let judge_settings = JudgeSettings {
        min_uses: u64::from(settings.history.min_uses),
        live_for_ms: millis(settings.alerts.live_for),
        threshold: settings.alerts.threshold,
    };
    Ok(Judge::new(rules, judge_settings, env!("CARGO_PKG_VERSION")))
}

/// The workers of a line's section: each has the same keys.
macro_rules! crew {
    ($section:expr) => {
        Crew {
            workers: $section.workers,
            workers_max: $section.workers_max,
            pace: Pace {
                linger: $section.linger,
                offsets_interval: $section.commit_interval,
                offsets_records: $section.commit_records as u64,
            },
        }
    };
}

/// The plan of the settings. `keyring` is `None` where `sight` does not run.
///
/// # Errors
/// When the mapping, the rules or an endpoint is wrong.
pub fn plan(settings: &Settings, keyring: Option<Keyring>) -> Result<Plan, Stopped> {
    let runs = |line| settings.lines.enabled.contains(&line);
    let judge = judge(settings)?;
    let endpoints = match runs(Line::Notify) {
        true => super::webhooks::endpoints(settings, Some(judge.rules())).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Stopped::new(exit::CONFIG, problems.join("\n"))
        })?,
        false => Endpoints::default(),
    };
    Ok(Plan {
        cluster: cluster(settings),
        topics: names(settings),
        partitions: None,
        topic_check: TopicCheck::Full,
        group_prefix: settings.instance.group_prefix.clone(),
        transactional_prefix: settings.instance.transactional_prefix.clone(),
        instance: settings.instance.id.clone(),
        sight: runs(Line::Sight),
        score: runs(Line::Score),
        books: runs(Line::Books),
        // Without endpoints there is nobody to tell, and nothing of it needs to be there.
        notify: !endpoints.0.is_empty(),
        sight_crew: crew!(settings.sight),
        score_crew: crew!(settings.score),
        books_crew: BOOKS_CREW,
        notify_crew: crew!(settings.notify),
        endpoints,
        deliveries_room: settings.notify.room,
        deliveries_restore_timeout: settings.notify.restore_timeout,
        alerts_max: settings.books.alerts_max,
        desk: None,
        made_up: Arc::default(),
        first: match settings.input.start {
            None => First::Unsaid,
            Some(Start::Earliest) => First::Earliest,
            Some(Start::Latest) => First::Latest,
            Some(Start::At(at)) => First::At(at),
        },
        accept_gap: None,
        mapping: mapping(settings)?,
        keyring,
        judge,
        payload: match settings.dead_letter_payload() {
            config::Payload::Omit => Payload::Omit,
            // Reading the settings has seen to it that there is a key.
            config::Payload::Sealed => {
                settings.dead_letters.public_key.map_or(Payload::Omit, Payload::Sealed)
            }
            config::Payload::Original => Payload::Original,
        },
        stop_at: settings.dead_letters.stop_at,
        alarm_after: settings.refresh.alarm_after,
        audit: None,
        forgetting: forgetting(settings),
        grace_ms: millis(settings.retention.outcome_grace),
        restore_timeout: settings.score.restore_timeout,
    })
}
