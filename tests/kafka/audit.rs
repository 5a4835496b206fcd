//! Who did what: written down before it is done, on a topic and in a file, or not done.

use std::time::Duration;

use serde_json::Value;

use crate::deployment::{Deployment, fails, leaks, lines, ok};
use crate::support::program::{Ended, Signal};
use crate::support::{Isolation, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(5);

impl Deployment {
    /// The records on the topic, for readers of committed data.
    fn trail(&self) -> Vec<Value> {
        let records = self.kafka.read(&self.topic("audit"), Isolation::Committed);
        records.iter().map(|message| message.json()).collect()
    }

    /// The records in the file.
    fn audit_file(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What `audit list` prints as JSON, record by record.
    #[track_caller]
    fn listed(&self, more: &[&str]) -> Vec<Value> {
        let arguments: Vec<&str> =
            ["--format", "json", "audit", "list"].into_iter().chain(more.iter().copied()).collect();
        let lines = self.ok(&arguments).stdout();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Act, subject and outcome of each.
fn told(records: &[Value]) -> Vec<String> {
    let word = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let three = |record| ["act", "subject", "outcome"].map(|name| word(record, name)).join(" ");
    records.iter().map(three).collect()
}

#[test]
fn every_change_of_the_list_is_on_the_topic_exactly_when_it_is_visible() {
    let Some(deployment) = Deployment::new("audit-list") else { return };
    let list = deployment.file("list", lines(0..7));
    ok(deployment.open("shop", &["--list", &list, "--as", "Risk desk"]));
    let more = deployment.file("more", lines(7..9));
    deployment.ok(&["incident", "revise", "shop", "--add", &more]);
    // Nothing is written, so nothing is written down.
    deployment.ok(&["incident", "revise", "shop", "--undo", "2", "--dry-run"]);
    deployment.ok(&["incident", "revise", "shop", "--undo", "2"]);
    deployment.ok(&["incident", "close", "shop"]);
    let trail = deployment.trail();
    let acts = ["import", "revision", "undo", "close"];
    assert_eq!(told(&trail), acts.map(|act| format!("{act} incident/shop done")));
    let file = told(&deployment.audit_file());
    let both = acts.map(|act| ["intent", "done"].map(|end| format!("{act} incident/shop {end}")));
    assert_eq!(file, both.concat());

    let user = uzers::get_current_username().unwrap();
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    for record in &trail {
        assert_eq!(record["schema"], "cardwatch.audit/1");
        // Not `USER`, which the test sets to somebody else.
        assert_eq!(record["by"]["user"], user.to_str().unwrap());
        assert_eq!((&record["by"]["host"], &record["by"]["via"]), (&host.as_str().into(), &"cli".into()));
    }
    assert_eq!(trail[0]["by"]["claimed"], "Risk desk");
    assert_eq!(trail[1]["by"]["claimed"], Value::Null);
    assert_eq!((&trail[0]["before"]["cards"], &trail[0]["after"]["cards"]), (&0.into(), &7.into()));
    assert_eq!((&trail[1]["before"]["cards"], &trail[1]["after"]["cards"]), (&7.into(), &9.into()));
    assert_eq!((&trail[2]["before"]["cards"], &trail[2]["after"]["cards"]), (&9.into(), &7.into()));
    assert_eq!(trail[0]["after"]["revision"], 1);
    assert_eq!(trail[0]["after"]["details"]["party"], "Shop KK");
    let everything = std::fs::read(deployment.path("audit.jsonl")).unwrap();
    assert_eq!(leaks(&everything, &(0..9).collect::<Vec<_>>()), None);

    // Read back, filtered, from the topic and from the file.
    assert_eq!(deployment.listed(&[]), trail);
    assert_eq!(told(&deployment.listed(&["--by", "Risk desk"])), ["import incident/shop done"]);
    assert_eq!(
        told(&deployment.listed(&["--act", "undo", "--act", "close", "--last", "1"])),
        ["close incident/shop done"]
    );
    assert_eq!(deployment.listed(&["--subject", "incident/sho"]), Vec::<Value>::new());
    let path = deployment.path("audit.jsonl").display().to_string();
    assert_eq!(told(&deployment.listed(&["--file", &path, "--outcome", "done"])), told(&trail));
    let shown = deployment.ok(&["audit", "list"]).stdout().join("\n");
    assert!(shown.contains("Risk desk") && shown.contains("incident/shop"), "{shown}");
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let Some(deployment) = Deployment::new("audit-refused") else { return };
    let list = deployment.file("list", lines(0..3));
    let end = deployment.list_end();
    // A file that cannot be.
    let nowhere = format!("{list}/audit.jsonl");
    let refused = deployment.open("shop", &["--list", &list]).env("CARDWATCH_AUDIT__FILE", &nowhere);
    fails(refused, 78, &[&nowhere, "audit.file"]);
    // A file that others could change.
    let loose = deployment.file("loose", "");
    std::fs::set_permissions(&loose, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let refused = deployment.open("shop", &["--list", &list]).env("CARDWATCH_AUDIT__FILE", &loose);
    fails(refused, 78, &["0666", "chmod 600"]);
    // No topic.
    deployment.kafka.delete(&deployment.topic("audit"));
    fails(deployment.open("shop", &["--list", &list]), 78, &["audit does not exist", "--create"]);
    fails(deployment.command(&["run"]), 78, &["audit does not exist", "--create"]);
    assert_eq!(deployment.list_end(), end, "something was written to the list");
    let want = ["import incident/shop intent", "import incident/shop failed"];
    assert_eq!(told(&deployment.audit_file()), want);
    // The topic alone is enough, where the file is switched off.
    deployment.ok(&["topics", "--create"]);
    ok(deployment.open("shop", &["--list", &list]).env("CARDWATCH_AUDIT__FILE", ""));
    assert_eq!(told(&deployment.trail()), ["import incident/shop done"]);
    // And a change that fails says so, where its intent is: behind the sample that is looked at before anything.
    fails(deployment.open("shop", &["--list", &list]), 65, &["is there already"]);
    assert_eq!(deployment.trail().len(), 1);
    let bad = deployment.file("bad", lines(0..1_200) + &"no card\n".repeat(1_800));
    fails(deployment.command(&["incident", "revise", "shop", "--replace", &bad]), 65, &["1800 of 3000"]);
    let file = told(&deployment.audit_file());
    assert_eq!(file.last().map(String::as_str), Some("revision incident/shop failed"), "{file:?}");
    assert_eq!(told(&deployment.trail()).last().unwrap(), "revision incident/shop failed");
}

#[test]
fn keys_and_tokens_are_written_down_where_they_are_and_on_the_topic() {
    let Some(deployment) = Deployment::new("audit-keys") else { return };
    deployment.ok(&["key", "new", "k2", "--primary", "--yes", "--as", "Anna"]);
    deployment.ok(&["key", "retire", "k1"]);
    fails(deployment.command(&["key", "retire", "k1"]), 78, &["retired already"]);
    let token = deployment.path("desk.token").display().to_string();
    deployment.ok(&["token", "new", "desk", "--role", "decide", "--file", &token]);
    let want = [
        "key_change key/k2 intent",
        "key_change key/k2 done",
        "key_change key/k1 intent",
        "key_change key/k1 done",
        "key_change key/k1 intent",
        "key_change key/k1 failed",
        "token_change token/desk intent",
        "token_change token/desk done",
    ];
    assert_eq!(told(&deployment.trail()), want);
    assert_eq!(told(&deployment.audit_file()), want);
    assert_eq!(deployment.trail()[0]["by"]["claimed"], "Anna");
    let secret = std::fs::read_to_string(&token).unwrap();
    let everything = std::fs::read_to_string(deployment.path("audit.jsonl")).unwrap();
    assert!(!everything.contains(secret.trim()));
}

#[test]
fn rules_are_written_down_before_they_judge_and_followed_as_they_change() {
    let Some(deployment) = Deployment::new("audit-rules") else { return };
    let rules = deployment.file("rules.toml", include_str!("../../config/rules.toml"));
    let config = deployment.config() + &format!("[alerts]\nrules = \"{rules}\"\n");
    let mut follower = deployment
        .command(&["--format", "json", "audit", "follow", "--since", "2026-01-01T00:00:00Z"])
        .start();
    let mut program = Program::with(&["run"]).config(&config).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    let changed = include_str!("../../config/rules.toml").replacen("threshold = ", "threshold = 1", 1);
    std::fs::write(&rules, changed).unwrap();
    program.signal(Signal::HUP);
    program.await_line("rules reloaded", WITHIN);
    let record = wait::until("the record", WITHIN, || {
        deployment.trail().into_iter().find(|record| record["outcome"] == "done")
    });
    assert_eq!((&record["act"], &record["by"]["via"]), (&"rule_reload".into(), &"service".into()));
    assert_ne!(record["before"]["rules"], record["after"]["rules"]);
    let line = follower.await_line("\"done\"", WITHIN);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), record);
    assert_eq!(follower.terminate(DRAIN), Ended::Code(0));
    // Where it cannot be written down, the old rules stay.
    deployment.kafka.delete(&deployment.topic("audit"));
    std::fs::write(&rules, include_str!("../../config/rules.toml")).unwrap();
    program.signal(Signal::HUP);
    program.await_line("the old rules stay in force", WITHIN);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn the_service_lets_in_the_owners_of_tokens() {
    let Some(deployment) = Deployment::new("tokens") else { return };
    let file = deployment.path("desk.token").display().to_string();
    deployment.ok(&["token", "new", "desk", "--role", "decide", "--file", &file]);
    let token = |name: &str, role: &str, file: &str| {
        format!("[[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nfile = \"{file}\"\n")
    };
    let config = deployment.file("tokens.toml", deployment.config() + &token("desk", "decide", &file));
    let mut program = Program::with(&["--config", &config, "run"]).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    let ask = |token: Option<&str>| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.get(deployment.url("v1/whoami"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {}", token.trim()));
        }
        let mut response = request.call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    let first = std::fs::read_to_string(&file).unwrap();
    assert_eq!(ask(None).0, 401);
    assert_eq!(ask(Some(&first)), (200, r#"{"name":"desk","role":"decide"}"#.to_owned()));
    // Replaced in place: the old one is out as soon as the new one is in.
    std::fs::remove_file(&file).unwrap();
    deployment.ok(&["token", "new", "desk", "--role", "decide", "--file", &file]);
    program.signal(Signal::HUP);
    program.await_line("tokens reloaded", WITHIN);
    assert_eq!(ask(Some(&first)).0, 401);
    assert_eq!(ask(Some(&std::fs::read_to_string(&file).unwrap())).0, 200);
    // Other people and other roles, without a start.
    let eyes = deployment.path("eyes.token").display().to_string();
    deployment.ok(&["token", "new", "eyes", "--role", "read", "--file", &eyes]);
    let both = token("desk", "admin", &file) + &token("eyes", "read", &eyes);
    std::fs::write(&config, deployment.config() + &both).unwrap();
    program.signal(Signal::HUP);
    program.await_line("changed=2", WITHIN);
    assert_eq!(ask(Some(&std::fs::read_to_string(&eyes).unwrap())).0, 200);
    std::fs::write(&config, deployment.config() + &token("eyes", "read", &eyes)).unwrap();
    program.signal(Signal::HUP);
    wait::until("desk is out", WITHIN, || {
        (ask(Some(&std::fs::read_to_string(&file).unwrap())).0 == 401).then_some(())
    });
    // It is all written down, and never a token.
    let changes = |outcome: &str| -> Vec<String> {
        let trail = deployment.trail().into_iter();
        let by_service = trail.filter(|one| one["by"]["via"] == "service" && one["outcome"] == outcome);
        let by_service = by_service.filter(|one| one["act"] == "token_change");
        by_service.map(|one| format!("{} {} {}", one["subject"], one["before"], one["after"])).collect()
    };
    let want = [
        r#""token/desk" {"role":"decide"} {"change":["replaced"],"role":"decide"}"#,
        r#""token/desk" {"role":"decide"} {"change":["role_changed"],"role":"admin"}"#,
        r#""token/eyes" null {"change":["added"],"role":"read"}"#,
        r#""token/desk" {"role":"admin"} {"change":["removed"],"role":null}"#,
    ];
    assert_eq!(changes("intent"), want);
    wait::until("the last end", WITHIN, || (changes("done") == want).then_some(()));
    let everything = std::fs::read_to_string(deployment.path("audit.jsonl")).unwrap();
    for path in [&file, &eyes] {
        assert!(
            !everything.contains(std::fs::read_to_string(path).unwrap().trim()),
            "a token is written down"
        );
    }
    // One that cannot be used changes nothing.
    std::fs::write(&config, deployment.config() + &token("desk", "decide", &file)).unwrap();
    std::fs::write(&file, "short\n").unwrap();
    program.signal(Signal::HUP);
    program.await_line("the old tokens stay in force", WITHIN);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    let seen = program.transcript();
    assert!(!seen.contains(first.trim()), "a token is in the log");
}

/// A command whose cluster is not there.
fn offline(deployment: &Deployment, arguments: &[&str]) -> crate::support::program::Invocation {
    deployment.command(arguments).env("CARDWATCH_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
}

#[test]
fn acts_without_a_cluster_reach_the_topic_later_and_once() {
    let Some(deployment) = Deployment::new("audit-later") else { return };
    let remark = "in the audit file alone";
    let token = |name: &str| {
        let file = deployment.path(&format!("{name}.token")).display().to_string();
        ["token", "new", name, "--role", "read", "--file", &file].map(str::to_owned).to_vec()
    };
    let made = |name: &str, command: &dyn Fn(&[&str]) -> crate::support::program::Invocation| {
        let arguments = token(name);
        command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let away = |arguments: &[&str]| offline(&deployment, arguments);
    let there = |arguments: &[&str]| deployment.command(arguments);
    assert!(ok(away(&["key", "new", "k2"])).transcript().contains(remark));
    assert!(ok(made("a", &away)).transcript().contains(remark));
    assert_eq!(deployment.trail(), Vec::<Value>::new());
    assert_eq!(deployment.audit_file().len(), 4);

    // The next command that reaches the cluster brings it along, in order; killed at each step or not.
    for (name, point) in [("b", "after-produce"), ("c", "after-end-txn"), ("d", "after-commit")] {
        let killed = made(name, &there).env("CARDWATCH_FAULTS", &format!("stop:audit/{point}"));
        let mut killed = killed.start();
        killed.await_end(WITHIN);
    }
    ok(made("e", &there));
    let known = |record: &Value| (record["id"].to_string(), record["outcome"].to_string());
    let whole = |records: &[Value]| records.iter().map(known).collect::<Vec<_>>();
    assert_eq!(whole(&deployment.trail()), whole(&deployment.audit_file()));
    assert_eq!(deployment.trail(), deployment.audit_file());

    // And the running service does, without a command; from another host's file as well, and where the mark of what
    // was sent is lost.
    ok(made("f", &away));
    std::fs::remove_file(deployment.path("audit.jsonl.sent")).unwrap();
    let mut program = deployment.command(&["run"]).start();
    program.await_line("the audit file was brought to the topic", WITHIN);
    assert_eq!(deployment.trail(), deployment.audit_file());
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let other = deployment.path("other.jsonl").display().to_string();
    ok(made("g", &away).env("CARDWATCH_AUDIT__FILE", &other));
    ok(made("h", &there).env("CARDWATCH_AUDIT__FILE", &other));
    let told = told(&deployment.trail());
    let ends = ["g intent", "g done", "h intent", "h done"].map(|end| format!("token_change token/{end}"));
    assert_eq!(told[told.len() - 4..], ends);
    assert_eq!(told.len(), deployment.audit_file().len() + 4);
}
