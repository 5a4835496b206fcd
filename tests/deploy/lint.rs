//! The documented rules of Grafana's dashboard-linter, as a test of our own: the tool itself could not be had. Beside
//! them, what this project wants: thresholds and links on every panel, annotations, links that lead somewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::boards::{Board, boards, documented, list, metrics_in, project, word};

/// Units that panels use, of those that Grafana knows.
const UNITS: [&str; 11] = [
    "short",
    "none",
    "s",
    "percentunit",
    "rps",
    "reqps",
    "ops",
    "bytes",
    "dateTimeFromNow",
    "string",
    "bool",
];

/// Everything that a dashboard breaks: rule and place.
fn broken(board: &Board) -> Vec<String> {
    let mut found = Vec::new();
    if board.json["editable"] != false {
        found.push("uneditable-dashboard-rule".to_owned());
    }
    variables(board, &mut found);
    for panel in board.panels() {
        let place = format!("{} / {}", board.name, word(panel, "/title"));
        let mut say = |rule: &str| found.push(format!("{rule}: {place}"));
        if word(panel, "/title").is_empty() || word(panel, "/description").len() < 15 {
            say("panel-title-description-rule");
        }
        if word(panel, "/datasource/uid") != "${datasource}" {
            say("panel-datasource-rule");
        }
        if !UNITS.contains(&word(panel, "/fieldConfig/defaults/unit")) {
            say("panel-units-rule");
        }
        if list(panel, "/targets").is_empty() {
            say("panel-no-targets-rule");
        }
        if list(panel, "/fieldConfig/defaults/thresholds/steps").is_empty() {
            say("thresholds");
        }
        if list(panel, "/links").is_empty() {
            say("links");
        }
    }
    for query in board.queries() {
        found.extend(broken_by(&query.expr).into_iter().map(|rule| format!("{rule}: {}", query.place)));
    }
    for (query, _) in board.asked_by_variables() {
        if metrics_in(&query.expr).is_empty() {
            found.push(format!("template-label-promql-rule: {}", query.place));
        }
    }
    for name in ["Revisions", "Restarts"] {
        if !board.annotations().iter().any(|annotation| word(annotation, "/name") == name) {
            found.push(format!("annotations: {} / {name}", board.name));
        }
    }
    found
}

fn variables(board: &Board, found: &mut Vec<String>) {
    let named = |name: &str| board.variables().iter().find(|variable| word(variable, "/name") == name);
    let is_source = named("datasource").is_some_and(|variable| {
        word(variable, "/type") == "datasource"
            && word(variable, "/query") == "prometheus"
            && word(variable, "/label") == "Data Source"
    });
    if !is_source {
        found.push(format!("template-datasource-rule: {}", board.name));
    }
    for name in ["job", "instance"] {
        let fits = named(name).is_some_and(|variable| {
            word(variable, "/type") == "query"
                && word(variable, "/label") == name
                && word(variable, "/datasource/uid") == "${datasource}"
                && variable["multi"] == true
                && word(variable, "/allValue") == ".+"
        });
        if !fits {
            found.push(format!("template-{name}-rule: {}", board.name));
        }
    }
    for variable in board.variables().iter().filter(|variable| word(variable, "/type") == "query") {
        if variable["refresh"] != 2 {
            found.push(format!("template-on-time-change-reload-rule: {} / {}", board.name, variable["name"]));
        }
    }
}

/// Each selector of an expression: the metric and what stands in its braces, and what comes behind them.
fn selectors(expr: &str) -> Vec<(&str, &str, &str)> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(at) = ["cardwatch_", "process_"].iter().filter_map(|start| rest.find(start)).min() {
        let name = &rest[at..];
        let end = name.find(|character| !is_part(character)).unwrap_or(name.len());
        let (metric, behind) = name.split_at(end);
        let (matchers, behind) = match behind.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some((matchers, behind)) => (matchers, behind),
            None => ("", behind),
        };
        found.push((metric, matchers, behind));
        rest = behind;
    }
    found
}

/// The rules of targets that an expression breaks.
fn broken_by(expr: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let selected = selectors(expr);
    if selected.is_empty() {
        found.push("target-promql-rule");
    }
    for (metric, matchers, behind) in selected {
        if !matchers.contains(r#"job=~"$job""#) {
            found.push("target-job-rule");
        }
        if !matchers.contains(r#"instance=~"$instance""#) {
            found.push("target-instance-rule");
        }
        let counts = ["_total", "_bucket", "_count"].iter().any(|suffix| metric.ends_with(suffix));
        let range = behind.strip_prefix('[').and_then(|range| range.split_once(']'));
        if counts && range.is_none() {
            found.push("target-counter-agg-rule");
        }
        if range.is_some_and(|(range, _)| range != "$__rate_interval") {
            found.push("target-rate-interval-rule");
        }
    }
    found
}

#[test]
fn dashboards_keep_the_rules_of_the_linter() {
    let found: Vec<String> = boards().iter().flat_map(broken).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_rule_finds_what_breaks_it() {
    for (expr, rule) in [
        ("vector(1)", "target-promql-rule"),
        (r#"cardwatch_histories{instance=~"$instance"}"#, "target-job-rule"),
        (r#"cardwatch_histories{job=~"$job"}"#, "target-instance-rule"),
        (r#"sum(cardwatch_records_total{job=~"$job", instance=~"$instance"})"#, "target-counter-agg-rule"),
        (
            r#"rate(cardwatch_records_total{job=~"$job", instance=~"$instance"}[5m])"#,
            "target-rate-interval-rule",
        ),
    ] {
        assert!(broken_by(expr).contains(&rule), "{expr}: {:?}", broken_by(expr));
    }
    let whole = boards().remove(0);
    let first =
        whole.json["panels"].as_array().unwrap().iter().position(|panel| panel["type"] != "row").unwrap();
    let panel = format!("/panels/{first}");
    for (pointer, value, rule) in [
        ("/editable", Value::from(true), "uneditable-dashboard-rule"),
        ("/templating/list/0/label", "Source".into(), "template-datasource-rule"),
        ("/templating/list/1/multi", false.into(), "template-job-rule"),
        ("/templating/list/2/allValue", ".*".into(), "template-instance-rule"),
        ("/templating/list/2/refresh", 1.into(), "template-on-time-change-reload-rule"),
        ("/templating/list/1/query/query", "label_values(up, job)".into(), "template-label-promql-rule"),
        (&format!("{panel}/title"), "".into(), "panel-title-description-rule"),
        (&format!("{panel}/datasource/uid"), "prometheus".into(), "panel-datasource-rule"),
        (&format!("{panel}/fieldConfig/defaults/unit"), "furlongs".into(), "panel-units-rule"),
        (&format!("{panel}/targets"), Value::Array(Vec::new()), "panel-no-targets-rule"),
        (&format!("{panel}/fieldConfig/defaults/thresholds/steps"), Value::Array(Vec::new()), "thresholds"),
        (&format!("{panel}/links"), Value::Array(Vec::new()), "links"),
        ("/annotations/list/0/name", "Other".into(), "annotations"),
    ] {
        let mut board = whole.clone();
        *board.json.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let found = broken(&board);
        assert!(found.iter().any(|found| found.starts_with(rule)), "{rule}: {found:?}");
    }
}

#[test]
fn every_link_into_the_repository_leads_to_a_file_and_every_dashboard_link_to_a_dashboard() {
    let boards = boards();
    let uids: Vec<&str> = boards.iter().map(|board| word(&board.json, "/uid")).collect();
    assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), boards.len());
    let mut links = 0;
    for board in &boards {
        for url in urls(&board.json) {
            links += 1;
            if let Some(path) = url.strip_prefix("https://cardwatch.example/") {
                assert!(project(path).is_file(), "{}: {url}", board.name);
            } else if let Some(uid) = url.strip_prefix("/d/") {
                assert!(uids.contains(&uid.split('?').next().unwrap()), "{}: {url}", board.name);
            } else {
                assert!(url.starts_with("${cardwatch}/v1/alerts?"), "{}: {url}", board.name);
            }
        }
    }
    assert!(links > 100, "{links} links");
}

/// Every link anywhere in a value.
fn urls(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| match member.as_str() {
                Some(url) if name == "url" && !url.is_empty() => vec![url.to_owned()],
                _ => urls(member),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_metric_of_a_dashboard_is_documented_and_every_documented_one_is_shown_somewhere() {
    let documented: BTreeSet<String> = documented().into_iter().collect();
    assert!(documented.len() > 50, "{documented:?}");
    let mut shown = BTreeSet::new();
    for board in boards() {
        let variables = board.asked_by_variables().into_iter().map(|(query, _)| query);
        for query in board.queries().into_iter().chain(variables) {
            for metric in metrics_in(&query.expr) {
                assert!(documented.contains(&metric), "{}: {metric} is not in docs/metrics.md", query.place);
                shown.insert(metric);
            }
        }
    }
    let unseen: Vec<&String> = documented.difference(&shown).collect();
    // Address space says nothing about memory in use; the limit of files is for whoever compares.
    assert_eq!(unseen, ["process_max_fds", "process_virtual_memory_bytes"]);
}
