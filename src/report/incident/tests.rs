//! Claims about the report. The whole of it stands in `golden.md` as a manager gets it.

use super::super::books::samples;
use super::super::coverage::{Lost, Watched};
use super::*;
use crate::domain::audit::LostRange;
use crate::domain::incident::{Details, Element, Period, WatchPeriod};
use crate::exposure::record::{CardTotals, Counts, Mark};
use crate::exposure::revision::Finish;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn mark(text: &str) -> Mark {
    Mark { at: at(text), by: "Risk desk".to_owned(), host: "h1".to_owned() }
}

fn details(until: &str, elements: &[Element]) -> Details {
    Details {
        name: "Kenko *web* shop".to_owned(),
        party: "Kenko Foods KK".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        exposure: Period { from: "2018-01-29".parse().unwrap(), until: until.parse().unwrap() },
        watch: WatchPeriod { from: None, until: Some("2019-12-31".parse().unwrap()) },
        elements: elements.to_vec(),
    }
}

/// Three revisions: the first notice, the corrected one, and one that was undone.
fn record() -> IncidentRecord {
    let mut record = IncidentRecord::new("kenko-2018".parse().unwrap());
    let wide = details("2018-04-24", &[Element::Pan, Element::Expiry, Element::SecurityCode]);
    let narrow = details("2018-02-12", &[Element::Pan, Element::Expiry]);
    for (details, time, added, withdrawn, before, after) in [
        (wide, "2018-03-02T00:00:00Z", 23_000, 0, 0, 23_000),
        (narrow.clone(), "2018-03-30T01:30:00Z", 11_909, 5_136, 23_000, 29_773),
        (narrow, "2018-04-01T00:00:00Z", 7, 0, 29_773, 29_780),
    ] {
        let number = record.claim(details, mark(time)).unwrap();
        let counts = Counts { added, withdrawn, ..Counts::default() };
        let cards = Some(CardTotals { before, after });
        record.finish(number, Finish { at: at(time), counts, cards, ..Finish::default() }).unwrap();
    }
    record.undo(3, mark("2018-04-02T00:00:00Z")).unwrap();
    record
}

fn watched(partition: i32) -> Watched {
    Watched {
        partition,
        began: Some(at("2017-12-01T00:00:00Z")),
        is_read: true,
        unread: 0,
        oldest_unread: None,
    }
}

fn coverage() -> Coverage {
    Coverage {
        as_of: at("2018-06-06T03:00:00Z"),
        topic: "transactions".to_owned(),
        watched: vec![
            watched(0),
            Watched { unread: 3, oldest_unread: Some(at("2018-06-06T02:59:58Z")), ..watched(1) },
        ],
        lost: vec![Lost {
            range: LostRange {
                topic: "transactions".to_owned(),
                partition: 0,
                group: "cardwatch-sight".to_owned(),
                first: 10,
                last: 24,
                from: None,
                until: Some(at("2018-05-01T00:00:00Z")),
            },
            at: at("2018-05-03T08:00:00Z"),
            by: "anna, ticket 7".to_owned(),
            skipped: false,
        }],
        unjudged: 2,
    }
}

fn markdown(record: &IncidentRecord, book: &Book, coverage: &Coverage) -> String {
    IncidentReport::new(record, book, coverage).markdown()
}

#[test]
fn the_report_reads_as_it_always_did() {
    let text = markdown(&record(), &samples::decided(), &coverage());
    assert_eq!(text, include_str!("golden.md"), "{text}");
}

/// Every line of a report, whatever was decided.
fn lines_of_all() -> Vec<String> {
    let (mut closed, mut quiet) = (record(), coverage());
    closed.close(mark("2018-06-01T00:00:00Z")).unwrap();
    quiet.watched = vec![watched(0)];
    quiet.lost[0].skipped = true;
    quiet.lost[0].range.last = 9;
    quiet.unjudged = 0;
    let unread = Coverage {
        watched: vec![Watched { is_read: false, began: None, unread: 9, ..watched(0) }],
        lost: Vec::new(),
        ..coverage()
    };
    let empty = IncidentRecord::new("empty".parse().unwrap());
    let books = [Book::default(), samples::undecided(), samples::decided()];
    let mut lines = Vec::new();
    for record in [&record(), &closed, &empty] {
        for book in &books {
            for coverage in [&coverage(), &quiet, &unread] {
                lines.extend(markdown(record, book, coverage).lines().map(str::to_owned));
            }
        }
    }
    lines
}

/// What a person confirmed may be called fraud; an alert is suspected and no more.
#[test]
fn nothing_but_what_a_person_confirmed_is_called_fraud() {
    const STRONG: [&str; 9] =
        ["misuse", "abuse", "fraud", "theft", "thief", "thieves", "stolen", "criminal", "victim"];
    let lines = lines_of_all();
    let mut confirmed = 0;
    // The explanations wrap; a sentence is what counts.
    let text = lines.join("\n").replace("\n- ", ".\n").replace("\n\n", ".\n").to_lowercase();
    for sentence in text.split('.') {
        if STRONG.iter().any(|word| sentence.contains(word)) {
            let by_a_person = sentence.contains("confirmed") && sentence.contains("person");
            assert!(by_a_person, "{sentence}");
            assert!(!sentence.contains("suspected") && !sentence.contains("alert was raised"), "{sentence}");
            confirmed += 1;
        }
    }
    assert!(confirmed > 0);
    let undecided = markdown(&record(), &samples::undecided(), &coverage());
    let before = undecided.split("## Cards and alerts").next().unwrap();
    assert!(before.contains("No alert has been decided by a person yet") && !before.contains("fraud"));
}

#[test]
fn what_nobody_has_looked_at_is_said_plainly() {
    let text = markdown(&record(), &samples::undecided(), &coverage());
    for part in [
        "**The 33 days between have not been examined: cardwatch has not looked back over them.**",
        "11,909 cards were added by revision 2",
        "the 61 days before that have not been examined either",
        "Lost before they were read: 15 records of partition 0 (from offset 10, written before 2018-05-01 09:00:00 +09:00); \
         anna, ticket 7 answers",
        "3 transactions waited to be read, the oldest from 2018-06-06 11:59:58 +09:00",
        "2 transactions on exposed cards had been read and not judged",
        "2 of 14 transactions seen on exposed cards came too late",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // A watch that began after the import has examined nothing from before its beginning.
    let mut late = coverage();
    late.watched[0].began = Some(at("2018-03-12T00:00:00Z"));
    assert!(markdown(&record(), &samples::undecided(), &late).contains("**The 43 days between"));
    // Transactions from before the import that were still unread then are owned up to.
    let mut book = samples::undecided();
    book.listed.first = Some(at("2018-02-20T00:00:00Z"));
    let text = markdown(&record(), &book, &coverage());
    assert!(text.contains("the earliest that was seen is from 2018-02-20 09:00:00 +09:00"), "{text}");
    assert!(!markdown(&record(), &samples::undecided(), &coverage()).contains("the earliest that was seen"));
}

#[test]
fn programs_get_the_same_numbers() {
    let (record, book, coverage) = (record(), samples::decided(), coverage());
    let json = IncidentReport::new(&record, &book, &coverage).json();
    assert_eq!((&json["schema"], &json["time_zone"]), (&REPORT_SCHEMA.into(), &"Asia/Tokyo".into()));
    assert_eq!(json["as_of"], "2018-06-06T03:00:00.000Z");
    assert_eq!(json["details"]["breached_party"], "Kenko Foods KK");
    assert_eq!(json["counts"][0]["listed"], 29_773);
    assert_eq!(
        (&json["money"][0]["currency"], &json["money"][0]["approved"]),
        (&"JPY".into(), &"20012980".into())
    );
    assert_eq!(json["revisions"].as_array().unwrap().len(), 3);
    assert_eq!(json["revisions"][1]["changes"][1]["after"], 29_773);
    assert_eq!(json["revisions"][2]["undone"]["by"], "Risk desk");
    let unexamined = &json["coverage"]["not_looked_back"];
    assert_eq!((&unexamined[0]["days"], &unexamined[1]["cards_added"]), (&33.into(), &11_909.into()));
    assert_eq!(json["coverage"]["lost"][0]["range"]["last"], 24);
    assert_eq!((&json["coverage"]["unread"], &json["coverage"]["late"]), (&3.into(), &2.into()));
}
