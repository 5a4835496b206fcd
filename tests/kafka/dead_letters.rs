//! Sealed dead letters on a real broker: what stands there shows nothing, and opens where the private key is.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::deployment::{Deployment, fails, json, leaks, lines, ok, transaction};
use crate::support::load::card_number;
use crate::support::program::{Ended, Invocation};
use crate::support::{Isolation, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(5);

/// A deployment whose letters are sealed, and the file with the private key.
struct Sealed {
    deployment: Deployment,
    config: String,
    identity: String,
    public: String,
}

impl Sealed {
    fn new(area: &str) -> Option<Sealed> {
        let deployment = Deployment::new(area)?;
        let identity = deployment.path("letters.key").display().to_string();
        let made = ok(Program::with(&["--format", "json", "dead-letters", "keygen", "--out", &identity]));
        let made = json(&made);
        let row = made.as_array().or(made["keys"].as_array()).unwrap()[0].clone();
        let public = row["public_key"].as_str().unwrap().to_owned();
        let config = format!(
            "{}[dead_letters]\npayload = \"sealed\"\npublic_key = \"{public}\"\n",
            deployment.config()
        );
        Some(Sealed { deployment, config, identity, public })
    }

    fn command(&self, arguments: &[&str]) -> Invocation {
        Program::with(arguments).config(&self.config)
    }

    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments: Vec<&str> = ["--format", "json", "dead-letters", "list"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let table = json(&ok(self.command(&arguments)));
        table.as_array().or(table["dead_letters"].as_array()).unwrap().clone()
    }
}

#[test]
fn sealed_letters_show_nothing_and_open_with_the_private_key() {
    let Some(sealed) = Sealed::new("sealed") else { return };
    let deployment = &sealed.deployment;
    let topic = deployment.topic("transactions");
    let too_long = |card: usize| format!("{}4242", card_number(card));
    let mut records: Vec<Outgoing> =
        (0..20).map(|n| Outgoing::to(&topic).partition(0).value(transaction(n, &card_number(n)))).collect();
    let dead: Vec<Outgoing> = (20..25)
        .map(|n| {
            let record = Outgoing::to(&topic).partition(1).key(card_number(n));
            record.header("pan", card_number(n)).value(transaction(n, &too_long(n)))
        })
        .collect();
    records.extend(dead);
    records.push(Outgoing::to(&topic).partition(1).value(b"\xffnot text".to_vec()));
    deployment.kafka.produce(&records);
    let mut program = sealed.command(&["run"]).start();
    let letters = wait::until("letters", WITHIN, || {
        let letters = deployment.kafka.read(&deployment.topic("dead-letters"), Isolation::Committed);
        (letters.len() >= 6).then_some(letters)
    });
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());

    let cards: Vec<usize> = (0..30).collect();
    for letter in &letters {
        let headers = letter.headers.iter().flat_map(|(name, value)| [name.as_bytes(), value].concat());
        let all: Vec<u8> = headers
            .chain(letter.key.clone().unwrap_or_default())
            .chain(letter.value.clone().unwrap_or_default())
            .collect();
        assert_eq!(leaks(&all, &cards), None);
    }

    // The list tells of them without a key.
    let rows = sealed.rows(&[]);
    assert_eq!(rows.len(), 6);
    assert!(rows.iter().all(|row| row["payload"] == "sealed" && row["sealed_to"] == sealed.public.as_str()));
    assert!(rows.iter().all(|row| row["value_digest"].as_str().is_some_and(|digest| digest.len() == 64)));
    assert_eq!(rows[0]["value_bytes"], transaction(20, &too_long(20)).len());
    assert_eq!((&rows[0]["key_bytes"], &rows[0]["headers"]), (&16.into(), &1.into()));
    assert_eq!(sealed.rows(&["--reason", "not_utf8"]).len(), 1);
    assert_eq!(sealed.rows(&["--partition", "0"]).len(), 0);
    assert_eq!(sealed.rows(&["--since", "2100-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(sealed.rows(&["--limit", "2"]).len(), 2);
    let place = rows[3]["letter"].as_str().unwrap();
    assert_eq!(sealed.rows(&["--letter", place]), [rows[3].clone()]);
    let text = ok(sealed.command(&["dead-letters", "list"])).transcript();
    assert_eq!(leaks(text.as_bytes(), &cards), None);

    // Opened, they are what came.
    let opened = ok(sealed.command(&["dead-letters", "open", "--identity", &sealed.identity]));
    let opened: Vec<Value> = opened.stdout().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(opened.len(), 6);
    for (n, record) in (20..25).zip(&opened) {
        assert_eq!(record["value"], transaction(n, &too_long(n)));
        assert_eq!(record["key"], card_number(n));
        assert_eq!(record["headers"], serde_json::json!([["pan", card_number(n)]]));
        assert_eq!((&record["topic"], &record["partition"]), (&topic.as_str().into(), &1.into()));
    }
    assert_eq!(opened[5]["value"]["base64"], "/25vdCB0ZXh0");

    // Not without the key, not with another, and not with one that others may read.
    let open = |identity: &[&str]| {
        let arguments: Vec<&str> =
            ["dead-letters", "open"].into_iter().chain(identity.iter().copied()).collect();
        sealed.command(&arguments)
    };
    fails(open(&[]), 65, &["--identity", &sealed.public]);
    let other = deployment.path("other.key").display().to_string();
    ok(Program::with(&["dead-letters", "keygen", "--out", &other]));
    fails(open(&["--identity", &other]), 65, &["--identity", &sealed.public]);
    fails(Program::with(&["dead-letters", "keygen", "--out", &other]), 78, &["other.key is there already"]);
    ok(open(&["--identity", &other, "--identity", &sealed.identity]));
    fails(open(&["--identity", &other, "--letter", "0/99"]), 65, &["there is no dead letter 0/99"]);
    std::fs::set_permissions(&sealed.identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    fails(open(&["--identity", &sealed.identity]), 78, &["letters.key", "mode 0644", "chmod 600"]);
}

#[test]
fn too_many_unreadable_records_stop_the_line_before_it_commits() {
    let Some(deployment) = Deployment::new("stop-at") else { return };
    let topic = deployment.topic("transactions");
    let list = deployment.file("list", lines(0..10));
    ok(deployment.open("shop", &["--list", &list]));
    // 30 of 1,000 cannot be read: under the 5 % that stop a line unless told otherwise, and over 2 %.
    let records: Vec<Outgoing> = (0..1_000)
        .map(|n| {
            let card = if n % 100 < 3 { "no card".to_owned() } else { card_number(n % 50) };
            Outgoing::to(&topic).partition(0).value(transaction(n, &card))
        })
        .collect();
    deployment.kafka.produce(&records);
    let config = deployment.config() + "[dead_letters]\nstop_at = 0.02\n";
    let first = format!("from {topic}/0 at offset 0 on");
    let words = [
        "30 of 1000 records cannot be read",
        "30 times card_not_a_number in field card",
        &first,
        "stop_at",
        "skip-to",
    ];
    fails(Program::with(&["run"]).config(&config), 65, &words);
    let committed = |name: &str| deployment.kafka.read(&deployment.topic(name), Isolation::Committed);
    assert!(committed("dead-letters").is_empty() && committed("sightings").is_empty());
    let offset = || deployment.kafka.committed(&deployment.group("sight"), &topic)[0].offset;
    assert_eq!(offset(), None);

    let mut program = deployment.command(&["run"]).start();
    wait::until("everything is committed", WITHIN, || (offset() == Some(1_000)).then_some(()));
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    assert_eq!(committed("dead-letters").len(), 30);
}
