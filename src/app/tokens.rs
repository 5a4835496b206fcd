//! The tokens of the configuration, read from their files.

use serde_json::json;

use super::audit::all_or_none;
use crate::config::HttpTokens;
use crate::domain::audit::Act;
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
            Ok(secret) => read.push((Caller { name: token.name.clone(), role: token.role }, secret)),
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
    let role = |role: Option<Role>| role.map(Role::as_str);
    let deed = Deed::new(Act::TokenChange, format!("token/{}", change.name))
        .after(json!({ "role": role(change.after), "change": change.words() }));
    match role(change.before) {
        Some(role) => deed.before(json!({ "role": role })),
        None => deed,
    }
}
