//! The reference: pages that the code itself fills. `UPDATE_REFERENCE=1 cargo test --test pages` writes them anew.

use std::fmt::Write as _;

use cardwatch::app::settings::names;
use cardwatch::app::topics::wanted;
use cardwatch::cli::args;
use cardwatch::config::Settings;
use cardwatch::kafka::topics::Role;
use cardwatch::scoring::rules::{RuleSet, SCORE_MAX, THRESHOLD_DEFAULT, THRESHOLD_MAX};
use cardwatch::scoring::signals::{Signal, SignalType};
use serde_json::Value;

use crate::tables::{EXITS, FORMS, GROUPS, REFUSED, topic};
use crate::{project, text};

const MADE: &str =
    "<!-- Made by `UPDATE_REFERENCE=1 cargo test --test pages`; a test holds it against the code. -->\n";

/// The page is what the code makes of it.
#[allow(clippy::disallowed_methods, reason = "a test run is told by its environment, as cargo itself does")]
fn is_current(page: &str, made: &str) {
    let update = std::env::var("UPDATE_REFERENCE").is_ok();
    let path = project(page);
    if update {
        std::fs::write(&path, made).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(file == made, "{page}: run UPDATE_REFERENCE=1 cargo test --test pages");
}

fn kind(kind: SignalType) -> String {
    match kind {
        SignalType::Bool => "true or false".to_owned(),
        SignalType::Int => "whole number".to_owned(),
        SignalType::Amount => "money, in minor units".to_owned(),
        SignalType::Double => "decimal number".to_owned(),
        SignalType::Word(words) => {
            let words: Vec<String> =
                words.iter().filter(|word| **word != "unknown").map(|word| format!("`{word}`")).collect();
            format!("word: {}", words.join(", "))
        }
        SignalType::Text => "text".to_owned(),
    }
}

#[test]
fn signals_are_those_of_the_code() {
    let mut page = format!(
        "# Signals\n\n{MADE}
The facts that rules may speak of. Each is true, false, a number, a word or *unknown*: what the stream did not say, or what a card
without enough past cannot tell. A rule whose condition is unknown does not hold. [Rules](rules.md) has how they are written down,
[the explanation](../explanation/hits-and-alerts.md) why.

A *use* is a purchase that was not declined, as far as the stream says. The card's *past* ends 24 hours before the sighting, so that what happens now is
compared with what was usual, and not with itself.
"
    );
    let mut told = 0;
    for (at, (first, title)) in GROUPS.iter().enumerate() {
        let next = GROUPS.get(at + 1).map(|(next, _)| *next);
        let group = Signal::ALL.iter().skip_while(|signal| signal.name() != *first);
        let group: Vec<&Signal> = group.take_while(|signal| Some(signal.name()) != next).collect();
        writeln!(page, "\n## {title}\n\n| signal | type | |\n|---|---|---|").unwrap();
        for signal in &group {
            writeln!(page, "| `{}` | {} | {} |", signal.name(), kind(signal.kind()), signal.doc()).unwrap();
        }
        told += group.len();
    }
    assert_eq!(told, Signal::ALL.len(), "a signal is in no group");
    is_current("docs/reference/signals.md", &page);
}

/// A rules file with one rule, or what is wrong with it.
fn rules(when: &str) -> Result<RuleSet, String> {
    let text = format!("[[rule]]\nname = \"one\"\nwhen = '''{when}'''\nscore = 1\ntext = \"x\"\n");
    RuleSet::parse(&text, "rules.toml").map_err(|errors| errors[0].message.clone())
}

#[test]
fn the_language_of_rules_is_that_of_the_code() {
    let mut page = format!(
        "# The language of rules\n\n{MADE}
A rules file is TOML: `threshold`, limits of currencies, and rules. [config/rules.toml](../../config/rules.toml) is the one that ships;
`alerts.rules` names one of your own.

| key | |
|---|---|
| `threshold` | the score from which a sighting is an alert: 1 to {THRESHOLD_MAX}, {THRESHOLD_DEFAULT} where it is not set. `alerts.threshold` overrides it |
| `[amounts]` | for each currency `small` and `large`, in major units: what thieves try a card with, and what is worth stealing. A currency that the file does not mention has those that ship |
| `[[rule]]` | a rule; at least one |
| `name` | 1 to 64 of `a-z`, `0-9`, `-` and `_`; no two alike |
| `when` | the condition, in CEL |
| `score` | what it adds to the sum: 1 to {SCORE_MAX} |
| `text` | what it says to a person. `{{uses_1h}}` is a signal's value, `{{uses_1h\\|use\\|uses}}` a number with its word, `{{{{` and `}}}}` braces |

## What a condition may say

Of [CEL](https://cel.dev) what makes sense over flat names, with types that are checked when the file is read. The names are those of
[signals](signals.md).

| | for example | |
|---|---|---|
"
    );
    for (form, example, about) in FORMS {
        assert_eq!(rules(example).err(), None, "{example}");
        let [example, about] = [example, about].map(|text| text.replace('|', "\\|"));
        writeln!(page, "| {form} | `{example}` | {about} |").unwrap();
    }
    page += "
## Unknown

An operator with an unknown operand is unknown, with two exceptions: `false && x` is false and `true || x` is true, whatever `x` is. `!`
of unknown is unknown, and so is a calculation whose result is too large. `known(x)` is never unknown. A condition that is unknown in the end does not hold, and each signal that was to blame is
counted (`cardwatch_unknown_signals_total`).

## What is refused, and with what words

| | |
|---|---|
";
    for refused in REFUSED {
        let message = rules(refused).err().unwrap_or_else(|| panic!("{refused} is taken"));
        writeln!(page, "| `{refused}` | {} |", message.trim_start_matches("when: ").replace('|', "\\|"))
            .unwrap();
    }
    page += "
Every mistake of a file is reported at once, each with its line: `cardwatch check --config FILE`. A process that is told to read its rules anew (SIGHUP) keeps the old ones where
the new ones have a mistake.
";
    is_current("docs/reference/rules.md", &page);
}

/// A setting of a topic, in words.
fn setting(name: &str, value: &str) -> String {
    let words = |ms: i64| match (ms / 86_400_000, ms / 3_600_000) {
        _ if ms < 0 => "without end".to_owned(),
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    };
    match value.parse() {
        Ok(ms) if name.ends_with(".ms") => format!("`{name}={value}` ({})", words(ms)),
        _ => format!("`{name}={value}`"),
    }
}

#[test]
fn topics_are_those_of_the_code() {
    let settings = Settings::read(None, std::iter::empty()).unwrap();
    let mut page = format!(
        "# Topics\n\n{MADE}
`cardwatch topics` says what must exist and what does, `cardwatch topics --create` makes what is missing, with the settings below.
Names are the defaults: `topics.prefix` changes the prefix, `topics.NAME` one of them. Copies are `topics.replication_factor`. All
of them are on one cluster. Kafka's automatic creation of topics is never relied on.

Keys are placed as Java clients place them (`murmur2_random`). Consumers set `isolation.level=read_committed`
([how](../howto/consumers.md)). [security.md](../security.md#rights-on-the-cluster) has the rights that each line needs.
"
    );
    for wanted in wanted(&names(&settings), Some(settings.topics.partitions)) {
        let about = topic(wanted.role);
        let partitions = match (wanted.role, wanted.partitions) {
            (Role::Input, _) => "yours".to_owned(),
            (Role::DeadLetters, _) => "1, or as many as you like".to_owned(),
            (_, Some(1)) => "1".to_owned(),
            (_, Some(count)) => {
                format!("`topics.partitions` ({count}), equal for all that say so, fixed for life")
            }
            (_, None) => panic!("{}: how many partitions?", wanted.name),
        };
        let made: Vec<String> = wanted.settings().iter().map(|(name, value)| setting(name, value)).collect();
        let made = if made.is_empty() { "yours".to_owned() } else { made.join(", ") };
        let name = if wanted.role == Role::Input { "the input" } else { &format!("`{}`", wanted.name) };
        write!(
            page,
            "\n## {name}\n\n{}\n\n| | |\n|---|---|\n| key | {} |\n| value | {} |\n| partitions | {partitions} |\n\
             | made with | {made} |\n| must have | {} |\n| written by | {} |\n| read by | {} |\n",
            about.what, about.key, about.value, about.must, about.writers, about.readers
        )
        .unwrap();
    }
    is_current("docs/reference/topics.md", &page);
}

#[test]
fn exit_codes_are_those_of_the_code() {
    // The constants with their sentences, as they stand in the code.
    let code = text("src/stop.rs");
    let mut stated = Vec::new();
    let mut lines = code.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let constant = lines.peek().and_then(|next| next.strip_prefix("pub const "));
        if let (Some(says), Some(constant)) = (line.strip_prefix("/// "), constant)
            && let Some((_, number)) = constant.split_once(": u8 = ")
        {
            stated.push((number.trim_end_matches(';').parse::<u8>().unwrap(), says.to_owned()));
        }
    }
    let told: Vec<u8> = EXITS.iter().map(|(code, ..)| *code).collect();
    let numbers: Vec<u8> = std::iter::once(0).chain(stated.iter().map(|(code, _)| *code)).collect();
    assert_eq!(told, numbers, "the codes of src/stop.rs and those that are explained differ");
    let help = args::command().get_after_help().unwrap().to_string();
    let mut page = format!(
        "# Exit codes\n\n{MADE}
Every command ends with one of these, the codes of sysexits. What is said on standard error names what, where, and what to do.

| code | | for example | should a supervisor start it again? |
|---|---|---|---|
"
    );
    for (code, example, again) in EXITS {
        assert!(help.contains(&format!("{code} ")), "--help does not speak of {code}");
        let says = stated.iter().find(|(number, _)| *number == code).map_or("Done.", |(_, says)| says);
        writeln!(page, "| {code} | {says} | {example} | {again} |").unwrap();
    }
    let unit = text("deploy/systemd/cardwatch.service");
    let left = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    let no = EXITS.iter().filter(|(.., again)| again.starts_with("no")).map(|(code, ..)| code.to_string());
    assert_eq!(
        left.split(' ').collect::<Vec<_>>(),
        no.collect::<Vec<_>>(),
        "the systemd unit does otherwise"
    );
    page += "
A process that was killed by a signal has 128 and the signal's number, from the shell. After SIGTERM and SIGINT `cardwatch run` drains and ends with 0.
The unit in [deploy/systemd](../../deploy/systemd/cardwatch.service) does as the last column says.
";
    is_current("docs/reference/exit-codes.md", &page);
}

#[test]
fn the_http_side_is_what_its_description_says() {
    let document: Value = serde_json::from_str(&text("config/openapi.json")).unwrap();
    let mut page = format!(
        "# The HTTP side\n\n{MADE}
A running service answers at `http.listen` (loopback by default). Metrics and health are open; everything below `/v1` needs a token with a
role, as `Authorization: Bearer …` (`cardwatch token new NAME --role ROLE`; [which role may what](../security.md#who-may-do-what-over-http)). The whole
description, with every field, is OpenAPI 3.1: `GET /v1/openapi.json`, or [config/openapi.json](../../config/openapi.json).

| | role at least | |
|---|---|---|
"
    );
    let receives = ["/v1/deliveries", "/v1/whoami", "/v1/openapi.json"];
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let says = operation["description"].as_str().unwrap_or_default();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            let role = match (method.as_str(), path.as_str()) {
                _ if open => "none",
                ("get", path) if receives.contains(&path) => "`receive`, `read`",
                ("get", _) => "`read`",
                ("post", "/v1/outcomes") => "`decide`",
                ("post", _) if says.contains("Needs the role admin") => "`admin`",
                other => panic!("{other:?}: which role?"),
            };
            let summary = operation["summary"].as_str().unwrap();
            writeln!(page, "| `{} {path}` | {role} | {summary} |", method.to_uppercase()).unwrap();
        }
    }
    page += "
Lists come in pages: follow `next` as `cursor` until it is null. Refusals are problem details (RFC 9457) whose `code` is a word that stays.

There is no TLS: the address is this machine's own. Beyond it put a proxy that speaks TLS in front.
";
    is_current("docs/reference/http-api.md", &page);
}

#[test]
fn configuration_is_that_of_the_code() {
    let reference = cardwatch::config::reference();
    let mut page = format!(
        "# Configuration\n\n{MADE}
TOML, given by `--config FILE`; without it every key has its default. This is [config/reference.toml](../../config/reference.toml) by
sections: every key with its default, what it is for and what it may be. A line that begins with `# ` and a key is an example: the key has no
default, or one that follows from other keys.

Any key can be overridden by a variable `CARDWATCH_SECTION__KEY`, such as `CARDWATCH_KAFKA__BOOTSTRAP_SERVERS` or
`CARDWATCH_INPUT__CARD__FIELD`. Relative paths start at the working directory. Secrets stand in files or come from commands, never in the
configuration. `cardwatch check --config FILE` reports every mistake at once.
"
    );
    // Stanzas are parted by blank lines; the first stanza of a section ends in its heading.
    let stanzas: Vec<&str> =
        reference.split("\n\n").skip(1).map(|stanza| stanza.trim_matches('\n')).collect();
    let heading = |stanza: &str| {
        let lines = stanza.lines().map(|line| line.trim_start_matches("# "));
        lines
            .into_iter()
            .find(|line| line.starts_with('[') && line.ends_with(']') && !line.contains(' '))
            .map(str::to_owned)
    };
    let (mut sections, mut open) = (Vec::<String>::new(), false);
    for stanza in stanzas {
        match heading(stanza).filter(|heading| !sections.contains(heading)) {
            Some(heading) => {
                page += if open { "```\n" } else { "" };
                writeln!(page, "\n## `{heading}`\n\n```toml\n{stanza}").unwrap();
                sections.push(heading);
                open = true;
            }
            None => writeln!(page, "\n{stanza}").unwrap(),
        }
    }
    page += "```\n";
    let stated = reference.lines().filter(|line| line.starts_with('[')).count();
    assert!(sections.len() >= stated, "{sections:?}");
    is_current("docs/reference/configuration.md", &page);
}

#[test]
fn commands_are_those_of_the_code() {
    let mut page = format!(
        "# Commands\n\n{MADE}
What `cardwatch COMMAND --help` says. `cardwatch man --out DIR` writes the same as manual pages, and `cardwatch completions SHELL` what a
shell completes by. `--config FILE`, `--format` and `--verbose` may stand anywhere.
"
    );
    fn each(command: &mut clap::Command, path: &str, page: &mut String) {
        let path = format!("{path}{}", command.get_name());
        if command.has_subcommands() && path != "cardwatch" {
            writeln!(page, "\n## `{path}`\n\n{}.", command.get_about().unwrap()).unwrap();
        } else {
            let help = command.clone().bin_name(&path).term_width(98).render_long_help().to_string();
            let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
            let depth = "#".repeat(1 + path.split(' ').count().clamp(1, 2));
            writeln!(page, "\n{depth} `{path}`\n\n```text\n{}\n```", lines.join("\n").trim()).unwrap();
        }
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            each(inner, &format!("{path} "), page);
        }
    }
    let mut command = args::command();
    command.build();
    each(&mut command, "", &mut page);
    is_current("docs/reference/commands.md", &page);
}
