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
    /// There is one already, and it is not written over.
    #[error("{0} is there already, and is never written over: choose another name, or move it away first")]
    Exists(PathBuf),
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
    /// It belongs to somebody else.
    #[error(
        "{path} belongs to user {owner} and this is user {user}: whoever owns it may have read or changed it; if \
         nobody did, run `chown {user} {path}`, otherwise make it anew"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who this process is.
        user: u32,
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

const ROOT: u32 = 0;

/// Whether a file of these bits and this owner is for its reader alone: closed to all but the owner, or a
/// credential that root made for this process. systemd and Kubernetes make it readable by the group (which also
/// stands for an access list): 0440, or 0640 where the process is not root itself.
fn allow(path: &Path, mode: u32, owner: u32, user: u32) -> Result<(), PrivateError> {
    let path = path.to_owned();
    // Root may read everybody's files, and is often the one who looks after a service's secrets.
    if owner != user && owner != ROOT && user != ROOT {
        return Err(PrivateError::Foreign { path, owner, user });
    }
    let is_credential = owner == ROOT && mode & 0o037 == 0 && (user != ROOT || mode & 0o200 == 0);
    let is_private = mode & 0o077 == 0 || is_credential;
    if is_private { Ok(()) } else { Err(PrivateError::Exposed { path, mode, owner }) }
}

/// Reads until `room` is full or nothing more comes.
///
/// # Errors
/// What `from` says.
pub(super) fn fill(from: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < room.len() {
        match from.read(&mut room[length..]) {
            Ok(0) => break,
            Ok(bytes) => length += bytes,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(length)
}

/// Reads the text of the file at `path`, of at most `bytes_max` bytes, without the white space at its end.
///
/// # Errors
/// [`PrivateError`] when it cannot be read, may be read by others, or is too long.
pub fn read(path: &Path, bytes_max: usize) -> Result<Secret, PrivateError> {
    let failed = |cause| PrivateError::Io { what: "read", path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(failed)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    allow(path, metadata.mode() & 0o7777, metadata.uid(), rustix::process::geteuid().as_raw())?;
    // Of its whole size from the start: a buffer that grew would leave copies behind.
    let mut text = Zeroizing::new(vec![0u8; bytes_max + 3]);
    let length = fill(&mut file, &mut text).map_err(failed)?;
    let line = text[..length].trim_ascii_end();
    if line.len() > bytes_max || length == text.len() {
        return Err(PrivateError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(Secret::new(line.to_vec()))
}

/// Puts a file in the place of one that is there, whole or not at all, for its owner alone.
///
/// # Errors
/// When it cannot be written; then what was there stays.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    let io = |cause| PrivateError::Io { what: "write", path: path.to_owned(), cause };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // Of a replacement that was interrupted nothing is of use.
    match std::fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    create(&beside, bytes)?;
    std::fs::rename(&beside, path).map_err(io)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
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
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => PrivateError::Exists(path.to_owned()),
        _ => failed("make")(cause),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("write"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn owners_and_credentials_are_read_and_nobody_elses() {
        const ME: u32 = 1_000;
        for (mode, owner, user, good) in [
            (0o600, ME, ME, true),
            (0o400, ME, ME, true),
            (0o440, ME, ME, false),
            (0o640, ME, ME, false),
            (0o604, ME, ME, false),
            (0o620, ME, ME, false),
            // As systemd and Kubernetes give them.
            (0o400, ROOT, ME, true),
            (0o440, ROOT, ME, true),
            (0o640, ROOT, ME, true),
            (0o440, ROOT, ROOT, true),
            (0o640, ROOT, ROOT, false),
            (0o660, ROOT, ME, false),
            (0o444, ROOT, ME, false),
            // Another user's, whatever its mode; but root looks after everybody's.
            (0o600, 1_001, ME, false),
            (0o600, ME, ROOT, true),
            (0o640, ME, ROOT, false),
        ] {
            assert_eq!(allow(Path::new("k"), mode, owner, user).is_ok(), good, "{mode:o} {owner} {user}");
        }
    }

    #[test]
    fn what_is_longer_fills_the_room() {
        let mut room = [0; 4];
        assert_eq!(fill(&mut &b"abc"[..], &mut room).unwrap(), 3);
        assert_eq!(fill(&mut &b"abcdef"[..], &mut room).unwrap(), 4);
        assert_eq!(&room, b"abcd");
    }

    #[test]
    fn what_is_made_is_read_again_and_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tokens/desk.token");
        create(&path, b"secret words\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(read(&path, 12).unwrap().expose(), b"secret words");
        assert!(matches!(create(&path, b"other"), Err(PrivateError::Exists(_))));
        assert_eq!(read(&path, 12).unwrap().expose(), b"secret words");
        assert!(matches!(read(&path, 11), Err(PrivateError::TooLong { .. })));
        assert!(matches!(read(&path, 2), Err(PrivateError::TooLong { .. })));
        // White space is not looked through without end for what may stand behind it.
        fs::write(&path, format!("secret{}words", " ".repeat(20))).unwrap();
        assert!(matches!(read(&path, 12), Err(PrivateError::TooLong { .. })));
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
