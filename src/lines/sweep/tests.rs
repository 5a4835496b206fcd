use super::*;
use crate::exposure::record::Revision;
use crate::exposure::retention::Removal;
use crate::lines::mark::Tended;

fn incident(state: RevisionState, claimed_at: i64) -> IncidentRecord {
    let mut incident = IncidentRecord::new("shop".parse().unwrap());
    let revision = serde_json::json!({
        "number": 1, "state": "claimed", "at": Timestamp(claimed_at), "by": "ana", "host": "h1",
        "details": {"name": "", "party": "", "time_zone": "UTC", "elements": [],
            "exposure": {"from": "1970-01-01", "until": "1970-01-02"}, "watch": {"from": null, "until": null}},
    });
    let revision: Revision = serde_json::from_value(revision).unwrap();
    incident.revisions.push(Revision { state, ..revision });
    incident
}

#[test]
fn a_claim_keeps_the_sweep_away_for_a_day() {
    let claimed = incident(RevisionState::Claimed, 1_000);
    assert!(is_busy(&claimed, Timestamp(1_000 + CLAIM_LIVES_MS - 1)));
    assert!(!is_busy(&claimed, Timestamp(1_000 + CLAIM_LIVES_MS)));
    assert!(!is_busy(&incident(RevisionState::Done, 1_000), Timestamp(1_001)));
    assert!(!is_busy(&IncidentRecord::new("shop".parse().unwrap()), Timestamp(0)));
}

#[test]
fn the_list_is_kept_moving_for_a_month_after_the_newest_removal() {
    let mut incident = incident(RevisionState::Done, 0);
    assert!(!is_moving(&incident, Timestamp(1)));
    for at in [0, 1_000] {
        let mark = Mark { at: Timestamp(at), by: "ana".to_owned(), host: "h1".to_owned() };
        incident.removals.push(Removal { mark, why: Reason::Withdrawn, cards: 1 });
    }
    assert!(is_moving(&incident, Timestamp(1_000 + MOVING_MS - 1)));
    assert!(!is_moving(&incident, Timestamp(1_000 + MOVING_MS)));
}

#[test]
fn a_record_waits_for_the_list_and_for_the_time_that_histories_were_gone_over_for() {
    let tended = Tended { frontier: 7, at: Timestamp(50) };
    for (frontier, at, past) in [(7, 50, true), (6, 49, true), (8, 50, false), (7, 51, false), (8, 51, false)]
    {
        assert_eq!(tended::is_past(&tended, frontier, Timestamp(at)), past, "{frontier} {at}");
    }
}
