use std::path::Path;

use super::*;
use crate::clock::SystemClock;
use crate::domain::audit::Act;

/// A log whose cluster is not there: nothing listens on the reserved port.
fn audit(file: &Path) -> Audit {
    let places = AuditPlaces {
        cluster: Cluster {
            tokens: None,
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            client_id: "test".to_owned(),
            properties: Default::default(),
        },
        topic: "audit".to_owned(),
        sender: "test-audit".to_owned(),
        file: Some(AuditFile::new(file)),
        clock: Arc::new(SystemClock),
        version: "test".to_owned(),
    };
    let (user, host) = ("ops".to_owned(), "h1".to_owned());
    Audit::new(places, By { user, host, claimed: None, via: Via::Cli, token: None })
}

/// The records in the file: how each ended, and the id of its act.
fn written(file: &Path) -> Vec<(Ending, String)> {
    let mut records = Vec::new();
    if file.exists() {
        AuditFile::new(file).read(|record| records.push((record.outcome, record.id))).unwrap();
    }
    records
}

#[test]
fn an_act_begins_when_its_intent_is_on_the_disk() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("audit.jsonl");
    let begun = audit(&file).locally(Deed::new(Act::KeyChange, "key/k2")).unwrap();
    assert_eq!(written(&file), [(Ending::Intent, begun.record.id.clone())]);
    let missed = begun.missed().expect("nobody answers").to_owned();
    assert!(missed.contains("topic audit"), "{missed}");
    let id = begun.record.id.clone();
    begun.done().unwrap();
    assert_eq!(written(&file), [(Ending::Intent, id.clone()), (Ending::Done, id)]);
}

#[test]
fn what_cannot_be_written_down_is_not_begun() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    let audit = audit(&home.path().join("file/audit.jsonl"));
    let deed = || Deed::new(Act::KeyChange, "key/k2");
    for begun in [audit.locally(deed()), audit.begin(deed()), audit.in_transaction(deed())] {
        let stopped = begun.expect_err("the file takes nothing");
        assert!(
            stopped.code == exit::CONFIG && stopped.message.contains("audit.file"),
            "{}",
            stopped.message
        );
    }
    assert!(audit.record(deed()).is_err());
}

#[test]
fn without_a_file_the_topic_must_take_a_local_act() {
    let home = tempfile::tempdir().unwrap();
    let places = audit(&home.path().join("unused")).shared.places.clone();
    // A client that refuses its settings answers at once.
    let properties = [("no.such.property".to_owned(), "1".to_owned())].into();
    let cluster = Cluster { properties, ..places.cluster.clone() };
    let by = By { user: "ops".to_owned(), host: "h1".to_owned(), claimed: None, via: Via::Cli, token: None };
    let with = |file: Option<&Path>| {
        let (cluster, file) = (cluster.clone(), file.map(AuditFile::new));
        Audit::new(AuditPlaces { cluster, file, ..places.clone() }, by.clone())
    };
    let deed = || Deed::new(Act::TokenChange, "token/desk");
    assert!(with(None).locally(deed()).is_err());
    let file = home.path().join("audit.jsonl");
    assert!(with(Some(&file)).locally(deed()).unwrap().missed().is_some());
    // What the topic must take and does not was not done, and the file says so.
    for refused in [with(Some(&file)).begin(deed()), with(Some(&file)).in_transaction(deed())] {
        assert!(refused.is_err());
    }
    let endings: Vec<Ending> = written(&file).into_iter().map(|(ending, _)| ending).collect();
    assert_eq!(endings, [Ending::Intent, Ending::Intent, Ending::Failed, Ending::Intent, Ending::Failed]);
}

#[test]
fn a_request_is_its_tokens_and_claims_nothing_of_another() {
    let home = tempfile::tempdir().unwrap();
    let role = crate::http::auth::Role::Decide;
    let caller = Caller { name: "desk".to_owned(), role, endpoints: Default::default() };
    let by = audit(&home.path().join("unused")).claiming(Some("Anna")).for_caller(&caller).by().clone();
    assert_eq!((by.via, by.token.as_deref(), by.claimed), (Via::Http, Some("desk"), None));
}
