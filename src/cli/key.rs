//! `cardwatch key new | list | retire`.

use std::sync::Arc;

use serde_json::json;

use super::args::{Args, KeyCommand};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::clock::{Clock, SystemClock};
use crate::domain::audit::{Act, Via};
use crate::domain::card::KeyId;
use crate::files::keys::{KeyDirectory, KeyEntry, KeyState, KeyringFile, KeysError};
use crate::lines::audit::{Audit, Deed};
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

/// A failure of the key directory, as an end of the command.
pub(super) fn stopped(error: &KeysError) -> Stopped {
    Stopped::new(exit::CONFIG, error.to_string())
}

pub(super) fn run(args: &Args, command: &KeyCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let directory = KeyDirectory::new(&settings.keys.directory);
    let now = SystemClock.now();
    let audit = audit(&settings, Via::Cli, Arc::new(SystemClock));
    match command {
        KeyCommand::New { id, by } => {
            let id = match id {
                Some(id) => id.clone(),
                None => next_id(&directory)?,
            };
            let deed = Deed::new(Act::KeyChange, format!("key/{id}")).after(json!({ "state": "primary" }));
            let made = locally(&audit.claiming(by.as_deref()), deed, *output, || {
                directory.create(id, true, now).map_err(|error| stopped(&error))
            })?;
            output.tables(&[table(std::slice::from_ref(&made), &made.id)]);
            output.say(&format!(
                "Key {} is the primary key now. It exists once, in {}: back it up where the list is not, \
                 for without it the list matches no card.",
                made.id,
                directory.path().display()
            ));
            Ok(())
        }
        KeyCommand::List => {
            let keyring: KeyringFile = directory.list().map_err(|error| stopped(&error))?;
            output.tables(&[table(&keyring.keys, &keyring.primary)]);
            Ok(())
        }
        KeyCommand::Retire { id, by } => {
            let deed = Deed::new(Act::KeyChange, format!("key/{id}"))
                .before(json!({ "state": "active" }))
                .after(json!({ "state": "retired" }));
            let retired = locally(&audit.claiming(by.as_deref()), deed, *output, || {
                directory.retire(id, now).map_err(|error| stopped(&error))
            })?;
            let keyring = directory.list().map_err(|error| stopped(&error))?;
            output.tables(&[table(&keyring.keys, &keyring.primary)]);
            output.say(&format!(
                "Key {} is not opened any more. Its file is kept: delete it when no list was made with it.",
                retired.id
            ));
            Ok(())
        }
    }
}

/// Does something to local files, with its audit record around it.
pub(super) fn locally<T>(
    audit: &Audit,
    deed: Deed,
    output: Output,
    act: impl FnOnce() -> Result<T, Stopped>,
) -> Result<T, Stopped> {
    let begun = audit.locally(deed)?;
    if let Some(why) = begun.missed() {
        output.remark(&format!("the audit record of this is in the audit file alone: {why}"));
    }
    begun.end_with(act())
}

/// The next of k1, k2, … that was never used.
fn next_id(directory: &KeyDirectory) -> Result<KeyId, Stopped> {
    let used: Vec<KeyId> = match directory.list() {
        Ok(keyring) => keyring.keys.into_iter().map(|entry| entry.id).collect(),
        Err(KeysError::NoKeyring { .. }) => Vec::new(),
        Err(error) => return Err(stopped(&error)),
    };
    (1..)
        .filter_map(|n| format!("k{n}").parse::<KeyId>().ok())
        .find(|id| !used.contains(id))
        .ok_or_else(|| Stopped::new(exit::INTERNAL, "no key id is left"))
}

fn table(keys: &[KeyEntry], primary: &KeyId) -> Table {
    let columns = [
        ("key", "Key"),
        ("state", "State"),
        ("primary", "Primary"),
        ("created_at", "Made at"),
        ("retired_at", "Retired at"),
        ("check", "Check value"),
    ];
    let mut table = Table::new("keys", columns);
    for key in keys {
        let state = match key.state {
            KeyState::Active => "active",
            KeyState::Retired => "retired",
        };
        table.row([
            Cell::from(key.id.to_string()),
            Cell::from(state),
            Cell::from(if key.id == *primary { "yes" } else { "no" }),
            Cell::from(key.created_at.to_string()),
            key.retired_at.map_or(Cell::Empty, |at| Cell::from(at.to_string())),
            // Enough to compare by eye; the whole stands in keyring.json.
            Cell::from(key.check.to_string().chars().take(16).collect::<String>()),
        ]);
    }
    table
}
