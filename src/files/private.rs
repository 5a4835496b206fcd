//! Files that hold a secret: made for their owner alone, refused where others may read them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Why such a file cannot be used. Says which and what to do; carries nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// It cannot be read or written.
    #[error("cannot {what} {path}: {cause}")]
    Io {
        /// Read, make or write.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may read or change it.
    #[error(
        "{path} may be read or changed by others (mode {mode:04o}, owner {owner}): what it holds may be known; if nobody \
         had access, run `chmod 600 {path}`, otherwise make it anew"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The user it belongs to.
        owner: u32,
    },
    /// It is longer than what it should hold.
    #[error("{path} is longer than {bytes_max} bytes: it holds something else")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most it may hold.
        bytes_max: usize,
    },
}

/// Whether a file of these bits and this owner is for its reader alone: `0600` or less, or `0640` or less where
/// root owns it, which is how Kubernetes hands a secret to a process that is not root.
fn is_private(mode: u32, owner: u32) -> bool {
    mode & 0o077 == 0 || (owner == 0 && mode & 0o037 == 0)
}

/// Reads the one line of the file at `path`, of at most `bytes_max` bytes, without its end.
///
/// # Errors
/// [`PrivateError`] when it cannot be read, may be read by others, or is too long.
pub fn read(path: &Path, bytes_max: usize) -> Result<Secret, PrivateError> {
    let failed = |cause| PrivateError::Io { what: "read", path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(failed)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    if !is_private(mode, owner) {
        return Err(PrivateError::Exposed { path: path.to_owned(), mode, owner });
    }
    // Of its whole size from the start: a buffer that grew would leave copies behind.
    let mut text = Zeroizing::new(vec![0u8; bytes_max + 3]);
    let mut length = 0;
    while length < text.len() {
        match file.read(&mut text[length..]) {
            Ok(0) => break,
            Ok(bytes) => length += bytes,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(failed(cause)),
        }
    }
    let line = text[..length].trim_ascii_end();
    if line.len() > bytes_max || length == text.len() {
        return Err(PrivateError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(Secret::new(line.to_vec()))
}

/// Makes the file at `path` for its owner alone, and the directory it is in where there is none. Never over an
/// existing file.
///
/// # Errors
/// [`PrivateError`] when it is there already or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    let failed = |what| move |cause| PrivateError::Io { what, path: path.to_owned(), cause };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed("make"))?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("make"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("write"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn who_may_read_a_secret() {
        for (mode, owner, private) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o640, 1000, false),
            (0o604, 1000, false),
            (0o440, 0, true),
            (0o640, 0, true),
            (0o660, 0, false),
            (0o444, 0, false),
        ] {
            assert_eq!(is_private(mode, owner), private, "{mode:o} {owner}");
        }
    }

    #[test]
    fn what_is_made_is_read_again_and_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens/desk.token");
        create(&path, b"secret words\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(read(&path, 12).unwrap().expose(), b"secret words");
        assert!(matches!(create(&path, b"other"), Err(PrivateError::Io { what: "make", .. })));
        assert_eq!(read(&path, 12).unwrap().expose(), b"secret words");
        assert!(matches!(read(&path, 11), Err(PrivateError::TooLong { .. })));
        assert!(matches!(read(&path, 2), Err(PrivateError::TooLong { .. })));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_by_name_and_without_its_content() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("desk.token");
        create(&path, b"secret words\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let told = read(&path, 12).unwrap_err().to_string();
        assert!(told.contains("desk.token") && told.contains("0644") && !told.contains("words"), "{told}");
        assert!(read(&home.path().join("none"), 12).unwrap_err().to_string().contains("cannot read"));
    }
}
