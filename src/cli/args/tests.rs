use super::*;
use crate::clock::{Clock, SystemClock};
use clap::CommandFactory;

fn parsed(line: &str) -> Result<Args, clap::Error> {
    let words = std::iter::once("cardwatch").chain(line.split_whitespace());
    parse(words, version_text("librdkafka 2.12.1"))
}

const OPEN: &str = "incident open shop --name Shop --party KK --time-zone Asia/Tokyo --exposed-from 2025-11-01 \
    --exposed-until 2026-02-14 --elements pan,expiry --list cards.csv";

#[test]
fn the_definition_contradicts_itself_nowhere() {
    Args::command().debug_assert();
}

#[test]
fn wrong_usage_leaves_with_64_and_help_with_0() {
    for (line, code) in [
        ("", 64),
        ("nonsense", 64),
        ("run --lines refresh", 64),
        ("demo --seconds 0", 64),
        ("simulate", 64),
        ("simulate --out w --kafka", 64),
        ("incident open shop --list cards.csv", 64),
        (OPEN, 64),
        ("incident open Shop --list cards.csv --until-closed", 64),
        ("incident revise shop --replace a --add b", 64),
        ("incident revise shop", 64),
        ("incident revise shop --dry-run --as me", 64),
        ("incident revise shop --add - --withdraw -", 64),
        ("incident revise shop --undo 0", 64),
        ("incident revise shop --undo 2 --name x", 64),
        ("incident revise shop --add - --withdraw - --elements colour", 64),
        ("outcome fraud", 64),
        ("outcome alr_x", 64),
        ("outcome alr_x fraud --transaction t", 64),
        ("outcome alr_x maybe", 64),
        ("alerts list --since yesterday", 64),
        ("audit list --since yesterday", 64),
        ("dead-letters list --since yesterday", 64),
        ("alerts list --state done", 64),
        ("alerts list --limit 0", 64),
        ("alerts show", 64),
        ("backtest", 64),
        ("incident report", 64),
        ("--format md incident show shop", 64),
        ("key retire K1", 64),
        ("--version", 0),
        ("--help", 0),
        ("incident open --help", 0),
    ] {
        assert_eq!(exit_code(&parsed(line).unwrap_err()), code, "{line}");
    }
}

#[test]
fn an_incident_needs_an_end_of_its_watch_or_the_will_to_close_it() {
    for end in ["--until-closed", "--watch-until 2027-12-31"] {
        let args = parsed(&format!("{OPEN} {end}")).unwrap();
        let Command::Incident(IncidentCommand::Open(open)) = args.command else { panic!("not open") };
        assert_eq!(open.details.until_closed, end == "--until-closed");
        assert_eq!(open.details.watch_until.is_some(), end != "--until-closed");
        assert_eq!(open.list, Source::File("cards.csv".into()));
    }
    assert!(parsed(&format!("{OPEN} --until-closed --watch-until 2027-12-31")).is_err());
}

#[test]
fn opening_needs_every_detail() {
    let whole = format!("{OPEN} --until-closed");
    assert!(parsed(&whole).is_ok());
    for option in
        ["--name", "--party", "--time-zone", "--exposed-from", "--exposed-until", "--elements", "--list"]
    {
        let mut words: Vec<&str> = whole.split_whitespace().collect();
        let at = words.iter().position(|word| *word == option).unwrap();
        words.drain(at..at + 2);
        assert!(parsed(&words.join(" ")).is_err(), "{option}");
    }
}

#[test]
fn a_revision_adds_and_withdraws_at_once() {
    let args = parsed(
        "incident revise shop --add a.csv --withdraw - --reference account=3 --exposed-until 2026-02-28 --as me",
    );
    let Command::Incident(IncidentCommand::Revise(revise)) = args.unwrap().command else { panic!() };
    assert_eq!(revise.add, Some(Source::File("a.csv".into())));
    assert_eq!(revise.withdraw, Some(Source::Stdin));
    assert_eq!(revise.form.references, [ReferenceColumn { name: "account".into(), column: "3".into() }]);
    assert_eq!(revise.change.by.as_deref(), Some("me"));
    assert_eq!(revise.details.name, None);
}

#[test]
fn any_detail_alone_is_a_revision() {
    for change in
        ["--name x", "--until-closed", "--elements pan", "--undo 2", "--replace -", "--watch-from 2026-01-01"]
    {
        assert!(parsed(&format!("incident revise shop {change}")).is_ok(), "{change}");
    }
}

#[test]
fn global_options_may_stand_anywhere() {
    for line in ["-vv --format json --config c.toml run", "run --config c.toml --format json -vv"] {
        let args = parsed(line).unwrap();
        assert_eq!(
            (args.verbose, args.format, args.config),
            (2, Format::Json, Some("c.toml".into())),
            "{line}"
        );
    }
}

#[test]
fn every_command_shows_examples() {
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, bool)>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|inner| leaves(inner, &path, found));
        } else {
            let has = command.get_after_help().is_some_and(|help| help.to_string().contains("Examples:"));
            found.push((path, has));
        }
    }
    let mut found = Vec::new();
    leaves(&Args::command(), "", &mut found);
    assert!(found.len() >= 13, "{found:?}");
    assert!(found.iter().all(|(_, has)| *has), "{found:?}");
}

#[test]
fn no_line_behind_the_options_is_broken_by_the_width_of_the_help() {
    fn lines(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found.extend(help.lines().filter(|line| line.chars().count() > HELP_WIDTH).map(str::to_owned));
        command.get_subcommands().for_each(|inner| lines(inner, found));
    }
    let mut found = Vec::new();
    lines(&Args::command(), &mut found);
    assert!(found.is_empty(), "longer than {HELP_WIDTH} columns:\n{}", found.join("\n"));
}

#[test]
fn how_long_ago_is_a_time_wherever_a_list_begins() {
    for line in
        ["audit list --since 24h --until 90m", "dead-letters list --since 7d", "alerts list --since 1h"]
    {
        assert!(parsed(line).is_ok(), "{line}");
    }
    let Command::Audit(AuditCommand::List { filter, .. }) = parsed("audit list --since 1h").unwrap().command
    else {
        panic!()
    };
    let ago = SystemClock.now().0 - filter.since.unwrap().0;
    assert!((3_600_000..3_660_000).contains(&ago), "{ago}");
}

#[test]
fn the_version_names_libraries_and_features() {
    let text = parsed("--version").unwrap_err().to_string();
    assert!(text.starts_with(&format!("cardwatch {}\n", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("librdkafka 2.12.1") && text.contains("features: "), "{text}");
}

#[test]
fn an_outcome_names_an_alert_or_a_transaction() {
    let Command::Outcome(by_id) = parsed("outcome alr_x fraud --as Anna").unwrap().command else { panic!() };
    assert_eq!((by_id.alert.as_deref(), by_id.verdict), (Some("alr_x"), VerdictArg::Fraud));
    let Command::Outcome(by_transaction) = parsed("outcome --transaction t1 genuine").unwrap().command else {
        panic!()
    };
    assert_eq!((by_transaction.alert, by_transaction.verdict), (None, VerdictArg::Genuine));
    let words = "alerts list --since 24h --state open,closed --severity medium";
    let Command::Alerts(AlertsCommand::List(list)) = parsed(words).unwrap().command else { panic!() };
    let query = list.filter.query(crate::domain::time::Timestamp(86_400_001));
    assert_eq!((query.since, query.states.len()), (Some(crate::domain::time::Timestamp(1)), 2));
}
