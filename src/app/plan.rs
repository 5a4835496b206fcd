//! What is to be run: settings, files and keys turned into what the rooms take.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::dead_letter::Payload;
use crate::codec::mapping::Mapping;
use crate::exposure::fingerprint::Keyring;
use crate::judge::Judge;
use crate::kafka::client::Cluster;
use crate::lines::audit::Audit;
use crate::lines::bookkeeper::MadeUp;
use crate::lines::desk::Desk;
use crate::lines::notify::endpoint::Endpoints;
use crate::lines::pump::Pace;
use crate::lines::score::Forgetting;
use crate::lines::start::First;

/// Whether the topics are looked at before anything starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCheck {
    /// They are, and a fault ends the start.
    Full,
    /// The caller made them itself, on a cluster that tells neither their settings nor their ids.
    Skip,
}

/// The names of the topics.
#[derive(Debug, Clone)]
pub struct Names {
    /// The user's transactions.
    pub input: String,
    /// The exposed list.
    pub exposures: String,
    /// Sightings.
    pub sightings: String,
    /// Histories and checkpoints.
    pub card_history: String,
    /// Alerts.
    pub alerts: String,
    /// Audit records.
    pub audit: String,
    /// What people decided.
    pub outcomes: String,
    /// What is owed to endpoints.
    pub deliveries: String,
    /// What the lines tell each other.
    pub control: String,
    /// Dead letters.
    pub dead_letters: String,
}

/// How many workers a line has, and how they commit.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    /// Workers.
    pub workers: usize,
    /// The most this instance will ever have.
    pub workers_max: usize,
    /// How they commit.
    pub pace: Pace,
}

/// Everything the service needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The cluster.
    pub cluster: Cluster,
    /// The topics.
    pub topics: Names,
    /// Partitions of sightings, histories and alerts; `None` takes those of the sightings topic.
    pub partitions: Option<i32>,
    /// Whether topics are checked.
    pub topic_check: TopicCheck,
    /// What the names of groups begin with.
    pub group_prefix: String,
    /// What transactional ids begin with.
    pub transactional_prefix: String,
    /// This process's name.
    pub instance: String,
    /// Whether `sight` runs here.
    pub sight: bool,
    /// Whether `score` runs here.
    pub score: bool,
    /// Whether `books` runs here.
    pub books: bool,
    /// Whether `notify` runs here: it is enabled, and there are endpoints.
    pub notify: bool,
    /// The workers of `sight`.
    pub sight_crew: Crew,
    /// The workers of `score`.
    pub score_crew: Crew,
    /// The worker of `books`: outcomes are on one partition.
    pub books_crew: Crew,
    /// The workers of `notify`.
    pub notify_crew: Crew,
    /// Whom `notify` tells.
    pub endpoints: Endpoints,
    /// The most deliveries that are made out at once for each endpoint and partition.
    pub deliveries_room: usize,
    /// How long restoring what is owed may stand still.
    pub deliveries_restore_timeout: Duration,
    /// The most alerts that the desk keeps at hand.
    pub alerts_max: usize,
    /// The desk, where somebody else wants to see it too; the service makes one where it needs it.
    pub desk: Option<Arc<Desk>>,
    /// Where the books are kept as they were made up last, for whoever else wants to see them.
    pub made_up: Arc<MadeUp>,
    /// Where the input begins for a group that has read nothing yet.
    pub first: First,
    /// Who answers for going on although a range of the input is lost, and where that is written down; `None`
    /// stops there.
    pub accept_gap: Option<Audit>,
    /// How records are read.
    pub mapping: Mapping,
    /// The keys; `None` where `sight` does not run.
    pub keyring: Option<Keyring>,
    /// The judge.
    pub judge: Judge,
    /// What dead letters keep.
    pub payload: Payload,
    /// The share of unreadable records that stops a line.
    pub stop_at: f64,
    /// When an unconfirmed list is an alarm.
    pub alarm_after: Duration,
    /// Where removals are written down; `None` where nobody answers for them.
    pub audit: Option<Audit>,
    /// When histories are forgotten, and records of cards removed.
    pub forgetting: Forgetting,
    /// How long an outcome is kept whose card no incident lists, in milliseconds.
    pub grace_ms: i64,
    /// How long a restore may stand still.
    pub restore_timeout: Duration,
}

impl Plan {
    /// The name of a line's consumer group.
    pub fn group(&self, line: &str) -> String {
        format!("{}-{line}", self.group_prefix)
    }

    /// The transactional id of a worker slot.
    pub fn transactional_id(&self, line: &str, worker: usize) -> String {
        format!("{}-{line}-{}-{worker}", self.transactional_prefix, self.instance)
    }
}
