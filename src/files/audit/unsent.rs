//! What of the audit file has yet to be brought elsewhere.
//!
//! Beside the file `audit.jsonl` lies `audit.jsonl.sent`: the file's inode, and how many of its bytes are dealt with. It
//! only saves work. Where it is missing, torn, or about another file, everything is looked at again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::{AuditFile, AuditFileError};
use crate::domain::audit::AuditRecord;

/// The longest mark: two numbers, a space and a line's end.
const MARK_BYTES_MAX: u64 = 64;

/// Records behind the mark. Nobody else has them as long as this lives.
#[derive(Debug)]
pub struct Unsent {
    mark: File,
    path: PathBuf,
    inode: u64,
    end: u64,
    records: Vec<AuditRecord>,
}

impl AuditFile {
    /// The records behind the mark that are `wanted`, once nobody else is at them; `None` where there is no file. A
    /// line without an end is left for later: somebody may be writing it.
    ///
    /// # Errors
    /// When file or mark cannot be read.
    pub fn unsent(&self, wanted: impl Fn(&AuditRecord) -> bool) -> Result<Option<Unsent>, AuditFileError> {
        let failed = |cause| AuditFileError::Io { what: "read", path: self.path.clone(), cause };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failed(cause)),
        };
        let mut name = self.path.clone().into_os_string();
        name.push(".sent");
        let path = PathBuf::from(name);
        let marking = |cause| AuditFileError::Io { what: "marked as sent", path: path.clone(), cause };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mark = options.open(&path).map_err(marking)?;
        mark.lock().map_err(marking)?;
        let mut text = String::new();
        // What is no text is no mark.
        let _ = (&mark).take(MARK_BYTES_MAX).read_to_string(&mut text);
        let metadata = file.metadata().map_err(failed)?;
        let inode = metadata.ino();
        let mut end = marked(&text, inode).filter(|bytes| *bytes <= metadata.len()).unwrap_or(0);

        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(end)).map_err(failed)?;
        let (mut line, mut records) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            end += bytes as u64;
            records.extend(AuditRecord::from_json(line.trim_ascii()).ok().filter(&wanted));
        }
        Ok(Some(Unsent { mark, path, inode, end, records }))
    }
}

fn marked(text: &str, inode: u64) -> Option<u64> {
    let (of, bytes) = text.strip_suffix('\n')?.split_once(' ')?;
    let is_same = of.parse() == Ok(inode);
    bytes.parse().ok().filter(|_| is_same)
}

impl Unsent {
    /// The records, in the file's order.
    pub fn records(&self) -> &[AuditRecord] {
        &self.records
    }

    /// Marks them as dealt with.
    ///
    /// # Errors
    /// When the mark cannot be written: then they come again.
    pub fn sent(mut self) -> Result<(), AuditFileError> {
        let text = format!("{} {}\n", self.inode, self.end);
        let written = (|| {
            self.mark.set_len(0)?;
            self.mark.seek(SeekFrom::Start(0))?;
            self.mark.write_all(text.as_bytes())?;
            self.mark.sync_all()
        })();
        written.map_err(|cause| AuditFileError::Io { what: "marked as sent", path: self.path, cause })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::record;
    use super::*;

    fn unsent(file: &AuditFile) -> Vec<String> {
        let unsent = file.unsent(|record| record.id != "other").unwrap().unwrap();
        let ids = unsent.records().iter().map(|record| record.id.clone()).collect();
        unsent.sent().unwrap();
        ids
    }

    #[test]
    fn what_is_behind_the_mark_comes_once_and_all_of_it_again_where_the_mark_is_none() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit.jsonl"));
        assert!(file.unsent(|_| true).unwrap().is_none());
        ["a", "other", "b"].iter().for_each(|id| file.append(&record(id)).unwrap());
        assert_eq!(unsent(&file), ["a", "b"]);
        assert_eq!(unsent(&file), [""; 0]);
        // A line that is not whole is looked at when it is.
        let whole = fs::read(file.path()).unwrap();
        fs::write(file.path(), [&whole[..], b"{\"schema\""].concat()).unwrap();
        assert_eq!(unsent(&file), [""; 0]);
        file.append(&record("c")).unwrap();
        assert_eq!(unsent(&file), ["c"]);
        // Taken and not marked: it comes again.
        file.append(&record("d")).unwrap();
        drop(file.unsent(|_| true).unwrap());
        assert_eq!(unsent(&file), ["d"]);
        let mark = home.path().join("audit.jsonl.sent");
        let good = fs::read_to_string(&mark).unwrap();
        let (inode, bytes) = good.trim().split_once(' ').unwrap();
        for bad in [
            String::new(),
            good.trim().to_owned(),
            format!("{inode}9 {bytes}\n"),
            format!("{inode} {bytes}9\n"),
            "a mark of nothing at all\n".to_owned(),
        ] {
            fs::write(&mark, &bad).unwrap();
            assert_eq!(unsent(&file), ["a", "b", "c", "d"], "{bad}");
        }
        assert_eq!(fs::read_to_string(&mark).unwrap(), good);
        // Another file in its place.
        let old = home.path().join("audit.jsonl.1");
        fs::rename(file.path(), &old).unwrap();
        file.append(&record("e")).unwrap();
        assert_eq!(unsent(&file), ["e"]);
    }

    #[test]
    fn one_at_a_time_has_what_is_unsent() {
        let home = tempfile::tempdir().unwrap();
        let file = AuditFile::new(&home.path().join("audit.jsonl"));
        file.append(&record("a")).unwrap();
        let held = file.unsent(|_| true).unwrap().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| unsent(&file));
            let mark = File::open(home.path().join("audit.jsonl.sent")).unwrap();
            assert!(mark.try_lock().is_err(), "somebody has it");
            held.sent().unwrap();
            assert_eq!(second.join().unwrap(), [""; 0]);
        });
    }
}
