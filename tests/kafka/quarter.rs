//! The first quarter of an hour: every command of the README's second section, as a new user runs it on their own
//! topic.

use std::time::Duration;

use crate::deployment::{Deployment, INPUT_PARTITIONS, json, ok};
use crate::houses::DETAILS;
use crate::support::program::{Ended, Invocation};
use crate::support::{Isolation, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);

/// The README with its line continuations joined and its spaces single.
fn readme() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap().replace("\\\n", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One of the README's commands: `words` is all of it but the configuration, which comes second there.
fn documented(readme: &str, config: &str, words: &[&str]) -> Invocation {
    let quoted = |word: &&str| if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() };
    let rest: Vec<String> = words[1..].iter().map(quoted).collect();
    let line = format!("cardwatch {} --config cardwatch.toml {}", words[0], rest.join(" "));
    assert!(readme.contains(line.trim()), "not in README.md: {line}");
    Program::with(words).config(config).env("USER", "anna")
}

#[test]
fn each_command_of_the_readme_leads_to_a_first_alert_on_one_s_own_topic() {
    let Some(deployment) = Deployment::bare("quarter") else { return };
    let house = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/houses/processor");
    let topic = deployment.topic("transactions");
    deployment.kafka.create(&topic, INPUT_PARTITIONS, &[]);
    let records = std::fs::read_to_string(house.join("transactions.jsonl")).unwrap();
    let records: Vec<Outgoing> = records.lines().map(|line| Outgoing::to(&topic).value(line)).collect();
    deployment.kafka.produce(&records);

    // What tells this deployment from others on the shared broker, and the README's five lines. No key yet.
    let config = deployment.config_with_keys("fresh-keys");
    let readme = readme();
    let suggested = ok(documented(&readme, &config, &["check", "--suggest"]));
    let mapping = suggested.stdout().join("\n");
    assert!(mapping.contains("# CHECK: ") && mapping.contains("timezone = \"UTC\""), "{mapping}");
    // The line marked CHECK: where the times were taken is for a person to say.
    let config = config + &mapping.replace("timezone = \"UTC\"", "timezone = \"Asia/Tokyo\"");

    let sample: [&str; 3] = ["check", "--sample", "1000"];
    let told = ok(documented(&readme, &config, &sample));
    let told = told.transcript();
    for words in
        ["the configuration is right", "Found", "Parsed", "Unknown", "was not looked at", "no keyring"]
    {
        assert!(told.contains(words), "{words}\n{told}");
    }
    ok(documented(&readme, &config, &["topics", "--create"]));
    ok(documented(&readme, &config, &["key", "new"]));
    let list = house.join("list.csv").display().to_string();
    let open: Vec<&str> =
        ["incident", "open", "asagiri-shop"].into_iter().chain(DETAILS).chain(["--list", &list]).collect();
    ok(documented(&readme.replace("cards.csv", &list), &config, &open));
    let json_sample = ["--format", "json", "check", "--sample", "1000"];
    let sample = json(&ok(Program::with(&json_sample).config(&config)));
    let about = sample["sample"].as_array().unwrap();
    let value = |what: &str| about.iter().find(|row| row["what"] == what).unwrap()["value"].clone();
    assert_eq!((value("records"), value("of those on the list")), (65.into(), 3.into()), "{sample}");

    let mut program = documented(&readme, &config, &["run"]).start();
    let alerts = wait::until("a first alert", WITHIN, || {
        let alerts = deployment.kafka.read(&deployment.topic("alerts"), Isolation::Committed);
        (!alerts.is_empty()).then_some(alerts)
    });
    let alert = alerts[0].json();
    assert!(alert["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{alert}");
    assert_eq!(program.terminate(Duration::from_secs(5)), Ended::Code(0), "{}", program.transcript());
}
