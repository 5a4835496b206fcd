use super::*;
use crate::exposure::set::ExposureSet;
use std::sync::Arc;

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(1_000 * DAY);

fn card(byte: u8) -> Fingerprint {
    Fingerprint([byte; 32])
}

fn id(text: &str) -> IncidentId {
    text.parse().unwrap()
}

fn outcome(byte: u8, incidents: &[&str]) -> Vec<u8> {
    let about = serde_json::json!({"fingerprint": card(byte).to_string(), "incidents": incidents});
    serde_json::json!({"verdict": "fraud", "about": about}).to_string().into_bytes()
}

/// Outcomes `a`, `b`, … of these cards, written so many days ago.
fn named(records: &[(u8, &[&str], i64)]) -> Named {
    let mut named = Named::default();
    for (key, (byte, incidents, days)) in (b'a'..).zip(records) {
        let written = Timestamp(NOW.millis() - days * DAY);
        named.apply(&[key], Some(&outcome(*byte, incidents)), written);
    }
    named
}

/// A list of incidents, held or not, with records of these cards.
fn list(incidents: &[(&str, bool, &[u8])]) -> Arc<View> {
    let (_, mut writer) = ExposureSet::new(&[]);
    for (offset, (incident, held, cards)) in (0..).zip(incidents) {
        let mark = serde_json::json!({"at": NOW, "by": "ana", "host": "h1", "why": "case 7"});
        let record = serde_json::json!({
            "schema": "cardwatch.incident/1", "id": incident, "state": "open", "revisions": [],
            "holds": if *held { vec![mark] } else { vec![] },
        });
        for byte in *cards {
            let key = format!("card/k1/{}/{incident}", card(*byte));
            writer.apply(offset, key.as_bytes(), Some(br#"{"events":[1]}"#)).unwrap();
        }
        let key = format!("incident/{incident}");
        writer.apply(offset, key.as_bytes(), Some(record.to_string().as_bytes())).unwrap();
    }
    writer.publish()
}

/// What becomes of each outcome when `shop` lets go of these cards.
fn fates(named: &Named, view: &View, links: &[&[u8]], going: &[u8]) -> Vec<Fate> {
    let of = |names: &&[u8]| -> Vec<(Fingerprint, HashSet<Fingerprint>)> {
        names.iter().map(|name| (card(*name), names.iter().map(|name| card(*name)).collect())).collect()
    };
    let keeping = Keeping { links: links.iter().flat_map(of).collect(), view };
    let lets_go = |incident: &IncidentRecord, name: &Fingerprint, _: &[i32]| {
        incident.id == id("shop") && going.contains(&name.0[0])
    };
    named.all().map(|(_, outcome)| keeping.fate(outcome, lets_go)).collect()
}

fn goes(byte: u8) -> Fate {
    Fate::Goes { incident: id("shop"), record: card(byte) }
}

#[test]
fn an_outcome_goes_with_the_last_incident_that_holds_its_card() {
    let named = named(&[(1, &[], 0), (1, &[], 0), (2, &[], 0), (3, &[], 0), (9, &[], 0)]);
    let view = list(&[("bank", false, &[2, 3]), ("shop", false, &[1, 2])]);
    use Fate::{Stays, Unlisted};
    assert_eq!(fates(&named, &view, &[], &[1, 2]), [goes(1), goes(1), Stays, Stays, Unlisted]);
    let view = list(&[("shop", false, &[1, 2])]);
    assert_eq!(fates(&named, &view, &[], &[2]), [Stays, Stays, goes(2), Unlisted, Unlisted]);
}

#[test]
fn a_record_under_another_name_keeps_an_outcome_and_takes_it_along() {
    // The alert was raised under 1; the card moved to 2 and then to 3, and 1 has no record any more.
    let named = named(&[(1, &["shop"], 9)]);
    let view = list(&[("shop", false, &[2, 3])]);
    let links: &[&[u8]] = &[&[1, 2, 3]];
    assert_eq!(fates(&named, &view, links, &[2]), [Fate::Stays]);
    assert_eq!(fates(&named, &view, links, &[2, 3]), [goes(3)], "with the last of them");
    assert_eq!(fates(&named, &view, &[], &[]), [Fate::Unlisted], "nobody knows that it is the same card");
}

#[test]
fn a_legal_hold_keeps_outcomes_of_its_incident_and_of_its_cards() {
    // 1 has a record in the held incident; 2 has none any more, but its outcome is the incident's.
    let named = named(&[(1, &[], 9), (2, &["case", "shop"], 9), (3, &["gone"], 9)]);
    let view = list(&[("case", true, &[1]), ("shop", false, &[1, 2, 3])]);
    assert_eq!(fates(&named, &view, &[], &[1, 2, 3]), [Fate::Stays, Fate::Stays, goes(3)]);
    let view = list(&[("case", true, &[1]), ("shop", false, &[])]);
    assert_eq!(named.late(&Keeping { links: HashMap::new(), view: &view }, DAY, NOW), [b"c"]);
    let of = HashSet::from([card(2)]);
    let incidents: Vec<&IncidentId> =
        named.incidents_of(&of, &view).into_iter().map(|incident| &incident.id).collect();
    assert_eq!(incidents, [&id("case"), &id("shop")]);
}

#[test]
fn a_late_outcome_has_its_grace_and_no_more() {
    let view = list(&[("shop", false, &[5])]);
    let keeping = Keeping { links: HashMap::new(), view: &view };
    let mut named = named(&[(1, &[], 0), (1, &[], 1), (1, &[], 2), (5, &[], 9), (1, &[], -1), (1, &[], -2)]);
    // One whose clock is a little ahead is waited for, one from far ahead is not.
    assert_eq!(named.late(&keeping, DAY, NOW), [b"b", b"c", b"f"]);
    assert_eq!(named.late(&keeping, 0, NOW).len(), 5);
    named.apply(b"g", Some(&outcome(1, &[])), Timestamp(NOW.millis() - DAY + 1));
    assert!(!named.late(&keeping, DAY, NOW).contains(&b"g".to_vec()));
}

#[test]
fn the_newest_record_of_a_key_says_which_card_it_names() {
    let mut named = named(&[(1, &[], 0), (1, &[], 0), (1, &[], 0)]);
    named.apply(b"d", Some(b"garbage"), NOW);
    named.apply(b"a", None, NOW);
    named.apply(b"b", Some(&outcome(2, &["shop", "Not An Id"])), NOW);
    assert_eq!(named.of(&HashSet::from([card(1)])), vec![b"c".to_vec()]);
    assert_eq!(named.of(&HashSet::from([card(2)])), vec![b"b".to_vec()]);
    let (_, outcome) = named.all().next().unwrap();
    assert_eq!(outcome.card.incidents, [id("shop")], "what is no id is passed over");
}
