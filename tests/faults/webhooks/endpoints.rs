//! Twenty endpoints: thirteen that take what they are told, in every form and with every kind of filter, and seven that
//! misbehave, each in its own way.

use serde_json::Value;

use crate::support::balance::{Endpoint, Form};
use crate::support::receiver::Behaviour;

/// Every sighting is an alert; what it is about decides its severity, and so which endpoints want it.
pub(super) const RULES: &str = r#"
[[rule]]
name = "every"
when = "true"
score = 50
text = "a sighting"

[[rule]]
name = "dear"
when = "amount >= 5000"
score = 50
text = "a dear one"
"#;

/// A body of somebody's own.
pub(super) const TEMPLATE: &str =
    r#"{"id": {{ alert.id }}, "revision": {{ alert.revision }}, "text": {{ alert.title }}}"#;

/// An endpoint, and how its receiver is and behaves.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) endpoint: Endpoint,
    /// In which form it is told.
    pub(super) form: Form,
    /// What its configuration has beside what all have.
    pub(super) own: &'static str,
    /// How it behaves.
    pub(super) behaviour: Behaviour,
}

fn all(_: &Value) -> bool {
    true
}

fn high(alert: &Value) -> bool {
    alert["severity"] == "high"
}

fn online(alert: &Value) -> bool {
    alert["transaction"]["channel"] == "ecom"
}

fn dear(alert: &Value) -> bool {
    alert["reasons"].as_array().is_some_and(|reasons| reasons.iter().any(|reason| reason["rule"] == "dear"))
}

fn decided(alert: &Value) -> bool {
    alert["revision"].as_u64() >= Some(2)
}

fn kind(name: &'static str, form: Form, wants: fn(&Value) -> bool, own: &'static str) -> Kind {
    let batches = own.contains("batch_max");
    let endpoint = Endpoint { name, healthy: true, batches, wants };
    Kind { endpoint, form, own, behaviour: Behaviour::status(200) }
}

impl Kind {
    /// As long as the test says nothing else, it hangs.
    pub(super) fn hanging(self) -> Kind {
        self.but(Behaviour::Hang)
    }

    /// As long as the test says nothing else, it refuses.
    pub(super) fn refusing(self) -> Kind {
        self.but(Behaviour::status(500))
    }

    fn but(mut self, behaviour: Behaviour) -> Kind {
        self.endpoint.healthy = false;
        self.behaviour = behaviour;
        self
    }
}

/// An endpoint that takes every alert by itself, for a scenario of one.
pub(super) fn plain() -> Kind {
    kind("plain", Form::Alert, all, "")
}

/// An endpoint that takes batches, for a scenario of one.
pub(super) fn batching() -> Kind {
    kind("batching", Form::Alerts, all, "batch_max = 10\nbatch_wait = \"10m\"")
}

/// The thirteen that take what they are told.
fn healthy() -> [Kind; 13] {
    const EVENTS: &str = "body = \"cloudevents\"";
    const PAGES: &str = "body = \"alertmanager\"";
    [
        kind("alerts", Form::Alert, all, ""),
        kind("alerts-slowly", Form::Alert, all, "concurrency = 1"),
        kind("events", Form::Event, all, EVENTS),
        kind("pages", Form::Notification, all, PAGES),
        kind("own-words", Form::Alert, all, "body = \"template\"\ntemplate_file = \"hook.jinja\""),
        kind("high", Form::Alert, high, "severity_at_least = \"high\""),
        kind("online", Form::Alert, online, "when = 'channel == \"ecom\"'"),
        kind("dear", Form::Event, dear, "body = \"cloudevents\"\nrules = [\"dear\"]"),
        kind("decided", Form::Alert, decided, "when = 'revision >= 2'"),
        kind("batches", Form::Alerts, all, "batch_max = 50\nbatch_wait = \"1s\""),
        kind(
            "event-batches",
            Form::Events,
            all,
            "body = \"cloudevents\"\nbatch_max = 20\nbatch_wait = \"10m\"",
        ),
        kind(
            "page-batches",
            Form::Notification,
            all,
            "body = \"alertmanager\"\nbatch_max = 100\nbatch_wait = \"5s\"",
        ),
        kind(
            "high-batches",
            Form::Alerts,
            high,
            "severity_at_least = \"high\"\nbatch_max = 7\nbatch_wait = \"0s\"",
        ),
    ]
}

/// The seven that misbehave. One takes everything in the end, one all but a few, and the others nothing.
fn misbehaving() -> [Kind; 7] {
    let turns = vec![
        Behaviour::status(500),
        Behaviour::Answer(302, vec![("location", "/elsewhere".to_owned())]),
        Behaviour::Close,
        Behaviour::CloseInHead,
        Behaviour::Garbage,
    ];
    // An answer counts once its head is there: of these two are taken, and cost a connection each.
    let endless = vec![Behaviour::LargeHeader(200_000), Behaviour::Endless, Behaviour::CloseInBody];
    let later = Behaviour::Answer(429, vec![("retry-after", "900".to_owned())]);
    [
        kind(
            "hangs",
            Form::Alerts,
            all,
            "timeout = \"1s\"\ndisable_after = \"2h\"\nbatch_max = 20\nbatch_wait = \"1s\"",
        )
        .but(Behaviour::Hang),
        kind("drips", Form::Alert, high, "timeout = \"1s\"\nseverity_at_least = \"high\"")
            .but(Behaviour::DripHead),
        kind("endless", Form::Event, online, "body = \"cloudevents\"\nwhen = 'channel == \"ecom\"'")
            .but(Behaviour::Turns(endless)),
        kind("breaks", Form::Alerts, all, "batch_max = 10\nbatch_wait = \"1s\"").but(Behaviour::Turns(turns)),
        kind("busy", Form::Alert, high, "severity_at_least = \"high\"").but(later),
        kind("gone", Form::Notification, all, "body = \"alertmanager\"\nbatch_max = 50\nbatch_wait = \"1s\"")
            .but(Behaviour::status(410)),
        kind("picky", Form::Alert, all, "schedule = [\"0s\", \"5s\", \"30s\", \"2m\", \"5m\"]")
            .but(Behaviour::Picky(50)),
    ]
}

/// All twenty.
pub(super) fn twenty() -> Vec<Kind> {
    healthy().into_iter().chain(misbehaving()).collect()
}
