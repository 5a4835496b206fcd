//! Where tokens for the brokers come from: a file that somebody renews, or a command.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::SystemClock;
use crate::config::{Oauth, Settings};
use crate::files::private;
use crate::files::unwrap::{UnwrapError, unwrap};
use crate::kafka::token::{TOKEN_BYTES_MAX, TokenSource, Tokens};
use crate::secret::Secret;

/// Room for what a command writes: a token, its line end, and one byte more to see that nothing follows.
const ROOM: usize = TOKEN_BYTES_MAX + 3;

/// The tokens of this process, by what the settings say of them. Every part of it that reaches the cluster makes a
/// [`Cluster`](crate::kafka::client::Cluster) of the settings; with tokens of its own each would run the command and
/// keep a thread.
static KNOWN: Mutex<Vec<(Oauth, Tokens)>> = Mutex::new(Vec::new());

/// The tokens of the settings, where they name any.
pub(super) fn tokens(settings: &Settings) -> Option<Tokens> {
    let oauth = &settings.kafka.oauth;
    let source: Box<dyn TokenSource> = match (&oauth.token_file, oauth.token_command.as_slice()) {
        (Some(path), _) => Box::new(TokenFile(path.clone())),
        (None, [_, ..]) => {
            Box::new(TokenCommand { command: oauth.token_command.clone(), timeout: oauth.command_timeout })
        }
        (None, []) => return None,
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, tokens)) = known.iter().find(|(of, _)| of == oauth) {
        return Some(tokens.clone());
    }
    let tokens = Tokens::new(source, Arc::new(SystemClock));
    known.push((oauth.clone(), tokens.clone()));
    Some(tokens)
}

/// A file that holds the token of the moment.
struct TokenFile(PathBuf);

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka.oauth.token_file {}", self.0.display())
    }
}

impl TokenSource for TokenFile {
    fn token(&self) -> Result<Secret, String> {
        private::read(&self.0, TOKEN_BYTES_MAX).map_err(|error| format!("kafka.oauth.token_file: {error}"))
    }
}

/// A command that writes a token to standard output.
struct TokenCommand {
    command: Vec<String>,
    timeout: Duration,
}

impl fmt::Debug for TokenCommand {
    /// The program alone: its arguments are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka.oauth.token_command {}", self.command.first().map_or("", String::as_str))
    }
}

impl TokenSource for TokenCommand {
    fn token(&self) -> Result<Secret, String> {
        let (room, length) = unwrap::<ROOM>(&self.command, self.timeout).map_err(|error| match error {
            UnwrapError::TimedOut { program, timeout, .. } => format!(
                "kafka.oauth.token_command: {program} did not end within {} s; look whether what it asks answers, or \
                 raise kafka.oauth.command_timeout",
                timeout.as_secs_f64()
            ),
            error => format!("kafka.oauth.token_command: {error}"),
        })?;
        match length {
            ROOM => Err(format!("kafka.oauth.token_command wrote more than {TOKEN_BYTES_MAX} bytes")),
            _ => Ok(Secret::new(room[..length].trim_ascii_end().to_vec())),
        }
    }
}
