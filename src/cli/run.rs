//! `cardwatch run`: the service, until a signal or a failure ends it.

use std::sync::Arc;

use prometheus::Registry;

use super::args::{Args, RunArgs};
use super::settings;
use crate::app::{Service, settings as build};
use crate::clock::{Clock, SystemClock};
use crate::config::Line;
use crate::health::Health;
use crate::lines::start::Stopped;
use crate::stop::{Reason, Stop};

pub(super) fn run(args: &Args, run: &RunArgs) -> Result<(), Stopped> {
    let mut settings = settings(args)?;
    if let Some(lines) = &run.lines {
        settings.lines.enabled = lines.clone();
    }
    let keyring = None;
    let _ = Line::Sight;
    let plan = build::plan(&settings, keyring)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stop = Stop::new();
    let service = Service::start(plan, Arc::clone(&clock), stop.clone(), Health::new(), Registry::new())?;
    while !stop.wait(std::time::Duration::from_millis(200)) {}
    service.finish(clock.as_ref());
    match stop.reason() {
        Some(Reason::Failed { code, message }) => Err(Stopped::new(code, message)),
        _ => Ok(()),
    }
}
