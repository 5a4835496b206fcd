//! Rules, alerts and their runbooks: held against promtool and amtool, against the metrics that there are, and against
//! the program's own command line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::boards::{documented, metrics_in, project, text};
use crate::support::Program;
use crate::support::program::Ended;
use crate::support::tool::tool;

const WITHIN: Duration = Duration::from_secs(300);
const RUNBOOKS: &str = "https://cardwatch.example/docs/runbooks/";

/// A rule of one of the files: what it is called, its expression and its link.
#[derive(Debug, Default)]
struct Rule {
    /// `alert` or `record`.
    kind: String,
    name: String,
    expr: String,
    runbook: String,
}

/// The rules of a file. The files are YAML of one shape, which this reads and no more.
fn rules(path: &str) -> Vec<Rule> {
    let text = text(path);
    let mut rules: Vec<Rule> = Vec::new();
    let mut in_expr = false;
    for line in text.lines() {
        let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
        in_expr &= indent > 8;
        if let Some((kind, name)) = line.strip_prefix("- ").and_then(|rule| rule.split_once(": ")) {
            if kind == "alert" || kind == "record" {
                rules.push(Rule { kind: kind.to_owned(), name: name.to_owned(), ..Rule::default() });
            }
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        if in_expr {
            rule.expr += line;
            rule.expr.push('\n');
        } else if let Some(expr) = line.strip_prefix("expr:") {
            rule.expr = expr.trim_start_matches(" |").trim().to_owned();
            in_expr = true;
        } else if let Some(url) = line.strip_prefix("runbook_url: ") {
            rule.runbook = url.to_owned();
        }
    }
    assert!(rules.iter().all(|rule| !rule.expr.is_empty()), "{rules:?}");
    rules
}

fn both() -> Vec<Rule> {
    let mut rules = rules("deploy/prometheus/rules.yml");
    rules.extend(self::rules("deploy/prometheus/alerts.yml"));
    rules
}

/// Runs a tool on files of the project; what it said, and whether it was content.
fn says(tool: &std::path::Path, arguments: &[&str], files: &[&str]) -> (Ended, String) {
    let files: Vec<String> = files.iter().map(|file| project(file).display().to_string()).collect();
    let arguments: Vec<&str> = arguments.iter().copied().chain(files.iter().map(String::as_str)).collect();
    let (ended, program) = Program::other(&tool.display().to_string(), &arguments).run(WITHIN);
    (ended, program.transcript())
}

#[test]
fn promtool_takes_the_rules_and_every_alert_fires_when_it_should() {
    let Some(promtool) = tool("promtool", "rules and alerts") else { return };
    let files = ["deploy/prometheus/rules.yml", "deploy/prometheus/alerts.yml"];
    let (ended, said) = says(&promtool, &["check", "rules", "--lint-fatal"], &files);
    assert_eq!(ended, Ended::Code(0), "{said}");
    let tests = ["deploy/prometheus/tests/alerts_test.yml", "deploy/prometheus/tests/slow_alerts_test.yml"];
    let (ended, said) = says(&promtool, &["test", "rules"], &tests);
    assert_eq!(ended, Ended::Code(0), "{said}");
}

#[test]
fn every_alert_is_tested_firing_and_not_firing() {
    let mut tested: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for file in ["alerts_test.yml", "slow_alerts_test.yml"] {
        let text = text(&format!("deploy/prometheus/tests/{file}"));
        let mut alert = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("alertname: ") {
                alert = name.to_owned();
            } else if let Some(expected) = line.strip_prefix("exp_alerts:") {
                tested.entry(alert.clone()).or_default().insert(expected.trim() != "[]");
            }
        }
    }
    let alerts: BTreeSet<String> =
        both().into_iter().filter(|rule| rule.kind == "alert").map(|rule| rule.name).collect();
    assert_eq!(tested.keys().cloned().collect::<BTreeSet<_>>(), alerts);
    for (alert, expected) in tested {
        assert_eq!(expected.len(), 2, "{alert} is tested in one way alone: {expected:?}");
    }
}

#[test]
fn amtool_takes_the_example_of_alertmanager() {
    let Some(amtool) = tool("amtool", "the configuration of Alertmanager") else { return };
    let (ended, said) = says(&amtool, &["check-config"], &["deploy/alertmanager/alertmanager.yml"]);
    assert_eq!(ended, Ended::Code(0), "{said}");
    assert!(said.contains("2 receivers"), "{said}");
    let example = text("deploy/alertmanager/alertmanager.yml");
    let alerts: BTreeSet<String> = both().into_iter().map(|rule| rule.name).collect();
    for word in example.split(|character: char| !character.is_ascii_alphanumeric()) {
        if word.starts_with("Cardwatch") && word != "Cardwatch" {
            assert!(alerts.contains(word), "{word} is no alert");
        }
    }
}

#[test]
fn rules_name_metrics_that_there_are() {
    let documented = documented();
    let recorded: BTreeSet<String> =
        both().into_iter().filter(|rule| rule.kind == "record").map(|rule| rule.name).collect();
    for rule in both() {
        for metric in metrics_in(&rule.expr) {
            assert!(documented.contains(&metric), "{}: {metric} is not in docs/metrics.md", rule.name);
        }
        let words = rule
            .expr
            .split(|character: char| !(character.is_ascii_alphanumeric() || "_:".contains(character)));
        for word in words.filter(|word| word.contains(':')) {
            assert!(recorded.contains(word), "{}: {word} is not recorded", rule.name);
        }
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_is_listed() {
    let mut pages: BTreeSet<String> = std::fs::read_dir(project("docs/runbooks"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(pages.remove("README.md"));
    let index = text("docs/runbooks/README.md");
    let alerts: Vec<Rule> = both().into_iter().filter(|rule| rule.kind == "alert").collect();
    for alert in &alerts {
        assert_eq!(alert.runbook, format!("{RUNBOOKS}{}.md", alert.name));
        assert!(pages.contains(&format!("{}.md", alert.name)), "{} has no runbook", alert.name);
    }
    for page in &pages {
        assert!(index.contains(&format!("]({page})")), "{page} is not in the index");
        let is_of_alert = alerts.iter().any(|alert| *page == format!("{}.md", alert.name));
        assert_eq!(is_of_alert, page.starts_with("Cardwatch"), "{page} is of no alert");
        let text = text(&format!("docs/runbooks/{page}"));
        if is_of_alert {
            for part in ["**Means**", "**Look**", "**Do**"] {
                assert!(text.contains(part), "{page} lacks {part}");
            }
        }
        for (target, place) in links(&text) {
            assert!(project("docs/runbooks").join(target).exists(), "{page}: {place}");
        }
    }
}

/// The links of a page that lead to files: the path, and the link as it stands.
fn links(text: &str) -> Vec<(&str, &str)> {
    let targets = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let files = targets.filter(|target| !target.starts_with("http") && !target.starts_with('#'));
    files.map(|target| (target.split('#').next().unwrap_or(target), target)).collect()
}

/// Every command of cardwatch that a page names, as words.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("cardwatch ") {
        let before = text[..at].chars().next_back();
        // In code: at the beginning of an indented line or behind a backtick.
        let starts_line = text[..at].ends_with("\n    ") || text[..at].ends_with("\n       ");
        if !(before == Some('`') || starts_line) {
            continue;
        }
        let end = text[at..].find(['`', '\n', '|', '#']).map_or(text.len(), |length| at + length);
        found.push(text[at..end].split_whitespace().skip(1).collect());
    }
    found
}

#[test]
fn every_command_in_a_runbook_is_one_of_cardwatch() {
    let mut asked: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut count = 0;
    for entry in std::fs::read_dir(project("docs/runbooks")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let text = text(&format!("docs/runbooks/{name}"));
        for words in commands(&text) {
            count += 1;
            let words: Vec<&str> = match words.as_slice() {
                ["--format", _, rest @ ..] => rest.to_vec(),
                words => words.to_vec(),
            };
            let is_command =
                |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let nested = ["incident", "key", "webhook", "dead-letters", "audit", "alerts", "card", "token"];
            let depth = if nested.contains(&words[0]) { 2 } else { 1 };
            let command: Vec<String> =
                words.iter().take(depth).take_while(is_command).map(|word| (*word).to_owned()).collect();
            let help = asked.entry(command.clone()).or_insert_with(|| {
                let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
                let (ended, program) = Program::with(&arguments).run(WITHIN);
                assert_eq!(ended, Ended::Code(0), "{name}: {command:?}\n{}", program.transcript());
                program.transcript()
            });
            let usage = format!("Usage: cardwatch {} ", command.join(" "));
            assert!(help.contains(&usage), "{name}: {words:?} is no command\n{help}");
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                    "{name}: {words:?}: no {flag}\n{help}"
                );
            }
        }
    }
    assert!(count > 60, "{count} commands were found");
}
