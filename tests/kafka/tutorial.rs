//! The tutorial, typed as it stands: each command of docs/tutorial.md in its order, against a real broker.
//!
//! Nothing is left out. What is replaced is where things listen, and the two commands of [`INSTEAD`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::page::{self, Step, fenced, shows};
use crate::support::jars::jars;
use crate::support::ports::free_port;
use crate::support::program::{Ended, Signal};
use crate::support::tool::tool;
use crate::support::{Program, wait};

const PAGE: &str = "docs/tutorial.md";
/// How long one step may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(180);

/// Commands that are replaced here, with what stands for them and why. One that is not on the page fails the test.
const INSTEAD: [(&str, &str); 1] = [
    // The program under test is the one that cargo built for the tests.
    (
        "cargo install --path .",
        "test -x \"$CARDWATCH\" && mkdir -p bin && ln -s \"$CARDWATCH\" bin/cardwatch",
    ),
];

/// Commands that go on until they are interrupted (the page says "in a terminal of its own"), and where each is heard
/// of when it is up. The service says so itself.
const LASTING: [(&str, Option<&str>); 3] = [
    ("java -cp 'target/kafka/libs/*' kafka.Kafka ", Some("127.0.0.1:9092")),
    ("python3 ", Some("127.0.0.1:8080")),
    ("cardwatch run ", None),
];

/// Commands that look and change nothing: a reader who does not see it yet looks again.
const LOOKING: [&str; 5] =
    ["cardwatch health", "cardwatch alerts", "cardwatch incident show", "cardwatch webhook list", "kcat -b"];

/// Whether a command goes on until it is interrupted, and where it is heard of when it is up.
fn lasting(command: &str) -> Option<Option<&'static str>> {
    LASTING.iter().find(|(start, _)| command.starts_with(start)).map(|(_, up)| *up)
}

/// Where the tutorial is typed: a copy of what it needs of the repository, and what listens where.
struct Desk {
    home: TempDir,
    /// Where the next command is typed.
    at: PathBuf,
    ports: Vec<(&'static str, String)>,
    /// Terminals with something that goes on in them.
    open: Vec<(String, Program)>,
}

impl Desk {
    fn new() -> Desk {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let ports: Vec<(&str, String)> =
            ["127.0.0.1:9092", "127.0.0.1:9093", "127.0.0.1:9600", "127.0.0.1:8080"]
                .map(|port| (port, format!("127.0.0.1:{}", free_port())))
                .into();
        let copied = ["tests/pom.xml", "deploy/kafka-dev.properties", "deploy/compose/receiver.py"];
        let house = "tests/fixtures/houses/processor";
        let samples = ["transactions.jsonl", "list.csv"].map(|file| format!("{house}/{file}"));
        for file in copied.into_iter().map(str::to_owned).chain(samples) {
            let mut text = std::fs::read_to_string(root.join(&file)).unwrap();
            ports.iter().for_each(|(port, ours)| text = text.replace(port, ours));
            std::fs::create_dir_all(home.path().join(&file).parent().unwrap()).unwrap();
            std::fs::write(home.path().join(&file), text).unwrap();
        }
        Desk { at: home.path().to_owned(), home, ports, open: Vec::new() }
    }

    /// The command as it is run here.
    fn here(&self, command: &str) -> String {
        let instead = INSTEAD.iter().find(|(theirs, _)| *theirs == command).map(|(_, ours)| *ours);
        let mut here = instead.unwrap_or(command).to_owned();
        self.ports.iter().for_each(|(port, ours)| here = here.replace(port, ours));
        here
    }

    fn start(&self, command: &str) -> Program {
        let lasting = lasting(command).is_some();
        let (at, here) = (self.at.display(), self.here(command));
        let script = format!("cd '{at}' && {}{here}", if lasting { "exec " } else { "" });
        let path = crate::support::environment("PATH").unwrap_or_default();
        let maven = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kafka").join("m2");
        Program::other("bash", &["-c", &script])
            .env("PATH", &format!("{}:{path}", self.home.path().join("bin").display()))
            .env("CARDWATCH", env!("CARGO_BIN_EXE_cardwatch"))
            .env("HOME", &self.home.path().display().to_string())
            .env("USER", "anna")
            .env("JAVA_TOOL_OPTIONS", "-Xmx512m -XX:TieredStopAtLevel=1")
            // What the broker of the other tests was fetched to.
            .env("MAVEN_OPTS", &format!("-Dmaven.repo.local={}", maven.display()))
            .start()
    }

    /// Types a command; what it printed.
    fn types(&mut self, command: &str) -> String {
        if let Some(directory) = command.strip_prefix("cd ") {
            self.at =
                self.at.join(directory).canonicalize().unwrap_or_else(|error| panic!("{command}: {error}"));
            return String::new();
        }
        let mut program = self.start(command);
        if let Some(up) = lasting(command) {
            self.open.push((command.to_owned(), program));
            if let Some(address) = up.map(|address| self.here(address)) {
                wait::until(command, WITHIN, || std::net::TcpStream::connect(&address).ok());
            }
            return String::new();
        }
        let ended = program.await_end(WITHIN);
        // What looks may look too early; it is typed again.
        let looks = LOOKING.iter().any(|start| command.starts_with(start));
        assert!(looks || ended == Ended::Code(0), "{command}\n{ended:?}\n{}", program.transcript());
        program.transcript()
    }

    /// Sees what the page shows: the last command printed it, or a terminal that is open.
    fn sees(&mut self, shown: &str, last: &str, printed: &str) {
        let mut printed = printed.to_owned();
        let looks = LOOKING.iter().any(|start| last.starts_with(start));
        let found = wait::poll(WITHIN, || {
            let open = self.open.iter().any(|(_, program)| shows(&program.transcript(), shown).is_ok());
            if open || shows(&printed, shown).is_ok() {
                return Some(());
            }
            if looks {
                printed = self.types(last);
            }
            None
        });
        let open: Vec<String> = self
            .open
            .iter()
            .map(|(command, program)| format!("{command}\n{}", program.transcript()))
            .collect();
        let missing = shows(&printed, shown);
        assert!(
            found.is_some(),
            "after {last}\n{missing:?} is not in\n{printed}\nnor in\n{}",
            open.join("\n")
        );
    }
}

#[test]
fn each_command_of_the_tutorial_leads_to_an_alert_that_is_told_and_closed() {
    let Some(_jars) = jars() else { return };
    for (name, why) in [("kcat", "the tutorial"), ("python3", "the tutorial"), ("bash", "the tutorial")] {
        if tool(name, why).is_none() {
            return;
        }
    }
    let steps = fenced(&page::text(PAGE));
    let typed: Vec<&str> = steps
        .iter()
        .filter_map(|step| if let Step::Type(command) = step { Some(command.as_str()) } else { None })
        .collect();
    for (command, _) in INSTEAD {
        assert!(typed.contains(&command), "{command} is not on the page any more");
    }
    assert!(typed.len() > 20, "{typed:?}");
    let mut desk = Desk::new();
    let (mut last, mut printed) = (String::new(), String::new());
    for step in &steps {
        match step {
            Step::Type(command) => {
                printed = desk.types(command);
                last.clone_from(command);
            }
            Step::See(shown) => desk.sees(shown, &last, &printed),
        }
    }
    // Ctrl-C in each terminal, the last one first. What is not ours has to go, no more: tests that run in the background
    // of a shell inherit that Ctrl-C is ignored, and Java and Python keep to that.
    while let Some((command, mut program)) = desk.open.pop() {
        let is_ours = command.starts_with("cardwatch");
        program.signal(if is_ours { Signal::INT } else { Signal::TERM });
        let ended = program.await_end(WITHIN);
        if is_ours {
            assert_eq!(ended, Ended::Code(0), "{command}\n{}", program.transcript());
        }
    }
}
