//! Readers of the alerts that stay open between questions: a client takes a tenth of a second to be made, and a backlog is
//! read in a hundred small parts, one behind the other, by each endpoint that is owed it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::sheets::{Sheet, Shelf};
use crate::kafka::native::Message;
use crate::kafka::reader::Reader;
use crate::lines::start::Stopped;

/// Clients that stay open at once: each keeps two megabytes ready.
const OPEN_MAX: usize = 4;
/// Alerts that are kept behind the place of the last question, for the next endpoint on the same way.
const BEHIND_MAX: usize = 500;
/// How long a part may take; what has come by then is the part.
const PART_WITHIN: Duration = Duration::from_secs(30);

/// A reader of one partition, and what it has read.
#[derive(Debug)]
struct Open {
    partition: i32,
    reader: Reader,
    known: Window,
}

/// The alerts of the offsets from `from` on, before `next`: of those everything is known.
#[derive(Debug)]
struct Window {
    alerts: VecDeque<Arc<Sheet>>,
    from: i64,
    next: i64,
}

/// The readers of one purpose, the last used one last: ranges go on where they ended, single alerts lie anywhere.
#[derive(Debug, Default)]
pub(super) struct Readers(Vec<Open>);

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
        let mut open = self.take(shelf, partition, from)?;
        // Where that fails the next question gets another client.
        let part = open.part(shelf, from, to, most)?;
        self.0.push(open);
        Ok(part)
    }

    /// The reader that knows what comes at `from`, or a new one. Another place takes another client: what an old one
    /// still has on its way must not pass for what comes next.
    fn take(&mut self, shelf: &Shelf, partition: i32, from: i64) -> Result<Open, Stopped> {
        let is_there = |open: &Open| open.partition == partition && open.known.goes_on_at(from);
        if let Some(place) = self.0.iter().position(is_there) {
            return Ok(self.0.remove(place));
        }
        if self.0.len() >= OPEN_MAX {
            self.0.remove(0);
        }
        let reader = shelf.source(partition).start_modest(from)?;
        Ok(Open { partition, reader, known: Window { alerts: VecDeque::new(), from, next: from } })
    }
}

impl Open {
    fn part(
        &mut self,
        shelf: &Shelf,
        from: i64,
        to: i64,
        most: usize,
    ) -> Result<(Vec<Arc<Sheet>>, i64), Stopped> {
        let deadline = shelf.clock.instant() + PART_WITHIN;
        let (mut part, mut at) = (Vec::new(), from);
        loop {
            at = self.known.take(at, to, most, &mut part);
            if part.len() == most || at >= to || shelf.clock.instant() >= deadline {
                return Ok((part, at));
            }
            self.read_on(shelf)?;
            self.known.forget_below(at);
        }
    }

    fn read_on(&mut self, shelf: &Shelf) -> Result<(), Stopped> {
        let (alerts, next) = (&mut self.known.alerts, self.known.next);
        let read = &mut |message: &Message<'_>| {
            alerts.extend(Sheet::of(message).map(Arc::new));
            Ok(())
        };
        self.known.next = shelf.source(self.partition).turn(&mut self.reader, next, read)?.max(next);
        Ok(())
    }
}

impl Window {
    /// Whether `at` is known, or comes next.
    fn goes_on_at(&self, at: i64) -> bool {
        (self.from..=self.next).contains(&at)
    }

    /// Adds what is known of the offsets from `at` on, before `to`, until `part` has `most` alerts. Gives the first offset
    /// that was not looked at.
    fn take(&self, at: i64, to: i64, most: usize, part: &mut Vec<Arc<Sheet>>) -> i64 {
        let known = self.alerts.range(self.alerts.partition_point(|sheet| sheet.offset < at)..);
        let wanted = known.take_while(|sheet| sheet.offset < to).take(most - part.len());
        part.extend(wanted.cloned());
        match part.last() {
            Some(last) if part.len() == most => last.offset + 1,
            // What lies between an alert and the next is no alert.
            _ => self.next.min(to),
        }
    }

    fn forget_below(&mut self, at: i64) {
        let behind = self.alerts.partition_point(|sheet| sheet.offset < at);
        for sheet in self.alerts.drain(..behind.saturating_sub(BEHIND_MAX)) {
            self.from = sheet.offset + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::notice::samples::test_alert;
    use proptest::prelude::*;

    fn window(offsets: &[i64], next: i64) -> Window {
        let sheet = |offset: &i64| {
            let alert = test_alert(Timestamp(1), 7);
            Arc::new(Sheet { offset: *offset, alert, json: Vec::new() })
        };
        Window { alerts: offsets.iter().map(sheet).collect(), from: 0, next }
    }

    fn offsets(sheets: &[Arc<Sheet>]) -> Vec<i64> {
        sheets.iter().map(|sheet| sheet.offset).collect()
    }

    proptest! {
        #[test]
        fn parts_of_any_size_are_together_the_alerts_of_the_range_each_once(
            there in prop::collection::btree_set(0..60i64, 0..40),
            from in 0..60i64,
            to in 1..60i64,
            most in 1..9usize,
        ) {
            let there: Vec<i64> = there.into_iter().collect();
            let window = window(&there, 60);
            let (mut at, mut all) = (from, Vec::new());
            while at < to {
                let mut part = Vec::new();
                let upto = window.take(at, to, most, &mut part);
                prop_assert!(upto > at && part.len() <= most);
                all.extend(offsets(&part));
                at = upto;
            }
            let wanted: Vec<i64> = there.into_iter().filter(|at| (from..to).contains(at)).collect();
            prop_assert_eq!(all, wanted);
        }
    }

    #[test]
    fn only_what_lies_far_behind_is_forgotten_and_then_known_no_more() {
        let all: Vec<i64> = (0..1_000).collect();
        let mut window = window(&all, 1_000);
        window.forget_below(400);
        assert_eq!((window.from, window.alerts.len()), (0, 1_000));
        window.forget_below(700);
        assert_eq!((window.from, window.alerts.len()), (200, 800));
        assert!(!window.goes_on_at(199) && window.goes_on_at(200) && window.goes_on_at(1_000));
        assert!(!window.goes_on_at(1_001));
    }
}
