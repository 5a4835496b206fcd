//! The tokens of the configuration, read from their files.

use crate::config::HttpTokens;
use crate::files::tokens::read_token;
use crate::http::auth::{Caller, Tokens};
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

/// Reads the files anew in place of `tokens`, which stay where one of the new cannot be used.
///
/// # Errors
/// As [`load`].
pub fn reload(tokens: &Tokens, settings: &HttpTokens) -> Result<(), Vec<String>> {
    tokens.replace(read(settings)?).map_err(|error| vec![format!("http.tokens: {error}")])
}
