//! Files with the private keys that open sealed dead letters.
//!
//! One key a line; empty lines and those that begin with `#` say nothing. A file belongs to its owner alone.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::private::{self, PrivateError};
use crate::codec::seal::{PrivateKey, SealKeyError};

/// The largest file read, in bytes.
const BYTES_MAX: usize = 64 * 1024;

/// Why a file gives no private keys. Carries nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written, or others may read or change it.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// A line is no key.
    #[error("{path}:{line}: this is no private key of `cardwatch dead-letters keygen`: {cause}")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        cause: SealKeyError,
    },
    /// It holds no key.
    #[error("{0} holds no private key")]
    Empty(PathBuf),
    /// The system's generator failed.
    #[error("the system gave no random bytes for a key: {0}")]
    Random(getrandom::Error),
}

/// The private keys of a file.
///
/// # Errors
/// [`IdentityError`] when it cannot be read, others may read or change it, or it holds something else.
pub fn read(path: &Path) -> Result<Vec<PrivateKey>, IdentityError> {
    let text = private::read(path, BYTES_MAX)?;
    let mut keys = Vec::new();
    for (number, line) in text.expose().split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        // What is not text begins with no prefix either.
        let key = std::str::from_utf8(line).unwrap_or_default().parse();
        keys.push(key.map_err(|cause| IdentityError::NotAKey {
            path: path.to_owned(),
            line: number + 1,
            cause,
        })?);
    }
    if keys.is_empty() { Err(IdentityError::Empty(path.to_owned())) } else { Ok(keys) }
}

/// Makes a private key and writes it to a new file, readable by its owner alone.
///
/// # Errors
/// [`IdentityError`] when the file is there already or cannot be written.
pub fn create(path: &Path) -> Result<PrivateKey, IdentityError> {
    let mut entropy = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *entropy).map_err(IdentityError::Random)?;
    let key = PrivateKey::generate(&entropy);
    let head = format!(
        "# Opens dead letters that are sealed to {}.\n# Keep it where cardwatch does not run: whoever has it reads them.\n",
        key.public()
    );
    // Of its whole size from the start: a text that grew would leave copies of the key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(head.len() + 128));
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(key.to_text().as_bytes());
    text.push(b'\n');
    private::create(path, &text)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_that_was_made_is_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters.key");
        let made = create(&path).unwrap();
        let read_back = read(&path).unwrap();
        assert_eq!(read_back.len(), 1);
        assert_eq!(read_back[0].public(), made.public());
        assert!(matches!(create(&path), Err(IdentityError::File(_))));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&made.public().to_string()));
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters.key");
        let made = create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let bad = text.replace("cwsec.", "cwsek.");
        for (text, want) in [
            (format!("{text}\n{bad}"), "letters.key:7: this is no private key"),
            (made.public().to_string(), "letters.key:1: this is no private key"),
            ("# nothing\n".to_owned(), "holds no private key"),
            ("x".repeat(BYTES_MAX + 1), "longer than"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(want) && !shown.contains(&bad[bad.len() - 20..]), "{shown}");
        }
    }
}
