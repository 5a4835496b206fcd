//! Claims about bodies. Whole ones stand in `golden/`; `GOLDEN=write` writes them anew, to be looked at.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codec::generate;
use crate::codec::wire::{ALERT_SCHEMA_JSON, encode_alert};
use crate::domain::alert::State;
use crate::domain::outcome::{By, Decision, Verdict};
use crate::notice::samples::{bare, full, test_alert};

const DOCS: &str = include_str!("../../../docs/webhooks.md");
const EVERYTHING: Show = Show { references: true, merchant: true, amount: true };

/// The bodies of the endpoint `desk`.
fn bodies(shape: &Shape, alerts: &[Alert], is_batch: bool, show: Show) -> Body {
    let endpoint = "desk".parse().unwrap();
    let link = Link::parse("https://desk.example/a/{alert}?i={incident}").unwrap();
    let context = Context { endpoint: &endpoint, show, link: Some(&link) };
    let jsons: Vec<Vec<u8>> = alerts.iter().map(|alert| encode_alert(alert).unwrap()).collect();
    let told: Vec<Told<'_>> = alerts.iter().zip(&jsons).map(|(alert, json)| Told { alert, json }).collect();
    let message = if is_batch { Message::Batch(&told) } else { Message::One(told[0]) };
    shape.render(message, &context).unwrap()
}

fn value(body: &Body) -> Value {
    serde_json::from_slice(&body.bytes).unwrap()
}

/// The body is what stands in the file.
fn golden(name: &str, body: &Body) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/notice/body/golden").join(name);
    let text = serde_json::to_string_pretty(&value(body)).unwrap() + "\n";
    #[allow(clippy::disallowed_methods, reason = "a switch of this test, and no setting of the program")]
    let rewrite = std::env::var("GOLDEN").is_ok_and(|word| word == "write");
    if rewrite {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}");
}

/// The template of the documentation under this heading.
fn documented(heading: &str) -> Shape {
    let (_, after) = DOCS.split_once(&format!("### {heading}\n")).unwrap();
    let (_, block) = after.split_once("```jinja\n").unwrap();
    let (text, _) = block.split_once("```").unwrap();
    Shape::Template(Box::new(Template::new(text, "application/json").unwrap()))
}

fn closed() -> Alert {
    let decision = Decision {
        verdict: Verdict::Fraud,
        at: "2018-06-05T06:00:00Z".parse().unwrap(),
        by: By::unsaid(),
        note: None,
    };
    Alert { state: State::Closed, revision: 2, outcome: Some(decision), ..full() }
}

#[test]
fn the_alert_itself_is_the_bytes_of_its_record_alone_and_in_a_batch() {
    let record = encode_alert(&full()).unwrap();
    let body = bodies(&Shape::Alert, &[full()], false, Show::default());
    assert_eq!((body.content_type.as_str(), &body.bytes), ("application/json", &record));
    let batch = bodies(&Shape::Alert, &[full(), bare()], true, Show::default());
    let want = [
        &b"{\"schema\":\"cardwatch.alerts/1\",\"alerts\":["[..],
        &record,
        b",",
        &encode_alert(&bare()).unwrap(),
        b"]}",
    ];
    assert_eq!(batch.bytes, want.concat());
}

#[test]
fn cloudevents_have_the_attributes_of_the_headers_and_the_record_as_data() {
    for alert in [full(), closed()] {
        let body = bodies(&Shape::CloudEvents, std::slice::from_ref(&alert), false, Show::default());
        assert_eq!(body.content_type, "application/cloudevents+json");
        let event = value(&body);
        for (name, header) in cloudevents::of_alert(&alert, None) {
            let attribute = match name.as_str() {
                "content-type" => "datacontenttype",
                name => name.strip_prefix("ce_").unwrap(),
            };
            assert_eq!(event[attribute].as_str().unwrap().as_bytes(), header, "{name}");
        }
        let record = encode_alert(&alert).unwrap();
        assert!(body.bytes.windows(record.len()).any(|window| window == record));
    }
    let batch = bodies(&Shape::CloudEvents, &[full()], true, Show::default());
    assert_eq!(batch.content_type, "application/cloudevents-batch+json");
    assert_eq!(value(&batch).as_array().unwrap().len(), 1);
}

#[test]
fn whole_bodies_are_those_of_the_golden_files() {
    for (name, shape) in [
        ("slack", Shape::Slack),
        ("alertmanager", Shape::Alertmanager),
        ("teams", documented("Microsoft Teams")),
        ("pagerduty", documented("PagerDuty")),
    ] {
        golden(&format!("{name}.json"), &bodies(&shape, &[full()], false, Show::default()));
        golden(&format!("{name}-everything.json"), &bodies(&shape, &[full()], false, EVERYTHING));
        golden(&format!("{name}-closed.json"), &bodies(&shape, &[closed()], false, Show::default()));
    }
    for (name, shape) in [("slack", Shape::Slack), ("alertmanager", Shape::Alertmanager)] {
        golden(&format!("{name}-batch.json"), &bodies(&shape, &[full(), closed(), bare()], true, EVERYTHING));
    }
}

#[test]
fn chats_carry_nothing_of_card_merchant_amount_or_owner_unless_switched_on() {
    let shapes = [Shape::Slack, Shape::Alertmanager, documented("Microsoft Teams"), documented("PagerDuty")];
    let mut alert = full();
    alert.card.fingerprint = crate::domain::card::Fingerprint([0xab; 32]);
    for shape in shapes {
        let body = bodies(&shape, std::slice::from_ref(&alert), false, Show::default());
        let text = String::from_utf8(body.bytes).unwrap();
        for secret in
            ["abab", "Shop", "5732", "129.80", "12980", "USD", "C-", "4 uses", "t-1", "m-1", "Tokyo"]
        {
            assert!(!text.contains(secret), "{}: {secret}", shape.name());
        }
        for needed in [&alert.id, "shop-2018", "high", "card-testing", "https://desk.example/a/alr_"] {
            assert!(text.contains(needed), "{}: {needed}", shape.name());
        }
        let everything = bodies(&shape, std::slice::from_ref(&alert), false, EVERYTHING);
        assert!(!String::from_utf8(everything.bytes).unwrap().contains("abab"), "{}", shape.name());
    }
}

#[test]
fn the_new_bodies_fit_their_schemas() {
    let schema: Value = serde_json::from_str(HEARTBEAT_SCHEMA_JSON).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let endpoint: EndpointName = "desk".parse().unwrap();
    let context = Context { endpoint: &endpoint, show: Show::default(), link: None };
    for newest_transaction in [None, Some(Timestamp(1))] {
        let heartbeat = Heartbeat {
            endpoint: endpoint.clone(),
            at: Timestamp(2),
            newest_transaction,
            transactions: 3,
            sightings: 2,
            alerts: 1,
            owed: 0,
        };
        let render = |shape: &Shape| value(&shape.render(Message::Heartbeat(&heartbeat), &context).unwrap());
        let body = render(&Shape::Alert);
        assert!(validator.is_valid(&body), "{body}");
        for name in body.as_object().unwrap().keys() {
            let mut changed = body.clone();
            changed.as_object_mut().unwrap().remove(name);
            assert!(!validator.is_valid(&changed), "without {name}");
        }
        assert_eq!(render(&Shape::CloudEvents)["data"], body);
        assert!(
            render(&Shape::Slack)["text"].as_str().unwrap().contains("3 transactions, 2 sightings, 1 alerts")
        );
        assert_eq!(render(&Shape::Alertmanager)["alerts"][0]["labels"]["alertname"], "CardwatchHeartbeat");
    }
    let alert: Value = serde_json::from_str(ALERT_SCHEMA_JSON).unwrap();
    let alerts: Value = serde_json::from_str(ALERTS_SCHEMA_JSON).unwrap();
    let registry =
        jsonschema::Registry::new().add("urn:cardwatch.alert:1", alert).unwrap().prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(&alerts).unwrap();
    let batch = value(&bodies(&Shape::Alert, &[full(), test_alert(Timestamp(5), 7)], true, Show::default()));
    assert!(validator.is_valid(&batch));
    assert!(!validator.is_valid(&json!({ "schema": ALERTS_SCHEMA, "alerts": [{}] })));
}

#[test]
fn a_test_says_so_in_every_shape_and_is_like_no_other() {
    let alert = test_alert(Timestamp(5), 7);
    for shape in [
        Shape::Alert,
        Shape::CloudEvents,
        Shape::Slack,
        Shape::Alertmanager,
        documented("Microsoft Teams"),
        documented("PagerDuty"),
    ] {
        let text = bodies(&shape, std::slice::from_ref(&alert), false, Show::default()).bytes;
        assert!(String::from_utf8(text).unwrap().contains("TEST"), "{}", shape.name());
    }
    assert_ne!(alert.id, test_alert(Timestamp(5), 9).id);
    assert_ne!(alert.id, test_alert(Timestamp(6), 7).id);
}

#[test]
fn a_template_that_would_fail_is_refused_with_its_line() {
    for (text, want) in [
        ("{\n  \"a\": {{ alert.nothing }}\n}", "line 2: names a value that there is not"),
        ("{\n\n  \"a\": {{ merchant }} }", "line 3: names a value that there is not"),
        ("{ \"a\": \n{% if %} }", "line 2: syntax error"),
        ("{ \"a\": \"{{ alert.id }}\" }", "what it makes is not JSON"),
        ("{ \"a\": {{ alert.merchant.name }} }", "line 1: names a value that there is not"),
        ("{ \"a\": {{ alert.id | safe }} }", "line 1: unknown filter"),
        (
            "{% for a in range(10000) %}{% for b in range(10000) %} {% endfor %}{% endfor %}1",
            "takes too many steps",
        ),
        ("{% include \"other\" %}", "line 1: "),
    ] {
        let error = Template::new(text, "application/json").unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
    }
    for content_type in ["", "json", "a/b\r\nx: y", "text/"] {
        assert!(Template::new("x", content_type).is_err(), "{content_type:?}");
    }
    let plain = Template::new("{{ alert.id }} & {{ alert.title }}", "text/plain; charset=utf-8").unwrap();
    let body = bodies(&Shape::Template(Box::new(plain)), &[full()], false, Show::default());
    assert_eq!(body.content_type, "text/plain; charset=utf-8");
    assert!(String::from_utf8(body.bytes).unwrap().starts_with("alr_"));
}

#[test]
fn links_hold_their_values_encoded_and_nothing_else() {
    let mut alert = full();
    alert.id = "a/b c&d?<ü>".to_owned();
    let link = Link::parse("https://desk.example/x/{alert}#{incident}").unwrap();
    assert_eq!(link.of(&alert), "https://desk.example/x/a%2Fb%20c%26d%3F%3C%C3%BC%3E#shop-2018");
    assert_eq!(link.origin(), "https://desk.example");
    for bad in [
        "ftp://x/",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://{alert}/",
        "https://user@host/",
        "https://x/{card}",
        "https://x/{alert",
        "https://x/alert}",
        "https://x/ y",
        "https://x/<y>",
        "https://x/a|b",
    ] {
        assert!(Link::parse(bad).is_err(), "{bad}");
    }
}

/// Every text of a message of Slack, with its type.
fn texts(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            if let (Some(kind), Some(text)) =
                (members.get("type"), members.get("text").and_then(Value::as_str))
            {
                found.push((kind.as_str().unwrap().to_owned(), text.to_owned()));
            }
            members.values().for_each(|member| texts(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[test]
fn the_largest_batch_fits_into_one_message_and_names_every_alert() {
    let incident = "i".repeat(64).parse().unwrap();
    let alerts: Vec<Alert> = (0..BATCH_ALERTS_MAX)
        .map(|n| {
            let mut alert = full();
            alert.id = format!("alr_{n:026}");
            alert.incidents[0].id = std::clone::Clone::clone(&incident);
            alert
        })
        .collect();
    let body = bodies(&Shape::Slack, &alerts, true, EVERYTHING);
    let message = value(&body);
    assert!(message["blocks"].as_array().unwrap().len() <= 50);
    let text = String::from_utf8(body.bytes).unwrap();
    assert!(alerts.iter().all(|alert| text.contains(&alert.id)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_of_the_stream_becomes_markup_or_breaks_a_limit(
        alert in generate::alert(), name in "[<>!@#*_~`|&\\n a-zß\u{202e}]{0,256}", reference in ".{0,60}", rule in "[<>`*|a-z!]{1,300}",
    ) {
        let mut alert = alert;
        alert.transaction.merchant.name = Some(name);
        let _ = alert.card.references.insert("extra", &reference);
        alert.reasons.iter_mut().for_each(|reason| reason.rule.clone_from(&rule));
        let told = [alert.clone(), alert];
        for alerts in [&told[..1], &told[..]] {
            let message = value(&bodies(&Shape::Slack, alerts, true, EVERYTHING));
            let mut found = Vec::new();
            texts(&message, &mut found);
            found.push(("text".to_owned(), message["text"].as_str().unwrap().to_owned()));
            for (kind, text) in found {
                prop_assert!(text.chars().count() <= 3000 && !text.is_empty(), "{text}");
                // The only angle brackets are those of our own link.
                let bare = text.replace("<https://desk.example/a/alr_", "");
                let (open, close) = (bare.matches('<').count(), text.matches("<https://desk.example/a/alr_").count());
                prop_assert_eq!(open, 0, "{}", text);
                prop_assert!(kind == "mrkdwn" || close == 0);
                prop_assert!(bare.matches('>').count() <= close, "{text}");
                prop_assert!(!text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").contains('&'), "{text}");
                prop_assert!(!text.chars().any(|c| c == char::from_u32(0x202e).unwrap()));
            }
            for shape in [Shape::Alertmanager, documented("Microsoft Teams"), documented("PagerDuty")] {
                bodies(&shape, alerts, true, EVERYTHING);
            }
        }
    }
}
