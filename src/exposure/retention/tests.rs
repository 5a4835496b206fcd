use super::*;
use crate::domain::incident::{Details, Element, Period, WatchPeriod};
use crate::exposure::revision::Finish;

const DAY: i64 = 86_400_000;
const RETENTION: Retention = Retention { withdrawn_ms: 90 * DAY, ended_ms: DAY };

fn mark(day: i64) -> Mark {
    Mark { at: Timestamp(day * DAY), by: "ana".to_owned(), host: "h1".to_owned() }
}

fn details(watch_until: Option<&str>) -> Details {
    Details {
        name: "Shop".to_owned(),
        party: "Shop KK".to_owned(),
        time_zone: "UTC".to_owned(),
        exposure: Period { from: "1970-01-01".parse().unwrap(), until: "1970-01-02".parse().unwrap() },
        watch: WatchPeriod { from: None, until: watch_until.map(|date| date.parse().unwrap()) },
        elements: vec![Element::Pan],
    }
}

/// An incident with revisions done on these days.
fn incident(watch_until: Option<&str>, days: &[i64]) -> IncidentRecord {
    let mut incident = IncidentRecord::new("shop".parse().unwrap());
    for day in days {
        let number = incident.claim(details(watch_until), mark(*day)).unwrap();
        incident.finish(number, Finish { at: Timestamp(day * DAY), ..Finish::default() }).unwrap();
    }
    incident
}

fn due_day(incident: &IncidentRecord, events: &[i32]) -> Option<i64> {
    incident.due_at(events, RETENTION).map(|at| at.millis() / DAY)
}

#[test]
fn a_withdrawn_card_is_due_when_nobody_will_undo_that_any_more() {
    let mut incident = incident(None, &[0, 10, 20, 30]);
    assert_eq!(due_day(&incident, &[1]), None, "it is on the list");
    assert_eq!(due_day(&incident, &[1, -2]), Some(100));
    assert_eq!(due_day(&incident, &[1, -2, 3]), None);
    assert_eq!(due_day(&incident, &[1, -2, 3, -4]), Some(120));
    // Undoing what added it takes it off the list on that day.
    incident.undo(3, mark(50)).unwrap();
    assert_eq!(due_day(&incident, &[1, -2, 3]), Some(140));
    // An import is writing it; and then died.
    let number = incident.claim(details(None), mark(60)).unwrap();
    assert_eq!(number, 5);
    assert_eq!(due_day(&incident, &[1, -2, 5]), None);
    assert!(incident.abandon(5));
    assert_eq!(due_day(&incident, &[1, -2, 5]), Some(150));
    assert_eq!(due_day(&incident, &[9]), None, "no such revision: somebody else wrote it");
}

#[test]
fn a_watch_that_is_over_makes_all_its_cards_due() {
    let mut over = incident(Some("1970-01-20"), &[0]);
    // The last day is included, and a day is granted.
    assert_eq!(over.watch_end(), Some(Timestamp(20 * DAY)));
    assert!(!over.is_over(RETENTION, Timestamp(21 * DAY - 1)));
    assert!(over.is_over(RETENTION, Timestamp(21 * DAY)));
    assert_eq!(due_day(&over, &[1]), None, "while it is open its cards show");
    over.close(mark(25)).unwrap();
    assert_eq!(due_day(&over, &[1]), Some(21));
    assert!(!over.is_over(RETENTION, Timestamp(99 * DAY)), "it is closed already");

    let mut early = incident(Some("1970-01-20"), &[0]);
    early.close(mark(5)).unwrap();
    assert_eq!(due_day(&early, &[1]), Some(6));
    let open_ended = incident(None, &[0]);
    assert!(!open_ended.is_over(RETENTION, Timestamp(9_999 * DAY)));
}

#[test]
fn a_hold_suspends_all_of_it_until_it_is_released() {
    let mut held = incident(Some("1970-01-20"), &[0, 10]);
    held.set_hold(mark(11), "case 7").unwrap();
    assert!(matches!(held.set_hold(mark(12), "again"), Err(RevisionError::Held { .. })));
    assert_eq!(due_day(&held, &[1, -2]), None);
    assert!(!held.is_over(RETENTION, Timestamp(99 * DAY)));
    held.close(mark(30)).unwrap();
    assert_eq!(due_day(&held, &[1]), None);
    held.release_hold(mark(40)).unwrap();
    assert!(matches!(held.release_hold(mark(41)), Err(RevisionError::NotHeld(_))));
    assert_eq!(due_day(&held, &[1]), Some(21));
    // It survives its text.
    let read = IncidentRecord::from_json(&held.id, &held.to_json()).unwrap();
    assert_eq!(read, held);
    assert_eq!(read.holds[0].why, "case 7");
}

#[test]
fn undo_is_refused_exactly_where_it_could_bring_a_removed_card_back() {
    let mut incident = incident(None, &[0, 10, 20, 30]);
    let removed: [&[i32]; 3] = [&[1, -2], &[1, -2, -3], &[-4]];
    incident.note_removal(removed, Reason::Withdrawn, &mark(200));
    assert_eq!(incident.removals, [Removal { mark: mark(200), why: Reason::Withdrawn, cards: 3 }]);
    // The next part of the same removal is counted with it, another is not.
    incident.note_removal([&[1, -2][..]], Reason::Withdrawn, &mark(200));
    incident.note_removal([&[1, -3][..]], Reason::Forgotten, &mark(201));
    assert_eq!(incident.removals.iter().map(|removal| removal.cards).collect::<Vec<_>>(), [4, 1]);
    for (number, cards) in [(2, 3), (3, 1)] {
        let refused = incident.undo(number, mark(210)).unwrap_err();
        let at = mark(200).at;
        assert_eq!(refused, RevisionError::Removed { incident: incident.id.clone(), number, cards, at });
        assert!(refused.to_string().contains("1970-07-20"), "{refused}");
    }
    // What added the removed cards may be undone, and what never held one back.
    incident.undo(1, mark(210)).unwrap();
    incident.undo(4, mark(210)).unwrap();
}
