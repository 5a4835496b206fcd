//! Properties that are not the user's to set, each with its reason; docs/kafka.md shows the same list.

/// Offsets.
const OFFSETS: &str = "offsets are committed in the transaction of their results alone";
/// Delivery.
const ACKNOWLEDGED: &str = "an acknowledged record must be on every in-sync replica";
const GIVING_UP: &str = "giving up early would leave a hole in a transaction";
const IN_TIME: &str = "it must stay below the transaction's own time-out of 10 s";
const ORDER: &str = "more than five requests in flight can reorder records";
/// Where things have a place of their own.
const SERVERS: &str = "it has a key of its own, kafka.bootstrap_servers";
const TOKENS: &str = "tokens come from kafka.oauth.token_file or kafka.oauth.token_command";
const KERBEROS: &str =
    "Kerberos is not built in; sasl.mechanism takes PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER";
const LOGS: &str = "log.level says what is logged";
const EVENTS: &str = "the lines serve the client's events themselves";
const GROUPS: &str = "the classic protocol with cooperative-sticky is the one the lines are tested with";

/// Properties that are refused, and why.
pub(in crate::config) const REFUSED: [(&str, &str); 64] = [
    ("acks", ACKNOWLEDGED),
    ("allow.auto.create.topics", "a topic made in passing has the wrong partitions and clean-up"),
    ("api.version.request", "transactions need to know what the brokers speak"),
    ("auto.commit.enable", OFFSETS),
    ("auto.commit.interval.ms", OFFSETS),
    ("auto.offset.reset", "a lost range must stop the line; input.start says where a new group starts"),
    ("bootstrap.servers", SERVERS),
    ("broker.version.fallback", "transactions need to know what the brokers speak"),
    ("check.crcs", "a record that was damaged on the way must not be judged"),
    ("delivery.report.only.error", "a transaction is committed when every record is known to be delivered"),
    ("delivery.timeout.ms", IN_TIME),
    ("enable.auto.commit", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("enable.gapless.guarantee", "transactions already guarantee more"),
    ("enable.idempotence", "a retried record must not be written twice"),
    ("enable.partition.eof", "restoring a history is bounded by its own protocol"),
    (
        "enable.sasl.oauthbearer.unsecure.jwt",
        "a token that anybody can make proves nothing; tokens come from kafka.oauth.token_file or token_command",
    ),
    (
        "enable.ssl.certificate.verification",
        "whoever stands between could read the transactions and write alerts; name the authority under ssl.ca.location",
    ),
    ("enable_sasl_queue", EVENTS),
    ("enabled_events", EVENTS),
    ("group.id", "it follows from instance.group_prefix and the line"),
    ("group.instance.id", "workers are told apart by the broker; a shared id would fence them off"),
    ("group.protocol", GROUPS),
    ("group.protocol.type", GROUPS),
    ("group.remote.assignor", GROUPS),
    ("heartbeat.interval.ms", "it follows from the session time-out of 10 s"),
    ("internal.termination.signal", "signals are the program's own"),
    ("isolation.level", "reading what may yet be aborted would count a sighting twice"),
    ("log.queue", LOGS),
    ("log_level", LOGS),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("message.max.bytes", "records are bounded to what a topic takes by default, 1,000,000 bytes"),
    ("message.send.max.retries", GIVING_UP),
    ("message.timeout.ms", IN_TIME),
    ("metadata.broker.list", SERVERS),
    ("offset.store.method", OFFSETS),
    ("offset.store.path", OFFSETS),
    ("offset.store.sync.interval.ms", OFFSETS),
    ("partition.assignment.strategy", "cooperative-sticky is the one the lines are tested with"),
    ("partitioner", "keys are placed as Java clients place them (murmur2_random)"),
    ("plugin.library.paths", "a library that is loaded from outside would see card numbers and keys"),
    ("queuing.strategy", "records of one partition must stay in order"),
    ("request.required.acks", ACKNOWLEDGED),
    ("retries", GIVING_UP),
    (
        "sasl.jaas.config",
        "it is a setting of Java clients: use sasl.mechanism, sasl.username and sasl.password_file",
    ),
    ("sasl.kerberos.keytab", KERBEROS),
    ("sasl.kerberos.kinit.cmd", KERBEROS),
    ("sasl.kerberos.min.time.before.relogin", KERBEROS),
    ("sasl.kerberos.principal", KERBEROS),
    ("sasl.kerberos.service.name", KERBEROS),
    ("sasl.oauthbearer.client.credentials.client.secret", TOKENS),
    ("sasl.oauthbearer.client.id", TOKENS),
    ("sasl.oauthbearer.client.secret", TOKENS),
    ("sasl.oauthbearer.config", TOKENS),
    ("sasl.oauthbearer.method", TOKENS),
    ("sasl.oauthbearer.token.endpoint.url", TOKENS),
    ("session.timeout.ms", "take-over after a crash is promised with a time-out of 10 s"),
    ("socket.timeout.ms", "a commit that took longer than 9 s makes its producer suspect"),
    (
        "statistics.interval.ms",
        "nobody reads them here and they would pile up; metrics are under http.listen",
    ),
    ("test.mock.num.brokers", "a cluster within the process forgets everything when it ends"),
    ("topic.blacklist", "what is not seen is not watched"),
    ("transaction.timeout.ms", "a transaction left open holds readers back; it ends after 10 s"),
    (
        "transactional.id",
        "it follows from instance.transactional_prefix, the line, the instance and the worker",
    ),
];

/// Two names of one thing: the second is the one that is used.
const ALIASES: [(&str, &str); 4] = [
    ("compression.codec", "compression.type"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("sasl.mechanisms", "sasl.mechanism"),
];

/// Properties whose values are secrets: read from a file, never written in the configuration.
pub(super) const SECRET: [&str; 4] =
    ["sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password"];

/// Properties that name a file with a secret in it, which the client reads by itself.
pub(super) const SECRET_FILES: [&str; 2] = ["ssl.key.location", "ssl.keystore.location"];

/// The name under which a property is kept.
pub(super) fn usual(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, usual)| usual)
}

/// Why a property is refused, if it is.
pub(super) fn why(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}
