//! Files that are no secret: certificates, templates.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why such a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BoundedError {
    /// It cannot be read.
    #[error("cannot read {path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
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

/// Reads the file at `path`, of at most `bytes_max` bytes.
///
/// # Errors
/// [`BoundedError`] when it cannot be read or is too long.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, BoundedError> {
    let failed = |cause| BoundedError::Io { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bytes_max {
        return Err(BoundedError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_such_a_file_may_hold() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ca.pem");
        assert!(read(&path, 4).unwrap_err().to_string().contains("cannot read"));
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"abcd");
        assert!(matches!(read(&path, 3), Err(BoundedError::TooLong { .. })));
        assert!(matches!(read(Path::new("/dev/zero"), 3), Err(BoundedError::TooLong { .. })));
    }
}
