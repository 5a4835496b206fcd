//! What a newcomer runs first: `cardwatch demo`, and the world that `cardwatch simulate` writes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use cardwatch::domain::time::Timestamp;
use cardwatch::simulation::{World, WorldSpec};
use serde_json::Value;
use support::Program;
use support::program::{Ended, Signal, get};

/// Far more than any of them takes on an idle machine.
const WITHIN: Duration = Duration::from_secs(240);
const KEYS: [&str; 8] = [
    "alerts",
    "duplicates",
    "exposed_cards",
    "false_alerts",
    "missed",
    "sightings",
    "transactions",
    "true_alerts",
];

/// Fails if the number of any card of the demonstration's world is anywhere in `text`.
fn assert_no_card_number(text: &str, seed: u64) {
    // The numbers follow from the seed alone, whenever the world ends.
    let world = World::new(WorldSpec::demo(seed, Timestamp(1_800_000_000_000))).unwrap();
    for card in 0..world.spec().cards {
        assert!(!text.contains(world.number(card).as_str()), "card {card} is in the output");
    }
}

#[test]
fn the_demo_ends_by_itself_with_the_promised_summary() {
    let arguments = ["demo", "--seconds", "6", "--seed", "1", "--format", "json"];
    let (ended, program) = Program::with(&arguments).run(WITHIN);
    assert_eq!(ended, Ended::Code(0));
    let stdout = program.stdout();
    let summary: Value = serde_json::from_str(stdout.last().expect("a last line")).unwrap();
    let summary = summary.as_object().unwrap();
    assert_eq!(summary.keys().map(String::as_str).collect::<Vec<_>>(), KEYS);
    let number = |key: &str| summary[key].as_u64().expect("a number");
    let world = World::new(WorldSpec::demo(1, Timestamp(1_800_000_000_000))).unwrap();
    assert_eq!(number("exposed_cards"), world.exposed_cards() as u64);
    assert!(number("transactions") > 50_000, "{summary:?}");
    assert!(number("sightings") > 5_000 && number("sightings") < number("transactions"), "{summary:?}");
    assert!(number("true_alerts") > 0, "{summary:?}");
    assert_eq!(number("alerts"), number("true_alerts") + number("false_alerts"));
    assert_eq!(number("duplicates"), 0);
    assert_no_card_number(&program.transcript(), 1);
}

#[test]
fn a_pipe_gets_plain_lines_and_a_signal_ends_the_demo_early_with_its_summary() {
    let mut program = Program::with(&["demo", "--seconds", "600", "--seed", "2"]).start();
    let line = program.await_line("Metrics", WITHIN);
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    program.await_line("sightings", WITHIN);
    let (status, metrics) = get(url).expect("metrics are served");
    assert_eq!(status, 200);
    assert!(metrics.contains("cardwatch_records_total{line=\"sight\"}"), "{metrics}");
    assert!(program.signal(Signal::INT));
    assert_eq!(program.await_end(WITHIN), Ended::Code(0));
    let text = program.transcript();
    assert!(text.contains("Alerting on") && text.contains("every hit"), "{text}");
    assert!(text.contains("The incident's books"), "{text}");
    let told = program.stdout().into_iter().find(|line| line.starts_with("Webhook: ")).expect("what arrived");
    assert!(
        told.ends_with(" alerts arrived at the receiver, each with a signature that it verified."),
        "{told}"
    );
    let count = told.split_whitespace().nth(1).unwrap();
    assert!(text.contains(&format!("cardwatch's rules  {count:>6}")) || count == "0", "{told}\n{text}");
    assert!(!text.contains('\u{1b}'), "a pipe is no terminal");
    assert_no_card_number(&text, 2);
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_seed_simulates_the_same_files_every_time_and_another_seed_others() {
    let simulate = |seed: &str| {
        let arguments = ["simulate", "--seed", seed, "--cards", "300", "--days", "60", "--out", "world"];
        let (ended, program) = Program::with(&arguments).run(WITHIN);
        assert_eq!(ended, Ended::Code(0));
        files(&program.home().join("world"))
    };
    let (one, again, other) = (simulate("7"), simulate("7"), simulate("8"));
    let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "added.csv",
            "first-notice.csv",
            "incident.txt",
            "transactions.jsonl.zst",
            "truth.jsonl",
            "withdrawn.csv"
        ]
    );
    assert_eq!(one, again);
    assert!(one.iter().zip(&other).all(|(one, other)| one != other), "another seed is another world");
    assert_the_files_fit_together(&one);
}

/// Every misuse in the truth is a transaction, and some of them are on cards of the lists.
fn assert_the_files_fit_together(files: &[(String, Vec<u8>)]) {
    let contents = |name: &str| &files.iter().find(|(found, _)| found == name).unwrap().1;
    let text = |name: &str| String::from_utf8(contents(name).clone()).unwrap();
    let transactions = zstd::decode_all(contents("transactions.jsonl.zst").as_slice()).unwrap();
    let transactions: Vec<Value> = transactions
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let listed = format!("{}{}", text("first-notice.csv"), text("added.csv"));
    let truth = text("truth.jsonl");
    assert!(!truth.is_empty());
    for line in truth.lines() {
        let misuse: Value = serde_json::from_str(line).unwrap();
        let used = transactions.iter().find(|transaction| transaction["id"] == misuse["id"]).unwrap();
        assert!(listed.contains(used["card"].as_str().unwrap()), "a thief has an exposed card");
        assert!(misuse["scheme"].is_string());
    }
    assert!(text("incident.txt").contains("cardwatch incident open"));
}
