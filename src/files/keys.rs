//! The key directory: `KEYID.key` for each key and `keyring.json`, which says what they are for.
//!
//! ```text
//! keys/              0700
//!   k1.key           0600   64 hexadecimal digits
//!   k2.key           0600
//!   keyring.json     0600   which key is primary, which are active or retired, since when, their check values
//! ```
//!
//! A retired key's file stays where it is and is not opened any more: destroying a key is a decision of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::card::KeyId;
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::{CheckValue, KEY_BYTES, Key, KeyError, Keyring};
use crate::secret::Secret;

/// The name and version of the JSON form of `keyring.json`.
pub const KEYRING_SCHEMA: &str = "cardwatch.keyring/1";
const KEYRING_FILE: &str = "keyring.json";
/// The permission bits of everyone but the owner.
const OTHERS: u32 = 0o077;

/// Why the key directory cannot be used. Says which file and what to do; carries nothing of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no keyring.
    #[error("there is no keyring in {directory}: make the first key with `cardwatch key new`")]
    NoKeyring {
        /// The directory.
        directory: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {path}: {cause}")]
    Io {
        /// Read or write.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others than the owner may read a key.
    #[error(
        "{path} may be read or changed by others (mode {mode:04o}): its key may be known; if nobody had access, \
         run `chmod 600 {path}`, otherwise make a new key"
    )]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key's file is not 64 hexadecimal digits.
    #[error("{path} does not hold a key of 64 hexadecimal digits: restore it from where you keep a copy")]
    NotAKey {
        /// The key's file.
        path: PathBuf,
    },
    /// A key's file holds another key than the keyring knows.
    #[error(
        "{path} holds another key than when it was made (its check value differs): restore the right one"
    )]
    OtherKey {
        /// The key's file.
        path: PathBuf,
    },
    /// `keyring.json` is not what it should be.
    #[error("{path} is not a keyring of this version: {what} (line {line}, column {column})")]
    NotAKeyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
        /// Where, counted from 1; 0 if nowhere in particular.
        line: usize,
        /// Where, counted from 1; 0 if nowhere in particular.
        column: usize,
    },
    /// The id is taken.
    #[error("there is a key {0} already: a key's name is never used twice; choose another")]
    Taken(KeyId),
    /// No such key.
    #[error("there is no key {0} in the keyring: `cardwatch key list` shows those there are")]
    NoSuchKey(KeyId),
    /// The key is retired.
    #[error("key {0} is retired already")]
    Retired(KeyId),
    /// The primary cannot be retired.
    #[error(
        "key {0} is the primary, under which lists are written: make a new primary key before retiring it"
    )]
    Primary(KeyId),
    /// The keys do not make a keyring.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system's generator failed.
    #[error("the system gave no random bytes for a key: {0}")]
    Random(getrandom::Error),
}

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
}

impl KeyDirectory {
    /// The directory at `path`; it need not be there until the first key is made.
    pub fn new(path: &Path) -> KeyDirectory {
        KeyDirectory { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a key of 256 bits from the system's generator. The first one is the primary; a later one is, if
    /// `primary` says so, and the primary before it stays active.
    ///
    /// # Errors
    /// [`KeysError`] when the id was used before or a file cannot be written.
    pub fn create(&self, id: KeyId, primary: bool, at: Timestamp) -> Result<KeyEntry, KeysError> {
        let keyring = match self.list() {
            Ok(keyring) => Some(keyring),
            Err(KeysError::NoKeyring { .. }) => None,
            Err(error) => return Err(error),
        };
        if keyring.iter().flat_map(|keyring| &keyring.keys).any(|entry| entry.id == id) {
            return Err(KeysError::Taken(id));
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|cause| io_error("create", &self.path, cause))?;
        let mut secret = Zeroizing::new([0u8; KEY_BYTES]);
        getrandom::fill(&mut *secret).map_err(KeysError::Random)?;
        let key = Key::new(id.clone(), Secret::new(secret.to_vec()))?;
        self.write_key(&key)?;
        let (state, check) = (KeyState::Active, key.check_value());
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
    /// [`KeysError`] when a key's file is missing, readable by others, or not the key it was.
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

    fn key_path(&self, id: &KeyId) -> PathBuf {
        self.path.join(format!("{id}.key"))
    }

    fn read_key(&self, entry: &KeyEntry) -> Result<Key, KeysError> {
        let path = self.key_path(&entry.id);
        let mut file = File::open(&path).map_err(|cause| io_error("open", &path, cause))?;
        // Asked of the open file, so that what is checked is what is read.
        let mode = file.metadata().map_err(|cause| io_error("read", &path, cause))?.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeysError::Exposed { path, mode });
        }
        // One byte more than a key and its line end, to see that nothing follows.
        let mut text = Zeroizing::new([0u8; KEY_BYTES * 2 + 3]);
        let mut length = 0;
        loop {
            match file.read(&mut text[length..]) {
                Ok(0) => break,
                Ok(bytes) => length += bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(io_error("read", &path, cause)),
            }
        }
        let digits = text[..length].trim_ascii_end();
        let mut secret = Zeroizing::new([0u8; KEY_BYTES]);
        let decoded = digits.len() == KEY_BYTES * 2
            && data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut *secret).is_ok();
        if !decoded {
            return Err(KeysError::NotAKey { path });
        }
        let key = Key::new(entry.id.clone(), Secret::new(secret.to_vec()))?;
        if key.check_value() != entry.check { Err(KeysError::OtherKey { path }) } else { Ok(key) }
    }

    fn write_key(&self, key: &Key) -> Result<(), KeysError> {
        let mut text = Zeroizing::new([b'\n'; KEY_BYTES * 2 + 1]);
        data_encoding::HEXLOWER.encode_mut(key.secret().expose(), &mut text[..KEY_BYTES * 2]);
        // Never over an existing file: a key that is lost takes every list made with it along.
        self.write_new(&self.key_path(key.id()), &*text)
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
