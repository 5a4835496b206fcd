//! The office as the HTTP side needs it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::acts::{self, Asked};
use super::endpoint::{Endpoint, Endpoints};
use super::ledgers::{Entry, Ledgers};
use super::missed::{View, Walk};
use super::office::Office;
use super::sheets::Shelf;
use crate::domain::delivery::EndpointName;
use crate::domain::desk::Page;
use crate::domain::reconcile::{Again, DeliveryPlace, WalkPlace};
use crate::domain::time::Timestamp;
use crate::http::auth::Caller;
use crate::http::webhooks::{Claimant, WebhookFault, WebhookOffice};
use crate::lines::audit::Audit;
use crate::lines::start::Stopped;
use crate::notice::filter::Filter;
use crate::stop::exit;

/// An endpoint as the configuration names it, without any file of it read: nothing here is a secret.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name.
    pub name: EndpointName,
    /// Where it is; `None` where the whole URL is a secret.
    pub host: Option<String>,
    /// In which form it is told.
    pub body: &'static str,
    /// Whether it is told in batches.
    pub batches: bool,
    /// Which alerts it wants.
    pub filter: Filter,
    /// Where its keys stand.
    pub secret_file: Option<PathBuf>,
}

/// Reads the files of an endpoint that this process does not tell.
pub type Opens = dyn Fn(&EndpointName) -> Result<Arc<Endpoint>, Stopped> + Send + Sync;

/// The office, with what is needed to act.
pub struct OpenOffice {
    /// The office.
    pub office: Office,
    /// Reads alerts.
    pub shelf: Shelf,
    /// Every endpoint of the configuration.
    pub listed: Vec<Listed>,
    /// Those that this process tells, with their files read.
    pub endpoints: Endpoints,
    /// Reads the files of others.
    pub opens: Box<Opens>,
    /// Where it is written down who acted.
    pub audit: Audit,
    /// The ledgers as they were read last.
    pub ledgers: Mutex<Ledgers>,
    /// Held by whoever acts: a state that is read and written is nobody else's meanwhile.
    pub turn: Mutex<()>,
}

impl std::fmt::Debug for OpenOffice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenOffice({:?})", self.listed)
    }
}

impl From<Stopped> for WebhookFault {
    fn from(stopped: Stopped) -> WebhookFault {
        WebhookFault::Unavailable(stopped.message)
    }
}

impl OpenOffice {
    /// The ledgers, as they are at this moment.
    fn fresh(&self) -> Result<MutexGuard<'_, Ledgers>, WebhookFault> {
        let mut ledgers = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        self.office.refresh(&mut ledgers)?;
        Ok(ledgers)
    }

    fn listed(&self, name: &EndpointName) -> Result<&Listed, WebhookFault> {
        self.listed.iter().find(|listed| listed.name == *name).ok_or(WebhookFault::NoSuchEndpoint)
    }

    fn told(&self, name: &EndpointName) -> Option<&Arc<Endpoint>> {
        self.endpoints.0.iter().find(|endpoint| endpoint.name == *name)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn audit(&self, who: &Claimant<'_>) -> Audit {
        self.audit.for_caller(who.caller).claiming(who.claimed)
    }

    fn row(&self, ledgers: &Ledgers, name: &EndpointName) -> Value {
        let standing = ledgers.standings().remove(name).unwrap_or_default();
        let listed = self.listed.iter().find(|listed| listed.name == *name);
        let mut row = standing.json(name, listed.is_some());
        row["host"] = json!(listed.and_then(|listed| listed.host.as_deref()));
        row["body"] = json!(listed.map(|listed| listed.body));
        row["state"] = json!(if standing.state.disabled.is_some() { "disabled" } else { "enabled" });
        row
    }
}

fn place(entry: &Entry, failed: bool) -> DeliveryPlace {
    let at = if failed { entry.owed.since } else { entry.owed.due };
    DeliveryPlace { at, id: entry.id.to_string(), partition: entry.partition }
}

impl WebhookOffice for OpenOffice {
    fn list(&self) -> Result<Vec<Value>, WebhookFault> {
        let ledgers = self.fresh()?;
        let mut names: Vec<EndpointName> = self.listed.iter().map(|listed| listed.name.clone()).collect();
        // Those that are owed something and are in no configuration any more.
        names.extend(ledgers.standings().into_keys().filter(|name| self.listed(name).is_err()));
        Ok(names.iter().map(|name| self.row(&ledgers, name)).collect())
    }

    fn show(&self, endpoint: &EndpointName) -> Result<Value, WebhookFault> {
        self.listed(endpoint)?;
        let ledgers = self.fresh()?;
        let mut row = self.row(&ledgers, endpoint);
        let signer = self.told(endpoint).map(|endpoint| endpoint.signer.load());
        row["signs_here"] =
            json!(signer.and_then(|signer| Some((**signer).as_ref()?.generation().to_owned())));
        Ok(row)
    }

    fn entries(
        &self,
        endpoint: &EndpointName,
        failed: bool,
        after: Option<&DeliveryPlace>,
        limit: usize,
    ) -> Result<Page<Value>, WebhookFault> {
        self.listed(endpoint)?;
        let ledgers = self.fresh()?;
        let all = if failed { ledgers.failed(Some(endpoint)) } else { ledgers.pending(Some(endpoint)) };
        let behind = |entry: &&Entry| after.is_none_or(|after| place(entry, failed) > *after);
        let mut rest: Vec<&Entry> = all.into_iter().filter(behind).collect();
        rest.sort_by_cached_key(|entry| place(entry, failed));
        let more = rest.len() > limit;
        rest.truncate(limit);
        let last = rest.last().filter(|_| more).map(|entry| place(entry, failed).cursor());
        Ok(Page { items: rest.iter().map(|entry| entry.json()).collect(), next: last })
    }

    fn replay(
        &self,
        who: &Claimant<'_>,
        endpoint: &EndpointName,
        again: &Again,
    ) -> Result<Value, WebhookFault> {
        self.listed(endpoint)?;
        let _turn = self.turn();
        match self.office.replay(endpoint, again, &self.audit(who))? {
            Asked::NoSuchAlert => Err(WebhookFault::NoSuchAlert),
            Asked::One => Ok(json!({ "endpoint": endpoint, "asked": 1, "of": "alerts" })),
            Asked::Alerts(count) => Ok(json!({ "endpoint": endpoint, "asked": count, "of": "alerts" })),
            Asked::Deliveries(count) => {
                Ok(json!({ "endpoint": endpoint, "asked": count, "of": "deliveries" }))
            }
        }
    }

    fn switch(&self, who: &Claimant<'_>, endpoint: &EndpointName, on: bool) -> Result<Value, WebhookFault> {
        self.listed(endpoint)?;
        let _turn = self.turn();
        let changed = self.office.set_enabled(endpoint, on, &self.audit(who))?;
        let state = if on { "enabled" } else { "disabled" };
        Ok(json!({ "endpoint": endpoint, "state": state, "changed": changed }))
    }

    fn test(&self, caller: &Caller, endpoint: &EndpointName) -> Result<Value, WebhookFault> {
        self.listed(endpoint)?;
        let opened = match self.told(endpoint) {
            Some(endpoint) => Arc::clone(endpoint),
            None => (self.opens)(endpoint).map_err(|stopped| {
                tracing::warn!(%endpoint, reason = stopped.message, "the files of an endpoint cannot be read");
                WebhookFault::Elsewhere
            })?,
        };
        tracing::info!(%endpoint, token = caller.name, "a test alert is told");
        let (tried, took) = acts::test(&opened, self.office.clock.as_ref()).map_err(|stopped| {
            tracing::warn!(%endpoint, reason = stopped.message, "no test alert can be told");
            WebhookFault::Refused(
                "no_body",
                "no body can be made of a test alert; the log says why".to_owned(),
            )
        })?;
        // What else is known of a failure may name addresses within the house.
        let failure = tried.outcome.as_ref().err().map(|failure| failure.class());
        Ok(json!({
            "endpoint": endpoint, "webhook_id": tried.id, "status": tried.outcome.as_ref().ok(),
            "failure": failure, "took_ms": took.as_millis() as u64,
        }))
    }

    fn rotate(
        &self,
        who: &Claimant<'_>,
        endpoint: &EndpointName,
        keep: Duration,
    ) -> Result<Value, WebhookFault> {
        let no_keys = "this endpoint has no secret_file: nothing signs, and nothing is to be replaced";
        let file = self.listed(endpoint)?.secret_file.as_deref();
        let file = file.ok_or_else(|| WebhookFault::Refused("no_keys", no_keys.to_owned()))?;
        let _turn = self.turn();
        let rotated = self.office.rotate(endpoint, file, keep, &self.audit(who));
        let rotated = rotated.map_err(|stopped| match stopped.code {
            exit::DATA => WebhookFault::Refused("key_file", stopped.message),
            _ => stopped.into(),
        })?;
        if let Some(told) = self.told(endpoint) {
            told.signer.store(Arc::new(Some(rotated.signer)));
        }
        Ok(json!({
            "endpoint": endpoint, "generation": rotated.generation, "file": rotated.file.display().to_string(),
            "old_until": rotated.until, "public_key": rotated.public_key,
        }))
    }

    fn missed(
        &self,
        endpoint: &EndpointName,
        since: Timestamp,
        until: Option<Timestamp>,
        after: Option<WalkPlace>,
        limit: usize,
    ) -> Result<Value, WebhookFault> {
        let listed = self.listed(endpoint)?;
        let now = self.office.clock.now();
        let from = after.unwrap_or_else(|| WalkPlace {
            partition: 0,
            offset: None,
            until: until.map_or(now, |until| until.min(now)),
        });
        let (filter, batches) = (&listed.filter, listed.batches);
        let walk = Walk { endpoint, filter, batches, since, from, limit };
        // Others need not wait for the alerts to be read.
        let view = View::of(&*self.fresh()?, endpoint);
        let part = walk.part(&self.office, &self.shelf, &view)?;
        let next = part.next.map(|next| next.cursor());
        Ok(json!({ "items": part.items, "until": part.until, "next": next }))
    }
}
