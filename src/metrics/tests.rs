use super::*;
use crate::domain::alert::{AlertKind, Severity};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn text(metrics: &Metrics) -> String {
    prometheus::TextEncoder::new().encode_to_string(&metrics.registry().gather()).unwrap()
}

/// Everything a process can show.
fn everything() -> (Metrics, SightMetrics, ScoreMetrics, RefreshMetrics) {
    let metrics = Metrics::new();
    metrics.build_info("0.1.0", "2.12.1").unwrap();
    let sight = SightMetrics::new(&metrics, ["not_json", "too_deep"], ["amount", "at"]).unwrap();
    let score = ScoreMetrics::new(&metrics, ["velocity"], ["amount_ratio"]).unwrap();
    let refresh = RefreshMetrics::new(&metrics).unwrap();
    (metrics, sight, score, refresh)
}

#[test]
fn every_closed_series_starts_at_zero() {
    let (metrics, ..) = everything();
    let text = text(&metrics);
    for line in [
        "cardwatch_sight_events_total 0",
        "cardwatch_sight_dead_letters_total{reason=\"not_json\"} 0",
        "cardwatch_sight_dead_letters_total{reason=\"too_deep\"} 0",
        "cardwatch_score_reasons_total{rule=\"velocity\"} 0",
        "cardwatch_score_alerts_total{severity=\"high\"} 0",
        "cardwatch_score_alert_kinds_total{kind=\"look_back\"} 0",
        "cardwatch_score_commit_duration_seconds_count 0",
        "cardwatch_refresh_frontier 0",
        "cardwatch_build_info{librdkafka=\"2.12.1\",version=\"0.1.0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn names_follow_the_naming_guide() {
    let (metrics, sight, score, _) = everything();
    let _series = (sight.line.partition("transactions", 0), score.line.partition("cardwatch.sightings", 3));
    let text = text(&metrics);
    let mut types = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        types += 1;
        assert!(name.starts_with("cardwatch_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    assert!(types > 35, "{types}");

    // promtool has the last word wherever it is installed.
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    if let Ok(mut promtool) = promtool {
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_label_never_takes_its_value_from_data() {
    let (metrics, sight, ..) = everything();
    sight.dead_letters_total.add("not_json", 2);
    sight.dead_letters_total.add("4242424242424242", 3);
    let text = text(&metrics);
    assert!(!text.contains("4242"), "{text}");
    assert!(text.contains("cardwatch_sight_dead_letters_total{reason=\"other\"} 3"), "{text}");
    assert_eq!(sight.dead_letters_total.get("not_json"), 2);
    assert_eq!(sight.dead_letters_total.get("4242424242424242"), 0);
}

#[test]
fn new_rules_start_at_zero_and_old_ones_go_on() {
    let (_, _, score, _) = everything();
    score.reasons_total.add("velocity", 4);
    score.reasons_total.start(["velocity", "card-testing"]);
    assert_eq!(score.reasons_total.get("velocity"), 4);
    score.reasons_total.add("card-testing", 1);
    assert_eq!(score.reasons_total.get("card-testing"), 1);
    score.count_alert(Severity::High, AlertKind::Late);
    assert_eq!((score.alerts(Severity::High), score.alerts(Severity::Low)), (1, 0));
}

#[test]
fn series_of_a_revoked_partition_are_gone() {
    let (metrics, sight, ..) = everything();
    let shown = || text(&metrics).matches("topic=\"t\"").count();
    let handle = sight.line.partition("t", 0);
    handle.lag_records.set(7);
    assert_eq!(shown(), 4);
    assert!(text(&metrics).contains("cardwatch_sight_lag_records{partition=\"0\",topic=\"t\"} 7"));
    drop(handle);
    assert_eq!(shown(), 0);
}

#[test]
fn a_partition_that_moved_to_another_worker_keeps_its_series() {
    let (metrics, sight, ..) = everything();
    let shown = || text(&metrics).matches("topic=\"t\"").count();
    let before = sight.line.partition("t", 0);
    let after = sight.line.partition("t", 0);
    drop(before);
    after.lag_records.set(3);
    assert!(text(&metrics).contains("cardwatch_sight_lag_records{partition=\"0\",topic=\"t\"} 3"));
    drop(after);
    assert_eq!(shown(), 0);
}

#[test]
fn the_same_area_twice_is_an_error() {
    let metrics = Metrics::new();
    RefreshMetrics::new(&metrics).unwrap();
    assert!(RefreshMetrics::new(&metrics).is_err());
}
