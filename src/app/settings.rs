//! From the settings to the plan.

use super::mapping;
use super::plan::{Crew, Names, Plan, TopicCheck};
use crate::codec::dead_letter::Payload;
use crate::codec::mapping::Mapping;
use crate::config::{self, Line, Settings, Start};
use crate::exposure::fingerprint::Keyring;
use crate::files::keys::{KeyDirectory, KeySources};
use crate::judge::{Judge, JudgeSettings};
use crate::kafka::client::Cluster;
use crate::lines::pump::Pace;
use crate::lines::start::{First, Stopped};
use crate::scoring::rules::{DEFAULT_RULES, RuleSet};
use crate::stop::exit;

/// The cluster of the settings.
pub fn cluster(settings: &Settings) -> Cluster {
    let properties = settings.kafka.properties.iter();
    Cluster {
        bootstrap_servers: settings.kafka.bootstrap_servers.clone(),
        client_id: format!("cardwatch-{}", settings.instance.id),
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
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
        dead_letters: settings.topics.dead_letters.clone(),
    }
}

/// The mapping of the settings.
///
/// # Errors
/// Every mistake in it.
pub fn mapping(settings: &Settings) -> Result<Mapping, Stopped> {
    Mapping::new(&mapping::spec(settings)).map_err(|errors| {
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
        live_for_ms: i64::try_from(settings.alerts.live_for.as_millis()).unwrap_or(i64::MAX),
        threshold: settings.alerts.threshold,
    };
    Ok(Judge::new(rules, judge_settings, env!("CARGO_PKG_VERSION")))
}

/// The plan of the settings. `keyring` is `None` where `sight` does not run.
///
/// # Errors
/// When the mapping or the rules are wrong.
pub fn plan(settings: &Settings, keyring: Option<Keyring>) -> Result<Plan, Stopped> {
    let runs = |line| settings.lines.enabled.contains(&line);
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
        sight_crew: Crew {
            workers: settings.sight.workers,
            workers_max: settings.sight.workers_max,
            pace: Pace {
                linger: settings.sight.linger,
                offsets_interval: settings.sight.commit_interval,
                offsets_records: settings.sight.commit_records as u64,
            },
        },
        score_crew: Crew {
            workers: settings.score.workers,
            workers_max: settings.score.workers_max,
            pace: Pace {
                linger: settings.score.linger,
                offsets_interval: settings.score.commit_interval,
                offsets_records: settings.score.commit_records as u64,
            },
        },
        first: match settings.input.start {
            None => First::Unsaid,
            Some(Start::Earliest) => First::Earliest,
            Some(Start::Latest) => First::Latest,
            Some(Start::At(at)) => First::At(at),
        },
        accept_gap: None,
        mapping: mapping(settings)?,
        keyring,
        judge: judge(settings)?,
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
        restore_timeout: settings.score.restore_timeout,
    })
}
