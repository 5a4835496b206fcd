//! The reference of all metrics, `docs/metrics.md`, made from the declarations themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use prometheus::proto::{MetricFamily, MetricType};

use super::*;
use crate::domain::alert::Severity;
use crate::domain::delivery::Failure;
use crate::domain::outcome::Verdict;
use crate::telemetry::measure_process;

const HEAD: &str = "# Metrics

<!-- Made by `UPDATE_REFERENCE=1 cargo test --lib metrics::`; a test holds it against the code. -->

`GET /metrics` shows them (`http.listen`), in the text format of Prometheus. No label comes from the stream: its values are known
before the first record is read, but for the ids of incidents, of which a hundred have series of their own.

Sum over processes what lines count. What `books` shows is the same in every process that runs it: take the maximum.
[Dashboards](../deploy/grafana/README.md) and [alerts](../deploy/prometheus/README.md) stand on these.
";

/// What a label says; its values where they are words of cardwatch, and otherwise where they come from.
const LABELS: [(&str, &str, bool); 23] = [
    ("age", "how long an alert has waited", true),
    ("are", "what is known of cards", true),
    ("currency", "code of ISO 4217", false),
    ("decided", "what a person decided", true),
    ("effect", "what an outcome did to its alert", true),
    ("endpoint", "name of a webhook in the configuration", false),
    ("field", "name of a field of the mapping", false),
    ("incident", "id of an incident; `the.rest` for those beyond a hundred", false),
    ("is", "what became of the money", true),
    ("key", "id of a key", false),
    ("librdkafka", "version of the client library", false),
    ("line", "`sight`, `score`, `books` or `notify`", false),
    ("partition", "number of a partition", false),
    (
        "reason",
        "of dead letters: see [dead-letters.md](dead-letters.md); of requests: why they were refused",
        false,
    ),
    ("result", "what came of a request", true),
    ("rule", "name of a rule; `the.rest` for those that the process did not start with", false),
    ("severity", "severity of an alert", true),
    ("signal", "name of a signal of the rules", false),
    ("topic", "name of a topic", false),
    ("use", "`primary`: lists are written under the key; `active`: cards are looked up under it too", false),
    ("verdict", "verdict of an outcome", true),
    ("version", "version of cardwatch", false),
    ("was", "what a transaction was", true),
];

/// Metrics whose name does not end in their unit.
const UNITS: [(&str, &str); 14] = [
    ("cardwatch_build_info", "always 1"),
    ("cardwatch_incident_open", "0 or 1"),
    ("cardwatch_incident_revision", "number"),
    ("cardwatch_webhook_disabled", "0 or 1"),
    ("cardwatch_webhook_expiring", "0 or 1"),
    ("cardwatch_open_alerts_by_age", "alerts"),
    ("cardwatch_open_alerts_by_rule", "alerts"),
    ("cardwatch_http_refused_total", "requests"),
    ("process_start_time_seconds", "seconds since 1970"),
    ("cardwatch_incident_uses", "transactions"),
    ("cardwatch_partitions_held", "partitions"),
    ("cardwatch_partitions_owned", "partitions"),
    ("process_max_fds", "files"),
    ("process_open_fds", "files"),
];

/// A part of the reference: whose metrics, and a registry with each of them.
struct Part {
    title: &'static str,
    about: &'static str,
    registry: Registry,
}

impl Part {
    fn new(title: &'static str, about: &'static str, declare: impl FnOnce(&Registry)) -> Part {
        let registry = Registry::new();
        declare(&registry);
        Part { title, about, registry }
    }
}

/// Everything that is declared anywhere, with at least one series of each.
fn parts() -> Vec<Part> {
    vec![
        Part::new("Every line", "A series for each line that runs in the process.", |registry| {
            let line = LoopFamilies::new(registry).unwrap().of("sight", &["not_json"]);
            line.lag("transactions", 0, 0, 0.0, 0);
        }),
        Part::new("`sight`", "Where transactions are recognised.", |registry| {
            let sight = SightMetrics::new(registry).unwrap();
            sight.unreadable("amount");
            sight.withheld("merchant_name");
            let at = Timestamp(0);
            keys(registry, [("k1", true, at), ("k0", false, at)].into_iter()).unwrap();
        }),
        Part::new("`score`", "Where sightings are judged.", |registry| {
            ScoreMetrics::new(registry, &Severity::WORDS, &["fast"], &["new_country"]).unwrap();
        }),
        Part::new("The exposed list", "Where `sight` or `score` runs.", |registry| {
            RefreshMetrics::new(registry).unwrap();
        }),
        Part::new(
            "`books`: incidents",
            "The same in every process that runs `books`: take the maximum.",
            |registry| {
                IncidentMetrics::new(registry)
                    .unwrap()
                    .set(&[crate::lines::bookkeeper::no_numbers()], Timestamp(0));
            },
        ),
        Part::new(
            "`books`: the desk",
            "The same in every process that runs `books`: take the maximum.",
            |registry| {
                BooksMetrics::new(registry, &Verdict::ALL.map(Verdict::as_str)).unwrap();
                DeskMetrics::new(registry, &Severity::WORDS, &["fast"]).unwrap();
            },
        ),
        Part::new("`notify`", "Where endpoints are told; only where there are any.", |registry| {
            let metrics = WebhookMetrics::new(registry, &["issuer"], &Failure::CLASSES).unwrap();
            metrics.of("issuer");
        }),
        Part::new(
            "The process",
            "In every process; those of memory, time and files on Linux alone.",
            |registry| {
                HttpMetrics::new(registry).unwrap();
                build_info(registry, "0", "0").unwrap();
                measure_process(registry).unwrap();
            },
        ),
    ]
}

fn unit(name: &str) -> &str {
    if let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == name) {
        return unit;
    }
    let name = name.trim_end_matches("_total");
    match name {
        name if name.ends_with("_timestamp_seconds") => "seconds since 1970",
        name if name.ends_with("_minor_units") => "minor units",
        name => name.rsplit_once('_').map_or(name, |(_, unit)| unit),
    }
}

/// The names of a family's labels with the values that they have.
fn labels(family: &MetricFamily) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for label in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
        labels.entry(label.name().to_owned()).or_default().insert(label.value().to_owned());
    }
    labels
}

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in parts() {
        let Part { title, about, registry } = part;
        writeln!(text, "\n## {title}\n\n{about}\n\n| metric | type | unit | labels | what it says |")
            .unwrap();
        writeln!(text, "|---|---|---|---|---|").unwrap();
        for family in registry.gather() {
            let kind = match family.get_field_type() {
                MetricType::COUNTER => "counter",
                MetricType::GAUGE => "gauge",
                MetricType::HISTOGRAM => "histogram",
                other => panic!("{}: {other:?} is not used here", family.name()),
            };
            let labels = labels(&family);
            let names: Vec<String> = labels.keys().map(|name| format!("`{name}`")).collect();
            let (name, help) = (family.name(), family.help());
            writeln!(text, "| `{name}` | {kind} | {} | {} | {help} |", unit(name), names.join(", ")).unwrap();
            labels.into_iter().for_each(|(name, found)| values.entry(name).or_default().extend(found));
        }
    }
    writeln!(text, "\n## Labels\n\n| label | what it says |\n|---|---|").unwrap();
    for (name, found) in &values {
        let (_, says, closed) = LABELS
            .iter()
            .find(|(label, ..)| label == name)
            .unwrap_or_else(|| panic!("label {name} is not described"));
        let words: Vec<String> = found.iter().map(|word| format!("`{word}`")).collect();
        let words = if *closed { format!(": {}", words.join(", ")) } else { String::new() };
        writeln!(text, "| `{name}` | {says}{words} |").unwrap();
    }
    text
}

#[test]
fn the_reference_is_complete_and_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("docs/metrics.md");
    let reference = reference();
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_REFERENCE") {
        std::fs::write(&path, &reference).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(file == reference, "run UPDATE_REFERENCE=1 cargo test --lib metrics::");

    // Every name that is written in the code stands in it: a family without a series is not gathered.
    let mut sources = vec![root.join("src/metrics.rs"), root.join("src/telemetry/process.rs")];
    let directory = std::fs::read_dir(root.join("src/metrics")).unwrap();
    sources
        .extend(directory.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("reference.rs")));
    let mut names = 0;
    for source in sources {
        let text = std::fs::read_to_string(&source).unwrap();
        for name in
            text.split('"').filter(|part| part.starts_with("cardwatch_") || part.starts_with("process_"))
        {
            if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                names += 1;
                assert!(file.contains(&format!("| `{name}` |")), "{name} of {} is missing", source.display());
            }
        }
    }
    assert!(names > 50, "{names} names were found in the code");
}

#[test]
fn names_follow_the_guide_of_prometheus() {
    let mut seen = BTreeSet::new();
    for family in parts().iter().flat_map(|part| part.registry.gather()) {
        let (name, help) = (family.name().to_owned(), family.help());
        assert_eq!(name.ends_with("_total"), family.get_field_type() == MetricType::COUNTER, "{name}");
        assert!(help.len() > 15 && help.ends_with('.'), "{name}: {help}");
        for abbreviated in ["_ms", "_sec", "_millis", "_percent", "_kb", "_mb", "_mib"] {
            assert!(!name.ends_with(abbreviated), "{name} is not in a base unit");
        }
        assert!(seen.insert(name.clone()), "{name} is declared in two parts");
    }
}
