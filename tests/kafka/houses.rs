//! Three houses whose records differ in every way: each comes to a first alert with nothing but a mapping.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::deployment::{COMMAND, Deployment, fails, ok};
use crate::support::program::{Ended, Invocation};
use crate::support::{Isolation, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);

/// What the breached shop of every house says of itself, for `incident open`.
pub const DETAILS: [&str; 13] = [
    "--name",
    "Asagiri web shop",
    "--party",
    "Asagiri Health Foods KK",
    "--time-zone",
    "Asia/Tokyo",
    "--exposed-from",
    "2018-01-29",
    "--exposed-until",
    "2018-02-12",
    "--until-closed",
    "--elements",
    "pan,name,expiry",
];

fn fixture(house: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/houses").join(house).join(file)
}

fn text(house: &str, file: &str) -> String {
    std::fs::read_to_string(fixture(house, file)).unwrap()
}

/// A deployment whose topic holds the records of a house.
struct House {
    deployment: Deployment,
    house: &'static str,
}

impl House {
    fn new(house: &'static str) -> Option<House> {
        let deployment = Deployment::new(&format!("house-{house}"))?;
        let topic = deployment.topic("transactions");
        let records: Vec<Outgoing> =
            text(house, "transactions.jsonl").lines().map(|line| Outgoing::to(&topic).value(line)).collect();
        deployment.kafka.produce(&records);
        Some(House { deployment, house })
    }

    fn command(&self, arguments: &[&str]) -> Invocation {
        let config = self.deployment.config() + &text(self.house, "mapping.toml");
        Program::with(arguments).config(&config).env("USER", "anna")
    }

    fn open(&self, id: &str, list: &str, kind: &str) {
        let list = fixture(self.house, list).display().to_string();
        let more = ["--list", &list, "--kind", kind];
        let arguments: Vec<&str> = ["incident", "open", id].into_iter().chain(DETAILS).chain(more).collect();
        ok(self.command(&arguments));
    }

    /// Runs the service until an alert is there, and gives every sighting and alert.
    fn first_alert(&self) -> (Vec<Value>, Vec<Value>) {
        let mut program = self.command(&["run"]).start();
        let read = |name: &str| -> Vec<Value> {
            let records = self.deployment.kafka.read(&self.deployment.topic(name), Isolation::Committed);
            records.iter().map(|record| record.json()).collect()
        };
        let alerts = wait::until("an alert", WITHIN, || Some(read("alerts")).filter(|all| !all.is_empty()));
        let sightings = read("sightings");
        assert_eq!(program.terminate(Duration::from_secs(5)), Ended::Code(0), "{}", program.transcript());
        (sightings, alerts)
    }

    /// `check --sample`, as JSON, with nothing of any record in it.
    fn sampled(&self) -> Value {
        let program = ok(self.command(&["--format", "json", "check", "--sample", "500"]));
        let told = program.transcript();
        let records = text(self.house, "transactions.jsonl");
        for record in records.lines() {
            let record: Value = serde_json::from_str(record).unwrap();
            assert_shown_nowhere(&record, &told);
        }
        serde_json::from_str(&program.stdout().join("\n")).unwrap()
    }
}

/// Long enough to be nobody else's.
fn assert_shown_nowhere(value: &Value, told: &str) {
    match value {
        Value::Object(members) => members.values().for_each(|value| assert_shown_nowhere(value, told)),
        Value::Array(elements) => elements.iter().for_each(|value| assert_shown_nowhere(value, told)),
        Value::String(text) if text.len() > 6 && text.contains(|c: char| c.is_ascii_digit() && c != '9') => {
            assert!(!told.contains(text.as_str()), "a value is shown:\n{told}");
        }
        _ => {}
    }
}

/// What a table of `check` says of a field.
fn row(sample: &Value, field: &str) -> (u64, u64) {
    let rows = sample["fields"].as_array().unwrap();
    let row = rows.iter().find(|row| row["field"] == field).unwrap_or_else(|| panic!("{field}: {sample}"));
    (row["found"].as_u64().unwrap(), row["parsed"].as_u64().unwrap())
}

fn listed(sample: &Value) -> u64 {
    let rows = sample["sample"].as_array().unwrap();
    let row = rows.iter().find(|row| row["what"] == "of those on the list").unwrap();
    row["value"].as_u64().unwrap()
}

fn kinds(sightings: &[Value]) -> BTreeSet<&str> {
    sightings.iter().map(|sighting| sighting["card"]["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_processor_s_iso_8583_json_reaches_a_first_alert() {
    let Some(house) = House::new("processor") else { return };
    house.open("shop", "list.csv", "number");
    let sample = house.sampled();
    for field in
        ["card", "id", "at", "kind", "outcome", "amount", "currency", "merchant_mcc", "merchant_country"]
    {
        assert_eq!(row(&sample, field), (65, 65), "{field}");
    }
    assert_eq!(listed(&sample), 3);
    let (sightings, alerts) = house.first_alert();
    let alert = &alerts[0]["transaction"];
    assert_eq!((&alert["currency"], &alert["channel"]), (&"JPY".into(), &"ecom".into()));
    assert_eq!(alert["merchant"]["country"], "JP");
    assert!(alert["at"].as_str().unwrap().starts_with("2018-06-05T05:3"), "Tokyo's afternoon: {alert}");
    assert_eq!(kinds(&sightings), BTreeSet::from(["number"]));
    assert!(sightings.iter().all(|sighting| sighting.get("unreadable").is_none()), "{sightings:?}");
}

#[test]
fn a_provider_s_nested_events_reach_a_first_alert_and_find_the_card_behind_a_wallet() {
    let Some(house) = House::new("provider") else { return };
    house.open("shop", "list.csv", "number");
    let sample = house.sampled();
    for field in ["card", "at", "outcome", "amount", "channel", "initiation", "credential", "cvv", "expiry"] {
        let (found, parsed) = row(&sample, field);
        assert!(field == "cvv" || (found, parsed) == (65, 65), "{field}: {found} {parsed}");
    }
    let warnings = sample["warnings"].to_string();
    assert!(!warnings.contains("funding"), "{warnings}");
    let (sightings, alerts) = house.first_alert();
    assert_eq!(alerts[0]["card"]["references"]["account"], "A-0007");
    assert_eq!(kinds(&sightings), BTreeSet::from(["number", "funding_number"]));
    // One card is one key, whichever field it was found by.
    let of_wallet = sightings.iter().find(|sighting| sighting["card"]["kind"] == "funding_number").unwrap();
    assert_eq!(of_wallet["transaction"]["credential"], "wallet_token");
    let ids: BTreeSet<&str> = sightings.iter().map(|sighting| sighting["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), sightings.len(), "one sighting for each transaction");

    // Without the funding number those sightings would be missing, and check says so.
    let config =
        house.deployment.config() + &text("provider", "mapping.toml").replace("funding_number =", "# ");
    let program = ok(Program::with(&["check", "--sample", "500"]).config(&config));
    assert!(program.transcript().contains("map input.card.funding_number"), "{}", program.transcript());
}

#[test]
fn a_merchant_s_orders_reach_a_first_alert_by_token_and_account_reference() {
    let Some(house) = House::new("merchant") else { return };
    house.open("shop", "list.csv", "token");
    house.open("accounts", "accounts.csv", "account-reference");
    let sample = house.sampled();
    for field in ["card", "id", "at", "outcome", "amount", "currency", "credential", "references.customer"] {
        assert_eq!(row(&sample, field), (25, 25), "{field}");
    }
    let (sightings, alerts) = house.first_alert();
    assert_eq!(alerts[0]["card"]["references"]["customer"], "C-0007");
    assert_eq!(alerts[0]["transaction"]["merchant"]["id"], "web-shop");
    assert_eq!(kinds(&sightings), BTreeSet::from(["token", "account_reference"]));
}

#[test]
fn a_sample_says_where_it_was_read_and_joins_no_group() {
    let Some(house) = House::new("processor") else { return };
    let all = |arguments: &[&str]| {
        let words: Vec<&str> = ["--format", "json", "check"].iter().chain(arguments).copied().collect();
        let program = ok(house.command(&words));
        serde_json::from_str::<Value>(&program.stdout().join("\n")).unwrap()
    };
    let newest = all(&["--sample", "10"]);
    let earliest = all(&["--sample", "10", "--start", "earliest"]);
    let records = |sample: &Value| {
        let rows = sample["read"].as_array().unwrap();
        rows.iter().map(|row| row["records"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((records(&newest), records(&earliest)), (10, 10));
    assert!(earliest["read"].as_array().unwrap().iter().all(|row| row["from"] == 0));
    assert!(newest["read"].as_array().unwrap().iter().any(|row| row["from"] != 0), "{newest}");
    let topic = house.deployment.topic("transactions");
    for group in ["cardwatch-check", &house.deployment.group("sight")] {
        let committed = house.deployment.kafka.committed(group, &topic);
        assert!(committed.iter().all(|one| one.offset.is_none()), "{group}");
    }
    let nobody = house.command(&["check", "--sample", "10", "--start", "2100-01-01T00:00:00Z"]);
    fails(nobody, 65, &["holds no records to look at"]);
    let elsewhere = house.deployment.config().replace(&topic, "no-such-topic");
    fails(
        Program::with(&["check", "--sample", "1"]).config(&elsewhere),
        78,
        &["no-such-topic does not exist"],
    );
    let (ended, program) = house.command(&["check", "--start", "earliest"]).run(COMMAND);
    assert_eq!(ended, Ended::Code(64), "{}", program.transcript());
}
