//! Who acts, and where it is written down.

use std::sync::Arc;

use super::settings::cluster;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::audit::{By, Via};
use crate::files::audit::AuditFile;
use crate::kafka::probe::Probe;
use crate::lines::audit::{Audit, AuditPlaces, Trail};
use crate::lines::start::Stopped;
use crate::stop::exit;

/// The user this process runs as, by the system's own word: a variable such as `USER` is anybody's to set.
pub fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid {uid}"))
}

/// The host's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The audit log of the settings, written to as this process's user.
pub fn audit(settings: &Settings, via: Via, clock: Arc<dyn Clock>) -> Audit {
    let places = AuditPlaces {
        cluster: cluster(settings),
        topic: settings.topics.audit.clone(),
        file: settings.audit.file.as_deref().map(AuditFile::new),
        clock,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Audit::new(places, By { user: user(), host: host(), claimed: None, via, token: None })
}

/// The audit topic of the settings, for reading.
///
/// # Errors
/// When the Kafka client refuses its settings.
pub fn trail(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Trail, Stopped> {
    let cluster = cluster(settings);
    let probe = Probe::new(&cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?;
    let group = format!("{}-audit", settings.instance.group_prefix);
    Ok(Trail { cluster, probe, topic: settings.topics.audit.clone(), group, clock })
}
