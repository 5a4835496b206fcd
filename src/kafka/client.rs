//! How every client of the process reaches the cluster, and what its callbacks do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::refusal::{self, Refusals};
use super::token::{Bearer, Tokens};
use crate::fault;

/// The longest a request to a broker may take before it counts as lost, in milliseconds. A commit that
/// took longer makes its producer suspect (see [`super::producer`]).
pub const SOCKET_TIMEOUT_MS: u64 = 9_000;
/// How long the group waits for a silent member, in milliseconds.
pub const SESSION_TIMEOUT_MS: u64 = 10_000;
/// How long the cluster keeps an abandoned transaction open, in milliseconds. It bounds how long a
/// killed process holds back the readers of what it wrote.
pub const TRANSACTION_TIMEOUT_MS: u64 = 10_000;
/// How long a question to the cluster may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest record cardwatch produces or accepts, in bytes: the broker's own default.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;
/// Records that a consumer fetches ahead. Small on purpose: measured faster than a large queue (the
/// caches hold it), and it bounds how many card numbers lie in the client's buffers.
const QUEUED_RECORDS: usize = 20_000;
/// Bytes that a consumer fetches ahead, in KiB.
const QUEUED_KBYTES: usize = 32_768;
/// Bytes of all partitions in one answer to a fetch, compressed as the producers left them. The queue's bounds
/// are looked at before a fetch only: by the default of 50 MiB, 64 partitions with a backlog took 330 MiB.
const FETCH_BYTES: usize = 4 * 1_048_576;

/// Where the cluster is and what the user adds to every client.
#[derive(Clone, Default)]
pub struct Cluster {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// The name under which the brokers see this process.
    pub client_id: String,
    /// Further librdkafka properties, already checked against those that would break a guarantee.
    pub properties: BTreeMap<String, String>,
    /// The tokens that brokers are shown, where they ask for one.
    pub tokens: Option<Tokens>,
}

/// How brokers are spoken to, in small letters, where the property `security.protocol` is set to this or not at all.
pub fn protocol(set: Option<&str>) -> String {
    set.unwrap_or("plaintext").to_ascii_lowercase()
}

impl fmt::Debug for Cluster {
    /// Properties by name alone: among their values are passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.keys().map(String::as_str).collect();
        f.debug_struct("Cluster")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// The configuration that every client shares: the user's properties over what is only a good default, and
    /// under what the promises rest on.
    pub fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", &self.client_id);
        config.set("reconnect.backoff.ms", "50");
        config.set("reconnect.backoff.max.ms", "1000");
        config.set("topic.metadata.refresh.interval.ms", "10000");
        if let Some(authorities) = self.default_authorities() {
            config.set("ssl.ca.location", authorities);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("socket.timeout.ms", SOCKET_TIMEOUT_MS.to_string());
        config.set("allow.auto.create.topics", "false");
        let level = match self.properties.contains_key("debug") {
            true => RDKafkaLogLevel::Debug,
            false => RDKafkaLogLevel::Warning,
        };
        config.set_log_level(level);
        config
    }

    /// How brokers are spoken to: `security.protocol` in small letters, and the mechanism with SASL.
    pub fn security(&self) -> String {
        let protocol = protocol(self.properties.get("security.protocol").map(String::as_str));
        match self.properties.get("sasl.mechanism").filter(|_| protocol.starts_with("sasl")) {
            Some(mechanism) => format!("{protocol} with {mechanism}"),
            None => protocol,
        }
    }

    /// An OpenSSL that was built here knows no authorities of this machine by itself: its own directory is that of
    /// the machine it was built on. librdkafka looks where distributions keep them when told to.
    fn default_authorities(&self) -> Option<&'static str> {
        let speaks_tls = self.security().contains("ssl");
        let named = ["ssl.ca.location", "ssl.ca.pem"].iter().any(|name| self.properties.contains_key(*name));
        (speaks_tls && !named).then_some("probe")
    }

    /// Sets what is a good default and the user's to change.
    fn tune(&self, config: &mut ClientConfig, name: &str, value: impl Into<String>) {
        if !self.properties.contains_key(name) {
            config.set(name, value);
        }
    }

    /// Makes a client and, where brokers ask for a token, sees to it that it always has one.
    ///
    /// # Errors
    /// When the client refuses its configuration, or there is no token.
    pub(super) fn open<C, T>(&self, config: &ClientConfig, context: C) -> Result<Arc<T>, KafkaError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + Bearer + 'static,
    {
        let client: T = config.create_with_context(context).map_err(refusal::without_value)?;
        let client = Arc::new(client);
        if let Some(tokens) = &self.tokens {
            let bearer: Arc<dyn Bearer> = Arc::clone(&client) as Arc<dyn Bearer>;
            tokens.enrol(&bearer).map_err(KafkaError::ClientCreation)?;
        }
        Ok(client)
    }

    /// A member of the group `group`: reads committed records only and commits nothing by itself.
    pub fn group_consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("group.id", group);
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let session_ms = fault::session_ms().unwrap_or(SESSION_TIMEOUT_MS);
        config.set("session.timeout.ms", session_ms.to_string());
        config.set("heartbeat.interval.ms", (session_ms / 5).to_string());
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed");
        // Out of range is a decision for a person, never a silent jump.
        config.set("auto.offset.reset", "error");
        config.set("check.crcs", "true");
        self.tune(&mut config, "queued.min.messages", QUEUED_RECORDS.to_string());
        self.tune(&mut config, "queued.max.messages.kbytes", QUEUED_KBYTES.to_string());
        // The default of 1,000 ms puts a fast consumer to sleep whenever its queue is full.
        self.tune(&mut config, "fetch.queue.backoff.ms", "10");
        self.tune(&mut config, "fetch.wait.max.ms", "100");
        self.tune(&mut config, "fetch.message.max.bytes", "1048576");
        self.tune(&mut config, "fetch.max.bytes", FETCH_BYTES.to_string());
        config
    }

    /// A reader without a group that sees only what is committed and is told where a partition ends.
    /// `group` is never joined: librdkafka wants a name to assign at all.
    pub fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.group_consumer(group);
        config.set("enable.partition.eof", "true");
        config.set("fetch.wait.max.ms", "50");
        config
    }

    /// A client that sees everything written, committed or not: for high watermarks and for questions.
    pub fn uncommitted(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// A transactional producer.
    pub fn producer(&self, transactional_id: &str) -> ClientConfig {
        let mut config = self.base();
        config.set("transactional.id", transactional_id);
        config.set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string());
        config.set("message.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string());
        // Placement as Java clients do it, so that a key lies where others expect it.
        config.set("partitioner", "murmur2_random");
        config.set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        self.tune(&mut config, "linger.ms", "1");
        self.tune(&mut config, "compression.type", "lz4");
        self.tune(&mut config, "queue.buffering.max.messages", "100000");
        config
    }

    /// An idempotent producer without transactions, for many records that nobody waits for.
    pub fn feed(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("enable.idempotence", "true");
        config.set("partitioner", "murmur2_random");
        config.set("message.max.bytes", MESSAGE_BYTES_MAX.to_string());
        self.tune(&mut config, "linger.ms", "20");
        self.tune(&mut config, "compression.type", "lz4");
        self.tune(&mut config, "queue.buffering.max.messages", "100000");
        config
    }
}

/// What a client's callbacks leave for the thread that owns it.
#[derive(Debug, Default)]
pub struct Notes {
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
    delivery_error: Mutex<Option<RDKafkaErrorCode>>,
    refusals: Mutex<Refusals>,
}

impl Notes {
    /// The newest error of the client as a whole, if there was one since the last call.
    pub fn take_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The first record that could not be delivered since the last call.
    pub fn take_delivery_error(&self) -> Option<RDKafkaErrorCode> {
        self.delivery_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why brokers refuse this client, and what to do about it.
    pub(super) fn refusal(&self) -> Option<String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).told()
    }

    /// Whether brokers accept connections and close them without a word.
    pub(super) fn closed_at_once(&self) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).closed_at_once()
    }

    /// Keeps the first delivery error.
    pub(super) fn note_delivery_error(&self, code: RDKafkaErrorCode) {
        let mut slot = self.delivery_error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(code);
    }

    fn note_error(&self, code: RDKafkaErrorCode, reason: &str) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).note(code, reason);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
    }
}

/// Writes librdkafka's own log lines and errors to the program's log. They name brokers, topics and
/// partitions, never a record's content.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// What the callbacks leave behind.
    pub notes: Arc<Notes>,
}

/// Whether a line says that what was under way was thrown away because this process gave its transaction up. The
/// client has it as an error; the reason for giving up is told where it was decided.
fn is_of_our_purge(facility: &str, message: &str) -> bool {
    facility == "TXNERR" && ["(_PURGE_QUEUE)", "(_PURGE_INFLIGHT)"].iter().any(|code| message.contains(code))
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            _ if is_of_our_purge(facility, message) => {
                tracing::debug!(facility, text = message, "kafka client");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(facility, text = message, "kafka client"),
            RDKafkaLogLevel::Warning => tracing::warn!(facility, text = message, "kafka client"),
            _ => tracing::debug!(facility, text = message, "kafka client"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        tracing::debug!(%error, reason, "kafka client error");
        self.notes.note_error(code, reason);
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_changes_what_is_a_default_and_not_what_is_promised() {
        let set = [
            ("linger.ms", "7"),
            ("client.id", "mine"),
            ("fetch.max.bytes", "99"),
            ("socket.timeout.ms", "1"),
        ];
        let properties = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let cluster = Cluster { client_id: "cardwatch-one".to_owned(), properties, ..Cluster::default() };
        let (producer, consumer) = (cluster.producer("id"), cluster.group_consumer("group"));
        assert_eq!((producer.get("linger.ms"), producer.get("client.id")), (Some("7"), Some("mine")));
        assert_eq!(
            (consumer.get("fetch.max.bytes"), consumer.get("fetch.wait.max.ms")),
            (Some("99"), Some("100"))
        );
        assert_eq!(consumer.get("socket.timeout.ms"), Some("9000"));
    }

    #[test]
    fn authorities_of_the_machine_are_looked_for_where_none_are_named() {
        let cluster = |properties: &[(&str, &str)]| {
            let owned = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Cluster { properties: owned.collect(), ..Cluster::default() }
        };
        for (properties, security, authorities) in [
            (&[][..], "plaintext", None),
            (&[("security.protocol", "SSL")], "ssl", Some("probe")),
            (&[("security.protocol", "ssl"), ("ssl.ca.location", "ca.pem")], "ssl", Some("ca.pem")),
            (&[("security.protocol", "ssl"), ("ssl.ca.pem", "…")], "ssl", None),
            (
                &[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "PLAIN")],
                "sasl_ssl with PLAIN",
                Some("probe"),
            ),
            (
                &[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")],
                "sasl_plaintext with PLAIN",
                None,
            ),
        ] {
            let cluster = cluster(properties);
            assert_eq!(cluster.security(), security);
            assert_eq!(cluster.base().get("ssl.ca.location"), authorities, "{properties:?}");
        }
    }

    #[test]
    fn no_value_of_a_property_is_shown() {
        let properties = [("sasl.password".to_owned(), "hunter2".to_owned())].into();
        let shown = format!("{:?}", Cluster { properties, ..Cluster::default() });
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn only_what_was_given_up_here_is_no_error_of_the_client() {
        let line =
            |code: &str| format!("Current transaction failed: ProduceRequest failed: Local: Purged ({code})");
        for (facility, code, is_ours) in [
            ("TXNERR", "_PURGE_INFLIGHT", true),
            ("TXNERR", "_PURGE_QUEUE", true),
            ("TXNERR", "_TIMED_OUT", false),
            ("FAIL", "_PURGE_QUEUE", false),
        ] {
            assert_eq!(is_of_our_purge(facility, &line(code)), is_ours, "{facility} {code}");
        }
    }
}
