//! What can be wrong with keys.

use std::io;
use std::path::PathBuf;

use crate::domain::card::KeyId;
use crate::exposure::fingerprint::KeyError;
use crate::files::private::PrivateError;
use crate::files::unwrap::UnwrapError;

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
    /// A key's file cannot be read, or others may read or change it.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// A key's command gave nothing.
    #[error("key {id}: {cause}")]
    Command {
        /// The key.
        id: KeyId,
        /// Why.
        cause: UnwrapError,
    },
    /// What came is not 64 hexadecimal digits.
    #[error("{origin} does not hold a key of 64 hexadecimal digits: restore it from where you keep a copy")]
    NotAKey {
        /// Where it came from.
        origin: String,
    },
    /// Another key came than the keyring knows.
    #[error(
        "{origin} holds another key than when it was made (its check value differs): restore the right one"
    )]
    OtherKey {
        /// Where it came from.
        origin: String,
    },
    /// A key came that anybody can look up.
    #[error(
        "{origin} holds a key that is published in docs/fingerprint.md for its test vectors: everybody can undo \
         fingerprints made with it; make a key of your own with `cardwatch key new`"
    )]
    Published {
        /// Where it came from.
        origin: String,
    },
    /// A key that comes from elsewhere cannot be made here.
    #[error(
        "key {id} is to come from {origin}: make it there, and take it in with `cardwatch key import {id}`"
    )]
    Elsewhere {
        /// The key.
        id: KeyId,
        /// Where it comes from.
        origin: String,
    },
    /// Nobody says where a key comes from.
    #[error(
        "nothing says where key {0} comes from: name a file under keys.files or a command under keys.commands, or \
         give its 64 hexadecimal digits on standard input"
    )]
    NoSource(KeyId),
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

impl KeysError {
    /// Whether trying again later may help: the service that a key's command asks is not there.
    pub fn is_passing(&self) -> bool {
        matches!(self, KeysError::Command { cause, .. } if cause.is_passing())
    }
}
