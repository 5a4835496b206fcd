//! `GET /v1/openapi.json`: the service described for programs (OpenAPI 3.1).
//!
//! The description is `config/openapi.json`; the forms of alerts and outcomes are those of `config/schema`, taken in
//! here so that they stand in one place.

use std::sync::OnceLock;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value};

use super::auth::Caller;
use crate::codec::outcome::OUTCOME_SCHEMA_JSON;
use crate::codec::wire::ALERT_SCHEMA_JSON;

const DESCRIPTION: &str = include_str!("../../config/openapi.json");

pub(super) fn routes() -> Router {
    Router::new().route("/v1/openapi.json", get(show))
}

async fn show(_: Caller) -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_string());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, document.as_str()).into_response()
}

/// The whole document. The files it is made of are part of the program and read; a test says so.
pub(super) fn document() -> Value {
    let mut document: Value = serde_json::from_str(DESCRIPTION).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        adopt(schemas, "Alert", ALERT_SCHEMA_JSON);
        adopt(schemas, "Outcome", OUTCOME_SCHEMA_JSON);
    }
    document
}

/// Takes a schema of its own in as `name`, and each of its definitions beside it.
fn adopt(schemas: &mut Map<String, Value>, name: &str, schema: &str) {
    let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
    refer(&mut schema, name);
    let Some(members) = schema.as_object_mut() else { return };
    members.retain(|key, _| key != "$schema" && key != "$id");
    if let Some(Value::Object(definitions)) = members.remove("$defs") {
        schemas.extend(definitions.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
    }
    schemas.insert(name.to_owned(), schema);
}

/// Makes references within the schema references within the document.
fn refer(node: &mut Value, name: &str) {
    match node {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(target) if key == "$ref" => {
                        *target = target.replace("#/$defs/", &format!("#/components/schemas/{name}."));
                    }
                    value => refer(value, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, name)),
        _ => {}
    }
}
