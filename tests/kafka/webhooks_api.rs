//! `/v1/webhooks` and `/v1/deliveries`: what operators see and do, and by which a receiver finds what it missed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{DRAIN, WITHIN};
use crate::hooks::House;
use crate::support::ports::free_port;
use crate::support::program::{Ended, Invocation};
use crate::support::receiver::{Behaviour, Received, Receiver};
use crate::support::tool::tool;
use crate::support::{Outgoing, Program, wait};

const ROOT: &str = "root-0123456789abcdef0123456789abcdef";
const EYES: &str = "read-0123456789abcdef0123456789abcdef";
const ISSUER: &str = "issu-0123456789abcdef0123456789abcdef";
/// Before everything that is written here.
const SINCE: &str = "2026-01-01T00:00:00Z";

/// The requests of a test, with every answer kept: none may hold what is secret.
struct Client<'a> {
    house: &'a House,
    port: u16,
    heard: Vec<String>,
}

impl<'a> Client<'a> {
    fn new(house: &'a House) -> Client<'a> {
        Client { house, port: house.deployment.http, heard: Vec::new() }
    }

    fn ask(&mut self, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, answer) = self.house.deployment.ask_at(self.port, token, path, body);
        self.heard.push(answer.to_string());
        (status, answer)
    }

    #[track_caller]
    fn get(&mut self, token: &str, path: &str) -> Value {
        let (status, answer) = self.ask(token, path, None);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    #[track_caller]
    fn act(&mut self, act: &str, body: Value, status: u16) -> Value {
        let (found, answer) = self.ask(ROOT, &format!("v1/webhooks/issuer/{act}"), Some(body));
        assert_eq!(found, status, "{act}: {answer}");
        answer
    }

    /// Where each alert stands, by the id of its delivery, from so small pages.
    fn missed(&mut self, token: &str, limit: usize) -> Vec<(String, String)> {
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let path = format!("v1/deliveries?endpoint=issuer&since={SINCE}&limit={limit}{next}");
            let page = self.get(token, &path);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
            found.extend(items.iter().map(|item| (text(item, "webhook_id"), text(item, "state"))));
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        found.sort();
        found
    }

    /// Waits until an endpoint's row is as it should be.
    #[track_caller]
    fn await_row(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, WITHIN, || {
            let row = self.get(EYES, "v1/webhooks/issuer");
            is(&row).then_some(row)
        })
    }
}

fn config(house: &House, receiver: &Receiver) -> String {
    let more =
        house.config(&[("issuer", receiver, "")]).replace("/hook\"", "/canary-path?key=canary-query\"");
    let chat = house.deployment.private("chat.url", "https://chat.canary-host.example/canary-chat");
    more + &house.deployment.token("eyes", "read", EYES)
        + &house.deployment.token("issuer", "receive", ISSUER)
        + &format!(
            "endpoints = [\"issuer\"]\n[[webhooks]]\nname = \"chat\"\nurl_file = \"{chat}\"\nbody = \"slack\"\n"
        )
        + "severity_at_least = \"high\"\nkinds = [\"test\"]\n"
}

fn ids(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
}

/// Waits until these ids came behind the first `before` requests.
#[track_caller]
fn await_ids(receiver: &Receiver, before: usize, wanted: &BTreeSet<String>) {
    wait::until("deliveries at the receiver", WITHIN, || {
        ids(&receiver.received()[before..]).is_superset(wanted).then_some(())
    });
}

fn firsts(alerts: &BTreeSet<String>) -> BTreeSet<String> {
    alerts.iter().map(|id| format!("{id}-1")).collect()
}

#[test]
fn what_is_owed_is_shown_and_what_is_asked_for_is_done_over_http() {
    let Some(mut house) = House::new("api-acts") else { return };
    let receiver = house.receiver(Behaviour::status(200));
    let more = config(&house, &receiver);
    let mut program = house.run(&more);
    let both = firsts(&house.alerts(2));
    await_ids(&receiver, 0, &both);
    house.await_owed(&more, "issuer", 0);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());

    // One of them has failed for good, as far as the ledger says.
    let record = house.deployment.committed("alerts").remove(0);
    let id = format!("{}-1", record.json()["id"].as_str().unwrap());
    let owed = json!({"stage": "failed", "members": [{"offset": record.offset, "id": id}], "attempts": 8,
        "due": "2026-01-02T00:00:00Z", "since": "2026-01-01T00:00:00Z", "last": "client_error"});
    let deliveries = house.deployment.topic("deliveries");
    let failed = Outgoing::to(&deliveries).partition(record.partition).key(format!("owed/issuer/{id}"));
    house.deployment.kafka.produce(&[failed.value(owed.to_string())]);

    let mut program = house.run(&more);
    {
        let mut client = Client::new(&house);
        let page = client.get(EYES, "v1/webhooks/issuer/failed");
        assert_eq!((&page["items"][0]["webhook_id"], &page["next"]), (&json!(id), &Value::Null), "{page}");
        assert_eq!(page["items"][0]["last_failure"], "client_error");
        let states = client.missed(ISSUER, 1);
        let state = |id: &str| states.iter().find(|(of, _)| of == id).unwrap().1.clone();
        let other = both.iter().find(|other| **other != id).unwrap();
        assert_eq!((states.len(), state(&id), state(other)), (2, "failed".into(), "delivered".into()));

        let before = receiver.received().len();
        assert_eq!(
            client.act("replay", json!({"failed": true}), 202),
            json!({"endpoint": "issuer", "asked": 1, "of": "deliveries"})
        );
        await_ids(&receiver, before, &BTreeSet::from([id.clone()]));
        client.await_row("nothing failed", |row| row["failed"] == 0 && row["owed"] == 0);
        let before = receiver.received().len();
        client.act("replay", json!({"id": other.strip_suffix("-1").unwrap(), "as": "Ops, ticket 4711"}), 202);
        await_ids(&receiver, before, &BTreeSet::from([other.clone()]));
        let before = receiver.received().len();
        assert!(client.act("replay", json!({"since": SINCE}), 202)["asked"].as_u64() >= Some(2));
        await_ids(&receiver, before, &both);
    }

    let switched = Client::new(&house).act("disable", json!({}), 200);
    assert_eq!(switched, json!({"endpoint": "issuer", "state": "disabled", "changed": true}));
    assert_eq!(Client::new(&house).act("disable", json!({}), 200)["changed"], false);
    let before = receiver.received().len();
    let four = firsts(&house.alerts(2));
    let mut client = Client::new(&house);
    let row = client.await_row("what is owed while it is disabled", |row| row["owed"] == 2);
    assert_eq!((&row["state"], &row["disabled"]["by"]), (&json!("disabled"), &json!("root")), "{row}");
    assert_eq!((&row["disabled"]["why"], &row["host"]), (&json!("asked"), &json!("127.0.0.1")));
    let pending = client.missed(ISSUER, 3).into_iter().filter(|(_, state)| state == "pending");
    let new: BTreeSet<String> = four.difference(&both).cloned().collect();
    assert_eq!(pending.map(|(id, _)| id).collect::<BTreeSet<_>>(), new);
    assert_eq!(receiver.received().len(), before, "told although it is disabled");
    client.act("enable", json!({}), 200);
    await_ids(&receiver, before, &new);
    client.await_row("nothing owed", |row| row["owed"] == 0 && row["state"] == "enabled");

    let before = receiver.received().len();
    let tested = client.act("test", json!({}), 200);
    assert_eq!((&tested["status"], &tested["failure"]), (&json!(200), &Value::Null), "{tested}");
    let received = receiver.received();
    let told: Value = serde_json::from_slice(&received[before].body).unwrap();
    assert_eq!(told["kind"], "test");
    house.verify(&received[before..]);
    let audit = house.deployment.committed("audit");
    let acts: Vec<Value> = audit.iter().map(|record| record.json()).collect();
    for (act, claimed) in [("replay", json!("Ops, ticket 4711")), ("endpoint_change", Value::Null)] {
        let by = |record: &&Value| {
            record["act"] == act
                && record["outcome"] == "done"
                && record["by"]["token"] == "root"
                && record["by"]["claimed"] == claimed
        };
        assert!(acts.iter().any(|record| by(&record)), "{act}: {acts:?}");
    }
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

/// A process of the same deployment that runs `books` alone, on a port of its own.
fn other_instance(house: &House, more: &str, port: u16) -> Program {
    let listens = format!("listen = \"127.0.0.1:{}\"", house.deployment.http);
    let config = (house.deployment.config() + more)
        .replace("id = \"one\"", "id = \"two\"")
        .replace(&listens, &format!("listen = \"127.0.0.1:{port}\""));
    let other: Invocation = Program::with(&["run", "--lines", "books"]);
    let mut other = other.config(&config).start();
    let ready = format!("http://127.0.0.1:{port}/health/ready");
    other.await_http(&ready, WITHIN, |status, _| status == 200);
    other
}

#[test]
fn any_instance_answers_the_same_and_none_tells_a_secret() {
    let Some(mut house) = House::new("api-secrets") else { return };
    let receiver = house.receiver(Behaviour::status(500));
    let more = config(&house, &receiver);
    let mut program = house.run(&more);
    let three = firsts(&house.alerts(3));
    let port = free_port();
    let mut other = other_instance(&house, &more, port);
    let mut client = Client::new(&house);
    client.await_row("what is owed while the receiver is away", |row| row["made_out"] == 3);
    let told = |client: &mut Client<'_>| {
        let list = client.get(EYES, "v1/webhooks");
        let of = |row: &Value| {
            ["endpoint", "configured", "host", "body", "state", "owed", "failed", "oldest"]
                .map(|key| row[key].clone())
        };
        list["items"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let here = told(&mut client);
    client.port = port;
    assert_eq!(told(&mut client), here);
    assert_eq!((&here[1][0], &here[1][2]), (&json!("chat"), &Value::Null), "a host that is a secret");
    let pending: BTreeSet<(String, String)> = client.missed(ISSUER, 1).into_iter().collect();
    assert_eq!(pending, three.iter().map(|id| (id.clone(), "pending".to_owned())).collect());
    let page = client.get(EYES, "v1/webhooks/issuer/pending?limit=500");
    assert_eq!(page["items"].as_array().unwrap().len(), 3, "{page}");
    assert_eq!(page["items"][0]["last_failure"], "server_error", "{page}");

    let since = format!("since={SINCE}");
    for (token, path, body, status, code) in [
        (ROOT, "v1/webhooks/isuer".to_owned(), None, 404, "no_such_endpoint"),
        (ROOT, "v1/webhooks/isuer/enable".to_owned(), Some(json!({})), 404, "no_such_endpoint"),
        (ROOT, format!("v1/deliveries?endpoint=isuer&{since}"), None, 404, "no_such_endpoint"),
        (ROOT, "v1/deliveries?endpoint=issuer".to_owned(), None, 400, "parameter"),
        (ROOT, "v1/deliveries?endpoint=issuer&since=yesterday".to_owned(), None, 400, "parameter"),
        (ROOT, format!("v1/deliveries?endpoint=issuer&{since}&cursor=x"), None, 400, "parameter"),
        (ROOT, "v1/webhooks/issuer/failed?cursor=x".to_owned(), None, 400, "parameter"),
        (EYES, "v1/webhooks/issuer/disable".to_owned(), Some(json!({})), 403, "role"),
        (EYES, "v1/webhooks/issuer/rotate".to_owned(), Some(json!({})), 403, "role"),
        (ISSUER, format!("v1/deliveries?endpoint=chat&{since}"), None, 403, "endpoint"),
        (ISSUER, format!("v1/deliveries?endpoint=isuer&{since}"), None, 403, "endpoint"),
        (ISSUER, "v1/webhooks".to_owned(), None, 403, "role"),
        (ISSUER, "v1/alerts".to_owned(), None, 403, "role"),
        (ISSUER, "v1/nothing".to_owned(), None, 403, "role"),
        (ISSUER, "v1/webhooks/issuer/enable".to_owned(), Some(json!({})), 403, "role"),
    ] {
        let (found, problem) = client.ask(token, &path, body);
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}: {problem}");
    }
    for body in [
        json!({}),
        json!({"failed": false}),
        json!({"failed": true, "id": "alr_x"}),
        json!({"id": "4242424242424242"}),
        json!({"until": SINCE}),
        json!({"since": "yesterday"}),
        json!({"failed": true, "as": "4242 4242 4242 4242"}),
        json!({"failed": true, "colour": "red"}),
    ] {
        assert_eq!(client.act("replay", body, 400)["code"], "malformed");
    }
    client.act("replay", json!({"id": format!("alr_{}", "a".repeat(26))}), 404);
    client.act("rotate", json!({"keep_seconds": 59}), 400);

    // The instance that tells the endpoint signs with the new key at once, without a signal.
    client.port = house.deployment.http;
    let rotated = client.act("rotate", json!({"keep_seconds": 3_600}), 200);
    let row = client.get(EYES, "v1/webhooks/issuer");
    assert_eq!((&row["generation"], &row["signs_here"]), (&rotated["generation"], &rotated["generation"]));
    assert_eq!(rotated["public_key"], Value::Null);
    let before = receiver.received().len();
    receiver.behave(Behaviour::status(200));
    await_ids(&receiver, before, &three);
    let received = receiver.received();
    house.verify(&received);
    let last = received.last().unwrap().header("webhook-signature").unwrap();
    assert_eq!(last.split(' ').count(), 2, "not both keys sign");
    client.await_row("nothing owed", |row| row["owed"] == 0);
    client.port = port;
    let taken: BTreeSet<(String, String)> = client.missed(ISSUER, 500).into_iter().collect();
    assert_eq!(taken, three.iter().map(|id| (id.clone(), "delivered".to_owned())).collect());
    assert_eq!(client.act("test", json!({}), 200)["status"], 200, "from an instance without `notify`");
    assert_eq!(client.get(ISSUER, "v1/whoami"), json!({"name": "issuer", "role": "receive"}));

    let keys = std::fs::read_to_string(house.deployment.path("hooks.secret")).unwrap();
    let keys: Vec<&str> = keys.split_whitespace().filter(|word| word.starts_with("whsec_")).collect();
    assert_eq!(keys.len(), 2);
    let heard = client.heard.join("\n") + &program.transcript() + &other.transcript();
    let audit = house.deployment.committed("audit");
    let heard = audit.iter().fold(heard, |heard, record| heard + &record.json().to_string());
    for secret in keys.iter().copied().chain(["whsec_", "canary", ROOT, EYES, ISSUER]) {
        let at = heard.find(secret);
        assert!(at.is_none(), "{secret} is told: {}", &heard[at.unwrap_or(0)..][..80]);
    }
    assert_eq!(other.terminate(DRAIN), Ended::Code(0), "{}", other.transcript());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}

#[test]
fn webhooks_and_deliveries_do_what_their_description_says() {
    let Some(schemathesis) = tool("schemathesis", "webhooks over HTTP against their description") else {
        return;
    };
    let Some(mut house) = House::new("api-schemathesis") else { return };
    let receiver = house.receiver(Behaviour::status(200));
    let more = config(&house, &receiver);
    let mut program = house.run(&more);
    let told = firsts(&house.alerts(3));
    await_ids(&receiver, 0, &told);
    let binary = schemathesis.display().to_string();
    let header = format!("Authorization: Bearer {ROOT}");
    let url = house.deployment.url("v1/openapi.json");
    // As with the desk: no schema can say which texts are cursors.
    let arguments = [
        "run",
        &url,
        "--header",
        &header,
        "--include-path-regex",
        "^/v1/(webhooks|deliveries)",
        "--max-examples",
        "20",
        "--seed",
        "1",
        "--no-color",
        "--exclude-checks",
        "positive_data_acceptance",
    ];
    let (ended, tried) = Program::other(&binary, &arguments).run(Duration::from_secs(400));
    assert_eq!(ended, Ended::Code(0), "{}", tried.transcript());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
}
