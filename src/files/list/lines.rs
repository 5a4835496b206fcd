//! One card a line. Empty lines are passed over.

use crate::files::input::{Input, LineText, Lines};
use crate::files::list::cells::{CARD, Cells, Record, Records};
use crate::files::list::{ListError, RECORD_BYTES_MAX, RejectReason};

pub(super) struct LineRecords {
    lines: Lines,
}

impl LineRecords {
    pub(super) fn new(input: Input) -> LineRecords {
        LineRecords { lines: Lines::new(input, RECORD_BYTES_MAX) }
    }
}

impl Records for LineRecords {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<Record>, ListError> {
        while let Some(line) = self.lines.next_line()? {
            let refused = match line.text {
                LineText::Whole(text) if text.trim_ascii().is_empty() => continue,
                LineText::Whole(text) => cells.put(CARD, text).err(),
                LineText::TooLong(_) => Some(RejectReason::TooLong),
            };
            return Ok(Some(Record { line: line.number, refused }));
        }
        Ok(None)
    }
}
