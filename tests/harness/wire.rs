use cardwatch::domain::position::Position;
use cardwatch::domain::time::Timestamp;
use cardwatch::judge::JudgeSettings;
use serde_json::json;

use crate::support::Message;
use crate::support::check::{Checkpoint, Wire};
use crate::support::wire::Naive;

/// A sighting of one card: a use of `amount` yen a minute after the one before.
fn sighting(number: i64, amount: i64) -> Message {
    let source = Position {
        topic: "transactions".to_owned(),
        partition: 0,
        offset: number,
        timestamp: Timestamp(1_700_000_000_000 + number * 60_000),
    };
    let at = serde_json::to_value(source.timestamp).unwrap();
    let fingerprint = "ab".repeat(32);
    let value = json!({
        "schema": "cardwatch.sighting/1", "id": source.derived_id("sgt"), "seen_at": at,
        "card": {"fingerprint": fingerprint, "key": "k1", "kind": "number"},
        "incidents": [{"id": "shop", "revision": 1, "elements": ["pan"], "exposed_from": at, "exposed_until": at,
                       "watch_from": at, "watch_until": null}],
        "transaction": {"id": format!("tx-{number}"), "at": at, "amount": amount.to_string(), "currency": "JPY"},
        "source": source, "judged_by": {"exposures": 3, "version": "0"},
    });
    Message {
        topic: "sightings".to_owned(),
        partition: 0,
        offset: number,
        timestamp: source.timestamp.millis(),
        key: Some(fingerprint.into_bytes()),
        value: Some(value.to_string().into_bytes()),
        headers: Vec::new(),
    }
}

fn naive(threshold: u32) -> Naive {
    let settings = JudgeSettings { threshold: Some(threshold), ..JudgeSettings::default() };
    let rule = "[[rule]]\nname = \"any\"\nwhen = 'true'\nscore = 50\ntext = \"a use\"\n";
    Naive::new(rule, settings, "0")
}

#[test]
fn a_fold_counts_what_it_was_given() {
    let sightings: Vec<Message> = (0..4).map(|number| sighting(number, 900)).collect();
    let all: Vec<&Message> = sightings.iter().collect();
    let naive = naive(50);
    let (whole, part) = (naive.fold(&all).unwrap(), naive.fold(&all[..3]).unwrap());
    assert_ne!(whole, part);
    let last = sightings[3].json()["id"].as_str().unwrap().to_owned();
    assert_eq!(naive.history(&whole).unwrap(), (4, Some(last)));
    assert!(naive.history(b"no history").is_err());
}

#[test]
fn alerts_of_one_piece_carry_the_ids_of_their_sightings() {
    let sightings: Vec<Message> = (0..12).map(|number| sighting(number, 90)).collect();
    let alerts = naive(50).alerts(&sightings);
    assert_eq!(alerts.len(), 12);
    for alert in &alerts {
        let source: Position = serde_json::from_value(alert["source"].clone()).unwrap();
        assert_eq!(alert["id"], source.derived_id("alr"));
    }
    assert!(naive(51).alerts(&sightings).is_empty());
}

#[test]
fn a_checkpoint_reads_as_score_writes_it() {
    let read = naive(1).checkpoint(br#"{"next_offset":7,"partitions":4}"#);
    assert_eq!(read, Ok(Checkpoint { next: 7, partitions: 4 }));
    assert!(naive(1).checkpoint(b"7").is_err());
}
