//! The JSON Schemas that ship with the project, and whether a record fits its own.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;

use super::records::Message;

/// Panics when a record of the topic that is called `name`, its prefix left out, is not as its schema
/// says. Topics without a schema are not looked at.
#[track_caller]
pub fn check(name: &str, record: &Message) {
    let (Some(schema), Some(_)) = (schemas().get(name), &record.value) else { return };
    let faults: Vec<String> = schema
        .iter_errors(&record.json())
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {}\n{}", record.text(), faults.join("\n"));
}

/// Panics when a body of a request is not as the schema called `name` says.
#[track_caller]
pub fn check_value(name: &str, value: &serde_json::Value) {
    let faults: Vec<String> = schemas()[name]
        .iter_errors(value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {value}\n{}", faults.join("\n"));
}

fn schemas() -> &'static BTreeMap<&'static str, Validator> {
    static SCHEMAS: OnceLock<BTreeMap<&'static str, Validator>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let sources = [
            ("alerts", include_str!("../../config/schema/alert-1.json")),
            ("heartbeat", include_str!("../../config/schema/heartbeat-1.json")),
            ("outcomes", include_str!("../../config/schema/outcome-1.json")),
            ("sightings", include_str!("../../config/schema/sighting-1.json")),
        ];
        let compile = |source| {
            let schema = serde_json::from_str(source).expect("a schema is JSON");
            jsonschema::draft202012::new(&schema).expect("a schema is one")
        };
        sources.map(|(name, source)| (name, compile(source))).into_iter().collect()
    })
}
