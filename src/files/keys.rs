//! The key directory: `KEYID.key` for each key and `keyring.json`, which says what they are for.
//!
//! ```text
//! keys/              0700
//!   k1.key           0600   64 hexadecimal digits
//!   k2.key           0600
//!   keyring.json     0600   which key is primary, which are active or retired, since when, their check values
//! ```
//!
//! A key may come from another file (a credential of systemd, a secret of Kubernetes) or from a command (the
//! unwrap call of a key management service) instead; the directory then holds its entry in `keyring.json` alone.
//!
//! A retired key's file stays where it is and is not opened any more: destroying a key is a decision of its own.

mod error;
mod source;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::card::KeyId;
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::{CheckValue, KEY_BYTES, Key, Keyring};
use crate::fault;
use crate::secret::Secret;

pub use error::KeysError;
pub use source::{KeySource, KeySources};

/// The name and version of the JSON form of `keyring.json`.
pub const KEYRING_SCHEMA: &str = "cardwatch.keyring/1";
const KEYRING_FILE: &str = "keyring.json";
/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Cards are fingerprinted under it.
    Active,
    /// It is not opened any more.
    Retired,
}

/// What the keyring knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The key's name.
    pub id: KeyId,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
    /// The check value that every list made with it stores.
    pub check: CheckValue,
}

/// `keyring.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringFile {
    /// Always [`KEYRING_SCHEMA`].
    pub schema: String,
    /// The key that lists are written under.
    pub primary: KeyId,
    /// Every key there ever was, in the order they were made.
    pub keys: Vec<KeyEntry>,
}

/// A key directory.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    path: PathBuf,
    sources: KeySources,
}

impl KeyDirectory {
    /// The directory at `path`; it need not be there until the first key is made.
    pub fn new(path: &Path) -> KeyDirectory {
        KeyDirectory { path: path.to_owned(), sources: KeySources::default() }
    }

    /// The same, with keys that come from elsewhere.
    #[must_use]
    pub fn with(self, sources: KeySources) -> KeyDirectory {
        KeyDirectory { sources, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a key comes from.
    pub fn source(&self, id: &KeyId) -> KeySource<'_> {
        self.sources.of(id).unwrap_or_else(|| KeySource::Directory(self.path.join(format!("{id}.key"))))
    }

    /// Makes a key of 256 bits from the system's generator. The first one is the primary; a later one is, if
    /// `primary` says so, and the primary before it stays active.
    ///
    /// # Errors
    /// [`KeysError`] when the id was used before, the key is to come from elsewhere, or a file cannot be written.
    pub fn create(&self, id: KeyId, primary: bool, at: Timestamp) -> Result<KeyEntry, KeysError> {
        let keyring = self.list_for(&id)?;
        if let Some(source) = self.sources.of(&id) {
            return Err(KeysError::Elsewhere { id, origin: source.to_string() });
        }
        let mut secret = Zeroizing::new([0u8; KEY_BYTES]);
        getrandom::fill(&mut *secret).map_err(KeysError::Random)?;
        let key = Key::new(id, Secret::new(secret.to_vec()))?;
        self.make_directory()?;
        self.write_key(&key)?;
        self.enter(keyring, &key, primary, at)
    }

    /// Takes a key in that was made elsewhere: `digits` as they are in a key's file, which is written, or where
    /// the sources name the key, what comes from there. Otherwise as [`KeyDirectory::create`].
    ///
    /// # Errors
    /// [`KeysError`] when the id was used before, no key comes, it is one that is published, or a file cannot be
    /// written.
    pub fn import(
        &self,
        id: KeyId,
        digits: Option<&[u8]>,
        primary: bool,
        at: Timestamp,
    ) -> Result<KeyEntry, KeysError> {
        let keyring = self.list_for(&id)?;
        let key = match (digits, self.sources.of(&id)) {
            (_, Some(source)) => source.read(&id, self.sources.timeout)?,
            (Some(digits), None) => source::key(&id, digits, "standard input")?,
            (None, None) => return Err(KeysError::NoSource(id)),
        };
        self.make_directory()?;
        if self.sources.of(&id).is_none() {
            self.write_key(&key)?;
        }
        self.enter(keyring, &key, primary, at)
    }

    /// Makes an active key the primary one; the primary before it stays active.
    ///
    /// # Errors
    /// [`KeysError`] when it is not active, or the keyring cannot be written.
    pub fn promote(&self, id: &KeyId) -> Result<KeyringFile, KeysError> {
        let mut keyring = self.list()?;
        match keyring.keys.iter().find(|entry| entry.id == *id) {
            None => return Err(KeysError::NoSuchKey(id.clone())),
            Some(entry) if entry.state == KeyState::Retired => return Err(KeysError::Retired(id.clone())),
            Some(_) => keyring.primary = id.clone(),
        }
        self.write_keyring(&keyring)?;
        Ok(keyring)
    }

    /// The keyring as it is before `id` joins it, if there is one.
    fn list_for(&self, id: &KeyId) -> Result<Option<KeyringFile>, KeysError> {
        let keyring = match self.list() {
            Ok(keyring) => Some(keyring),
            Err(KeysError::NoKeyring { .. }) => None,
            Err(error) => return Err(error),
        };
        if keyring.iter().flat_map(|keyring| &keyring.keys).any(|entry| entry.id == *id) {
            return Err(KeysError::Taken(id.clone()));
        }
        Ok(keyring)
    }

    fn make_directory(&self) -> Result<(), KeysError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|cause| io_error("create", &self.path, cause))
    }

    fn enter(
        &self,
        keyring: Option<KeyringFile>,
        key: &Key,
        primary: bool,
        at: Timestamp,
    ) -> Result<KeyEntry, KeysError> {
        let (id, state, check) = (key.id().clone(), KeyState::Active, key.check_value());
        let entry = KeyEntry { id: id.clone(), state, created_at: at, retired_at: None, check };
        let mut keyring = keyring.unwrap_or_else(|| KeyringFile {
            schema: KEYRING_SCHEMA.to_owned(),
            primary: id.clone(),
            keys: Vec::new(),
        });
        keyring.keys.push(entry.clone());
        if primary {
            keyring.primary = id;
        }
        self.write_keyring(&keyring)?;
        Ok(entry)
    }

    /// Retires a key: cards are not fingerprinted under it any more. Lists written under it must have been
    /// imported again before, or `sight` will refuse to run without it.
    ///
    /// # Errors
    /// [`KeysError`] when it is not active, is the primary, or the keyring cannot be written.
    pub fn retire(&self, id: &KeyId, at: Timestamp) -> Result<KeyEntry, KeysError> {
        let mut keyring = self.list()?;
        if keyring.primary == *id {
            return Err(KeysError::Primary(id.clone()));
        }
        let entry = keyring.keys.iter_mut().find(|entry| entry.id == *id);
        let entry = entry.ok_or_else(|| KeysError::NoSuchKey(id.clone()))?;
        if entry.state == KeyState::Retired {
            return Err(KeysError::Retired(id.clone()));
        }
        entry.state = KeyState::Retired;
        entry.retired_at = Some(at);
        let entry = entry.clone();
        self.write_keyring(&keyring)?;
        Ok(entry)
    }

    /// What the keyring knows of every key. Opens no key.
    ///
    /// # Errors
    /// [`KeysError`] when there is no keyring, or it cannot be read.
    pub fn list(&self) -> Result<KeyringFile, KeysError> {
        let path = self.path.join(KEYRING_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(KeysError::NoKeyring { directory: self.path.clone() });
            }
            Err(cause) => return Err(io_error("read", &path, cause)),
        };
        let wrong = |what, line, column| KeysError::NotAKeyring { path: path.clone(), what, line, column };
        let keyring: KeyringFile = serde_json::from_slice(&bytes)
            .map_err(|error| wrong("not JSON of its form", error.line(), error.column()))?;
        let is_active =
            |id: &KeyId| keyring.keys.iter().any(|entry| entry.id == *id && entry.state == KeyState::Active);
        if keyring.schema != KEYRING_SCHEMA {
            return Err(wrong("it has another schema", 0, 0));
        }
        if !is_active(&keyring.primary) {
            return Err(wrong("its primary is not one of its active keys", 0, 0));
        }
        Ok(keyring)
    }

    /// Opens the active keys.
    ///
    /// # Errors
    /// [`KeysError`] when a key does not come, may be known to others, or is not the key it was.
    pub fn load(&self) -> Result<Keyring, KeysError> {
        let keyring = self.list()?;
        let (mut primary, mut others) = (None, Vec::new());
        for entry in keyring.keys.iter().filter(|entry| entry.state == KeyState::Active) {
            let key = self.read_key(entry)?;
            if entry.id == keyring.primary { primary = Some(key) } else { others.push(key) }
        }
        let primary = primary.ok_or(KeysError::NoSuchKey(keyring.primary))?;
        Ok(Keyring::new(primary, others)?)
    }

    fn read_key(&self, entry: &KeyEntry) -> Result<Key, KeysError> {
        let source = self.source(&entry.id);
        let key = source.read(&entry.id, self.sources.timeout)?;
        let same = key.check_value() == entry.check || fault::broken("other-key-check-skipped");
        if same { Ok(key) } else { Err(KeysError::OtherKey { origin: source.to_string() }) }
    }

    fn write_key(&self, key: &Key) -> Result<(), KeysError> {
        let mut text = Zeroizing::new([b'\n'; KEY_BYTES * 2 + 1]);
        data_encoding::HEXLOWER.encode_mut(key.secret().expose(), &mut text[..KEY_BYTES * 2]);
        // Never over an existing file: a key that is lost takes every list made with it along.
        self.write_new(&self.path.join(format!("{}.key", key.id())), &*text)
    }

    /// Beside the old one and then in its place, so that a crash leaves one of the two whole.
    fn write_keyring(&self, keyring: &KeyringFile) -> Result<(), KeysError> {
        let (new, path) = (self.path.join(format!("{KEYRING_FILE}.new")), self.path.join(KEYRING_FILE));
        let text = serde_json::to_vec_pretty(keyring);
        let text = text.map_err(|error| io_error("write", &path, error.into()))?;
        match fs::remove_file(&new) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("replace", &new, cause));
            }
            _ => {}
        }
        self.write_new(&new, &text)?;
        fs::rename(&new, &path).map_err(|cause| io_error("write", &path, cause))?;
        self.sync_directory()
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            });
        written.map_err(|cause| io_error("write", path, cause))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), KeysError> {
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(|cause| io_error("write", &self.path, cause))
    }
}

fn io_error(what: &'static str, path: &Path, cause: io::Error) -> KeysError {
    KeysError::Io { what, path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests;
