//! Every key of the configuration but those of [`mapping`](super::mapping): what it is for, its default,
//! what may be written.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::section::section;
use super::shape::{
    address, choice, choices, derived, duration, name_part, optional, path, pointer, sealing_key, servers,
    share, topic, truth, whole, word_or,
};
use super::source::{places, places_or_none};
use crate::codec::seal::PublicKey;
use crate::domain::card::CardKind;
use crate::domain::time::Timestamp;

/// Where reading the input starts where the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record still there.
    Earliest,
    /// At whatever comes next.
    Latest,
    /// At the first record of this time or later, by the records' own timestamps.
    At(Timestamp),
}

/// A line that this process may run. `refresh` runs wherever `sight` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Line {
    /// Recognises exposed cards.
    Sight,
    /// Judges sightings.
    Score,
    /// Makes revisions of alerts of what people decide, shows the alerts and keeps the books of incidents.
    Books,
    /// Tells endpoints of alerts.
    Notify,
}

/// What a dead letter keeps of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Position, sizes and reason only.
    Omit,
    /// Also value, key and headers, encrypted to a public key.
    Sealed,
    /// Value, key and headers as they were.
    Original,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what somebody should look at.
    Warn,
    /// And what happens seldom: starts, stops, assignments, revisions.
    Info,
    /// And every commit.
    Debug,
    /// Everything.
    Trace,
}

impl Line {
    /// Every line, in the order of the flow.
    pub const ALL: [Line; 4] = [Line::Sight, Line::Score, Line::Books, Line::Notify];

    /// The word used in configuration, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Line::Sight => "sight",
            Line::Score => "score",
            Line::Books => "books",
            Line::Notify => "notify",
        }
    }
}

section! {
    /// Where the Kafka cluster is. All topics are on one cluster.
    pub(super) struct Brokers = "kafka" {
        /// The brokers to ask first.
        bootstrap_servers: String = r#""127.0.0.1:9092""#, servers();
    }
}

section! {
    /// The topics that cardwatch writes and reads, the input aside. `cardwatch topics` prints and checks
    /// them, `cardwatch topics --create` makes them.
    pub struct Topics = "topics" {
        /// What the names below begin with where they are not set one by one.
        prefix: String = r#""cardwatch.""#, name_part(0..=200);
        /// The exposed list: compacted, one partition.
        exposures: String = r#""""# example r#""cardwatch.exposures""#, derived(topic());
        /// Transactions on exposed cards.
        sightings: String = r#""""# example r#""cardwatch.sightings""#, derived(topic());
        /// The memory of `score`: compacted.
        card_history: String = r#""""# example r#""cardwatch.card-history""#, derived(topic());
        /// Sightings that scored, with their reasons.
        alerts: String = r#""""# example r#""cardwatch.alerts""#, derived(topic());
        /// What people decided about alerts: compacted, one partition.
        outcomes: String = r#""""# example r#""cardwatch.outcomes""#, derived(topic());
        /// Who did what: one partition, kept for 400 days.
        audit: String = r#""""# example r#""cardwatch.audit""#, derived(topic());
        /// What is owed to endpoints: compacted, partitioned as alerts.
        deliveries: String = r#""""# example r#""cardwatch.deliveries""#, derived(topic());
        /// What the lines tell each other, such as that a group has begun to read: compacted, one partition.
        control: String = r#""""# example r#""cardwatch.control""#, derived(topic());
        /// Records whose card field cannot be read.
        dead_letters: String = r#""""# example r#""cardwatch.dead-letters""#, derived(topic());
        /// Partitions of sightings, card history, alerts and deliveries when they are created: equal, and fixed
        /// for life.
        partitions: i32 = "8", whole(1..=10_000, "");
        /// Copies of each topic when it is created; 3 on a cluster of three brokers or more.
        replication_factor: i32 = "1", whole(1..=100, "");
    }
}

section! {
    /// The stream of card transactions.
    pub(super) struct InputTopic = "input" {
        /// The topic that upstream writes. Its key and its partitions are upstream's own.
        topic: String = r#""transactions""#, topic();
        /// Where reading starts where the group has no committed offset: "earliest", "latest", or the time
        /// of the first record to read. There is no default: a wrong guess would either miss
        /// transactions or read years of them.
        start: Option<Start> = r#""""# example r#""earliest""#, start();
    }
}

fn start() -> super::shape::Shape<Option<Start>> {
    let allowed = r#""earliest", "latest" or a time with its offset such as "2026-04-01T00:00:00+09:00""#;
    optional(word_or(
        &[("earliest", Start::Earliest), ("latest", Start::Latest)],
        allowed,
        "a place to start",
        |text| Timestamp::parse_rfc3339(text).ok().map(Start::At),
    ))
}

section! {
    /// The fields of a transaction that hold the card. Usually one; where there are several, any may match, and the
    /// sighting says which did. A record needs one of them; what is null or empty is not there.
    pub struct Card = "input.card" {
        /// Where it is, as a JSON Pointer (RFC 6901).
        field: Vec<String> = r#""/card""#, places();
        /// What it holds: a card number, a token or an account reference that is compared byte for byte, or a
        /// fingerprint that upstream made with the same key.
        kind: CardKind = r#""number""#, choice(&[
            ("number", CardKind::Number),
            ("token", CardKind::Token),
            ("account_reference", CardKind::AccountReference),
            ("fingerprint", CardKind::Fingerprint),
        ]);
        /// Where the id of the key is that a fingerprint was made with. Without it the primary key is
        /// meant. Only for the kind "fingerprint".
        key_field: Option<String> = r#""""# example r#""/card_key""#, optional(pointer());
        /// Where the number of the card behind a wallet's number is. It matches lists of card numbers.
        funding_number: Vec<String> = r#""""# example r#""/wallet/funding_pan""#, places_or_none();
        /// Where a token is, beside the card's number. It matches lists of tokens.
        token: Vec<String> = r#""""# example r#""/card_token""#, places_or_none();
        /// Where a reference is that outlives the card, such as the EMVCo payment account reference. It matches
        /// lists of account references.
        account_reference: Vec<String> = r#""""# example r#""/par""#, places_or_none();
    }
}

section! {
    /// The keys that fingerprints are made with.
    pub struct Keys = "keys" {
        /// The directory `cardwatch key` works on. Its files are readable by their owner alone.
        directory: PathBuf = r#""keys""#, path();
        /// How long a command of [keys.commands] may take.
        command_timeout: Duration = r#""10s""#, duration("1s", "5m");
    }
}

section! {
    /// What tells this process from others on the same cluster.
    pub struct Instance = "instance" {
        /// The name of this process: the same after every restart, and of no other process. The default is
        /// the name of the host.
        id: String = r#""""# example r#""watch-1""#, derived(name_part(1..=128));
        /// What transactional ids begin with: PREFIX-LINE-ID-WORKER.
        transactional_prefix: String = r#""cardwatch""#, name_part(1..=64);
        /// What the names of consumer groups begin with: PREFIX-LINE.
        group_prefix: String = r#""cardwatch""#, name_part(1..=64);
    }
}

section! {
    /// What this process does.
    pub struct Lines = "lines" {
        /// The lines to run: "sight" recognises exposed cards, "score" judges sightings, "books" takes in what
        /// people decide about alerts, serves the alerts and keeps the books of incidents, with every listed
        /// card in its memory: one process of several is enough; "notify" tells the endpoints under "webhooks" of alerts.
        enabled: Vec<Line> = r#"["sight", "score", "books", "notify"]"#,
            choices(&Line::ALL.map(|line| (line.as_str(), line)));
    }
}

section! {
    /// Recognising exposed cards.
    pub struct Sight = "sight" {
        /// Workers: threads with a consumer and a producer each.
        workers: usize = "1", whole(1..=64, "");
        /// The most workers this instance will ever have. At start the transactions of that many are
        /// brought to an end, so that running fewer leaves none open.
        workers_max: usize = "8", whole(1..=64, "");
        /// The longest time between two commits while nothing is found.
        commit_interval: Duration = r#""1s""#, duration("10ms", "5s");
        /// The most records between two commits.
        commit_records: usize = "100000", whole(100..=1_000_000, "records");
        /// How long a sighting waits for others before the commit. What comes while a commit is under way shares the
        /// next one anyhow.
        linger: Duration = r#""0ms""#, duration("0ms", "1s");
    }
}

section! {
    /// Judging sightings.
    pub struct Score = "score" {
        /// Workers: threads with a consumer and a producer each.
        workers: usize = "1", whole(1..=64, "");
        /// The most workers this instance will ever have.
        workers_max: usize = "8", whole(1..=64, "");
        /// The longest time between two commits while nothing is raised.
        commit_interval: Duration = r#""100ms""#, duration("10ms", "5s");
        /// The most sightings between two commits.
        commit_records: usize = "1000", whole(10..=10_000, "sightings");
        /// How long an alert waits for others before the commit. What comes while a commit is under way shares the
        /// next one anyhow.
        linger: Duration = r#""0ms""#, duration("0ms", "1s");
        /// How long restoring a partition's histories may make no progress before the line fails.
        restore_timeout: Duration = r#""180s""#, duration("10s", "1h");
    }
}

section! {
    /// Taking in what people decide, and showing the alerts.
    pub struct Books = "books" {
        /// The most alerts that are kept at hand, some 300 bytes each; the oldest are left out. An outcome of one
        /// that was left out changes nothing.
        alerts_max: usize = "200000", whole(1_000..=10_000_000, "alerts");
    }
}

section! {
    /// Telling endpoints of alerts. They are listed under "webhooks".
    pub struct Notify = "notify" {
        /// Workers: threads with a consumer and a producer each, for what is owed. Requests go on beside them, as
        /// many as each endpoint's concurrency says.
        workers: usize = "1", whole(1..=64, "");
        /// The most workers this instance will ever have.
        workers_max: usize = "8", whole(1..=64, "");
        /// The longest time between two commits while nothing is owed or done.
        commit_interval: Duration = r#""100ms""#, duration("10ms", "5s");
        /// The most alerts between two commits.
        commit_records: usize = "1000", whole(10..=10_000, "alerts");
        /// How long what is owed or done waits for more before the commit. What comes while a commit is under way
        /// shares the next one anyhow.
        linger: Duration = r#""0ms""#, duration("0ms", "1s");
        /// The most deliveries that are made out at once for each endpoint and partition, some 500 bytes each. What is
        /// owed beyond is kept as ranges, however much it is.
        room: usize = "1000", whole(10..=100_000, "deliveries");
        /// How long restoring what is owed of a partition may make no progress before the line fails.
        restore_timeout: Duration = r#""180s""#, duration("10s", "1h");
    }
}

section! {
    /// Keeping the exposed list in memory.
    pub struct Refresh = "refresh" {
        /// How long the end of the exposed list may stay unconfirmed before this process is not ready.
        alarm_after: Duration = r#""30s""#, duration("5s", "1h");
    }
}

section! {
    /// What is remembered of a card.
    pub struct History = "history" {
        /// How many uses must be known before a signal that compares with the card's past says anything.
        min_uses: u32 = "5", whole(1..=50, "uses");
        /// How long a card's history is kept without a sighting of the card; after that only what its incidents'
        /// books count of it.
        max_idle: Duration = r#""400d""#, duration("1s", "3650d");
    }
}

section! {
    /// How long records of cards are kept that are of no more use. A legal hold suspends all of it.
    pub struct Retention = "retention" {
        /// How long the record of a withdrawn card is kept. Until then its withdrawal can be undone.
        withdrawn: Duration = r#""90d""#, duration("0s", "3650d");
        /// How long the records of an incident are kept when its watch is over. Within it a watch can be
        /// prolonged; after it the incident is closed, its cards' records and histories are removed.
        ended: Duration = r#""1d""#, duration("0s", "3650d");
        /// How long an outcome is kept whose card no incident lists: one that was decided after the card's records were
        /// removed, or that comes before the list that names the card. Keep it longer than an import takes.
        outcome_grace: Duration = r#""1d""#, duration("0s", "90d");
        /// How often what is due is removed.
        sweep_every: Duration = r#""1h""#, duration("1s", "1d");
    }
}

section! {
    /// When a sighting becomes an alert.
    pub struct Alerts = "alerts" {
        /// The score from which a sighting is an alert, in place of the threshold of the rules.
        threshold: Option<u32> = r#""""# example "50", optional(whole(1..=1_000, "points"));
        /// The age of a transaction up to which an alert on it is "live"; beyond it, it is "late": the goods are
        /// shipped, and what is left is to know. Look-backs are of neither kind.
        live_for: Duration = r#""1h""#, duration("1m", "90d");
        /// The rules, in place of those built in.
        rules: Option<PathBuf> = r#""""# example r#""rules.toml""#, optional(path());
    }
}

section! {
    /// Records whose card field cannot be read.
    pub struct DeadLetters = "dead_letters" {
        /// What a dead letter keeps: "omit" keeps position, sizes and reason, "sealed" also value, key and
        /// headers, encrypted to public_key, "original" the same as they were. The default is "original"
        /// where the card field holds a token, otherwise "omit".
        payload: Option<Payload> = r#""""# example r#""sealed""#, optional(choice(&[
            ("omit", Payload::Omit),
            ("sealed", Payload::Sealed),
            ("original", Payload::Original),
        ]));
        /// The key that letters are sealed to: `cardwatch dead-letters keygen` makes it, and the private half
        /// that opens them, which has no place here.
        public_key: Option<PublicKey> = r#""""#
            example r#""cwpub.AImzxbkPTZgIvVwFkp96E-H4aElDdkIoh8R-HNHBtCZJJApL""#, optional(sealing_key());
        /// The share of unreadable records, of 1,000, above which the line stops before committing.
        stop_at: f64 = "0.05", share();
    }
}

section! {
    /// Metrics and health, open to whoever reaches the address, and /v1 for whoever has a token.
    pub struct Http = "http" {
        /// The address to listen on; "" switches it off.
        listen: Option<SocketAddr> = r#""127.0.0.1:9600""#, optional(address());
        /// Whether /v1 is served: incidents, alerts and outcomes, to the owners of http.tokens.
        api: bool = "true", truth();
    }
}

section! {
    /// Who did what, written down before it is done: on the topic topics.audit, and in a file.
    pub struct Audit = "audit" {
        /// The file, one JSON object a line, made for its owner alone and only ever appended to. "" has the
        /// topic alone: then keys cannot be changed where the cluster is not reached.
        file: Option<PathBuf> = r#""audit.jsonl""#, optional(path());
    }
}

section! {
    /// Logs, on standard error.
    pub struct Log = "log" {
        /// How lines look.
        format: LogFormat = r#""text""#, choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        /// How much is logged.
        level: LogLevel = r#""info""#, choice(&[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ]);
    }
}
