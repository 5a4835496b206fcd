//! Alerts and outcomes over a desk that does nothing but answer, and the description beside the routes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::*;
use crate::domain::alert::Alert;
use crate::domain::desk::{AlertKey, Order, Page, Place, Query, Summary};
use crate::domain::outcome::{Decision, Outcome, Subject};
use crate::http::alerts::{AlertDesk, DeskFault, SharedDesk};
use crate::http::auth::{Caller, Role, Tokens};
use crate::http::incidents::{self, SharedBooks};
use crate::secret::Secret;

const TOKEN: &str = "desk-0123456789abcdef0123456789abcdef";

/// Knows no alert, and takes every decision.
#[derive(Debug, Default)]
struct Empty {
    loaded: AtomicBool,
}

impl AlertDesk for Empty {
    fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Relaxed)
    }

    fn list(&self, _: &Query, _: Order, _: Option<&Place>, _: usize) -> Page<Summary> {
        Page { items: Vec::new(), next: None }
    }

    fn revisions(&self, _: AlertKey) -> Result<Vec<Alert>, DeskFault> {
        Ok(Vec::new())
    }

    fn alert(&self, _: AlertKey) -> Result<Alert, DeskFault> {
        Err(DeskFault::Unavailable("the cluster is away".to_owned()))
    }

    fn outcomes(&self, _: Option<&Subject>, _: Option<i64>, _: usize) -> Page<Outcome> {
        Page { items: Vec::new(), next: None }
    }

    fn decide(&self, _: &Caller, subject: Subject, decision: Decision) -> Result<Outcome, DeskFault> {
        Ok(Outcome { subject, decision, about: None })
    }
}

fn desk(desk: Option<Arc<dyn AlertDesk>>) -> Running {
    serving_both(desk, None)
}

/// A server with this desk and these books.
pub(super) fn serving_both(desk: SharedDesk, books: SharedBooks) -> Running {
    let caller = Caller { name: "anna".to_owned(), role: Role::Decide, endpoints: Default::default() };
    let tokens = Tokens::new(vec![(caller, Secret::new(TOKEN.as_bytes().to_vec()))]).unwrap();
    let api = Api::new(tokens).with(alerts::routes(desk)).with(incidents::routes(books));
    serving(Some(api.with(crate::http::webhooks::routes(None))))
}

pub(super) fn send(running: &Running, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", running.server.address()))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    let mut response = match body {
        Some(body) => agent().run(request.body(body.to_owned()).unwrap()).unwrap(),
        None => agent().run(request.body(()).unwrap()).unwrap(),
    };
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[test]
fn a_desk_that_is_not_there_or_not_loaded_says_so() {
    let id = format!("/v1/alerts/alr_{}", "a".repeat(26));
    let none = desk(None);
    let (status, problem) = send(&none, "GET", "/v1/alerts", None);
    assert_eq!((status, problem["code"].as_str()), (503, Some("unavailable")));
    assert!(problem["detail"].as_str().unwrap().contains("books"), "{problem}");
    let empty = Arc::new(Empty::default());
    let loading = desk(Some(Arc::clone(&empty) as Arc<dyn AlertDesk>));
    assert_eq!(send(&loading, "GET", "/v1/outcomes", None).0, 503);
    empty.loaded.store(true, Ordering::Relaxed);
    assert_eq!(send(&loading, "GET", "/v1/outcomes", None).0, 200);
    let (status, problem) = send(&loading, "GET", &id, None);
    assert_eq!(status, 503);
    assert!(!problem.to_string().contains("the cluster is away"), "the cause is for the log: {problem}");
    assert_eq!(send(&loading, "GET", &format!("{id}/revisions"), None).0, 404);
}

#[test]
fn a_request_is_read_strictly_and_repeated_nowhere() {
    let running = desk(Some(Arc::new(Empty { loaded: AtomicBool::new(true) })));
    let (alr, sgt) = (format!("alr_{}", "a".repeat(26)), format!("sgt_{}", "a".repeat(26)));
    let long = "n".repeat(1_001);
    for (body, status) in [
        (format!(r#"{{"alert":"{alr}","verdict":"fraud"}}"#), 200),
        (format!(r#"{{"sighting":"{sgt}","verdict":"genuine","note":" "}}"#), 200),
        (r#"{"transaction":"4242424242424242x","verdict":"unknown","as":"Anna"}"#.to_owned(), 200),
        (format!(r#"{{"alert":"{sgt}","verdict":"fraud"}}"#), 400),
        (format!(r#"{{"alert":"{alr}","verdict":"fraud","note":"{long}"}}"#), 400),
        (format!(r#"{{"alert":"{alr}","verdict":"fraud","note":"4242 4242 4242 4242"}}"#), 400),
        (format!(r#"{{"alert":"{alr}","verdict":"fraud","as":"4242 4242 4242 4242"}}"#), 400),
        (format!(r#"{{"alert":"{alr}"}}"#), 400),
        (r#"{"verdict":"fraud"}"#.to_owned(), 400),
        ("4242424242424242".to_owned(), 400),
        (String::new(), 400),
        (format!("\"{}\"", "4242".repeat(10_000)), 413),
    ] {
        let (found, answer) = send(&running, "POST", "/v1/outcomes", Some(&body));
        assert_eq!(found, status, "{body}: {answer}");
        assert!(status == 200 || !answer.to_string().contains("4242"), "{answer}");
    }
    for (path, status) in [
        ("/v1/alerts?state=open,closed&state=escalated&severity=low&order=costliest&limit=500", 200),
        ("/v1/alerts?since=0001-01-01T00:00:00Z&until=2026-01-01T00:00:00%2B09:00", 200),
        ("/v1/alerts?limit=501", 400),
        ("/v1/alerts?limit=1&limit=2", 400),
        ("/v1/alerts?cursor=4242424242424242", 400),
        ("/v1/alerts?4242424242424242=1", 400),
        ("/v1/alerts?card=4242424242424242", 400),
        ("/v1/alerts/4242424242424242", 404),
        ("/v1/alerts/%ff", 404),
        ("/v1/outcomes?subject=x", 400),
        ("/v1/outcomes?cursor=-1", 400),
    ] {
        let (found, answer) = send(&running, "GET", path, None);
        assert_eq!(found, status, "{path}: {answer}");
        assert!(!answer.to_string().contains("4242"), "{answer}");
    }
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let running = desk(Some(Arc::new(Empty { loaded: AtomicBool::new(true) })));
    let (status, document) = send(&running, "GET", "/v1/openapi.json", None);
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let path =
                path.replace("{id}", &format!("alr_{}", "a".repeat(26))).replace("{endpoint}", "issuer");
            let (status, answer) = send(&running, &method.to_uppercase(), &path, None);
            let nothing = status == 405 || answer["code"] == "not_found";
            assert!(!nothing, "{method} {path} is described, and there is no such route: {answer}");
        }
    }
    let mut routes = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")).unwrap().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        for route in text.split(".route(\"").skip(1) {
            let path = route.split('"').next().unwrap();
            assert!(paths.contains_key(path), "{path} is a route and not described in config/openapi.json");
            routes.insert(path.to_owned());
        }
    }
    assert_eq!(routes.len(), paths.len());
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn check(node: &Value, document: &Value) {
        match node {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                members.values().for_each(|node| check(node, document));
            }
            Value::Array(items) => items.iter().for_each(|node| check(node, document)),
            _ => {}
        }
    }
    let document = openapi::document();
    check(&document, &document);
    assert!(document.pointer("/components/schemas/Alert/properties/outcome").is_some());
    assert!(document.pointer("/components/schemas/Outcome.time").is_some());
}
