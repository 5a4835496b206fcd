//! One deployment of cardwatch for a test: topics, a configuration, a key directory, and what stands on the list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::files::keys::KeyDirectory;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::load::card_number;
use crate::support::ports::free_port;
use crate::support::program::{Ended, Invocation, write_private};
use crate::support::{Isolation, Kafka, Message, Outgoing, Program, schema, shared_kafka, wait};

/// How long a command may take on a busy machine.
pub const COMMAND: Duration = Duration::from_secs(90);
/// How long anything may take that takes a second on a quiet machine.
pub const WITHIN: Duration = Duration::from_secs(60);
/// SIGTERM to the end, as it is promised.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Partitions of the input.
pub const INPUT_PARTITIONS: i32 = 2;

/// What an incident says of itself, for `incident open`.
pub const DETAILS: [&str; 13] = [
    "--name",
    "Shop",
    "--party",
    "Shop KK",
    "--time-zone",
    "Asia/Tokyo",
    "--exposed-from",
    "2026-01-01",
    "--exposed-until",
    "2026-02-14",
    "--until-closed",
    "--elements",
    "pan,expiry",
];

/// One deployment.
#[derive(Debug)]
pub struct Deployment {
    pub kafka: Kafka,
    pub http: u16,
    home: TempDir,
}

impl Deployment {
    /// A deployment with one key, `k1`, and nothing on the broker yet; `None` where there is no broker.
    pub fn bare(area: &str) -> Option<Deployment> {
        Some(Deployment::bare_on(shared_kafka(area)?))
    }

    /// The same on a broker of the test's own.
    pub fn bare_on(kafka: Kafka) -> Deployment {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let deployment = Deployment { kafka, http: free_port(), home };
        deployment.new_key("keys", "k1");
        deployment
    }

    /// The same with every topic, made by `cardwatch topics --create`.
    pub fn new(area: &str) -> Option<Deployment> {
        Some(Deployment::on(shared_kafka(area)?))
    }

    /// The same on a broker of the test's own.
    pub fn on(kafka: Kafka) -> Deployment {
        let deployment = Deployment::bare_on(kafka);
        deployment.kafka.create(&deployment.topic("transactions"), INPUT_PARTITIONS, &[]);
        deployment.ok(&["topics", "--create"]);
        deployment
    }

    /// The full name of one of its topics.
    pub fn topic(&self, name: &str) -> String {
        self.kafka.name(name)
    }

    /// The consumer group of a line.
    pub fn group(&self, line: &str) -> String {
        format!("{}-{line}", self.kafka.name("group"))
    }

    /// Makes a key in one of its key directories, and makes it the primary.
    pub fn new_key(&self, directory: &str, id: &str) {
        let keys = KeyDirectory::new(&self.home.path().join(directory));
        keys.create(id.parse().unwrap(), true, SystemClock.now()).unwrap();
    }

    /// The configuration, under the keys of `directory`.
    pub fn config_with_keys(&self, directory: &str) -> String {
        format!(
            "[kafka]\nbootstrap_servers = \"{}\"\n[topics]\nprefix = \"{}\"\npartitions = 2\nreplication_factor = 1\n\
             [input]\ntopic = \"{}\"\nstart = \"earliest\"\n[keys]\ndirectory = \"{}\"\n[instance]\nid = \"one\"\n\
             transactional_prefix = \"{}\"\ngroup_prefix = \"{}\"\n[sight]\nworkers_max = 1\n[score]\nworkers_max = 1\n\
             [audit]\nfile = \"{}\"\n[http]\nlisten = \"127.0.0.1:{}\"\n",
            self.kafka.bootstrap(),
            self.kafka.prefix(),
            self.topic("transactions"),
            self.path(directory).display(),
            self.kafka.name("tx"),
            self.kafka.name("group"),
            self.path("audit.jsonl").display(),
            self.http,
        )
    }

    /// The configuration.
    pub fn config(&self) -> String {
        self.config_with_keys("keys")
    }

    /// A path in its own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file, and returns its path as an argument.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), contents).unwrap();
        self.path(name).display().to_string()
    }

    /// The same, for its owner alone.
    pub fn private(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        write_private(&self.path(name), contents);
        self.path(name).display().to_string()
    }

    /// A pipe with a name, for a list that comes slowly: its path as an argument.
    pub fn pipe(&self, name: &str) -> String {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        self.path(name).display().to_string()
    }

    /// A command with the configuration.
    pub fn command(&self, arguments: &[&str]) -> Invocation {
        Program::with(arguments).config(&self.config()).env("USER", "anna")
    }

    /// `incident open` with all details.
    pub fn open(&self, id: &str, more: &[&str]) -> Invocation {
        let arguments: Vec<&str> =
            ["incident", "open", id].into_iter().chain(DETAILS).chain(more.iter().copied()).collect();
        self.command(&arguments)
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Program {
        ok(self.command(arguments))
    }

    /// Runs a command that must succeed, for its JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> =
            ["--format", "json"].into_iter().chain(arguments.iter().copied()).collect();
        json(&self.ok(&arguments))
    }

    /// Sends values to the input's first partition.
    pub fn send(&self, values: impl IntoIterator<Item = String>) {
        let topic = self.topic("transactions");
        let records: Vec<Outgoing> =
            values.into_iter().map(|value| Outgoing::to(&topic).partition(0).value(value)).collect();
        self.kafka.produce(&records);
    }

    /// The service, ready.
    #[track_caller]
    pub fn run(&self) -> Program {
        self.run_with("")
    }

    /// The service with more configuration, ready.
    #[track_caller]
    pub fn run_with(&self, more: &str) -> Program {
        self.run_with_faults(more, "")
    }

    /// The same with these faults.
    #[track_caller]
    pub fn run_with_faults(&self, more: &str, faults: &str) -> Program {
        let service = Program::with(&["run"]).config(&(self.config() + more));
        let mut program = service.env("CARDWATCH_FAULTS", faults).start();
        program.await_http(&self.url("health/ready"), WITHIN, |status, _| status == 200);
        program
    }

    /// What a topic holds, read committed; each record of a kind that has a schema is held against it.
    pub fn committed(&self, name: &str) -> Vec<Message> {
        let records = self.kafka.read(&self.topic(name), Isolation::Committed);
        records.iter().for_each(|record| schema::check(name, record));
        records
    }

    /// Waits until a topic holds so many records.
    #[track_caller]
    pub fn await_records(&self, name: &str, count: usize) -> Vec<Message> {
        wait::until(name, WITHIN, || Some(self.committed(name)).filter(|records| records.len() >= count))
    }

    /// Waits until the group has committed an offset of the input's first partition.
    #[track_caller]
    pub fn await_offset(&self, line: &str, topic: &str, offset: i64) {
        wait::until("an offset", WITHIN, || {
            let committed = self.kafka.committed(&self.group(line), &self.topic(topic));
            (committed[0].offset == Some(offset)).then_some(())
        });
    }

    /// The address of a page.
    pub fn url(&self, page: &str) -> String {
        format!("http://127.0.0.1:{}/{page}", self.http)
    }

    /// The configuration of a token, whose file it writes.
    pub fn token(&self, name: &str, role: &str, token: &str) -> String {
        let file = self.private(name, token);
        format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nfile = \"{file}\"\n")
    }

    /// Status and body of a request with a token.
    pub fn ask(&self, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask_at(self.http, token, path, body)
    }

    /// The same of a process that listens elsewhere.
    pub fn ask_at(&self, port: u16, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(30))).build().into();
        let authorization = format!("Bearer {token}");
        let url = format!("http://127.0.0.1:{port}/{path}");
        let mut response = match body {
            None => agent.get(&url).header("authorization", &authorization).call().unwrap(),
            Some(body) => agent
                .post(&url)
                .header("authorization", &authorization)
                .content_type("application/json")
                .send(body.to_string())
                .unwrap(),
        };
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The end of the list's topic.
    pub fn list_end(&self) -> i64 {
        self.kafka.watermarks(&self.topic("exposures"), 0).high
    }

    /// The cards of an incident that show, by a fold of the topic that knows nothing of the program's own: the
    /// last record of each key, and of each card the last event of a revision that is done.
    pub fn shown(&self, incident: &str) -> BTreeSet<String> {
        let records = self.kafka.read(&self.topic("exposures"), Isolation::Committed);
        let last: BTreeMap<&str, &Message> =
            records.iter().map(|message| (message.key_text(), message)).collect();
        let Some(log) = last.get(format!("incident/{incident}").as_str()) else { return BTreeSet::new() };
        let log = log.json();
        let done: BTreeSet<i64> = log["revisions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["state"] == "done")
            .map(|one| one["number"].as_i64().unwrap())
            .collect();
        if log["state"] != "open" {
            return BTreeSet::new();
        }
        let of_incident =
            last.iter().filter(|(key, _)| key.starts_with("card/") && key.ends_with(&format!("/{incident}")));
        let shown = of_incident.filter(|(_, message)| {
            let card = message.json();
            let mut events = card["events"].as_array().unwrap().iter().map(|event| event.as_i64().unwrap());
            events.rfind(|event| done.contains(&event.abs())).is_some_and(|event| event > 0)
        });
        shown.map(|(key, _)| (*key).to_owned()).collect()
    }
}

/// Runs a command that must succeed.
#[track_caller]
pub fn ok(invocation: Invocation) -> Program {
    let (ended, program) = invocation.run(COMMAND);
    assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
    program
}

/// Runs a command that must fail with `code`, and say all of `words`.
#[track_caller]
pub fn fails(invocation: Invocation, code: i32, words: &[&str]) -> Program {
    let (ended, program) = invocation.run(COMMAND);
    said(&program, ended, code, words);
    program
}

/// Checks how a program ended and what its last words were.
#[track_caller]
pub fn said(program: &Program, ended: Ended, code: i32, words: &[&str]) {
    assert_eq!(ended, Ended::Code(code), "{}", program.transcript());
    let told = program.stderr();
    let last = told.iter().rev().find(|line| line.starts_with("cardwatch: "));
    let at = told
        .iter()
        .position(|line| Some(line) == last)
        .unwrap_or_else(|| panic!("no reason\n{}", program.transcript()));
    let message = told[at..].join("\n");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// What a command printed, as JSON.
#[track_caller]
pub fn json(program: &Program) -> Value {
    serde_json::from_str(&program.stdout().join("\n")).unwrap()
}

/// One of several tables, as a map from its first column to its second.
#[track_caller]
pub fn column(table: &Value, key: &str, value: &str) -> BTreeMap<String, Value> {
    let rows = table.as_array().unwrap().iter();
    rows.map(|row| (row[key].as_str().unwrap().to_owned(), row[value].clone())).collect()
}

/// A transaction of a card as the default mapping reads it.
pub fn transaction(number: usize, card: &str) -> String {
    format!(
        r#"{{"id":"t{number}","at":"2026-03-01T00:00:{:02}Z","card":"{card}","amount":"12.50","currency":"EUR","channel":"ecom"}}"#,
        number % 60
    )
}

/// A plain list of the numbers of these cards.
pub fn lines(cards: impl IntoIterator<Item = usize>) -> String {
    cards.into_iter().map(|card| card_number(card) + "\n").collect()
}

/// Whether a text contains one of these cards' numbers, whatever separates its digits.
pub fn leaks(bytes: &[u8], cards: &[usize]) -> Option<usize> {
    let plain: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    cards.iter().copied().find(|card| {
        let number = card_number(*card);
        memmem(&plain, number.as_bytes())
    })
}

fn memmem(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
