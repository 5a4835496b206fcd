use std::path::Path;

use super::*;
use crate::clock::SystemClock;
use crate::domain::audit::Act;

/// A log whose cluster is not there: nothing listens on the reserved port.
fn audit(file: &Path) -> Audit {
    let places = AuditPlaces {
        cluster: Cluster {
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
