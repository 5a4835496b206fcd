//! The first quarter of an hour: every command of the README's second section, as a new user runs it on their own
//! topic.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::deployment::{Deployment, INPUT_PARTITIONS, json, ok};
use crate::houses::DETAILS;
use crate::page;
use crate::support::program::{Ended, Invocation};
use crate::support::{Isolation, Outgoing, Program, wait};

/// The section whose commands are run here.
const HEADING: &str = "## Your own topic, in a quarter of an hour";
const WITHIN: Duration = Duration::from_secs(60);

/// The README's commands of that section, and those of them that were run.
struct Section {
    commands: BTreeSet<String>,
    run: RefCell<BTreeSet<String>>,
}

impl Section {
    fn new() -> Section {
        let section = page::below(&page::text("README.md"), HEADING);
        let commands = page::indented(&section).into_iter().map(|command| page::bare(&command));
        Section {
            commands: commands.filter(|one| one.starts_with("cardwatch ")).collect(),
            run: RefCell::default(),
        }
    }

    /// One of its commands: `words` is all of it but the configuration, which comes second there, and `behind` what
    /// the shell does with its output.
    fn documented(&self, config: &str, words: &[&str], behind: &str) -> Invocation {
        let quoted =
            |word: &&str| if word.contains(' ') { format!("\"{word}\"") } else { (*word).to_owned() };
        let rest: Vec<String> = words[1..].iter().map(quoted).collect();
        let line = format!("cardwatch {} --config cardwatch.toml {}{behind}", words[0], rest.join(" "));
        let line = line.trim().to_owned();
        assert!(self.commands.contains(&line), "not in README.md: {line}\n{:?}", self.commands);
        self.run.borrow_mut().insert(line);
        Program::with(words).config(config).env("USER", "anna")
    }

    /// Fails unless each command was run.
    fn assert_all_run(&self) {
        assert_eq!(*self.run.borrow(), self.commands, "README.md has commands that nobody ran");
    }
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
    let readme = Section::new();
    let suggested = ok(readme.documented(&config, &["check", "--suggest"], " > mapping.toml"));
    let mapping = suggested.stdout().join("\n");
    assert!(mapping.contains("# CHECK: ") && mapping.contains("timezone = \"UTC\""), "{mapping}");
    // The line marked CHECK: where the times were taken is for a person to say.
    let config = config + &mapping.replace("timezone = \"UTC\"", "timezone = \"Asia/Tokyo\"");

    let sample: [&str; 3] = ["check", "--sample", "1000"];
    let told = ok(readme.documented(&config, &sample, ""));
    let told = told.transcript();
    for words in
        ["the configuration is right", "Found", "Parsed", "Unknown", "was not looked at", "no keyring"]
    {
        assert!(told.contains(words), "{words}\n{told}");
    }
    ok(readme.documented(&config, &["topics", "--create"], ""));
    ok(readme.documented(&config, &["key", "new"], ""));
    let open: Vec<&str> = ["incident", "open", "asagiri-shop"]
        .into_iter()
        .chain(DETAILS)
        .chain(["--list", "cards.csv"])
        .collect();
    let list = std::fs::read(house.join("list.csv")).unwrap();
    ok(readme.documented(&config, &open, "").file("cards.csv", list));
    let json_sample = ["--format", "json", "check", "--sample", "1000"];
    let sample = json(&ok(Program::with(&json_sample).config(&config)));
    let about = sample["sample"].as_array().unwrap();
    let value = |what: &str| about.iter().find(|row| row["what"] == what).unwrap()["value"].clone();
    assert_eq!((value("records"), value("of those on the list")), (65.into(), 3.into()), "{sample}");

    let mut program = readme.documented(&config, &["run"], "").start();
    readme.assert_all_run();
    let alerts = wait::until("a first alert", WITHIN, || {
        let alerts = deployment.kafka.read(&deployment.topic("alerts"), Isolation::Committed);
        (!alerts.is_empty()).then_some(alerts)
    });
    let alert = alerts[0].json();
    assert!(alert["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{alert}");
    assert_eq!(program.terminate(Duration::from_secs(5)), Ended::Code(0), "{}", program.transcript());
}
