//! The audit file: one record a line, only ever appended to, on the disk before anything is done.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::domain::audit::AuditRecord;

mod unsent;

pub use unsent::Unsent;

/// The permission bits with which others could change what is written.
const OTHERS_WRITE: u32 = 0o022;

/// Why the audit file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditFileError {
    /// The file.
    #[error("the audit file {path} cannot be {what}: {cause}")]
    Io {
        /// Written or read.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others could change it.
    #[error("the audit file {path} may be changed by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The audit file at a path.
#[derive(Debug, Clone)]
pub struct AuditFile {
    path: PathBuf,
}

impl AuditFile {
    /// The file at `path`; it need not be there before the first record.
    pub fn new(path: &Path) -> AuditFile {
        AuditFile { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record and waits until it is on the disk. One write for the whole line: what several
    /// processes append never mixes. A line that a crash cut short is ended first.
    ///
    /// # Errors
    /// When it cannot be written, or others could change it.
    pub fn append(&self, record: &AuditRecord) -> Result<(), AuditFileError> {
        let failed = |cause| AuditFileError::Io { what: "written", path: self.path.clone(), cause };
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).append(true).create(true).mode(0o600).open(&self.path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(AuditFileError::Exposed { path: self.path.clone(), mode });
        }
        let mut line = Vec::new();
        if metadata.len() > 0 {
            let mut last = [0u8; 1];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut last, metadata.len() - 1)
                .map_err(failed)?;
            if last != *b"\n" {
                line.push(b'\n');
            }
        }
        line.extend_from_slice(&record.to_json());
        line.push(b'\n');
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(failed)?;
        if metadata.len() == 0 {
            // A new file is on the disk when its directory is.
            let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = File::open(parent.unwrap_or(Path::new("."))).map_err(failed)?;
            directory.sync_all().map_err(failed)?;
        }
        Ok(())
    }

    /// Reads the records one by one; gives the lines, counted from 1, that are none. A crash may have cut one
    /// short, and what follows it is as good as before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, mut visit: impl FnMut(AuditRecord)) -> Result<Vec<usize>, AuditFileError> {
        let failed = |cause| AuditFileError::Io { what: "read", path: self.path.clone(), cause };
        let mut reader = BufReader::new(File::open(&self.path).map_err(failed)?);
        let (mut line, mut spoilt) = (Vec::new(), Vec::new());
        for number in 1.. {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            match AuditRecord::from_json(line.trim_ascii()) {
                Ok(record) => visit(record),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => spoilt.push(number),
            }
        }
        Ok(spoilt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{AUDIT_SCHEMA, By, Ending, Via};
    use crate::domain::time::Timestamp;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    pub(super) fn record(id: &str) -> AuditRecord {
        let (user, host) = ("ops".to_owned(), "h1".to_owned());
        AuditRecord {
            schema: AUDIT_SCHEMA.to_owned(),
            id: id.to_owned(),
            at: Timestamp(1_000),
            act: "close".to_owned(),
            subject: "incident/shop\nwith a line's end".to_owned(),
            before: None,
            after: None,
            reason: None,
            by: By { user, host, claimed: None, via: Via::Cli, token: None },
            outcome: Ending::Done,
            error: None,
            version: "0.1.0".to_owned(),
        }
    }

    fn ids(file: &AuditFile) -> (Vec<String>, Vec<usize>) {
        let mut ids = Vec::new();
        let spoilt = file.read(|record| ids.push(record.id)).unwrap();
        (ids, spoilt)
    }

    #[test]
    fn records_are_appended_for_the_owner_alone_and_read_in_order() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit/audit.jsonl"));
        for id in ["a", "b", "c"] {
            file.append(&record(id)).unwrap();
        }
        assert_eq!(ids(&file), (["a", "b", "c"].map(str::to_owned).to_vec(), vec![]));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_to_string(file.path()).unwrap().lines().count(), 3);
    }

    #[test]
    fn what_a_crash_cut_short_spoils_nothing_after_it() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit.jsonl"));
        file.append(&record("a")).unwrap();
        let whole = fs::read(file.path()).unwrap();
        fs::write(file.path(), [&whole[..], &whole[..20]].concat()).unwrap();
        file.append(&record("b")).unwrap();
        assert_eq!(ids(&file), (["a", "b"].map(str::to_owned).to_vec(), vec![2]));
    }

    #[test]
    fn processes_that_append_at_once_never_mix_their_lines() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit.jsonl"));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let file = file.clone();
                scope.spawn(move || {
                    (0..25).for_each(|n| file.append(&record(&format!("{thread}-{n}"))).unwrap());
                });
            }
        });
        let (mut found, spoilt) = ids(&file);
        found.sort();
        found.dedup();
        assert_eq!((found.len(), spoilt), (100, vec![]));
    }

    #[test]
    fn a_file_that_others_could_change_takes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit.jsonl"));
        file.append(&record("a")).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(0o620)).unwrap();
        assert!(file.append(&record("b")).unwrap_err().to_string().contains("0620"));
        fs::set_permissions(file.path(), Permissions::from_mode(0o640)).unwrap();
        file.append(&record("c")).unwrap();
        assert_eq!(ids(&file), (["a", "c"].map(str::to_owned).to_vec(), vec![]));
    }

    #[test]
    fn a_directory_that_is_made_for_it_is_the_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit/audit.jsonl"));
        file.append(&record("a")).unwrap();
        let directory = file.path().parent().unwrap();
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let file = AuditFile::new(&home.path().join("file/audit.jsonl"));
        assert!(file.append(&record("a")).unwrap_err().to_string().contains("file/audit.jsonl"));
    }
}
