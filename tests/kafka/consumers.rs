//! The clients of docs/howto/consumers.md, run as they stand there on a topic with an aborted transaction.

use std::time::Duration;

use crate::blocks::{Part, parts};
use crate::page;
use crate::support::jars::jars;
use crate::support::tool::tool;
use crate::support::{Kafka, Outgoing, Program, shared_kafka};

const WITHIN: Duration = Duration::from_secs(90);
const PAGE: &str = "docs/howto/consumers.md";
/// What the page leaves to the reader: what stands around it in a file of Java.
const AROUND: [&str; 2] = [
    "import java.time.Duration;\nimport java.util.*;\nimport org.apache.kafka.clients.consumer.*;\n\
     class Desk {\nstatic void handle(String key, String value) { System.out.println(value); }\n\
     public static void main(String[] arguments) {\n",
    "}\n}\n",
];

/// The page's only block in this language.
fn block(language: &str) -> String {
    let code = parts(&page::text(PAGE)).into_iter().filter_map(|part| match part {
        Part::Code(word, body) if word == language => Some(body),
        _ => None,
    });
    let all: Vec<String> = code.collect();
    assert_eq!(all.len(), 1, "{language} on {PAGE}");
    all.into_iter().next().unwrap()
}

/// Three records in transactions of their own; the second one is aborted.
fn write(kafka: &Kafka, topic: &str) {
    kafka.create(topic, 1, &[]);
    let producer = kafka.transactional(&kafka.name("writer"));
    for (value, commits) in [("one", true), ("doubtful", false), ("two", true)] {
        producer.begin();
        producer.send(&Outgoing::to(topic).value(value));
        // Sent and not only queued: what never left the client would be no test.
        producer.places();
        if commits { producer.commit() } else { producer.abort() }
    }
}

/// What a client says up to the last record.
fn read(source: &str) -> Vec<String> {
    let jars = jars().unwrap();
    let mut client = Program::other("bash", &["-c", "exec java -cp \"$JARS\" Desk.java"])
        .env("JARS", &jars.class_path)
        .file("Desk.java", source)
        .start();
    client.await_line("two", WITHIN);
    let said = client.stdout();
    client.kill();
    said
}

#[test]
fn the_client_in_java_sees_what_is_committed_and_would_see_more_without_its_line() {
    let Some(kafka) = shared_kafka("consumers") else { return };
    if tool("bash", "the page on consumers").is_none() {
        return;
    }
    let topic = kafka.name("alerts");
    write(&kafka, &topic);
    let desk = |group: &str, body: &str| {
        let body = body
            .replace("127.0.0.1:9092", kafka.bootstrap())
            .replace("cardwatch.alerts", &topic)
            .replace("case-desk", &kafka.name(group));
        format!("{}{body}{}", AROUND[0], AROUND[1])
    };
    let java = block("java");
    assert_eq!(read(&desk("committed", &java)), ["one", "two"]);
    let line = java.lines().find(|line| line.contains("isolation.level")).unwrap();
    assert_eq!(read(&desk("all", &java.replace(line, ""))), ["one", "doubtful", "two"]);
}

#[test]
fn the_client_in_python_is_python() {
    let Some(python) = tool("python3", "the page on consumers") else { return };
    let check = "import ast, sys; ast.parse(sys.stdin.read())";
    let (ended, program) =
        Program::other(python.to_str().unwrap(), &["-c", check]).input(block("python")).run(WITHIN);
    assert_eq!(ended, crate::support::program::Ended::Code(0), "{}", program.transcript());
}
