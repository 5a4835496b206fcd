//! What the pages of the reference say in words beside what the code says itself.

use cardwatch::kafka::topics::Role;

/// The groups that signals are shown in: the first of each, and its title.
pub const GROUPS: [(&str, &str); 5] = [
    ("kind", "What the transaction says"),
    ("standing_agreement", "What speaks for the cardholder"),
    ("pan_exposed", "What was exposed"),
    ("uses_10m", "Velocity"),
    ("past_uses", "The card's own past"),
];

/// What a condition may say: the form, a condition that is taken, and what it means.
pub const FORMS: [(&str, &str, &str); 14] = [
    ("and, or, not", "new_merchant && !(card_in_hand || authenticated)", "`&&`, `||`, `!`"),
    ("compare numbers", "uses_1h >= 3", "`==`, `!=`, `<`, `<=`, `>`, `>=`"),
    (
        "compare words and texts",
        "channel == \"ecom\" && country != \"JP\"",
        "`==`, `!=`; a word that the signal never is, is refused",
    ),
    ("compare true and false", "new_merchant == true", "`==`, `!=`; `new_merchant` alone says the same"),
    (
        "calculate",
        "uses_1h * 2 + 1 > uses_24h - 1",
        "`+`, `-`, `*`; whole numbers with whole numbers, decimals with decimals",
    ),
    (
        "divide",
        "uses_24h / 4 >= 2 && uses_24h % 2 == 0",
        "`/`, `%` by a literal other than zero; `%` of whole numbers",
    ),
    ("decimals", "amount_ratio >= 3.0", "written with a point"),
    (
        "money",
        "currency == \"JPY\" && amount >= 50000",
        "minor units of the transaction's currency: ask for `currency` beside it, or use `amount_large`",
    ),
    ("one of several", "cvv in [\"absent\", \"no_match\"]", "literals in brackets"),
    ("choose", "(card_not_present ? uses_1h : uses_24h) >= 3", "`c ? a : b`, both of one type"),
    ("begins with", "mcc.startsWith(\"54\")", "a text in quotes"),
    ("ends with", "country.endsWith(\"P\")", "a text in quotes"),
    ("contains", "mcc.contains(\"9\")", "a text in quotes"),
    ("is known", "known(amount_ratio)", "whether a signal has a value; never unknown itself"),
];

/// Conditions that look right and are refused.
pub const REFUSED: [&str; 14] = [
    "new_merchnt",
    "uses_1h",
    "channel == \"ecomm\"",
    "cvv != \"unknown\"",
    "mcc == null",
    "country > \"JP\"",
    "uses_1h == true",
    "uses_1h * 2.0 > 1.0",
    "uses_1h / uses_24h > 1",
    "mcc.matches(\"5.*\")",
    "size(mcc) > 3",
    "[mcc].exists(m, m == \"1\")",
    "merchant.mcc == \"1\"",
    "uses_1h > 1u",
];

/// Exit codes: the code, what ends with it for example, and whether a supervisor should start the service again.
pub const EXITS: [(u8, &str, &str); 6] = [
    (0, "a command did what it should; the service was asked to stop", "as you like"),
    (64, "an option that does not exist; a key made primary without `--yes`", "no: it would fail again"),
    (
        65,
        "a list in which too many entries do not read; too many records that do not read; a range of the input that expired unread",
        "no: it needs a person",
    ),
    (69, "the cluster, a KMS or a running service does not answer", "yes"),
    (70, "something that should not be possible", "yes, and report it"),
    (
        78,
        "a mistake in the configuration; a missing topic or key; another process with the same `instance.id`; processes that tell different endpoints",
        "no: it needs a person",
    ),
];

/// A topic in words.
#[derive(Debug)]
pub struct Topic {
    pub what: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub must: &'static str,
    pub writers: &'static str,
    pub readers: &'static str,
}

const COMPACT: &str = "`cleanup.policy=compact`";

/// What each topic is: first those of the way from a transaction to an alert, then those beside it.
const TOPICS: [(Role, Topic); 10] = [
    (
        Role::Input,
        Topic {
            what: "Card transactions, as upstream writes them. Named by `input.topic`.",
            key: "yours; the card's would be best, for order",
            value: "JSON, read by the [mapping](../mapping.md); a null value is passed over",
            must: "nothing is checked but that it exists",
            writers: "upstream",
            readers: "`sight`; `check --sample` and `--suggest`",
        },
    ),
    (
        Role::Exposures,
        Topic {
            what: "The exposed list: which cards, in which incidents, by which revisions.",
            key: "`card/KEYID/FINGERPRINT/INCIDENT` or `incident/ID`",
            value: "JSON of cardwatch's own; a tombstone where a record was deleted",
            must: COMPACT,
            writers: "`incident open`, `revise`, `close`, `hold`; `card forget`; the sweep",
            readers: "every process that recognises or judges cards, or keeps the books, from the start; most commands",
        },
    ),
    (
        Role::Sightings,
        Topic {
            what: "Transactions on exposed cards.",
            key: "the card's fingerprint",
            value: "JSON, [cardwatch.sighting/1](../../config/schema/sighting-1.json); CloudEvents headers, `traceparent` passed on",
            must: "`cleanup.policy=delete`",
            writers: "`sight`",
            readers: "`score`; you; `card show`",
        },
    ),
    (
        Role::CardHistory,
        Topic {
            what: "The memory of `score`: what is remembered of each exposed card that was seen.",
            key: "the card's fingerprint; `names/FINGERPRINT`; `departed/HASH`; `checkpoint/PARTITION`",
            value: "binary, of cardwatch's own",
            must: COMPACT,
            writers: "`score`",
            readers: "`score`, `books`; `incident show`, `card show`",
        },
    ),
    (
        Role::Alerts,
        Topic {
            what: "Sightings that something speaks against, and what people decided about them. Of one id the highest `revision` counts.",
            key: "the card's fingerprint",
            value: "JSON, [cardwatch.alert/1](../../config/schema/alert-1.json); CloudEvents headers, `traceparent` passed on",
            must: "`cleanup.policy=delete`, `retention.ms` of 14 days at least",
            writers: "`score` (revision 1), `books` (later ones)",
            readers: "you; `notify`, `books`; `alerts list`, `show`, `follow`",
        },
    ),
    (
        Role::Audit,
        Topic {
            what: "Who did what: each act before it is done, and how it ended.",
            key: "the id of the act",
            value: "JSON, [cardwatch.audit/1](../../config/schema/audit-1.json)",
            must: "`cleanup.policy=delete`, `retention.ms` of twelve months at least (PCI DSS 10.5.1)",
            writers: "whatever changes something: commands, `/v1`, the service",
            readers: "`audit list`, `audit follow`",
        },
    ),
    (
        Role::Outcomes,
        Topic {
            what: "What alerts turned out to be.",
            key: "the id of the alert, the sighting or the transaction; `cardwatch/removed/INCIDENT`",
            value: "JSON, [cardwatch.outcome/1](../../config/schema/outcome-1.json)",
            must: COMPACT,
            writers: "`outcome`, `POST /v1/outcomes`, systems of your own; the sweep (tombstones and sums)",
            readers: "`books`; the sweep; `incident show`, `card show`",
        },
    ),
    (
        Role::Deliveries,
        Topic {
            what: "What is owed to endpoints. Of an alert that was delivered nothing is left.",
            key: "`taken/PARTITION`, `endpoint/NAME`, `owed/NAME/ID`",
            value: "JSON of cardwatch's own",
            must: COMPACT,
            writers: "`notify`",
            readers: "`notify`; `/v1/webhooks`, `/v1/deliveries`; `webhook list`, `pending`, `failed`",
        },
    ),
    (
        Role::Control,
        Topic {
            what: "What the lines tell each other: where reading began, how endpoints stand, what somebody asked for.",
            key: "`begun/GROUP/TOPIC/PARTITION`, and others by kind and name",
            value: "JSON of cardwatch's own",
            must: COMPACT,
            writers: "every line; `webhook replay`, `enable`, `disable`, `rotate`",
            readers: "every line; `webhook list`",
        },
    ),
    (
        Role::DeadLetters,
        Topic {
            what: "Records whose card field cannot be read.",
            key: "none",
            value: "empty, sealed or the record as it was, by `dead_letters.payload`; headers say where it stood and why ([dead letters](../dead-letters.md))",
            must: "`cleanup.policy=delete`",
            writers: "every line",
            readers: "`dead-letters list`, `open`",
        },
    ),
];

/// What a topic is, by its role.
pub fn topic(role: Role) -> &'static Topic {
    let found = TOPICS.iter().find(|(of, _)| *of == role);
    found.map(|(_, topic)| topic).unwrap_or_else(|| panic!("{role:?} is in no words"))
}
