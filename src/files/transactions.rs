//! Files of transactions: one JSON object a line, plain, gzip or zstd.

use std::path::Path;
use std::sync::Arc;

use crate::files::input::{FileError, Input, Line, Lines, Progress};

/// The longest line that is read, in bytes: what a broker takes by default for one record (`message.max.bytes`,
/// 1,048,588).
pub const LINE_BYTES_MAX: usize = 1_048_588;

/// The lines of a file of transactions. Lines are lent, not given: the card number in one is gone with the next.
#[derive(Debug)]
pub struct TransactionFile {
    lines: Lines,
}

impl TransactionFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be opened.
    pub fn open(path: &Path) -> Result<TransactionFile, FileError> {
        Ok(TransactionFile::of(Input::open(path)?))
    }

    /// The lines of any input.
    pub fn of(input: Input) -> TransactionFile {
        TransactionFile { lines: Lines::new(input, LINE_BYTES_MAX) }
    }

    /// What to call the file in messages.
    pub fn name(&self) -> &str {
        self.lines.name()
    }

    /// How far reading has come.
    pub fn progress(&self) -> Arc<Progress> {
        self.lines.progress()
    }

    /// The next line, or `None` at the end. Empty lines are handed out like others: whoever decodes decides.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be read on.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FileError> {
        self.lines.next_line()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::files::input::LineText;

    #[test]
    fn lines_of_a_packed_file_are_lent_one_by_one() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let packed = zstd::encode_all(Cursor::new(b"{\"id\":1}\n\n{\"id\":2}"), 1).unwrap();
        file.write_all(&packed).unwrap();
        let mut transactions = TransactionFile::open(file.path()).unwrap();
        let mut got = Vec::new();
        while let Some(line) = transactions.next_line().unwrap() {
            assert_eq!(format!("{line:?}"), format!("Line({})", line.number));
            match line.text {
                LineText::Whole(text) => got.push(String::from_utf8(text.to_vec()).unwrap()),
                LineText::TooLong(_) => panic!("too long"),
            }
        }
        assert_eq!(got, ["{\"id\":1}", "", "{\"id\":2}"]);
        assert_eq!(transactions.progress().read(), packed.len() as u64);
    }
}
