//! Compose: the file by its specification, and what it would set up, run as processes on a real broker.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::{ask, is_pinned, parses, python, read, root, texts};
use crate::support::ports::free_port;
use crate::support::program::Ended;
use crate::support::{Program, shared_kafka};

const FILE: &str = "deploy/compose/compose.yml";
/// Longer than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

fn project() -> Option<Value> {
    let python = python("the Compose file")?;
    Some(ask(&python, &["compose", root().join(FILE).to_str().unwrap()]).unwrap())
}

#[test]
fn the_specification_takes_the_file_and_not_one_with_a_mistake() {
    let Some(python) = python("the Compose file") else { return };
    assert!(ask(&python, &["compose", root().join(FILE).to_str().unwrap()]).is_ok());
    let home = tempfile::tempdir().unwrap();
    let worse = home.path().join("compose.yml");
    for (good, bad) in [
        ("  kafka:\n    image:", "  kafka:\n    picture:"),
        ("interval: 3s", "interval: soon"),
        ("  state:\n", ""),
    ] {
        std::fs::write(&worse, read(FILE).replacen(good, bad, 1)).unwrap();
        assert!(ask(&python, &["compose", worse.to_str().unwrap()]).is_err(), "{bad}");
    }
}

#[test]
fn services_are_pinned_wait_for_each_other_and_listen_on_this_machine_alone() {
    let Some(project) = project() else { return };
    let services = project["services"].as_object().unwrap();
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    for wanted in ["kafka", "setup", "cardwatch", "past", "present", "receiver", "prometheus", "grafana"] {
        assert!(names.contains(wanted), "{wanted}: {names:?}");
    }
    for (name, service) in services {
        let own = service.get("build").is_some();
        assert!(own || is_pinned(service["image"].as_str().unwrap()), "{name} is not pinned");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        if own {
            assert_eq!(
                (&service["read_only"], &service["user"]),
                (&true.into(), &"65532:65532".into()),
                "{name}"
            );
            assert!(root().join(service["build"]["dockerfile"].as_str().unwrap()).exists(), "{name}");
        }
        for other in service["depends_on"].as_object().map(|others| others.keys()).into_iter().flatten() {
            assert!(names.contains(other.as_str()), "{name} waits for {other}");
        }
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} listens on {port}");
        }
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let there = match source.starts_with('.') {
                true => {
                    root().join("deploy/compose").join(source).exists() || source.starts_with("../grafana")
                }
                false => project["volumes"].as_object().unwrap().contains_key(source),
            };
            assert!(there, "{name}: {source} is not there");
        }
    }
}

#[test]
fn cardwatch_takes_every_command_of_the_file() {
    let Some(project) = project() else { return };
    let mut commands = 0;
    for service in project["services"].as_object().unwrap().values() {
        if service["build"]["target"] == "runtime" {
            parses(&texts(&service["command"]));
            commands += 1;
        }
    }
    assert_eq!(commands, 3);
}

/// Status line of a request without any signature.
fn unsigned(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(b"POST /alerts HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn what_compose_sets_up_raises_alerts_and_its_receiver_verifies_them() {
    let Some(kafka) = shared_kafka("compose") else { return };
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (state, port, http) = (home.path().display().to_string(), free_port(), free_port());
    let config = read("deploy/compose/cardwatch.toml")
        .replace("/var/lib/cardwatch", &state)
        .replace("kafka:9092", kafka.bootstrap())
        .replace("0.0.0.0:9600", &format!("127.0.0.1:{http}"))
        .replace("http://receiver:8080", &format!("http://127.0.0.1:{port}"))
        .replace("\"10.0.0.0/8\"", "\"127.0.0.0/8\"");
    let file = home.path().join("cardwatch.toml").display().to_string();
    std::fs::write(&file, config).unwrap();
    let input = kafka.name("transactions");
    let own = |invocation: crate::support::program::Invocation| {
        invocation
            .env("CARDWATCH_TOPICS__PREFIX", kafka.prefix())
            .env("CARDWATCH_INPUT__TOPIC", &input)
            .env("CARDWATCH_INSTANCE__GROUP_PREFIX", &kafka.name("group"))
            .env("CARDWATCH_INSTANCE__TRANSACTIONAL_PREFIX", &kafka.name("tx"))
    };

    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_cardwatch"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    let script = root().join("deploy/compose/setup.sh").display().to_string();
    for again in [false, true] {
        let setup = Program::other("/bin/sh", &[&script, &state, &file]).env("PATH", &path);
        let (ended, program) = own(setup).run(WITHIN);
        assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
        let opened = program.transcript().matches("is in force").count();
        assert_eq!(opened, if again { 0 } else { 2 }, "{}", program.transcript());
    }

    let script = root().join("deploy/compose/receiver.py").display().to_string();
    let (secret, listen) = (format!("{state}/webhooks/receiver.secret"), format!("127.0.0.1:{port}"));
    let Some(python) = crate::tool::tool("python3", "compose's receiver") else { return };
    let arguments = [script.as_str(), "--secret", &secret, "--listen", &listen];
    let mut receiver = Program::other(python.to_str().unwrap(), &arguments).start();
    receiver.await_http(&format!("http://{listen}/health"), WITHIN, |status, _| status == 200);
    let mut watch = own(Program::with(&["run", "--config", &file])).start();
    watch.await_http(&format!("http://127.0.0.1:{http}/health/ready"), WITHIN, |status, _| status == 200);
    // The stream `present`, without the quota that slows it down.
    let world = ["--seed", "8", "--cards", "1500", "--days", "30", "--ends", "now"];
    let stream: Vec<&str> = ["simulate", "--config", &file, "--kafka"].into_iter().chain(world).collect();
    assert_eq!(own(Program::with(&stream)).run(WITHIN).0, Ended::Code(0));
    let told = receiver.await_line("alr_", WITHIN);
    assert!(told.contains(" live ") && told.contains(" open"), "{told}");

    assert_eq!(unsigned(port), "HTTP/1.1 401 Unauthorized");
    // The answer may be here before what was printed is.
    receiver.await_line("refused", WITHIN);
    assert_eq!(receiver.stdout().iter().filter(|line| line.starts_with("refused")).count(), 1);
    assert_eq!(watch.terminate(WITHIN), Ended::Code(0));
}
