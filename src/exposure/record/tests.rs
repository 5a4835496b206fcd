use super::*;
use proptest::prelude::*;

const PRINT: &str = "fd37c2e9968895bcafe5c18ec249237fcc88cd09d03c73c4c11344a9059acf88";

fn card_key() -> ListKey {
    ListKey::parse(format!("card/k1/{PRINT}/shop").as_bytes()).unwrap()
}

fn incident() -> IncidentRecord {
    let details = serde_json::json!({
        "name": "Shop", "party": "Shop KK", "time_zone": "Asia/Tokyo",
        "exposure": {"from": "2015-01-07", "until": "2017-10-16"},
        "watch": {"from": null, "until": null}, "elements": ["pan", "expiry"],
    });
    let mark = |at: &str| Mark { at: at.parse().unwrap(), by: "ana".to_owned(), host: "h1".to_owned() };
    let mut record = IncidentRecord::new("shop".parse().unwrap());
    let details: Details = serde_json::from_value(details).unwrap();
    record.claim(details.clone(), mark("2026-01-01T00:00:00Z")).unwrap();
    let checks = BTreeMap::from([("k1".parse().unwrap(), CheckValue([7; 32]))]);
    let cards = Some(CardTotals { before: 0, after: 2 });
    record.finish(1, crate::exposure::revision::Finish { checks, cards, ..Default::default() }).unwrap();
    record.undo(1, mark("2026-01-02T00:00:00Z")).unwrap();
    record.claim(details, mark("2026-01-03T00:00:00Z")).unwrap();
    record
}

#[test]
fn keys_are_read_or_refused() {
    let card = format!("card/k1/{PRINT}/shop");
    for text in [card.as_str(), "incident/shop"] {
        assert_eq!(ListKey::parse(text.as_bytes()).unwrap().to_string(), text);
    }
    let upper = PRINT.to_uppercase();
    for text in [
        "",
        "card",
        "incident/",
        "incident/shop/more",
        "incident/Shop",
        "card/k1/4242424242424242/shop",
        &format!("{card}/more"),
        &format!("card/k1/{upper}/shop"),
        &format!("card//{PRINT}/shop"),
        &format!("cards/k1/{PRINT}/shop"),
    ] {
        assert_eq!(ListKey::parse(text.as_bytes()), Err(RecordError::Key), "{text}");
    }
    assert_eq!(ListKey::parse(b"incident/\xff"), Err(RecordError::Key));
}

#[test]
fn a_plain_card_record_is_short() {
    let record = CardRecord { events: vec![1, -2, 3], ..CardRecord::default() };
    assert_eq!(record.to_json(), br#"{"events":[1,-2,3]}"#);
    assert_eq!(CardRecord::from_json(&card_key(), &record.to_json()), Ok(record));
}

#[test]
fn fields_of_a_newer_writer_are_passed_over() {
    let value = br#"{"events":[4],"expiry":"2027-09","colour":"blue","references":{"account":"A-1"}}"#;
    let record = CardRecord::from_json(&card_key(), value).unwrap();
    assert_eq!(record.expiry, "09/27".parse().ok());
    assert_eq!(record.references.iter().collect::<Vec<_>>(), [("account", "A-1")]);
}

#[test]
fn a_card_records_error_says_where_and_nothing_of_the_value() {
    for (value, want) in [
        (r#"{"events":[1],"expiry":"4242424242424242"}"#, "JSON of another form"),
        (r#"{"events":"4242424242424242"}"#, "JSON of another form"),
        (r#"{"events":[4242424242424242]}"#, "JSON of another form"),
        (r#"{"events":[1]"#, "ends too early"),
        ("{4242 4242 4242 4242", "not JSON"),
        (r#"{"events":[1,1]}"#, "order of revisions"),
        (r#"{"events":[2,-1]}"#, "order of revisions"),
        (r#"{"events":[0]}"#, "order of revisions"),
        (r#"{"events":[-2147483648]}"#, "order of revisions"),
    ] {
        let error = CardRecord::from_json(&card_key(), value.as_bytes()).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(want) && text.contains(PRINT), "{text}");
        assert!(!text.contains("4242"), "{text}");
    }
}

#[test]
fn an_incident_record_survives_its_json() {
    let record = incident();
    assert_eq!(IncidentRecord::from_json(&record.id, &record.to_json()), Ok(record));
}

#[test]
fn an_incident_record_that_contradicts_itself_is_refused() {
    let good = serde_json::to_value(incident()).unwrap();
    let refused = |path: &str, new: serde_json::Value, want: &str| {
        let mut value = good.clone();
        *value.pointer_mut(path).unwrap() = new;
        let id = "shop".parse().unwrap();
        let error = IncidentRecord::from_json(&id, &serde_json::to_vec(&value).unwrap()).unwrap_err();
        assert!(error.to_string().contains(want), "{path}: {error}");
    };
    refused("/schema", "cardwatch.incident/2".into(), "another version");
    refused("/id", "other".into(), "another incident");
    refused("/revisions/0/number", 2.into(), "order of their numbers");
    refused("/revisions/0/number", 0.into(), "order of their numbers");
    refused("/revisions/1/number", 2_147_483_648u32.into(), "order of their numbers");
    refused("/revisions/0/state", "claimed".into(), "claimed");
    refused("/revisions/0/state", "finished".into(), "another form");
}

proptest! {
    #[test]
    fn keys_survive_their_text(print in any::<[u8; 32]>(), key in "[a-z0-9_-]{1,32}", incident in "[a-z0-9_-]{1,64}") {
        let incident: IncidentId = incident.parse().unwrap();
        for key in [
            ListKey::Card { key: key.parse().unwrap(), fingerprint: Fingerprint(print), incident: incident.clone() },
            ListKey::Incident(incident.clone()),
        ] {
            prop_assert_eq!(ListKey::parse(key.to_string().as_bytes()), Ok(key));
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(key in prop::collection::vec(any::<u8>(), 0..99), value in prop::collection::vec(any::<u8>(), 0..99)) {
        let _ = ListKey::parse(&key);
        let _ = CardRecord::from_json(&card_key(), &value);
        let _ = IncidentRecord::from_json(&"shop".parse().unwrap(), &value);
    }
}
