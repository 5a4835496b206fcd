//! Incidents over books that know one of them.

use serde_json::{Value, json};

use super::desk::{send, serving_both};
use super::*;
use crate::domain::incident::IncidentId;
use crate::http::incidents::{BooksFault, IncidentBooks};

/// Knows the incident `shop`, and cannot report on it.
#[derive(Debug)]
struct Shop {
    loaded: bool,
}

impl IncidentBooks for Shop {
    fn is_loaded(&self) -> bool {
        self.loaded
    }

    fn list(&self, open: Option<bool>) -> Value {
        json!({ "asked": open })
    }

    fn show(&self, id: &IncidentId) -> Result<Value, BooksFault> {
        match id.as_str() {
            "shop" => Ok(json!({ "id": id })),
            _ => Err(BooksFault::NoSuchIncident),
        }
    }

    fn report(&self, id: &IncidentId) -> Result<Value, BooksFault> {
        self.show(id)?;
        Err(BooksFault::Unavailable("the cluster is away".to_owned()))
    }
}

#[test]
fn incidents_are_answered_from_the_books_and_nothing_else() {
    let books = |loaded| serving_both(None, Some(Arc::new(Shop { loaded })));
    let (none, loading, shop) = (serving_both(None, None), books(false), books(true));
    for path in ["/v1/incidents", "/v1/incidents/shop", "/v1/incidents/shop/report"] {
        let (status, problem) = send(&none, "GET", path, None);
        assert_eq!((status, problem["code"].as_str()), (503, Some("unavailable")), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("line `books`"), "{problem}");
        let (status, problem) = send(&loading, "GET", path, None);
        assert_eq!(status, 503, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("try again"), "{problem}");
    }
    for (path, status, part) in [
        ("/v1/incidents", 200, r#"{"asked":null}"#),
        ("/v1/incidents?state=open", 200, r#"{"asked":true}"#),
        ("/v1/incidents?state=closed", 200, r#"{"asked":false}"#),
        ("/v1/incidents?state=4242424242424242", 400, "open or closed"),
        ("/v1/incidents?4242424242424242=1", 400, "parameter"),
        ("/v1/incidents/shop", 200, r#"{"id":"shop"}"#),
        ("/v1/incidents/mall", 404, "no_such_incident"),
        ("/v1/incidents/4242%204242", 404, "no_such_incident"),
        ("/v1/incidents/%ff", 404, "no_such_incident"),
        ("/v1/incidents/mall/report", 404, "no_such_incident"),
        ("/v1/incidents/shop/report", 503, "unavailable"),
    ] {
        let (found, answer) = send(&shop, "GET", path, None);
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer.to_string().contains(part), "{path}: {answer}");
        assert!(!answer.to_string().contains("4242") && !answer.to_string().contains("away"), "{answer}");
    }
    assert_eq!(send(&shop, "POST", "/v1/incidents", Some("{}")).0, 405);
}
