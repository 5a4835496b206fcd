//! Where keys come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::KeysError;
use crate::domain::card::KeyId;
use crate::exposure::derived::is_published;
use crate::exposure::fingerprint::{KEY_BYTES, Key};
use crate::files::private::{self, PrivateError};
use crate::files::unwrap::unwrap;
use crate::secret::Secret;

/// Room for what a command gives: a key, its line end and one byte more, to see that nothing follows.
const ROOM: usize = KEY_BYTES * 2 + 3;

/// Keys that come from elsewhere than the key directory. Where a key has a command and a file, the command
/// counts.
#[derive(Debug, Clone, Default)]
pub struct KeySources {
    /// Keys in files of their own.
    pub files: BTreeMap<KeyId, PathBuf>,
    /// Keys from the standard output of a command: the program and its arguments.
    pub commands: BTreeMap<KeyId, Vec<String>>,
    /// How long a command may take.
    pub timeout: Duration,
}

/// Where one key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource<'a> {
    /// `KEYID.key` in the key directory.
    Directory(PathBuf),
    /// A file of its own.
    File(&'a Path),
    /// A command.
    Command(&'a [String]),
}

impl KeySources {
    /// Where a key comes from, if not from the key directory.
    pub(super) fn of(&self, id: &KeyId) -> Option<KeySource<'_>> {
        match (self.commands.get(id), self.files.get(id)) {
            (Some(command), _) => Some(KeySource::Command(command)),
            (None, Some(path)) => Some(KeySource::File(path)),
            (None, None) => None,
        }
    }
}

impl KeySource<'_> {
    /// The key.
    pub(super) fn read(&self, id: &KeyId, timeout: Duration) -> Result<Key, KeysError> {
        let origin = self.to_string();
        let path: &Path = match self {
            KeySource::Directory(path) => path,
            KeySource::File(path) => path,
            KeySource::Command(command) => {
                let unwrapped = unwrap::<ROOM>(command, timeout);
                let (room, length) =
                    unwrapped.map_err(|cause| KeysError::Command { id: id.clone(), cause })?;
                return key(id, &room[..length], &origin);
            }
        };
        match private::read(path, KEY_BYTES * 2) {
            Ok(digits) => key(id, digits.expose(), &origin),
            Err(PrivateError::TooLong { .. }) => Err(KeysError::NotAKey { origin }),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Display for KeySource<'_> {
    /// A file's path, or the program of a command: its arguments are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Directory(path) => write!(f, "{}", path.display()),
            KeySource::File(path) => write!(f, "{}", path.display()),
            KeySource::Command(command) => {
                write!(f, "the command {}", command.first().map_or("", String::as_str))
            }
        }
    }
}

/// The key that 64 hexadecimal digits are; white space may follow them.
pub(super) fn key(id: &KeyId, digits: &[u8], origin: &str) -> Result<Key, KeysError> {
    let digits = digits.trim_ascii_end();
    let mut secret = Zeroizing::new([0u8; KEY_BYTES]);
    let decoded = digits.len() == KEY_BYTES * 2
        && data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, &mut *secret).is_ok();
    if !decoded {
        return Err(KeysError::NotAKey { origin: origin.to_owned() });
    }
    let key = Key::new(id.clone(), Secret::new(secret.to_vec()))?;
    if is_published(&key.check_value()) {
        return Err(KeysError::Published { origin: origin.to_owned() });
    }
    Ok(key)
}
