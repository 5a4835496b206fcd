//! Kafka as companies run it: every way in, what is said where there is none, and the rights that are needed.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::deployment::{COMMAND, DRAIN, Deployment, WITHIN, fails, lines, ok, said, transaction};
use crate::hooks::House;
use crate::support::acls::{self, Acl};
use crate::support::load::card_number;
use crate::support::program::{Ended, Invocation};
use crate::support::receiver::Behaviour;
use crate::support::secured::{LIMITED, PASSWORD, Secured, USER, shared_secured};
use crate::support::{Isolation, Program, wait};

/// A command against one of the secured listeners, without an HTTP side.
pub fn at(deployment: &Deployment, listener: &str, more: &str, arguments: &[&str]) -> Invocation {
    Program::with(arguments)
        .config(&(deployment.config() + more))
        .env("CARDWATCH_KAFKA__BOOTSTRAP_SERVERS", listener)
        .env("CARDWATCH_HTTP__LISTEN", "")
}

/// A token without a signature, for the user `name`, that ends in so many seconds.
fn token(name: &str, seconds: i64) -> String {
    let now = SystemClock.now().millis() / 1000;
    let encode = |json: String| data_encoding::BASE64URL_NOPAD.encode(json.as_bytes());
    let claims = format!(r#"{{"sub":"{name}","iat":{now},"exp":{}}}"#, now + seconds);
    format!("{}.{}.", encode(r#"{"alg":"none"}"#.to_owned()), encode(claims))
}

fn with_tokens(secured: &Secured, source: &str) -> String {
    format!("[kafka.oauth]\n{source}\n") + &secured.with_tls("sasl_ssl", &[("sasl.mechanism", "OAUTHBEARER")])
}

/// A deployment on the secured broker, made over its plain listener, with card 0 on the list.
fn deployed(secured: &Secured, area: &str) -> Deployment {
    let deployment = Deployment::on(secured.broker.kafka(area));
    let list = deployment.file("list", lines(0..1));
    ok(deployment.open("shop", &["--list", &list]));
    deployment
}

fn seen(deployment: &Deployment) -> BTreeSet<String> {
    let records = deployment.kafka.read(&deployment.topic("sightings"), Isolation::Committed);
    let id = |record: Value| record["transaction"]["id"].as_str().unwrap().to_owned();
    records.iter().map(|record| id(record.json())).collect()
}

/// Sends one transaction on card 0 and waits until it is a sighting.
fn sees(deployment: &Deployment, program: &mut Program, number: usize) {
    deployment.send([transaction(number, &card_number(0))]);
    wait::until("a sighting", WITHIN, || {
        assert_eq!(program.poll_end(), None, "{}", program.transcript());
        seen(deployment).contains(&format!("t{number}")).then_some(())
    });
}

#[test]
fn every_way_in_leads_to_sightings() {
    let Some(secured) = shared_secured() else { return };
    let deployment = deployed(secured, "ways");
    let (tls, mutual, sasl) = (secured.tls(), secured.mutual(), secured.sasl());
    let token = secured.write("ways.token", &token(USER, 600));
    let ways = [
        (&tls, secured.with_tls("ssl", &[])),
        (&mutual, secured.with_certificate(USER)),
        (&sasl, secured.with_password("SCRAM-SHA-256", USER, "password")),
        (&sasl, secured.with_password("SCRAM-SHA-512", USER, "password")),
        (&sasl, secured.with_password("PLAIN", USER, "password")),
        (&sasl, with_tokens(secured, &format!("token_file = \"{token}\""))),
    ];
    for (number, (listener, more)) in ways.iter().enumerate() {
        let run = |arguments: &[&str]| at(&deployment, listener, more, arguments);
        let checked = ok(run(&["check"])).transcript();
        ok(run(&["topics"]));
        let mut program = run(&["run"]).start();
        sees(&deployment, &mut program, number);
        assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
        assert!(!(checked + &program.transcript()).contains(PASSWORD), "{more}");
    }
}

#[test]
fn a_token_is_renewed_while_the_service_runs() {
    let Some(secured) = shared_secured() else { return };
    // The broker takes no new token in the first second of a connection.
    const LIFE_S: i64 = 10;
    let deployment = deployed(secured, "renewed");
    // As a tool of an identity provider would: a new token on standard output with each run.
    let script = format!(
        "encode() {{ base64 | tr -d '=\\n' | tr '+/' '-_'; }}; \
         claims=$(printf '{{\"sub\":\"{USER}\",\"iat\":%d,\"exp\":%d}}' $(date +%s) $(($(date +%s) + {LIFE_S})) | encode); \
         printf '%s.%s.' \"$(printf '{{\"alg\":\"none\"}}' | encode)\" \"$claims\"; echo run >> {}",
        secured.file("renewed.log")
    );
    let command = serde_json::json!(["/bin/sh", "-c", script]);
    let more = with_tokens(secured, &format!("token_command = {command}"));
    let mut program = at(&deployment, &secured.sasl(), &more, &["run"]).start();
    // Connections that are not shown a new token end with the old one: two lives long they go on.
    let until = wait::now() + Duration::from_secs(2 * LIFE_S.unsigned_abs() + 2);
    let mut number = 0;
    while wait::now() < until {
        sees(&deployment, &mut program, number);
        number += 1;
        wait::pause(Duration::from_millis(500));
    }
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let runs = std::fs::read_to_string(secured.file("renewed.log")).unwrap().lines().count();
    assert!(runs >= 3, "{runs} tokens");
}

#[test]
fn who_is_not_let_in_is_told_why_in_good_time_and_without_the_secret() {
    let Some(secured) = shared_secured() else { return };
    let deployment = deployed(secured, "refused");
    let (tls, mutual, sasl) = (secured.tls(), secured.mutual(), secured.sasl());
    let plain = secured.broker.bootstrap().to_owned();
    let other_name = tls.replace("127.0.0.1", "localhost");
    let other_ca = secured.with_tls("ssl", &[]).replace("/ca.pem", "/other-ca.pem");
    let ended = secured.write("ended.token", &token(USER, -10));
    let unsigned = secured.write("unsigned.token", &token(USER, 600).replace("eyJ", "eyK"));
    let wrong = |mechanism| secured.with_password(mechanism, USER, "wrong-password");
    let cases: [(&str, String, &str, &[&str]); 9] = [
        (&tls, other_ca, "topics", &["ssl://127.0.0.1", "ssl.ca.location"]),
        (&other_name, secured.with_tls("ssl", &[]), "topics", &["ssl://localhost", "does not name the host"]),
        (&mutual, secured.with_tls("ssl", &[]), "run", &["ssl://127.0.0.1", "ssl.certificate.location"]),
        (
            &sasl,
            wrong("SCRAM-SHA-256"),
            "run",
            &["sasl_ssl://127.0.0.1", "SCRAM-SHA-256", "look at the user"],
        ),
        (&sasl, wrong("PLAIN"), "topics", &["sasl_ssl://127.0.0.1", "PLAIN", "look at the user"]),
        (
            &sasl,
            with_tokens(secured, &format!("token_file = \"{ended}\"")),
            "run",
            &["ended.token", "has expired at"],
        ),
        (
            &sasl,
            with_tokens(secured, &format!("token_file = \"{unsigned}\"")),
            "topics",
            &["unsigned.token", "exp"],
        ),
        (&plain, secured.with_tls("ssl", &[]), "run", &["security.protocol is not that of the listener"]),
        // A proxy whose broker is away looks the same, so this may pass.
        (&tls, String::new(), "run", &["as by a listener with another security.protocol"]),
    ];
    let tokens = [token(USER, 600), PASSWORD.to_owned(), "wr0ng-for-tests".to_owned()];
    side_by_side(cases.into(), |(listener, more, command, words)| {
        let started = wait::now();
        let (ended, program) = at(&deployment, listener, &more, &["-vv", command]).run(COMMAND);
        said(&program, ended, if more.is_empty() { 69 } else { 78 }, words);
        let (took, transcript) = (wait::now() - started, program.transcript());
        assert!(took < Duration::from_secs(20), "{took:?}\n{transcript}");
        assert!(!tokens.iter().any(|secret| transcript.contains(secret)), "{transcript}");
    });
}

/// Runs a few of `all` at once.
fn side_by_side<T: Send>(all: Vec<T>, run: impl Fn(T) + Sync) {
    let left = Mutex::new(all);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(one) = { left.lock().unwrap().pop() } {
                    run(one);
                }
            });
        }
    });
}

/// The rights that docs/kafka.md gives the service, for `principal` and with the deployment's names.
pub fn documented(deployment: &Deployment, principal: &str) -> Vec<Acl> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kafka.md")).unwrap();
    let (_, rest) = text.split_once("<!-- rights: begin -->").unwrap();
    let (list, _) = rest.split_once("<!-- rights: end -->").unwrap();
    let own = |resource: &str, name: &str| match (resource, name) {
        ("topic", "transactions") => deployment.topic("transactions"),
        ("topic", name) => deployment.topic(name.strip_prefix("cardwatch.").unwrap()),
        ("group", "cardwatch-") => deployment.group(""),
        ("transactional-id", "cardwatch-") => format!("{}-", deployment.kafka.name("tx")),
        other => panic!("{other:?}"),
    };
    let mut acls = Vec::new();
    for line in list.lines().filter_map(|line| line.strip_prefix("acl ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let of = |option: &str| -> Vec<&str> {
            words.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1]).collect()
        };
        let prefixed = of("--resource-pattern-type") == ["prefixed"];
        for resource in ["topic", "group", "transactional-id"] {
            for name in of(&format!("--{resource}")) {
                for operation in of("--operation") {
                    let (principal, operation) = (format!("User:{principal}"), operation.to_owned());
                    acls.push(Acl { principal, resource, name: own(resource, name), prefixed, operation });
                }
            }
        }
    }
    acls
}

/// How the message names a right that is missing.
fn named(acl: &Acl) -> String {
    let resource = acl.resource.replace('-', " ");
    let first = match (acl.resource, acl.prefixed) {
        ("group", true) => format!("{}books", acl.name),
        ("topic", true) => format!("{}alerts", acl.name),
        _ => acl.name.clone(),
    };
    format!("{} on {resource} {first}", acl.operation)
}

#[test]
fn the_service_works_with_the_rights_that_are_listed_and_misses_each_of_them() {
    let Some(secured) = shared_secured() else { return };
    let mut house = House::on(Deployment::on(secured.broker.kafka("rights")));
    let receiver = house.receiver(Behaviour::status(204));
    let rights = documented(&house.deployment, LIMITED);
    assert!(rights.len() > 15, "{rights:?}");
    let without: Vec<(usize, String)> =
        (0..rights.len()).map(|one| (one, format!("without-{one}"))).collect();
    let mut all = rights.clone();
    for (one, name) in &without {
        let principal = format!("User:{name}");
        let rest = rights.iter().enumerate().filter(|(at, _)| at != one).map(|(_, acl)| acl.clone());
        all.extend(rest.map(|acl| Acl { principal: principal.clone(), ..acl }));
    }
    acls::allow(secured.broker.bootstrap(), &all);
    let endpoints = house.config(&[("issuer", &receiver, "")]);

    // With exactly these: from the transaction to the webhook, and back from an outcome to the alert.
    let more = endpoints.clone() + &secured.with_password("SCRAM-SHA-512", LIMITED, "password");
    let mut program = Program::with(&["run"])
        .config(&(house.deployment.config() + &more))
        .env("CARDWATCH_KAFKA__BOOTSTRAP_SERVERS", &secured.sasl())
        .start();
    program.await_http(&house.deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    let alerts = house.alerts(3);
    wait::until("webhooks", WITHIN, || (crate::hooks::told(&receiver).len() == 3).then_some(()));
    let alert = alerts.first().unwrap();
    let decided = serde_json::json!({ "alert": alert, "verdict": "genuine" });
    let root = "root-0123456789abcdef0123456789abcdef";
    let (status, answer) = house.deployment.ask(root, "v1/outcomes", Some(decided));
    assert!((200..300).contains(&status), "{status} {answer}");
    house.deployment.await_records("alerts", 4);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let transcript = program.transcript();
    assert!(!transcript.to_lowercase().contains("authorization"), "{transcript}");

    // Without one of them: not at all, and it says which.
    side_by_side(without, |(one, name)| {
        let more = endpoints.clone() + &secured.with_certificate(&name);
        let run = at(&house.deployment, &secured.mutual(), &more, &["run"]);
        let program = fails(run, 78, &[&named(&rights[one]), "docs/kafka.md"]);
        let told = program.stderr().join("\n");
        let others = rights.iter().filter(|other| **other != rights[one] && !other.prefixed);
        for other in others {
            let other = named(other) + ";";
            assert!(!told.contains(&other), "{other} is there: {told}");
        }
    });
}
