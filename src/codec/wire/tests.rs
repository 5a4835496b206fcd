use jsonschema::Validator;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use super::*;
use crate::codec::cloudevents;
use crate::codec::generate::{alert, sighting};
use crate::domain::vocabulary as words;

fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Every pointer to an object of `value`, the top included.
fn objects(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.clone());
            members.iter().for_each(|(name, value)| objects(value, format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| objects(item, format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

/// Whether an object of a record may hold names of the user's choosing.
fn is_open(pointer: &str) -> bool {
    pointer.ends_with("/references") || pointer.ends_with("/facts")
}

/// A record fits its schema; with any one field left out or added anywhere it does not.
fn check_schema(validator: &Validator, record: &[u8], optional: &[&str]) {
    let record: Value = serde_json::from_slice(record).unwrap();
    if let Err(error) = validator.validate(&record) {
        panic!("{} at {}", error, error.instance_path());
    }
    let mut found = Vec::new();
    objects(&record, String::new(), &mut found);
    for pointer in found.iter().filter(|pointer| !is_open(pointer)) {
        let change = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut changed = record.clone();
            change(changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap());
            validator.is_valid(&changed)
        };
        assert!(
            !change(&|members| drop(members.insert("surplus".to_owned(), json!(1)))),
            "{pointer}/surplus"
        );
        for name in record.pointer(pointer).unwrap().as_object().unwrap().keys() {
            let may_lack = optional.contains(&format!("{pointer}/{name}").as_str());
            assert_eq!(change(&|members| drop(members.remove(name))), may_lack, "without {pointer}/{name}");
            assert!(
                !change(&|members| drop(members.insert(name.clone(), json!([[]])))),
                "{pointer}/{name} of another type"
            );
        }
    }
}

fn header<'h>(headers: &'h cloudevents::Headers, name: &str) -> &'h str {
    let found: Vec<_> = headers.iter().filter(|(header, _)| header == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    std::str::from_utf8(&found[0].1).unwrap()
}

#[test]
fn every_closed_list_of_words_stands_in_the_schemas() {
    for schema in [ALERT_SCHEMA_JSON, SIGHTING_SCHEMA_JSON] {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let members = &schema["$defs"]["transaction"]["properties"];
        for (name, words) in [
            ("kind", words::Kind::WORDS),
            ("outcome", words::Outcome::WORDS),
            ("channel", words::Channel::WORDS),
            ("initiation", words::Initiation::WORDS),
            ("credential", words::Credential::WORDS),
            ("cvv", words::Cvv::WORDS),
            ("avs", words::Avs::WORDS),
            ("three_ds", words::ThreeDs::WORDS),
            ("expiry", words::Expiry::WORDS),
        ] {
            assert_eq!(members[name]["enum"], json!(words), "{name}");
        }
        let elements = crate::domain::incident::Element::ALL.map(|element| element.as_str());
        assert_eq!(schema["$defs"]["incident"]["properties"]["elements"]["items"]["enum"], json!(elements));
    }
}

#[test]
fn every_property_of_the_schemas_is_described() {
    fn check(node: &Value, at: &str) {
        if let Some(members) = node.get("properties").and_then(Value::as_object) {
            // The two branches that tie an amount to its currency repeat names described above.
            for (name, member) in members
                .iter()
                .filter(|_| !at.ends_with("/if") && !at.ends_with("/then") && !at.ends_with("/else"))
            {
                let described = member.get("description").or(member.get("$ref"));
                assert!(described.is_some(), "{at}/{name}");
            }
        }
        match node {
            Value::Object(members) => {
                members.iter().for_each(|(name, node)| check(node, &format!("{at}/{name}")))
            }
            Value::Array(items) => items.iter().for_each(|node| check(node, at)),
            _ => {}
        }
    }
    for schema in [ALERT_SCHEMA_JSON, SIGHTING_SCHEMA_JSON] {
        check(&serde_json::from_str(schema).unwrap(), "");
    }
}

#[test]
fn records_of_another_kind_are_refused_without_repeating_them() {
    for bytes in
        [&b""[..], b"{}", b"[]", b"\xff", b"{\"schema\":\"cardwatch.alert/1\",\"x\":\"4242424242424242\"}"]
    {
        let error = decode_sighting(bytes).unwrap_err();
        assert!(matches!(error, WireError::Malformed { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("4242"));
        assert!(decode_alert(bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn alerts_read_back_fit_their_schema_and_no_changed_one_does(alert in alert()) {
        let bytes = encode_alert(&alert).unwrap();
        prop_assert_eq!(&decode_alert(&bytes).unwrap(), &alert);
        check_schema(&validator(ALERT_SCHEMA_JSON), &bytes, &["/card/others", "/outcome"]);
        let other = Alert { schema: "cardwatch.alert/2".to_owned(), ..alert };
        let refused = decode_alert(&encode_alert(&other).unwrap());
        prop_assert_eq!(refused, Err(WireError::Schema { schema: ALERT_SCHEMA }));
    }

    #[test]
    fn sightings_read_back_fit_their_schema_and_no_changed_one_does(sighting in sighting()) {
        let bytes = encode_sighting(&sighting, usize::MAX).unwrap();
        prop_assert_eq!(&decode_sighting(&bytes).unwrap(), &sighting);
        check_schema(&validator(SIGHTING_SCHEMA_JSON), &bytes, &["/card/others", "/unreadable", "/withheld"]);
        let other = Sighting { schema: "cardwatch.sighting/2".to_owned(), ..sighting };
        let refused = decode_sighting(&encode_sighting(&other, usize::MAX).unwrap());
        prop_assert_eq!(refused, Err(WireError::Schema { schema: SIGHTING_SCHEMA }));
    }

    #[test]
    fn a_sighting_always_fits_and_keeps_who_and_where(sighting in sighting(), limit in SIGHTING_BYTES_MIN..12_000) {
        let bytes = encode_sighting(&sighting, limit).unwrap();
        prop_assert!(bytes.len() <= limit);
        prop_assert!(validator(SIGHTING_SCHEMA_JSON).is_valid(&serde_json::from_slice(&bytes).unwrap()));
        let short = decode_sighting(&bytes).unwrap();
        prop_assert_eq!(&short.id, &sighting.id);
        prop_assert_eq!(&short.source, &sighting.source);
        prop_assert_eq!(&short.card.fingerprint, &sighting.card.fingerprint);
        prop_assert_eq!(&short.incidents[0], &sighting.incidents[0]);
        prop_assert_eq!(&short.transaction.amount, &sighting.transaction.amount);
        prop_assert_eq!(short.transaction.at, sighting.transaction.at);
        // An id is whole, or gone and named.
        if short.transaction.id != sighting.transaction.id {
            prop_assert_eq!(&short.transaction.id, &None);
            prop_assert!(short.unreadable.contains(&"id".to_owned()));
        }
        for (name, value) in short.card.references.iter() {
            prop_assert!(sighting.card.references.iter().any(|pair| pair == (name, value)));
        }
        // Nothing is given up without need.
        let whole = serde_json::to_vec(&sighting).unwrap();
        if whole.len() <= limit {
            prop_assert_eq!(bytes, whole);
        }
    }

    #[test]
    fn headers_are_those_of_cloudevents(sighting in sighting(), alert in alert()) {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = cloudevents::of_sighting(&sighting, Some(trace));
        prop_assert_eq!(header(&headers, "ce_specversion"), "1.0");
        prop_assert_eq!(header(&headers, "ce_id"), &sighting.id);
        prop_assert_eq!(header(&headers, "ce_source"), "/cardwatch/sight");
        prop_assert_eq!(header(&headers, "ce_type"), SIGHTING_SCHEMA);
        prop_assert_eq!(header(&headers, "ce_time"), sighting.seen_at.to_string());
        prop_assert_eq!(header(&headers, "ce_subject"), sighting.card.fingerprint.to_string());
        prop_assert_eq!(header(&headers, "content-type"), "application/json");
        prop_assert_eq!(header(&headers, "traceparent"), trace);
        prop_assert_eq!(headers.len(), 8);
        let first = cloudevents::of_alert(&Alert { revision: 1, ..alert.clone() }, None);
        let second = cloudevents::of_alert(&Alert { revision: 2, ..alert.clone() }, None);
        prop_assert_eq!(header(&first, "ce_id"), &alert.id);
        prop_assert_eq!(header(&first, "ce_type"), ALERT_SCHEMA);
        prop_assert_eq!(header(&first, "ce_time"), alert.raised_at.to_string());
        prop_assert_ne!(header(&first, "ce_id"), header(&second, "ce_id"));
        prop_assert_eq!(first.len(), 7);
    }
}

#[test]
fn a_limit_that_cannot_be_met_is_said() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let sighting = sighting().new_tree(&mut runner).unwrap().current();
    let WireError::TooLarge { bytes, limit: 100 } = encode_sighting(&sighting, 100).unwrap_err() else {
        panic!("another error");
    };
    assert!(bytes > 100 && bytes <= SIGHTING_BYTES_MIN);
}
