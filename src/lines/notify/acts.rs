//! What people do to endpoints, each written down before it is done: the same for the command line and for HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::courier::{Tried, try_once};
use super::endpoint::Endpoint;
use super::office::Office;
use crate::clock::Clock;
use crate::domain::audit::Act;
use crate::domain::delivery::EndpointName;
use crate::domain::reconcile::Again;
use crate::domain::time::Timestamp;
use crate::files::private;
use crate::lines::audit::{Audit, Deed};
use crate::lines::start::Stopped;
use crate::notice::samples::test_alert;
use crate::notice::sign::{self, Scheme, Signer, SigningKey};
use crate::stop::exit;
use crate::webhook::resolve::SystemResolver;
use crate::webhook::slot::Slot;

/// The most bytes of a file of keys.
const KEYS_BYTES_MAX: usize = 8 * 1024;
/// How long what a resolver still does may hold an answer back.
const RESOLVER_WITHIN: Duration = Duration::from_millis(100);

/// What came of asking for something to be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// One alert is told again.
    One,
    /// There is no such alert.
    NoSuchAlert,
    /// So many deliveries that had failed are tried again.
    Deliveries(u64),
    /// Up to so many alerts are told again.
    Alerts(u64),
}

/// A key that was replaced. Holds nothing of it.
#[derive(Debug)]
pub struct Rotated {
    /// The file that has the new key.
    pub file: PathBuf,
    /// What the new key is called.
    pub generation: String,
    /// Until when the old key signs beside it.
    pub until: Timestamp,
    /// What the receiver verifies with, where that is no secret.
    pub public_key: Option<String>,
    /// What signs from now on.
    pub signer: Signer,
}

impl Office {
    /// Asks for something to be told again.
    ///
    /// # Errors
    /// When it cannot be written down, or a topic cannot be read or written.
    pub fn replay(&self, endpoint: &EndpointName, again: &Again, audit: &Audit) -> Result<Asked, Stopped> {
        let by = audit.by().asker();
        let begun =
            audit.begin(Deed::new(Act::Replay, format!("endpoint/{endpoint}")).after(words(again)))?;
        let asked = match again {
            Again::One(id) => match self.replay_one(endpoint, id, &by) {
                Ok(true) => Ok(Asked::One),
                Ok(false) => {
                    begun.failed("there is no such alert or failed delivery");
                    return Ok(Asked::NoSuchAlert);
                }
                Err(stopped) => Err(stopped),
            },
            Again::Failed => self.replay_failed(endpoint, &by).map(Asked::Deliveries),
            Again::Written { since, until } => {
                self.replay_time(endpoint, *since, *until, &by).map(Asked::Alerts)
            }
        };
        begun.end_with(asked)
    }

    /// Switches an endpoint on or off. False where it is so already.
    ///
    /// # Errors
    /// When it cannot be written down, or the control topic cannot be read or written.
    pub fn set_enabled(&self, endpoint: &EndpointName, on: bool, audit: &Audit) -> Result<bool, Stopped> {
        let deed =
            Deed::new(Act::EndpointChange, format!("endpoint/{endpoint}")).after(json!({ "enabled": on }));
        let begun = audit.begin(deed)?;
        begun.end_with(self.switch(endpoint, on, &audit.by().asker()))
    }

    /// Puts a new key into an endpoint's file of keys; the old one signs beside it for `keep`.
    ///
    /// # Errors
    /// With [`exit::DATA`] when the file does not read as keys, has no room for another or cannot be written; when it cannot
    /// be written down, or the control topic cannot be written.
    pub fn rotate(
        &self,
        endpoint: &EndpointName,
        file: &Path,
        keep: Duration,
        audit: &Audit,
    ) -> Result<Rotated, Stopped> {
        let refused =
            |error: &dyn std::fmt::Display| Stopped::new(exit::DATA, format!("{}: {error}", file.display()));
        let old = private::read(file, KEYS_BYTES_MAX).map_err(|error| refused(&error))?;
        let text = std::str::from_utf8(old.expose()).map_err(|_| refused(&"it is not text"))?;
        let signer = Signer::parse(text).map_err(|error| refused(&error))?;
        let scheme = if signer.public_key().is_some() { Scheme::Asymmetric } else { Scheme::Symmetric };
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let fresh = SigningKey::fresh(scheme, &seed);
        let now = self.clock.now();
        let until = now.plus_millis(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let text = sign::rotate(text, &fresh, now, until).map_err(|error| refused(&error))?;
        let signer = Signer::parse(&text).map_err(|error| refused(&error))?;
        let generation = signer.generation().to_owned();
        let deed = Deed::new(Act::EndpointChange, format!("endpoint/{endpoint}"))
            .after(json!({ "generation": generation, "old_until": until }));
        let begun = audit.begin(deed)?;
        let written = private::replace(file, text.as_bytes()).map_err(|error| refused(&error));
        let written = written.and_then(|()| {
            self.rotated(endpoint, &generation).map_err(|stopped| {
                let there = "has the new key, which could not be told on the control topic";
                Stopped::new(stopped.code, format!("{} {there}: {}", file.display(), stopped.message))
            })
        });
        begun.end_with(written)?;
        let public_key = signer.public_key();
        Ok(Rotated { file: file.to_owned(), generation, until, public_key, signer })
    }
}

fn words(again: &Again) -> Value {
    match again {
        Again::One(id) => json!({ "id": id }),
        Again::Failed => json!({ "failed": true }),
        Again::Written { since, until } => json!({ "since": since, "until": until }),
    }
}

/// Tells an endpoint of a test alert, once, from here and beside the ledger; and how long that took.
///
/// # Errors
/// With [`exit::DATA`] when no body can be made of it.
pub fn test(endpoint: &Arc<Endpoint>, clock: &dyn Clock) -> Result<(Tried, Duration), Stopped> {
    let alert = test_alert(clock.now(), rand::random());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
    let mut slot = Slot::new(Arc::clone(&endpoint.target), Arc::new(SystemResolver));
    let started = clock.instant();
    let tried = runtime.block_on(try_once(endpoint, &mut slot, &alert, clock));
    let took = clock.instant() - started;
    runtime.shutdown_timeout(RESOLVER_WITHIN);
    let tried = tried.map_err(|reason| Stopped::new(exit::DATA, reason))?;
    Ok((tried, took))
}
