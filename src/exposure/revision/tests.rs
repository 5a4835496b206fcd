use super::*;
use crate::domain::incident::{Element, Period, WatchPeriod};

fn details(until: &str) -> Details {
    Details {
        name: "Shop".to_owned(),
        party: "Shop KK".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        exposure: Period { from: "2017-04-09".parse().unwrap(), until: until.parse().unwrap() },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan, Element::Expiry],
    }
}

fn mark() -> Mark {
    Mark { at: Timestamp(1_000), by: "ana".to_owned(), host: "h1".to_owned() }
}

fn finish(before: u64, after: u64) -> Finish {
    Finish { cards: Some(CardTotals { before, after }), ..Finish::default() }
}

/// Revision 1 died, 2 and 3 are done.
fn incident() -> IncidentRecord {
    let mut incident = IncidentRecord::new("shop".parse().unwrap());
    assert_eq!(incident.claim(details("2017-10-01"), mark()), Ok(1));
    assert_eq!(incident.claim(details("2017-10-01"), mark()), Ok(2));
    incident.finish(2, finish(0, 23_000)).unwrap();
    assert_eq!(incident.claim(details("2017-10-16"), mark()), Ok(3));
    incident.finish(3, finish(23_000, 29_773)).unwrap();
    incident
}

fn states(incident: &IncidentRecord) -> Vec<RevisionState> {
    incident.revisions.iter().map(|revision| revision.state).collect()
}

#[test]
fn a_claim_that_is_overtaken_dies_and_its_number_is_never_used_again() {
    use RevisionState::*;
    let mut incident = incident();
    assert_eq!(states(&incident), [Dead, Done, Done]);
    let error = incident.finish(1, finish(0, 0)).unwrap_err();
    assert!(error.to_string().contains("another import took over"), "{error}");
    assert_eq!(incident.claim(details("2017-10-16"), mark()), Ok(4));
    incident.undo(2, mark()).unwrap();
    assert_eq!(states(&incident), [Dead, Undone, Done, Dead]);
}

#[test]
fn only_a_revision_in_force_can_be_undone() {
    let mut incident = incident();
    incident.claim(details("2017-10-16"), mark()).unwrap();
    incident.undo(3, mark()).unwrap();
    for (number, want) in [
        (1, "never finished"),
        (3, "undo is final"),
        (4, "never finished"),
        (0, "its revisions are 1 to 4"),
        (9, "its revisions are 1 to 4"),
    ] {
        let before = incident.clone();
        let error = incident.undo(number, mark()).unwrap_err();
        assert!(error.to_string().contains(want), "{number}: {error}");
        assert_eq!(incident, before, "a refused change changes nothing");
    }
    incident.claim(details("2017-10-16"), mark()).unwrap();
    let error = incident.undo(5, mark()).unwrap_err();
    assert!(error.to_string().contains("not done"), "{error}");
}

#[test]
fn the_details_in_force_are_those_of_the_last_done_revision() {
    let mut incident = incident();
    assert_eq!(incident.details(), Some(&details("2017-10-16")));
    incident.claim(details("2018-01-01"), mark()).unwrap();
    assert_eq!(incident.details(), Some(&details("2017-10-16")));
    incident.undo(3, mark()).unwrap();
    assert_eq!(incident.details(), Some(&details("2017-10-01")));
    incident.undo(2, mark()).unwrap();
    assert_eq!(incident.details(), None);
}

#[test]
fn a_closed_incident_shows_no_card_and_takes_no_change() {
    let mut incident = incident();
    assert!(incident.shows(&[3]));
    incident.close(mark()).unwrap();
    assert!(!incident.shows(&[3]) && incident.lists(&[3]));
    let closed = Err(RevisionError::Closed(incident.id.clone()));
    assert_eq!(incident.claim(details("2017-10-16"), mark()).map(drop), closed);
    assert_eq!(incident.undo(3, mark()), closed);
    assert_eq!(incident.finish(3, finish(0, 0)), closed);
    assert_eq!(incident.close(mark()), closed);
}

#[test]
fn the_last_event_of_a_revision_in_force_decides() {
    let mut incident = incident();
    incident.claim(details("2017-10-16"), mark()).unwrap();
    for (events, want) in [
        (&[][..], false),
        (&[1], false),
        (&[2], true),
        (&[2, -3], false),
        (&[2, -4], true),
        (&[-2, 3], true),
        (&[4], false),
        (&[9], false),
    ] {
        assert_eq!(incident.shows(events), want, "{events:?}");
    }
    incident.undo(3, mark()).unwrap();
    assert!(incident.shows(&[2, -3]) && !incident.shows(&[-2, 3]));
}

#[test]
fn another_key_of_the_same_name_is_refused() {
    let mut incident = incident();
    let key: KeyId = "k1".parse().unwrap();
    let with = |check| Finish {
        checks: BTreeMap::from([(key.clone(), CheckValue([check; 32]))]),
        ..Finish::default()
    };
    incident.claim(details("2017-10-16"), mark()).unwrap();
    incident.finish(4, with(1)).unwrap();
    assert_eq!(incident.check_key(&key, CheckValue([1; 32])), Ok(()));
    assert!(incident.check_key(&key, CheckValue([2; 32])).is_err());
    incident.claim(details("2017-10-16"), mark()).unwrap();
    assert!(matches!(incident.finish(5, with(2)), Err(RevisionError::OtherKey { .. })));
    assert_eq!(incident.revision(5).unwrap().state, RevisionState::Claimed);
}

#[test]
fn details_that_contradict_themselves_are_refused() {
    let base = details("2017-10-16");
    let period = Period { from: "2017-10-17".parse().unwrap(), until: "2017-10-16".parse().unwrap() };
    let watch = |from: &str, until: &str| WatchPeriod { from: from.parse().ok(), until: until.parse().ok() };
    for (details, want) in [
        (Details { time_zone: "Tokyo".to_owned(), ..base.clone() }, Some("IANA")),
        (Details { exposure: period, ..base.clone() }, Some("exposure period ends before")),
        (
            Details { watch: watch("2019-01-01", "2018-12-30"), ..base.clone() },
            Some("watch period ends before"),
        ),
        (Details { watch: watch("2019-01-01", "2019-01-01"), ..base.clone() }, None),
        (base, None),
    ] {
        let refused = IncidentRecord::new("shop".parse().unwrap()).claim(details, mark()).err();
        let refused = refused.map(|error| error.to_string());
        assert_eq!(refused.is_some(), want.is_some(), "{refused:?}");
        assert!(refused.unwrap_or_default().contains(want.unwrap_or_default()));
    }
}

#[test]
fn a_revision_compares_with_what_was_in_force_when_it_was_claimed() {
    let mut incident = incident();
    let comparison = incident.comparison(3).unwrap();
    assert_eq!(comparison.before, Side { cards: Some(23_000), details: Some(details("2017-10-01")) });
    assert_eq!(comparison.after, Side { cards: Some(29_773), details: Some(details("2017-10-16")) });
    assert_eq!(incident.comparison(2).unwrap().before, Side { cards: Some(0), details: None });
    assert!(incident.comparison(4).is_err());
    incident.undo(2, mark()).unwrap();
    assert_eq!(incident.comparison(3).unwrap(), comparison, "what was done then stays what was done then");
}
