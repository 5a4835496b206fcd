//! `cardwatch run`: the service, until a signal or a failure ends it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus::Registry;

use super::args::{Args, RunArgs};
use super::signals::{Signal, Signals};
use super::{key, keyring, settings};
use crate::app::audit::{audit, trail};
use crate::app::office::open_office;
use crate::app::{Plan, Service, desk, settings as build, tokens, webhooks};
use crate::clock::{Clock, SystemClock};
use crate::config::{Line, Settings};
use crate::domain::audit::{Act, Via};
use crate::domain::delivery::EndpointName;
use crate::files::keys::KeyState;
use crate::health::Health;
use crate::http::alerts::{self, SharedDesk};
use crate::http::auth::Tokens;
use crate::http::incidents::{self, SharedBooks};
use crate::http::{self, Api, Server, Site};
use crate::judge::Judge;
use crate::lines::audit::{Audit, Deed};
use crate::lines::bookkeeper::OpenBooks;
use crate::lines::desk::{OpenDesk, Writer};
use crate::lines::notify::endpoint::Endpoints;
use crate::lines::start::Stopped;
use crate::metrics;
use crate::stop::{Reason, Stop, exit};
use crate::telemetry;

/// How often the main thread looks for signals.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long until a file is looked into again that has not got the key that signs elsewhere.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

pub(super) fn run(args: &Args, run: &RunArgs) -> Result<(), Stopped> {
    let mut settings = settings(args)?;
    if let Some(lines) = &run.lines {
        settings.lines.enabled = lines.clone();
    }
    start_process(&settings, args.verbose)?;
    let keyring = match settings.lines.enabled.contains(&Line::Sight) {
        true => Some(keyring(&settings)?),
        false => None,
    };
    let mut plan = build::plan(&settings, keyring)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let audit = audit(&settings, Via::Service, Arc::clone(&clock));
    plan.audit = Some(audit.clone());
    plan.accept_gap = run.accept_gap.as_deref().map(|who| audit.claiming(Some(who)));
    let health = Health::new(Arc::clone(&clock));
    let registry = Registry::new();
    declare_process(&settings, &registry)?;
    let mut signals = Signals::listen()?;
    let http_stop = Stop::new();
    let http_tokens = tokens::load(&settings.http_tokens)
        .map_err(|faults| Stopped::new(exit::CONFIG, faults.join("\n")))?;
    let api = match settings.http.api {
        true => {
            let desk = alerts::routes(open_desk(&mut plan, &audit, &clock)?);
            let books = incidents::routes(open_books(&plan, &settings, &clock)?);
            let office = open_office(&settings, &plan.endpoints, &audit, &clock)?;
            let webhooks = http::webhooks::routes(Some(Arc::new(office)));
            Some(Api::new(http_tokens.clone()).with(desk).with(books).with(webhooks))
        }
        false => None,
    };
    let site = Site { registry: registry.clone(), health: health.clone(), api };
    let server = match settings.http.listen {
        Some(address) => Some(serve(address, site, &http_stop)?),
        None => None,
    };
    let stop = Stop::new();
    let endpoints = plan.endpoints.clone();
    let service = Service::start(plan, Arc::clone(&clock), stop.clone(), health, registry)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), instance = settings.instance.id, "cardwatch runs");
    let mut rotations = Rotations::default();
    while !stop.wait(LOOK_EVERY) {
        if rotations.are_new(service.rotated(&endpoints), clock.instant()) {
            reload_signers(args, &endpoints, &audit);
        }
        match signals.next() {
            Some(Signal::Stop) => stop.ask(Reason::Asked),
            Some(Signal::Reload) => {
                reload(&settings, &service, &audit);
                reload_tokens(args, &http_tokens, &audit);
                reload_signers(args, &endpoints, &audit);
            }
            None => {}
        }
    }
    // From here on nothing may keep the process: what is open is resolved by the next start.
    let reason = stop.reason();
    tracing::info!("stopping: committing what is open");
    if !service.finish(clock.as_ref()) {
        tracing::warn!("something still blocks, leaving it behind; the next start resolves it");
    }
    http_stop.ask(Reason::Asked);
    if let Some(server) = server
        && let Err(error) = server.join()
    {
        tracing::warn!(%error, "the HTTP server failed");
    }
    match reason {
        Some(Reason::Failed { code, message }) => {
            tracing::error!(code, reason = message, "stopped");
            Err(Stopped::new(code, message))
        }
        _ => Ok(()),
    }
}

/// Keys that another process signs with, as far as they were looked for here.
#[derive(Debug, Default)]
struct Rotations {
    looked_for: BTreeMap<EndpointName, String>,
    looked_at: Option<Instant>,
}

impl Rotations {
    /// Whether to look into the files again: for a key that is new, or one that was not there a while ago.
    fn are_new(&mut self, rotated: BTreeMap<EndpointName, String>, now: Instant) -> bool {
        let again = self.looked_at.is_none_or(|at| now - at >= LOOK_AGAIN);
        let is_new = rotated != self.looked_for || again;
        if rotated.is_empty() || !is_new {
            return false;
        }
        for (endpoint, key) in
            rotated.iter().filter(|(endpoint, key)| self.looked_for.get(endpoint) != Some(key))
        {
            tracing::info!(%endpoint, key, "another process was given a new key for this endpoint: its file is read anew");
        }
        (self.looked_for, self.looked_at) = (rotated, Some(now));
        true
    }
}

/// Metrics of the process and of the keys that it has open.
fn declare_process(settings: &Settings, registry: &Registry) -> Result<(), Stopped> {
    let fault = |error: &dyn std::fmt::Display| Stopped::new(exit::INTERNAL, error.to_string());
    telemetry::measure_process(registry).map_err(|error| fault(&error))?;
    if !settings.lines.enabled.contains(&Line::Sight) {
        return Ok(());
    }
    let keyring = build::key_directory(settings).list().map_err(|error| key::stopped(&error))?;
    let active = keyring.keys.iter().filter(|entry| entry.state == KeyState::Active);
    let keys = active.map(|entry| (entry.id.as_str(), entry.id == keyring.primary, entry.created_at));
    metrics::keys(registry, keys).map_err(|error| fault(&error))
}

/// The desk that requests are served from, where the plan runs `books`.
fn open_desk(plan: &mut Plan, audit: &Audit, clock: &Arc<dyn Clock>) -> Result<SharedDesk, Stopped> {
    if !plan.books {
        return Ok(None);
    }
    let desk = desk(plan, clock)?;
    plan.desk = Some(Arc::clone(&desk));
    let writer = Writer::new(&plan.cluster, &plan.topics.outcomes, Arc::clone(clock))?;
    Ok(Some(Arc::new(OpenDesk { desk, writer, audit: audit.clone() })))
}

/// The books that requests are served from, where the plan runs `books`.
fn open_books(plan: &Plan, settings: &Settings, clock: &Arc<dyn Clock>) -> Result<SharedBooks, Stopped> {
    if !plan.books {
        return Ok(None);
    }
    Ok(Some(Arc::new(OpenBooks {
        made_up: Arc::clone(&plan.made_up),
        list: build::list_topic(settings)?,
        topics: build::book_topics(settings),
        trail: trail(settings, Arc::clone(clock))?,
        turn: Mutex::new(()),
    })))
}

/// Logs, panics and what the process may leave behind.
pub(super) fn start_process(settings: &Settings, verbose: u8) -> Result<(), Stopped> {
    telemetry::start_logs(settings.log.format, settings.log.level, verbose)
        .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
    telemetry::withhold_panic_messages();
    if let Err(error) = telemetry::harden() {
        tracing::warn!(%error, "core dumps and debuggers could not be switched off");
    }
    Ok(())
}

/// Opens the HTTP side.
fn serve(address: SocketAddr, site: Site, stop: &Stop) -> Result<Server, Stopped> {
    let failed = |error: &std::io::Error| {
        Stopped::new(
            exit::CONFIG,
            format!("http.listen {address} cannot be opened: {error}; write another address, or \"\""),
        )
    };
    let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
    let api = site.api.is_some();
    let server = Server::start(listener, site, stop.clone()).map_err(|error| failed(&error))?;
    tracing::info!(address = %server.address(), api, "metrics and health are served");
    Ok(server)
}

/// Reads the rules anew, or keeps the old ones and says why. Which rules judge is written down before they do.
fn reload(settings: &Settings, service: &Service, audit: &Audit) {
    let digest = |judge: &Judge| serde_json::json!({ "rules": judge.digest() });
    let begun = build::judge(settings).and_then(|judge| {
        let unknown = webhooks::unknown_in_filters(&settings.webhooks, judge.rules());
        if !unknown.is_empty() {
            let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
            return Err(Stopped::new(exit::CONFIG, unknown.join("; ")));
        }
        let deed = Deed::new(Act::RuleReload, "rules").before(digest(&service.judge())).after(digest(&judge));
        Ok((audit.begin(deed)?, judge))
    });
    match begun {
        Ok((begun, judge)) => {
            tracing::info!(rules = judge.digest(), "rules reloaded");
            service.set_judge(judge);
            if let Err(stopped) = begun.done() {
                tracing::warn!(reason = stopped.message, "the audit log misses an end");
            }
        }
        Err(stopped) => tracing::error!(reason = stopped.message, "the old rules stay in force"),
    }
}

/// Reads which tokens there are and their files anew, or keeps the old tokens and says why. The other settings stay as
/// they were at the start.
fn reload_tokens(args: &Args, http_tokens: &Tokens, audit: &Audit) {
    let reloaded = settings(args).map_err(|stopped| vec![stopped.message]).and_then(|settings| {
        let changed = tokens::reload(http_tokens, &settings.http_tokens, audit)?;
        Ok((settings.http_tokens.0.len(), changed))
    });
    match reloaded {
        Ok((tokens, changed)) => tracing::info!(tokens, changed, "tokens reloaded"),
        Err(faults) => tracing::error!(reason = faults.join("; "), "the old tokens stay in force"),
    }
}

/// Reads the endpoints' files of keys anew, or keeps what signs and says why.
fn reload_signers(args: &Args, endpoints: &Endpoints, audit: &Audit) {
    let reloaded = settings(args).map_err(|stopped| vec![stopped.message]);
    let reloaded =
        reloaded.and_then(|settings| webhooks::reload_signers(endpoints, &settings.webhooks, audit));
    match reloaded {
        Ok(changed) => tracing::info!(endpoints = endpoints.0.len(), changed, "keys of endpoints reloaded"),
        Err(faults) => tracing::error!(reason = faults.join("; "), "endpoints sign as before"),
    }
}
