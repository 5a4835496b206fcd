//! `cardwatch run`: the service, until a signal or a failure ends it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use super::args::{Args, RunArgs};
use super::signals::{Signal, Signals};
use super::{keyring, settings};
use crate::app::{Service, settings as build};
use crate::clock::{Clock, SystemClock};
use crate::config::{Line, Settings};
use crate::health::Health;
use crate::http::Server;
use crate::lines::start::Stopped;
use crate::stop::{Reason, Stop, exit};
use crate::telemetry;

/// How often the main thread looks for signals.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    plan.accept_gap = run.accept_gap.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let health = Health::new(Arc::clone(&clock));
    let registry = Registry::new();
    let mut signals = Signals::listen()?;
    let http_stop = Stop::new();
    let server = match settings.http.listen {
        Some(address) => Some(serve(address, &registry, &health, &http_stop)?),
        None => None,
    };
    let stop = Stop::new();
    let service = Service::start(plan, Arc::clone(&clock), stop.clone(), health, registry)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), instance = settings.instance.id, "cardwatch runs");
    while !stop.wait(LOOK_EVERY) {
        match signals.next() {
            Some(Signal::Stop) => stop.ask(Reason::Asked),
            Some(Signal::Reload) => reload(&settings, &service),
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
pub(super) fn serve(
    address: SocketAddr,
    registry: &Registry,
    health: &Health,
    stop: &Stop,
) -> Result<Server, Stopped> {
    let failed = |error: &std::io::Error| {
        Stopped::new(
            exit::CONFIG,
            format!("http.listen {address} cannot be opened: {error}; write another address, or \"\""),
        )
    };
    let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
    let server = Server::start(listener, registry.clone(), health.clone(), stop.clone())
        .map_err(|error| failed(&error))?;
    tracing::info!(address = %server.address(), "metrics and health are served");
    Ok(server)
}

/// Reads the rules anew, or keeps the old ones and says why.
fn reload(settings: &Settings, service: &Service) {
    match build::judge(settings) {
        Ok(judge) => {
            tracing::info!(rules = judge.rules().digest(), "rules reloaded");
            service.set_judge(judge);
        }
        Err(stopped) => tracing::error!(reason = stopped.message, "the old rules stay in force"),
    }
}
