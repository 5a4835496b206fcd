//! Webhooks over an office that knows one endpoint and repeats what it is asked for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::delivery::EndpointName;
use crate::domain::desk::Page;
use crate::domain::reconcile::{Again, DeliveryPlace, WalkPlace};
use crate::http::auth::{Caller, Role, Tokens};
use crate::http::webhooks::{Claimant, WebhookFault, WebhookOffice};
use crate::secret::Secret;

const ROOT: &str = "root-0123456789abcdef0123456789abcdef";
const ISSUER: &str = "issu-0123456789abcdef0123456789abcdef";

#[derive(Debug)]
struct Echo;

impl Echo {
    fn known(endpoint: &EndpointName, said: String) -> Result<Value, WebhookFault> {
        match endpoint.as_str() {
            "issuer" => Ok(json!({ "said": said })),
            "away" => Err(WebhookFault::Unavailable("the cluster is away".to_owned())),
            "full" => Err(WebhookFault::Refused("key_file", "four keys still sign".to_owned())),
            _ => Err(WebhookFault::NoSuchEndpoint),
        }
    }
}

impl WebhookOffice for Echo {
    fn list(&self) -> Result<Vec<Value>, WebhookFault> {
        Ok(vec![json!("issuer")])
    }

    fn show(&self, endpoint: &EndpointName) -> Result<Value, WebhookFault> {
        Echo::known(endpoint, "show".to_owned())
    }

    fn entries(
        &self,
        endpoint: &EndpointName,
        failed: bool,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Page<Value>, WebhookFault> {
        let said = Echo::known(endpoint, format!("{failed} {limit} {}", after.is_some()))?;
        Ok(Page { items: vec![said], next: None })
    }

    fn replay(
        &self,
        who: &Claimant<'_>,
        endpoint: &EndpointName,
        again: &Again,
    ) -> Result<Value, WebhookFault> {
        match again {
            Again::One(id) if id.starts_with("bat_") => Err(WebhookFault::NoSuchAlert),
            again => Echo::known(endpoint, format!("{} {:?} {again:?}", who.caller.name, who.claimed)),
        }
    }

    fn switch(&self, _: &Claimant<'_>, endpoint: &EndpointName, on: bool) -> Result<Value, WebhookFault> {
        Echo::known(endpoint, format!("switch {on}"))
    }

    fn test(&self, _: &Caller, endpoint: &EndpointName) -> Result<Value, WebhookFault> {
        Echo::known(endpoint, "test".to_owned())
    }

    fn rotate(
        &self,
        _: &Claimant<'_>,
        endpoint: &EndpointName,
        keep: Duration,
    ) -> Result<Value, WebhookFault> {
        Echo::known(endpoint, format!("rotate {}", keep.as_secs()))
    }

    fn missed(
        &self,
        endpoint: &EndpointName,
        since: Timestamp,
        until: Option<Timestamp>,
        after: Option<WalkPlace>,
        limit: usize,
    ) -> Result<Value, WebhookFault> {
        Echo::known(endpoint, format!("{since} {} {} {limit}", until.is_some(), after.is_some()))
    }
}

fn office() -> Running {
    let token = |name: &str, role, endpoints: &[&str], secret: &str| {
        let endpoints = endpoints.iter().map(|name| name.parse().unwrap()).collect();
        (Caller { name: name.to_owned(), role, endpoints }, Secret::new(secret.as_bytes().to_vec()))
    };
    let tokens =
        vec![token("root", Role::Admin, &[], ROOT), token("issuer", Role::Receive, &["issuer"], ISSUER)];
    let api =
        Api::new(Tokens::new(tokens).unwrap()).with(crate::http::webhooks::routes(Some(Arc::new(Echo))));
    serving(Some(api))
}

/// Status and answer of a request; with a body it is a POST.
fn ask(running: &Running, token: &str, path: &str, body: Option<(&str, &str)>) -> (u16, String) {
    let request = ureq::http::Request::builder()
        .uri(format!("http://{}{path}", running.server.address()))
        .header("authorization", format!("Bearer {token}"));
    let mut response = match body {
        Some((kind, body)) => {
            let request = request.method("POST").header("content-type", kind);
            agent().run(request.body(body.to_owned()).unwrap()).unwrap()
        }
        None => agent().run(request.body(()).unwrap()).unwrap(),
    };
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn what_is_asked_of_webhooks_is_read_strictly_and_repeated_nowhere() {
    let running = office();
    let walk = WalkPlace { partition: 0, offset: None, until: Timestamp(1) }.cursor();
    let place = DeliveryPlace { at: Timestamp(1), id: "alr_x-1".to_owned(), partition: 0 }.cursor();
    let since = "since=2026-01-01T00:00:00Z";
    for (path, status, part) in [
        ("/v1/webhooks".to_owned(), 200, r#"{"items":["issuer"]}"#),
        ("/v1/webhooks?4242424242424242=1".to_owned(), 400, "parameter"),
        ("/v1/webhooks/issuer".to_owned(), 200, "show"),
        ("/v1/webhooks/nobody".to_owned(), 404, "no_such_endpoint"),
        ("/v1/webhooks/4242%204242".to_owned(), 404, "no_such_endpoint"),
        ("/v1/webhooks/%ff".to_owned(), 404, "no_such_endpoint"),
        ("/v1/webhooks/away".to_owned(), 503, "unavailable"),
        ("/v1/webhooks/issuer/pending".to_owned(), 200, "false 50 false"),
        (format!("/v1/webhooks/issuer/failed?limit=500&cursor={place}"), 200, "true 500 true"),
        (format!("/v1/webhooks/issuer/failed?cursor={walk}"), 400, "parameter"),
        ("/v1/webhooks/issuer/failed?limit=501".to_owned(), 400, "parameter"),
        (format!("/v1/deliveries?endpoint=issuer&{since}"), 200, "2026-01-01T00:00:00.000Z false false 50"),
        (
            format!("/v1/deliveries?endpoint=issuer&{since}&until=2026-02-01T00:00:00Z&cursor={walk}"),
            200,
            "true true",
        ),
        (format!("/v1/deliveries?endpoint=issuer&{since}&cursor={place}"), 400, "parameter"),
        (format!("/v1/deliveries?{since}"), 400, "name the endpoint"),
        ("/v1/deliveries?endpoint=issuer".to_owned(), 400, "since when"),
        (format!("/v1/deliveries?endpoint=4242+4242&{since}"), 400, "parameter"),
        (format!("/v1/deliveries?endpoint=nobody&{since}"), 404, "no_such_endpoint"),
    ] {
        let (found, answer) = ask(&running, ROOT, &path, None);
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer.contains(part) && !answer.contains("4242"), "{path}: {answer}");
        assert!(!answer.contains("is away"), "the cause is for the log: {answer}");
    }
    for (endpoint, status, code) in
        [("issuer", 200, "said"), ("nobody", 403, "endpoint"), ("away", 403, "endpoint")]
    {
        let (found, answer) =
            ask(&running, ISSUER, &format!("/v1/deliveries?endpoint={endpoint}&{since}"), None);
        assert_eq!(found, status, "{endpoint}");
        assert!(answer.contains(code), "{answer}");
    }
}

#[test]
fn an_act_says_what_it_wants_and_nothing_else() {
    let running = office();
    let json = "application/json";
    let large = format!("{{\"as\": \"{}\"}}", "4242".repeat(3_000));
    for (path, (kind, body), status, part) in [
        ("issuer/replay", (json, r#"{"failed": true}"#), 202, "root None Failed"),
        ("issuer/replay", (json, r#"{"id": "alr_x-1", "as": "Anna"}"#), 202, r#"Some(\"Anna\") One"#),
        ("issuer/replay", (json, r#"{"id": "bat_00"}"#), 404, "no_such_alert"),
        ("issuer/replay", (json, r#"{"since": "2026-01-01T00:00:00Z"}"#), 202, "until: None"),
        (
            "issuer/replay",
            (json, r#"{"since": "2026-01-01T00:00:00Z", "until": "4242"}"#),
            400,
            "until must be",
        ),
        ("issuer/replay", (json, r#"{"until": "2026-01-01T00:00:00Z"}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"failed": true, "since": "2026-01-01T00:00:00Z"}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"failed": false}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"failed": null}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"id": "4242424242424242"}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"failed": true, "as": "4242 4242 4242 4242"}"#), 400, "malformed"),
        ("issuer/replay", (json, r#"{"failed": true, "4242": 1}"#), 400, "malformed"),
        ("issuer/replay", (json, ""), 400, "malformed"),
        ("issuer/replay", ("text/plain", r#"{"failed": true}"#), 415, "media_type"),
        ("issuer/replay", (json, large.as_str()), 413, "too_large"),
        ("issuer/enable", (json, ""), 200, "switch true"),
        ("issuer/disable", (json, r#"{"as": "Ops"}"#), 200, "switch false"),
        ("issuer/disable", (json, "null"), 400, "malformed"),
        ("issuer/test", (json, "{}"), 200, "test"),
        ("issuer/rotate", (json, "{}"), 200, "rotate 86400"),
        ("issuer/rotate", (json, r#"{"keep_seconds": 60}"#), 200, "rotate 60"),
        ("issuer/rotate", (json, r#"{"keep_seconds": 7776001}"#), 400, "keep_seconds"),
        ("full/rotate", (json, "{}"), 409, "key_file"),
        ("nobody/rotate", (json, "{}"), 404, "no_such_endpoint"),
        ("issuer", (json, "{}"), 405, "method"),
    ] {
        let (found, answer) = ask(&running, ROOT, &format!("/v1/webhooks/{path}"), Some((kind, body)));
        assert_eq!(found, status, "{path} {body}: {answer}");
        assert!(answer.contains(part) && !answer.contains("4242"), "{path} {body}: {answer}");
    }
}
