//! Who acts, and where it is written down.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::settings::cluster;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::audit::{By, Via};
use crate::files::audit::AuditFile;
use crate::kafka::probe::Probe;
use crate::lines::audit::{Audit, AuditPlaces, Deed, Trail};
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
    let host = host();
    let places = AuditPlaces {
        cluster: cluster(settings),
        topic: settings.topics.audit.clone(),
        sender: sender(settings, &host),
        file: settings.audit.file.as_deref().map(AuditFile::new),
        clock,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Audit::new(places, By { user: user(), host, claimed: None, via, token: None })
}

/// The transactional id of this host's audit file: the same from every process that writes it, and no other's.
fn sender(settings: &Settings, host: &str) -> String {
    let path = settings.audit.file.as_deref().unwrap_or(Path::new(""));
    // Without a working directory the path is told apart as it was written.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let hash = Sha256::digest([host.as_bytes(), b"\0", whole.as_os_str().as_bytes()].concat());
    let prefix = &settings.instance.transactional_prefix;
    format!("{prefix}-audit-{}", data_encoding::HEXLOWER.encode(&hash[..8]))
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

/// Does all of `deeds` at once, or none of it, by `act`. Each is written down before and, when it is done, after.
/// Gives how many they are.
///
/// # Errors
/// Why one of them cannot be written down: nothing was done.
pub(super) fn all_or_none(
    audit: &Audit,
    deeds: impl IntoIterator<Item = Deed>,
    act: impl FnOnce(),
) -> Result<usize, String> {
    let mut begun = Vec::new();
    for deed in deeds {
        match audit.begin(deed) {
            Ok(one) => begun.push(one),
            Err(stopped) => {
                begun.into_iter().for_each(|one| one.failed(&stopped.message));
                return Err(stopped.message);
            }
        }
    }
    let count = begun.len();
    act();
    for one in begun {
        if let Err(stopped) = one.done() {
            tracing::warn!(reason = stopped.message, "the audit log misses an end");
        }
    }
    Ok(count)
}
