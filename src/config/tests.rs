use std::fmt::Write as _;
use std::time::Duration;

use super::reader::variable_name;
use super::section::KeyDescription;
use super::*;
use crate::domain::time::Timestamp;
use crate::http::auth::Role;

mod kafka;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::read(Some((Path::new("c.toml"), text)), variables)
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match read(text, variables) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn keys() -> Vec<KeyDescription> {
    reference::sections().into_iter().flat_map(|section| section.keys).collect()
}

fn project(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[test]
fn the_reference_is_complete_and_true() {
    let path = project("config/reference.toml");
    let update = environment().any(|(name, _)| name == "UPDATE_REFERENCE");
    if update {
        std::fs::write(&path, reference()).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert!(file == reference(), "run UPDATE_REFERENCE=1 cargo test --lib config::");
    assert_eq!(read(&file, &[]).unwrap(), read("", &[]).unwrap());
    for key in keys() {
        assert!(
            key.doc.iter().any(|line| line.trim().len() > 10),
            "{}.{} says nothing",
            key.section,
            key.name
        );
    }
}

#[test]
fn every_example_in_the_reference_may_be_written() {
    let mut written = 0;
    let mut text = String::new();
    for line in reference().lines() {
        match line.strip_prefix("# ") {
            Some(example) if toml::de::DeTable::parse(example).is_ok() => {
                written += 1;
                writeln!(text, "{example}").unwrap();
            }
            _ => writeln!(text, "{line}").unwrap(),
        }
    }
    let described: usize = reference::sections()
        .iter()
        .map(|section| {
            section.examples.len() + section.keys.iter().filter(|key| key.example.is_some()).count()
        })
        .sum();
    let (list, tables) = Webhooks::describe();
    let of_endpoints = list.keys.len() + tables.iter().map(|table| 1 + table.lines.len()).sum::<usize>();
    assert_eq!(written, described + of_endpoints);
    // Some examples cannot stand as they are: one needs another kind of card, one a file to read, one is refused
    // because it is the example, and a token is shown to brokers in place of a password.
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("password");
    crate::files::private::create(&secret, b"hunter2").unwrap();
    let text = text
        .replace("token_file = \"/run/secrets/kafka-token\"", "token_file = \"\"")
        .replace(
            "token_command = [\"/usr/local/bin/kafka-token\", \"--audience\", \"kafka\"]",
            "token_command = []",
        )
        .replace("kind = \"number\"", "kind = \"fingerprint\"")
        .replace("cwpub.AImzxbkPTZgIvVwFkp96E-H4aElDdkIoh8R-HNHBtCZJJApL", PUBLIC_KEY)
        .replace("/run/secrets/kafka-password", secret.to_str().unwrap());
    let expected: &[String] = &[];
    let found = problems(&text, &[]);
    match cfg!(feature = "tls") {
        true => assert_eq!(found, expected),
        false => assert!(found.iter().all(|text| text.contains("was built without TLS")), "{found:?}"),
    }
}

#[test]
fn the_starting_configuration_passes() {
    let path = project("config/cardwatch.toml");
    let settings = Settings::load(Some(&path), std::iter::empty()).unwrap();
    assert_eq!(settings.input.start, Some(Start::Earliest));
    assert_eq!(settings.remarks(), Vec::<String>::new());
}

#[test]
fn every_key_is_read_from_the_file_and_from_its_variable() {
    for key in keys() {
        let path = format!("{}.{}", key.section, key.name);
        let found = problems(&format!("[{}]\n{} = {{}}\n", key.section, key.name), &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("c.toml:2: {path}: ")), "{found:?}");
        assert!(found[0].ends_with(&format!("; write {}", key.allowed)), "{found:?}");

        let variable = variable_name(&path);
        let found = problems("", &[(&variable, "no such value\u{1}")]);
        let free_text = matches!(key.name, "directory" | "rules" | "file");
        assert_eq!(found.len(), usize::from(!free_text), "{path}: {found:?}");
        for problem in found {
            assert!(problem.starts_with(&format!("environment variable {variable}: {path}: ")), "{problem}");
        }
    }
}

#[test]
fn a_variable_wins_over_the_file() {
    let settings = read(
        "[sight]\nworkers = 2\n[input]\nstart = 2026-04-01T00:00:00+09:00\n",
        &[
            ("CARDWATCH_SIGHT__WORKERS", "3"),
            ("CARDWATCH_INPUT__CARD__FIELD", "/pan"),
            ("CARDWATCH_LINES__ENABLED", "score"),
            ("CARDWATCH_SCORE__LINGER", "7ms"),
            ("CARDWATCH_DEAD_LETTERS__STOP_AT", "0.5"),
            ("CARDWATCH_HTTP__LISTEN", ""),
            ("CARDWATCH_MAPPING__REFERENCES__ACCOUNT", "/account"),
            ("CARDWATCH_KAFKA__PROPERTIES__CLIENT_RACK", "a1"),
            ("CARDWATCH_FAULTS", "stop:sight/after-commit"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(settings.sight.workers, 3);
    assert_eq!(settings.input.start, Some(Start::At(Timestamp(1_774_969_200_000))));
    assert_eq!(settings.input.card.field, ["/pan"]);
    assert_eq!(settings.lines.enabled, [Line::Score]);
    assert_eq!(settings.score.linger, Duration::from_millis(7));
    assert_eq!(settings.dead_letters.stop_at, 0.5);
    assert_eq!(settings.http.listen, None);
    assert_eq!(settings.references.0["account"], ["/account"]);
    assert_eq!(settings.kafka.properties.get("client.rack"), Some("a1"));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_its_remedy() {
    let text = r#"
[kafka]
bootstrap_server = "a:9092"
properties = { "isolation.level" = "read_uncommitted", "client.rack" = [] }

[sight]
workers = 9
linger = 5
threads = 4

[input]
start = "yesterday"
card.kind = "pan"

[mapping]
at = "at"
currency = ""
references = { Account = "/a", owner = "b" }

[alert]
live_for = "24h"
[http]
level = "debug"
[log.level]
"#;
    let variables =
        [("CARDWATCH_SIGHT__WORKER", "1"), ("CARDWATCH_SCORE__WORKERS", "many"), ("CARDWATCH_X", "1")];
    assert_eq!(
        problems(text, &variables),
        [
            "c.toml:3: kafka.bootstrap_server: unknown key; write `bootstrap_servers`",
            "c.toml:4: kafka.properties.client.rack: is not a property's value; write a text, a number, true or \
             false",
            "c.toml:4: kafka.properties.isolation.level: is not yours to set: reading what may yet be aborted \
             would count a sighting twice; write nothing: leave it out",
            "c.toml:7: sight.workers: is more than sight.workers_max (8); write 8 at most, or raise workers_max",
            "c.toml:8: sight.linger: has no unit; write a duration from \"0ms\" to \"1s\" (units: ms, s, m, h, d)",
            "c.toml:9: sight.threads: unknown key; write one of commit_interval, commit_records, linger, \
             workers, workers_max",
            "c.toml:12: input.start: is not a place to start; write \"earliest\", \"latest\" or a time with its \
             offset such as \"2026-04-01T00:00:00+09:00\", or \"\" for none",
            "c.toml:13: input.card.kind: is not one of the words; write one of \"number\", \"token\", \
             \"account_reference\", \"fingerprint\"",
            "c.toml:16: mapping.at: is not a JSON Pointer; write a JSON Pointer such as \"/merchant/id\", or a list of them, of which the first that holds something counts; or a table of field, format, timezone (docs/mapping.md); \"\" for none",
            "c.toml:17: mapping.currency: is unmapped, and without it amount means nothing; write where the \
             currency is, { value = \"…\" } if there is only one, or amount = \"\" as well",
            "c.toml:18: mapping.references.Account: is not a reference's name; write a name of 1 to 32 of a-z, \
             0-9, \"-\" and \"_\"",
            "c.toml:18: mapping.references.owner: is not a JSON Pointer; write a JSON Pointer such as \"/merchant/id\", or a list of them, of which the first that holds something counts",
            "c.toml:20: alert: unknown section; write `alerts`",
            "c.toml:23: http.level: unknown key; write it in [log]",
            "c.toml:24: log.level: is not a text in quotes; write one of \"error\", \"warn\", \"info\", \"debug\", \
             \"trace\"",
            "environment variable CARDWATCH_SCORE__WORKERS: score.workers: is not a whole number; write a whole \
             number from 1 to 64",
            "environment variable CARDWATCH_SIGHT__WORKER: no such setting; write CARDWATCH_SIGHT__WORKERS",
            "environment variable CARDWATCH_X: no such setting; write CARDWATCH_SECTION__KEY of a key in \
             config/reference.toml",
        ]
    );
}

#[test]
fn what_is_not_toml_is_reported_line_by_line() {
    let found = problems("[sight\nworkers = 1\n[score]\nworkers = two\nlinger = \"1s\nworkers = 2\n", &[]);
    for line in ["c.toml:1: not TOML: ", "c.toml:4: not TOML: ", "c.toml:5: not TOML: "] {
        assert!(found.iter().any(|problem| problem.starts_with(line)), "{line} {found:#?}");
    }
    let found = problems("[sight]\nworkers = 1\nworkers = 2\n", &[]);
    assert!(found[0].starts_with("c.toml:3: not TOML: duplicate key"), "{found:#?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn a_quoted_path_is_not_a_key() {
    assert_eq!(problems("\"sight.workers\" = 2", &[]).len(), 1);
    assert_eq!(problems("sight.workers = 2", &[]), Vec::<String>::new());
    assert!(problems("kafka = 3", &[])[0].contains("is a section, not a key; write [kafka]"));
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    for (text, key) in [
        ("topics.alerts = \"cardwatch.sightings\"", "topics.alerts"),
        ("input.topic = \"cardwatch.alerts\"", "topics.alerts"),
        ("score.workers = 9", "score.workers"),
        ("score.linger = \"200ms\"", "score.linger"),
        ("input.card.key_field = \"/key\"", "input.card.key_field"),
        ("input.card = { kind = \"fingerprint\", key_field = \"/card\" }", "input.card.key_field"),
        ("mapping.id = \"/card\"", "mapping.id"),
        ("mapping.references.pan = \"/card\"", "mapping.references.pan"),
        ("mapping.billing_currency = \"\"", "mapping.billing_currency"),
    ] {
        let found = problems(text, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(&format!(": {key}: ")), "{text}: {found:?}");
    }
}

#[test]
fn more_than_eight_references_are_refused() {
    let references = |count: usize| {
        let mut text = "[mapping.references]\n".to_owned();
        (0..count).for_each(|n| writeln!(text, "r{n} = \"/r{n}\"").unwrap());
        text
    };
    assert_eq!(read(&references(8), &[]).unwrap().references.0.len(), 8);
    assert!(problems(&references(9), &[])[0].contains("more than eight"));
}

#[test]
fn names_follow_the_prefix_unless_they_are_set() {
    let topics = read("topics = { prefix = \"team-a.\", alerts = \"fraud-alerts\" }", &[]).unwrap().topics;
    assert_eq!(topics.sightings, "team-a.sightings");
    assert_eq!(topics.dead_letters, "team-a.dead-letters");
    assert_eq!(topics.alerts, "fraud-alerts");
}

#[test]
fn dead_letters_keep_the_record_of_tokens_alone_unless_told_otherwise() {
    for (text, want, remarks) in [
        ("", Payload::Omit, 0),
        ("input.card.kind = \"fingerprint\"", Payload::Omit, 0),
        ("input.card.kind = \"token\"", Payload::Original, 1),
        ("dead_letters.payload = \"original\"", Payload::Original, 1),
        (&sealed(PUBLIC_KEY), Payload::Sealed, 1),
        ("input.card.kind = \"token\"\ndead_letters.payload = \"omit\"", Payload::Omit, 0),
    ] {
        let settings = read(text, &[("CARDWATCH_INPUT__START", "latest")]).unwrap();
        assert_eq!(settings.dead_letter_payload(), want, "{text}");
        let found = settings.remarks();
        assert_eq!(found.iter().filter(|remark| remark.contains("3.3.1")).count(), remarks, "{text}");
    }
}

/// A key whose private half the tests of `codec::seal` have.
const PUBLIC_KEY: &str = "cwpub.B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHyqqP_3";

fn sealed(key: &str) -> String {
    format!("[dead_letters]\npayload = \"sealed\"\npublic_key = \"{key}\"\n")
}

#[test]
fn letters_are_sealed_to_a_key_that_opens_them() {
    for (text, line, want) in [
        ("[dead_letters]\npayload = \"sealed\"\n".to_owned(), "", "public_key: is not set"),
        (sealed(&PUBLIC_KEY.replace("B6N", "B7N")), ":3", "its check does not fit"),
        (
            sealed("cwpub.AImzxbkPTZgIvVwFkp96E-H4aElDdkIoh8R-HNHBtCZJJApL"),
            ":3",
            "is the example of reference.toml",
        ),
        (sealed(PUBLIC_KEY).replace("sealed", "omit"), ":3", "seals nothing unless"),
        (sealed(PUBLIC_KEY).replace("payload = \"sealed\"", ""), ":3", "seals nothing unless"),
    ] {
        let found = problems(&text, &[]);
        assert_eq!(found.len(), if line.is_empty() || !text.contains("B7N") { 1 } else { 2 }, "{found:?}");
        assert!(
            found.iter().any(|one| one.starts_with(&format!("c.toml{line}: ")) && one.contains(want)),
            "{found:?}"
        );
    }
}

#[test]
fn keys_from_elsewhere_are_read_by_id() {
    let settings = read(
        "[keys.files]\nk1 = \"/run/k1\"\n[keys.commands]\nk2 = [\"unwrap\", \"k 2\"]\n",
        &[("CARDWATCH_KEYS__FILES__K3", "/run/k3"), ("CARDWATCH_KEYS__COMMANDS__K4", "[\"u\", \"k4\"]")],
    );
    let settings = settings.unwrap();
    let files: Vec<String> =
        settings.key_files.0.iter().map(|(id, path)| format!("{id} {}", path.display())).collect();
    assert_eq!(files, ["k1 /run/k1", "k3 /run/k3"]);
    let commands: Vec<String> =
        settings.key_commands.0.iter().map(|(id, words)| format!("{id} {}", words.join("|"))).collect();
    assert_eq!(commands, ["k2 unwrap|k 2", "k4 u|k4"]);
    for (text, want) in [
        ("[keys.files]\n\"K 1\" = \"x\"\n", "keys.files.K 1: is not a key's id"),
        ("[keys.commands]\nk1 = \"unwrap k1\"\n", "keys.commands.k1: is not a list"),
        ("[keys.commands]\nk1 = []\n", "names no program"),
        ("[keys.commands]\nk1 = [\"u\", 1]\n", "something else than texts"),
        ("[keys.files]\nk1 = \"x\"\n[keys.commands]\nk1 = [\"u\"]\n", "comes from keys.commands.k1 as well"),
    ] {
        let found = problems(text, &[]);
        assert!(found.len() == 1 && found[0].contains(want), "{found:?}");
    }
}

#[test]
fn no_value_is_ever_repeated() {
    let secret = "hunter2hunter2";
    for key in keys() {
        for value in [format!("\"{secret}\u{1}\""), format!("\"\\u0001{secret}\""), secret.to_owned()] {
            for text in problems(&format!("[{}]\n{} = {value}\n", key.section, key.name), &[]) {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
    for name in ["sasl.password", "ssl.key.password", "acks", "sasl.password_file"] {
        for value in [format!("\"{secret}\""), secret.to_owned(), format!("[\"{secret}\"]")] {
            let found = problems(&format!("[kafka.properties]\n\"{name}\" = {value}\n"), &[]);
            assert!(!found.is_empty() && !found.iter().any(|text| text.contains(secret)), "{found:?}");
        }
    }
    let settings = read("[kafka.properties]\n\"client.rack\" = \"hunter2hunter2\"\n", &[]).unwrap();
    assert!(!format!("{settings:?}").contains(secret));
    assert_eq!(settings.kafka.properties.get("client.rack"), Some(secret));
}

#[test]
fn a_missing_file_is_one_mistake() {
    let path = Path::new("no-such-directory/c.toml");
    let found = Settings::load(Some(path), std::iter::empty()).unwrap_err().to_string();
    assert!(found.starts_with("no-such-directory/c.toml: cannot be read: "), "{found}");
}

#[test]
fn tokens_are_a_list_of_tables_each_with_a_name_a_role_and_a_file() {
    let token = |name: &str, role: &str| {
        format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nfile = \"{name}.token\"\n")
    };
    let settings = read(&(token("desk", "decide") + &token("eyes", "read")), &[]).unwrap();
    let found: Vec<_> =
        settings.http_tokens.0.iter().map(|token| (token.name.as_str(), token.role)).collect();
    assert_eq!(found, [("desk", Role::Decide), ("eyes", Role::Read)]);
    assert_eq!(settings.http_tokens.0[1].file, Path::new("eyes.token"));
    for (text, wanted) in [
        (token("Desk", "decide"), "c.toml:2: http.tokens.name: is not such a name"),
        (token("desk", "king"), "c.toml:3: http.tokens.role: is not one of the words"),
        (token("desk", "read") + "rolle = 1\n", "c.toml:5: http.tokens.rolle: unknown key; write `role`"),
        ("[[http.tokens]]\nname = \"a\"\nrole = \"read\"\n".to_owned(), "http.tokens.file: is missing"),
        (token("desk", "read") + &token("desk", "admin"), "is the name of another token too"),
        (token("issuer", "receive"), "http.tokens.endpoints: names none, and the role is \"receive\""),
        (token("issuer", "receive") + "endpoints = [\"Issuer\"]\n", "http.tokens.endpoints: "),
        (token("desk", "read") + "endpoints = [\"issuer\"]\n", "is for the role \"receive\" alone"),
        ("http.tokens = 3\n".to_owned(), "http.tokens: is not a list of tables"),
        ("[http.tokens]\nname = \"a\"\n".to_owned(), "http.tokens: is not a list of tables"),
        ("http.tokens = [3]\n".to_owned(), "http.tokens: is not a list of tables"),
        ("[[http.token]]\nname = \"a\"\n".to_owned(), "c.toml:1: http.token: unknown key; write `tokens`"),
    ] {
        let found = problems(&text, &[]);
        assert!(found.len() == 1 && found[0].contains(wanted), "{text}: {found:?}");
    }
    let receiver = token("issuer", "receive") + "endpoints = [\"issuer\"]\n";
    let remarks = read(&receiver, &[]).unwrap().remarks();
    assert!(remarks.iter().any(|remark| remark.contains("none of [[webhooks]] here")), "{remarks:?}");
    let variable = problems("", &[("CARDWATCH_HTTP__TOKENS", "desk")]);
    assert!(variable[0].contains("no such setting"), "{variable:?}");
}

#[test]
fn beyond_this_host_v1_is_served_to_the_owners_of_tokens_or_not_at_all() {
    let token = "[[http.tokens]]\nname = \"a\"\nrole = \"read\"\nfile = \"a\"\n";
    for (listen, rest, refused, remarked) in [
        ("127.0.0.1:9600", "", false, false),
        ("127.8.9.1:9600", "", false, false),
        ("[::1]:9600", "", false, false),
        ("[::ffff:127.0.0.1]:9600", "", false, false),
        ("", "", false, false),
        ("0.0.0.0:9600", "", true, true),
        ("[::]:9600", "", true, true),
        ("192.0.2.7:9600", "", true, true),
        ("0.0.0.0:9600", token, false, true),
        ("0.0.0.0:9600", "api = false", false, false),
    ] {
        let text = format!("[http]\nlisten = \"{listen}\"\n{rest}\n");
        let found = problems(&text, &[]);
        assert_eq!(
            found.iter().any(|problem| problem.contains(": http.listen: ")),
            refused,
            "{text}{found:?}"
        );
        if let Ok(settings) = read(&text, &[]) {
            let told = settings.remarks().iter().any(|remark| remark.starts_with("http.listen: "));
            assert_eq!(told, remarked, "{text}");
        }
    }
}

#[test]
fn default_settings_are_the_default_mapping() {
    assert_eq!(read("", &[]).unwrap().mapping_spec(), MappingSpec::default());
}

#[test]
fn card_fields_are_named_by_what_they_hold() {
    let text =
        "[input.card]\nfield = [\"/pan\", \"/card/pan\"]\ntoken = \"/token\"\naccount_reference = \"/par\"\n";
    let spec = read(text, &[]).unwrap().mapping_spec();
    assert_eq!(spec.card, ["/pan", "/card/pan"]);
    assert_eq!(spec.other_cards.keys().collect::<Vec<_>>(), [&CardKind::Token, &CardKind::AccountReference]);
    let found = problems(&format!("{text}kind = \"token\"\n"), &[]);
    assert!(found[0].starts_with("c.toml:3: input.card.token: is what the card field holds"), "{found:?}");
}

#[test]
fn every_configuration_in_the_documents_is_accepted() {
    let mut checked = 0;
    for document in ["docs/mapping.md", "docs/webhooks.md", "README.md"] {
        let text = std::fs::read_to_string(project(document)).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            assert_eq!(problems(block, &[]), Vec::<String>::new(), "{document}\n{block}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked}");
    let document = std::fs::read_to_string(project("docs/mapping.md")).unwrap();
    for house in ["processor", "provider", "merchant"] {
        let mapping = project(&format!("tests/fixtures/houses/{house}/mapping.toml"));
        assert!(document.contains(&std::fs::read_to_string(mapping).unwrap()), "{house}");
    }
}
