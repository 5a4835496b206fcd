//! The tokens of the configuration, read from their files.

use std::collections::BTreeSet;

use serde_json::json;

use super::audit::all_or_none;
use crate::config::HttpTokens;
use crate::domain::audit::Act;
use crate::domain::delivery::EndpointName;
use crate::files::tokens::read_token;
use crate::http::auth::{Caller, Role, TokenChange, Tokens};
use crate::lines::audit::{Audit, Deed};
use crate::secret::Secret;

/// Reads every token.
///
/// # Errors
/// What is wrong with each that cannot be used.
fn read(tokens: &HttpTokens) -> Result<Vec<(Caller, Secret)>, Vec<String>> {
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for token in &tokens.0 {
        match read_token(&token.file) {
            Ok(secret) => {
                let (name, endpoints) = (token.name.clone(), token.endpoints.clone());
                read.push((Caller { name, role: token.role, endpoints }, secret));
            }
            Err(error) => faults.push(format!("http.tokens {}: {error}", token.name)),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

/// The tokens, ready to be asked for.
///
/// # Errors
/// What is wrong with each that cannot be used.
pub fn load(settings: &HttpTokens) -> Result<Tokens, Vec<String>> {
    Tokens::new(read(settings)?).map_err(|error| vec![format!("http.tokens: {error}")])
}

/// Puts the tokens of `settings` in place of `tokens`. What that changes is written down before anybody is let in or
/// kept out by it; gives how many tokens it is. All of it is done, or nothing.
///
/// # Errors
/// What is wrong with each that cannot be used, or why the change cannot be written down: the old ones stay.
pub fn reload(tokens: &Tokens, settings: &HttpTokens, audit: &Audit) -> Result<usize, Vec<String>> {
    let new = tokens.prepare(read(settings)?).map_err(|error| vec![format!("http.tokens: {error}")])?;
    let deeds: Vec<Deed> = new.changes().iter().map(deed).collect();
    all_or_none(audit, deeds, || tokens.put(new)).map_err(|message| vec![message])
}

fn deed(change: &TokenChange) -> Deed {
    let [before, after] = &change.endpoints;
    let told = |role: Option<Role>, endpoints: &BTreeSet<EndpointName>| {
        let mut told = json!({ "role": role.map(Role::as_str) });
        if !endpoints.is_empty() {
            told["endpoints"] = json!(endpoints);
        }
        told
    };
    let mut now = told(change.after, after);
    now["change"] = json!(change.words());
    let deed = Deed::new(Act::TokenChange, format!("token/{}", change.name)).after(now);
    match change.before {
        Some(role) => deed.before(told(Some(role), before)),
        None => deed,
    }
}
