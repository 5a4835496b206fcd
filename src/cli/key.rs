//! `cardwatch key new | import | primary | list | retire`.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::args::{Args, KeyCommand, PrimaryArgs};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::app::settings::{cluster, key_directory};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::domain::audit::{Act, Via};
use crate::domain::card::KeyId;
use crate::files::keys::{KeyDirectory, KeyEntry, KeySource, KeyState, KeyringFile, KeysError};
use crate::kafka::probe::Probe;
use crate::lines::audit::{Audit, Deed};
use crate::lines::import::ListTopic;
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;
use crate::telemetry;

/// What is read of standard input: a key's digits, a line end, and enough to see that more follows.
const DIGITS: u64 = 80;

/// A failure of the keys, as an end of the command.
pub(super) fn stopped(error: &KeysError) -> Stopped {
    let code = if error.is_passing() { exit::UNAVAILABLE } else { exit::CONFIG };
    Stopped::new(code, error.to_string())
}

pub(super) fn run(args: &Args, command: &KeyCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    // Without a log there is nobody to tell; the command itself works all the same.
    let _ = telemetry::harden();
    let by = match command {
        KeyCommand::New { by, .. }
        | KeyCommand::Import { by, .. }
        | KeyCommand::Primary { by, .. }
        | KeyCommand::Retire { by, .. } => by.as_deref(),
        KeyCommand::List { .. } => None,
    };
    let audit = audit(&settings, Via::Cli, Arc::new(SystemClock)).claiming(by);
    let keys = Keys { directory: key_directory(&settings), settings: &settings, audit, output };
    match command {
        KeyCommand::New { id, change, .. } => keys.new_key(id.as_ref(), *change),
        KeyCommand::Import { id, change, .. } => keys.import(id, *change),
        KeyCommand::Primary { id, yes, .. } => keys.promote(id, *yes),
        KeyCommand::List { cards } => keys.list(*cards),
        KeyCommand::Retire { id, yes, .. } => keys.retire(id, *yes),
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

struct Keys<'a> {
    directory: KeyDirectory,
    settings: &'a Settings,
    audit: Audit,
    output: &'a Output,
}

impl Keys<'_> {
    fn new_key(&self, id: Option<&KeyId>, change: PrimaryArgs) -> Result<(), Stopped> {
        let id = match id {
            Some(id) => id.clone(),
            None => self.next_id()?,
        };
        self.agree(&id, change)?;
        let made = self.written_down(&id, None, state(change.primary), || {
            self.directory.create(id.clone(), change.primary, SystemClock.now())
        })?;
        self.told(&made.id)?;
        self.output.say(&format!(
            "Key {} exists once, in {}: back it up where the list is not, for without it the list matches no card.",
            made.id,
            self.directory.path().display()
        ));
        Ok(())
    }

    fn import(&self, id: &KeyId, change: PrimaryArgs) -> Result<(), Stopped> {
        self.agree(id, change)?;
        let mut digits = Zeroizing::new(Vec::with_capacity(DIGITS as usize));
        let elsewhere = !matches!(self.directory.source(id), KeySource::Directory(_));
        if !elsewhere {
            let read = std::io::stdin().lock().take(DIGITS).read_to_end(&mut digits);
            read.map_err(|error| {
                Stopped::new(exit::DATA, format!("standard input cannot be read: {error}"))
            })?;
        }
        let digits = (!elsewhere && !digits.is_empty()).then_some(&digits[..]);
        let taken = self.written_down(id, None, state(change.primary), || {
            self.directory.import(id.clone(), digits, change.primary, SystemClock.now())
        })?;
        self.told(&taken.id)
    }

    fn promote(&self, id: &KeyId, yes: bool) -> Result<(), Stopped> {
        let keyring = self.directory.list().map_err(|error| stopped(&error))?;
        if keyring.primary == *id {
            self.output.say(&format!("Key {id} is the primary already."));
            return Ok(());
        }
        // What cannot be done is told before what it would mean.
        if keyring.keys.iter().any(|entry| entry.id == *id && entry.state == KeyState::Active) {
            self.agree(id, PrimaryArgs { primary: true, yes })?;
        }
        self.written_down(id, Some("active"), "primary", || self.directory.promote(id))?;
        self.told(id)
    }

    /// Changes the keyring, with its audit record around it.
    fn written_down<T>(
        &self,
        id: &KeyId,
        before: Option<&str>,
        after: &str,
        change: impl FnOnce() -> Result<T, KeysError>,
    ) -> Result<T, Stopped> {
        let mut deed = Deed::new(Act::KeyChange, format!("key/{id}")).after(json!({ "state": after }));
        if let Some(before) = before {
            deed = deed.before(json!({ "state": before }));
        }
        locally(&self.audit, deed, *self.output, || change().map_err(|error| stopped(&error)))
    }

    /// A new primary changes what everything is kept under: it is said before it is done.
    fn agree(&self, id: &KeyId, change: PrimaryArgs) -> Result<(), Stopped> {
        let keyring = match self.directory.list() {
            Ok(keyring) => keyring,
            Err(KeysError::NoKeyring { .. }) => return Ok(()),
            Err(error) => return Err(stopped(&error)),
        };
        if !change.primary || keyring.keys.iter().any(|entry| entry.id == *id && entry.id == keyring.primary)
        {
            return Ok(());
        }
        let changes = rotation(&keyring.primary, id, self.settings.history.min_uses);
        if change.yes {
            self.output.remark(&changes);
            return Ok(());
        }
        Err(Stopped::new(exit::USAGE, format!("{changes}\nNothing was done; add --yes to do it.")))
    }

    /// Shows the keyring after a change, and what is to be done next.
    fn told(&self, id: &KeyId) -> Result<(), Stopped> {
        let keyring = self.directory.list().map_err(|error| stopped(&error))?;
        self.output.tables(&[self.table(&keyring, None)]);
        if keyring.primary == *id {
            self.output.say(&format!("Key {id} is the primary key now."));
        } else {
            self.output.say(&format!(
                "Key {id} is active beside the primary {0}. When every process has it, `cardwatch key primary {id}` \
                 rotates.",
                keyring.primary
            ));
        }
        Ok(())
    }

    fn list(&self, cards: bool) -> Result<(), Stopped> {
        let keyring = self.directory.list().map_err(|error| stopped(&error))?;
        let cards = if cards { Some(self.cards()?) } else { None };
        self.output.tables(&[self.table(&keyring, cards.as_ref())]);
        let strangers = cards
            .iter()
            .flatten()
            .filter(|(id, cards)| **cards > 0 && !keyring.keys.iter().any(|entry| entry.id == **id));
        for (id, cards) in strangers {
            self.output
                .remark(&format!("{cards} cards are listed under key {id}, which is not in this keyring"));
        }
        Ok(())
    }

    fn retire(&self, id: &KeyId, yes: bool) -> Result<(), Stopped> {
        let keyring = self.directory.list().map_err(|error| stopped(&error))?;
        let is_retirable = keyring.primary != *id
            && keyring.keys.iter().any(|entry| entry.id == *id && entry.state == KeyState::Active);
        if is_retirable && !yes {
            self.nothing_lost(id)?;
        }
        let retired = self
            .written_down(id, Some("active"), "retired", || self.directory.retire(id, SystemClock.now()))?;
        let keyring = self.directory.list().map_err(|error| stopped(&error))?;
        self.output.tables(&[self.table(&keyring, None)]);
        let kept = match self.directory.source(&retired.id) {
            KeySource::Directory(path) => format!("{} is kept: destroy it", path.display()),
            _ => "Where it comes from it is still: destroy it there".to_owned(),
        };
        self.output.say(&format!(
            "Key {} is not opened any more by processes that start from now on. {kept} when no list and no stream \
             of fingerprints was made with it.",
            retired.id
        ));
        Ok(())
    }

    /// Refuses where cards would no longer match, or nobody can say.
    fn nothing_lost(&self, id: &KeyId) -> Result<(), Stopped> {
        let cards = self.cards().map_err(|error| {
            Stopped::new(
                error.code,
                format!(
                    "whether cards are listed under key {id} is not known: {}. Without the key they would not match \
                     any more; nothing was done, --yes retires it all the same",
                    error.message
                ),
            )
        })?;
        match cards.get(id) {
            None | Some(0) => Ok(()),
            Some(cards) => Err(Stopped::new(
                exit::USAGE,
                format!(
                    "{cards} cards are listed under key {id}. Without it none of them would match, and `sight` refuses \
                     to run: import their lists again first (`cardwatch incident revise ID --replace LIST`). Nothing was \
                     done; --yes retires it all the same"
                ),
            )),
        }
    }

    /// How many cards the exposed list has under each key.
    fn cards(&self) -> Result<BTreeMap<KeyId, u64>, Stopped> {
        let cluster = cluster(self.settings);
        let list = ListTopic {
            probe: Probe::new(&cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?,
            cluster,
            topic: self.settings.topics.exposures.clone(),
            prefix: self.settings.instance.transactional_prefix.clone(),
            clock: Arc::new(SystemClock),
        };
        Ok(list.survey()?.0.stats().by_key.iter().cloned().collect())
    }

    /// The next of k1, k2, … that was never used.
    fn next_id(&self) -> Result<KeyId, Stopped> {
        let used: Vec<KeyId> = match self.directory.list() {
            Ok(keyring) => keyring.keys.into_iter().map(|entry| entry.id).collect(),
            Err(KeysError::NoKeyring { .. }) => Vec::new(),
            Err(error) => return Err(stopped(&error)),
        };
        (1..)
            .filter_map(|n| format!("k{n}").parse::<KeyId>().ok())
            .find(|id| !used.contains(id))
            .ok_or_else(|| Stopped::new(exit::INTERNAL, "no key id is left"))
    }

    fn table(&self, keyring: &KeyringFile, cards: Option<&BTreeMap<KeyId, u64>>) -> Table {
        let columns = [
            ("key", "Key"),
            ("state", "State"),
            ("primary", "Primary"),
            ("source", "From"),
            ("created_at", "Made at"),
            ("retired_at", "Retired at"),
            ("check", "Check value"),
            ("cards", "Cards"),
        ];
        let mut table = Table::new("keys", columns);
        for key in &keyring.keys {
            table.row(self.row(key, &keyring.primary, cards));
        }
        table
    }

    fn row(&self, key: &KeyEntry, primary: &KeyId, cards: Option<&BTreeMap<KeyId, u64>>) -> [Cell; 8] {
        let state = match key.state {
            KeyState::Active => "active",
            KeyState::Retired => "retired",
        };
        let source = match self.directory.source(&key.id) {
            KeySource::Directory(_) => "directory",
            KeySource::File(_) => "file",
            KeySource::Command(_) => "command",
        };
        [
            Cell::from(key.id.to_string()),
            Cell::from(state),
            Cell::from(if key.id == *primary { "yes" } else { "no" }),
            Cell::from(source),
            Cell::from(key.created_at.to_string()),
            key.retired_at.map_or(Cell::Empty, |at| Cell::from(at.to_string())),
            // Enough to compare by eye; the whole stands in keyring.json.
            Cell::from(key.check.to_string().chars().take(16).collect::<String>()),
            cards.map_or(Cell::Empty, |cards| Cell::Count(cards.get(&key.id).copied().unwrap_or(0))),
        ]
    }
}

/// The state of a key that joins the keyring, as audit records name it.
fn state(primary: bool) -> &'static str {
    if primary { "primary" } else { "active" }
}

/// What a new primary changes.
fn rotation(old: &KeyId, new: &KeyId, min_uses: u32) -> String {
    format!(
        "Making {new} the primary in place of {old} changes what cards are known by, in each process of `sight` from \
         its next start on:\n\
         - Every card gets another fingerprint, and its history starts anew under it. Until {min_uses} uses are known \
         again, signals that compare with the card's past are unknown; windows count from zero.\n\
         - Sightings, alerts and histories of before keep the fingerprint under {old}. As long as {old} is active a \
         sighting names both (card.others).\n\
         - Lists under {old} go on matching while {old} is active. Import each again under {new} (`cardwatch incident \
         revise ID --replace LIST`); `cardwatch key list --cards` tells when none is left and {old} can be retired.\n\
         - Give every process the key before any has it as primary, and start them again together: while some have \
         {old} and some {new}, one card's uses are split over two histories."
    )
}
