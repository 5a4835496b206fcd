//! Readers of the alerts that stay open between questions: a client takes a tenth of a second to be made, and a backlog is
//! read in a hundred small parts, one behind the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::sheets::{Sheet, Shelf};
use crate::kafka::native::Message;
use crate::kafka::reader::Reader;
use crate::lines::start::Stopped;

/// Clients that stay open at once: each keeps two megabytes ready.
const OPEN_MAX: usize = 4;
/// How long a part may take; what has come by then is the part.
const PART_WITHIN: Duration = Duration::from_secs(30);

/// A reader of one partition, and what it has read beyond the last question.
#[derive(Debug)]
struct Open {
    reader: Reader,
    /// Alerts from `from` on that were read and not asked for yet.
    ahead: VecDeque<Arc<Sheet>>,
    /// Of the offsets from here …
    from: i64,
    /// … to here, without this one, everything is known.
    next: i64,
}

/// The readers of one purpose, by partition: ranges go on where they ended, single alerts lie anywhere.
#[derive(Debug, Default)]
pub(super) struct Readers(HashMap<i32, Open>);

impl Readers {
    /// The alerts of a partition from `from` on, before `to`, at most `most` of them; and the first offset that was not
    /// looked at.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn part(
        &mut self,
        shelf: &Shelf,
        partition: i32,
        (from, to): (i64, i64),
        most: usize,
    ) -> Result<(Vec<Arc<Sheet>>, i64), Stopped> {
        if from >= to {
            return Ok((Vec::new(), to));
        }
        let part = self.at(shelf, partition, from).and_then(|open| open.part(shelf, partition, to, most));
        if part.is_err() {
            // Whatever is wrong with it, the next question gets another client.
            self.0.remove(&partition);
        }
        part
    }

    /// The reader of a partition, with `from` as the next offset.
    fn at(&mut self, shelf: &Shelf, partition: i32, from: i64) -> Result<&mut Open, Stopped> {
        let source = shelf.source(partition);
        if self.0.len() >= OPEN_MAX && !self.0.contains_key(&partition) {
            self.0.clear();
        }
        // Another place takes another client: what an old one still has on its way must not pass for what comes next.
        let known = self.0.remove(&partition).filter(|open| (open.from..=open.next).contains(&from));
        let open = match known {
            Some(mut open) => {
                open.ahead.retain(|sheet| sheet.offset >= from);
                open.from = from;
                open
            }
            None => Open { reader: source.start_modest(from)?, ahead: VecDeque::new(), from, next: from },
        };
        Ok(self.0.entry(partition).or_insert(open))
    }
}

impl Open {
    fn part(
        &mut self,
        shelf: &Shelf,
        partition: i32,
        to: i64,
        most: usize,
    ) -> Result<(Vec<Arc<Sheet>>, i64), Stopped> {
        let source = shelf.source(partition);
        let deadline = shelf.clock.instant() + PART_WITHIN;
        let mut part = Vec::new();
        loop {
            while part.len() < most && self.ahead.front().is_some_and(|sheet| sheet.offset < to) {
                let Some(sheet) = self.ahead.pop_front() else { break };
                self.from = sheet.offset + 1;
                part.push(sheet);
            }
            let is_full = part.len() >= most;
            if !is_full {
                // What lies between the last alert and the next is no alert.
                self.from = self.ahead.front().map_or(self.next, |sheet| sheet.offset).min(to);
            }
            if is_full || self.from >= to || shelf.clock.instant() >= deadline {
                return Ok((part, self.from));
            }
            let (ahead, next) = (&mut self.ahead, self.next);
            let reached = source.turn(&mut self.reader, next, &mut |message: &Message<'_>| {
                if message.offset() >= next {
                    ahead.extend(Sheet::of(message).map(Arc::new));
                }
                Ok(())
            })?;
            self.next = reached.max(next);
        }
    }
}
