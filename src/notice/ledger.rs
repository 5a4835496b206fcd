//! What is owed to whom, for one partition of alerts.
//!
//! Everything here is *proposed*: it holds once the transaction that writes [`Ledger::changes`] is committed
//! ([`Ledger::merge`]), and is as before when that is aborted ([`Ledger::discard`]). Only what holds is ever handed out
//! to be tried, so nothing is tried that a restart would not know of.
//!
//! Memory is bounded by a number of alerts in what is made out for each endpoint. What does not fit is a range of alert
//! offsets, however long, and is made out when there is room.

mod book;
mod ranges;

use std::collections::BTreeMap;

use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::time::Timestamp;
use crate::fault;

use super::record::{Account, Key, Member, Owed, Range, Stage, Taken};
use book::Book;
pub use book::{Debt, Handed};

/// How an endpoint takes deliveries in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    /// Alerts in deliveries that are made out, at most; what is asked for one by one comes on top.
    pub room: usize,
    /// Whether nothing is made out at present: the endpoint is disabled.
    pub closed: bool,
    /// The batches that the endpoint asks for.
    pub batch: Option<Batch>,
}

/// Batches: so many alerts, or those of so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Alerts in a batch at most.
    pub max: usize,
    /// How long the first waits for others, in milliseconds.
    pub wait_ms: i64,
}

/// A record of the ledger does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The key is none of the ledger's.
    #[error("the key is not one of the ledger's")]
    Key,
    /// The value does not read.
    #[error("the record of {0} does not read: {1}")]
    Value(String, String),
}

/// The ledger of one partition.
#[derive(Debug, Default)]
pub struct Ledger {
    taken: Option<Taken>,
    books: BTreeMap<EndpointName, Book>,
}

impl Ledger {
    /// Takes a record in that stands on the topic.
    ///
    /// # Errors
    /// When it is none of the ledger's.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), LedgerError> {
        let text = std::str::from_utf8(key).map_err(|_| LedgerError::Key)?;
        let wrong = |error: serde_json::Error| LedgerError::Value(text.to_owned(), error.to_string());
        match Key::parse(text).ok_or(LedgerError::Key)? {
            Key::Taken(_) => {
                self.taken = value.map(serde_json::from_slice).transpose().map_err(wrong)?;
            }
            Key::Endpoint(name) => {
                let account = value.map(serde_json::from_slice::<Account>).transpose().map_err(wrong)?;
                self.books.entry(name).or_default().restore_account(account);
            }
            Key::Owed(name, id) => {
                let owed = value.map(serde_json::from_slice::<Owed>).transpose().map_err(wrong)?;
                self.books.entry(name).or_default().restore_owed(id, owed);
            }
        }
        Ok(())
    }

    /// How far the partition was taken in, as it was restored.
    pub fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// Whether this endpoint is known here.
    pub fn knows(&self, endpoint: &EndpointName) -> bool {
        self.books.get(endpoint).is_some_and(|book| book.account().is_some())
    }

    /// Every endpoint that has a record here.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointName> {
        self.books.iter().filter(|(_, book)| book.account().is_some()).map(|(name, _)| name)
    }

    /// An endpoint is told from `begun` on, and of what lies in `since..begun` beside.
    pub fn begin(&mut self, endpoint: &EndpointName, begun: i64, since: Option<i64>) {
        let before = since.filter(|since| *since < begun).map(|since| Range::asked(since, begun));
        let account = Account { begun, ranges: before.into_iter().collect(), left: None };
        self.books.entry(endpoint.clone()).or_default().set_account(account);
    }

    /// The endpoint is gone from the configuration since `at`: what is owed to it stays.
    pub fn leave(&mut self, endpoint: &EndpointName, at: i64) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.leave(at);
        }
    }

    /// The endpoint is back. Returns where the alerts stood when it went, if it was away.
    pub fn rejoin(&mut self, endpoint: &EndpointName) -> Option<i64> {
        let book = self.books.get_mut(endpoint)?;
        let account = book.account()?.clone();
        let left = account.left?;
        book.set_account(Account { left: None, ..account });
        Some(left)
    }

    /// An alert is owed to an endpoint that wants it. Whether it is made out, and not part of a range.
    pub fn owe(&mut self, endpoint: &EndpointName, member: Member, now: Timestamp, intake: Intake) -> bool {
        let Some(book) = self.books.get_mut(endpoint) else { return false };
        if book.account().is_none_or(|account| member.offset < account.begun || account.left.is_some()) {
            return false;
        }
        book.owe(member, now, intake)
    }

    /// The range to make out next, if there is one and room for half of what fits.
    pub fn to_open(&self, endpoint: &EndpointName, intake: Intake) -> Option<Range> {
        let book = self.books.get(endpoint)?;
        if intake.closed || book.alerts() > intake.room / 2 {
            return None;
        }
        let ranges = &book.account()?.ranges;
        // What is new goes before what somebody asked for.
        ranges.iter().find(|range| !range.asked).or(ranges.first()).copied()
    }

    /// What the endpoint wants of `range.from..upto` was read, in the order of its offsets, each with when it was raised: it
    /// is made out, as far as there is room, and the range goes on behind it.
    pub fn open(
        &mut self,
        endpoint: &EndpointName,
        range: Range,
        upto: i64,
        found: Vec<(Member, Timestamp)>,
        now: Timestamp,
        intake: Intake,
    ) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.open(range, upto, found, now, intake);
        }
    }

    /// Puts what gathered long enough, or is enough, into batches.
    pub fn gather(&mut self, endpoint: &EndpointName, now: Timestamp, batch: Batch) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.gather(endpoint, now, batch);
        }
    }

    /// Deliveries that are due, at most `limit`, the earliest first. They are not handed out again before
    /// they are settled or given back.
    pub fn hand_out(&mut self, endpoint: &EndpointName, now: Timestamp, limit: usize) -> Vec<Handed> {
        match self.books.get_mut(endpoint) {
            Some(book) => book.hand_out(now, limit, false),
            None => Vec::new(),
        }
    }

    /// The delivery that is due next, whenever that is: to see whether the endpoint is back.
    pub fn hand_out_next(&mut self, endpoint: &EndpointName, now: Timestamp) -> Option<Handed> {
        self.books.get_mut(endpoint)?.hand_out(now, 1, true).pop()
    }

    /// When it is the turn of the next delivery that may be handed out.
    pub fn next_due(&self, endpoint: &EndpointName) -> Option<Timestamp> {
        self.books.get(endpoint)?.next_due()
    }

    /// A delivery that was handed out was not tried.
    pub fn give_back(&mut self, endpoint: &EndpointName, id: &DeliveryId) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.give_back(id);
        }
    }

    /// A delivery that is made out, with what is proposed.
    pub fn delivery(&self, endpoint: &EndpointName, id: &DeliveryId) -> Option<&Owed> {
        self.books.get(endpoint)?.owed(id)
    }

    /// How many attempts were made of a delivery.
    pub fn attempts(&self, endpoint: &EndpointName, id: &DeliveryId) -> Option<u32> {
        self.books.get(endpoint)?.owed(id).map(|owed| owed.attempts)
    }

    /// A delivery was taken.
    pub fn delivered(&mut self, endpoint: &EndpointName, id: &DeliveryId) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.settle(id, None);
        }
    }

    /// An attempt failed. It is tried again at `next`; without that it has failed for good. An attempt that only asked
    /// whether the endpoint is back is not `counted`.
    pub fn failed(
        &mut self,
        endpoint: &EndpointName,
        id: &DeliveryId,
        next: Option<Timestamp>,
        class: &str,
        counted: bool,
    ) {
        let Some(book) = self.books.get_mut(endpoint) else { return };
        let Some(owed) = book.owed(id) else { return };
        let mut owed = owed.clone();
        owed.attempts += u32::from(counted);
        owed.last = Some(class.to_owned());
        match next {
            Some(due) => owed.due = due,
            None => owed.stage = Stage::Failed,
        }
        if owed.members.len() > 1 && fault::broken("batch-formed-anew") {
            return book.form_anew(id, owed);
        }
        book.settle(id, Some(owed));
    }

    /// The endpoint is back: what waits for its turn need not wait longer. Takes no place in the schedule away, and is
    /// not written: after a restart the next attempt that succeeds does it again.
    ///
    /// What is hastened again and again without an attempt that counts in between is so after a pause that doubles,
    /// from a second on: it is the delivery that fails then, and not the endpoint.
    pub fn hasten(&mut self, endpoint: &EndpointName, now: Timestamp) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.hasten(now);
        }
    }

    /// As [`Ledger::hasten`], for one delivery.
    pub fn hasten_one(&mut self, endpoint: &EndpointName, id: &DeliveryId, now: Timestamp) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.hasten_one(id, now);
        }
    }

    /// Somebody asks for an alert again, whatever became of it: from the beginning of its schedule.
    pub fn replay(&mut self, endpoint: &EndpointName, member: Member, now: Timestamp) {
        if let Some(book) = self.books.get_mut(endpoint).filter(|book| book.account().is_some()) {
            book.replay(vec![member], None, now);
        }
    }

    /// Somebody asks for a delivery again that failed, with the members it had.
    pub fn replay_failed(
        &mut self,
        endpoint: &EndpointName,
        id: &DeliveryId,
        members: Vec<Member>,
        now: Timestamp,
    ) {
        if let Some(book) = self.books.get_mut(endpoint).filter(|book| book.account().is_some()) {
            book.replay(members, Some(id.clone()), now);
        }
    }

    /// Somebody asks for every alert of a range again.
    pub fn replay_range(&mut self, endpoint: &EndpointName, from: i64, to: i64, now: Timestamp) {
        if let Some(book) = self.books.get_mut(endpoint) {
            book.ask_for(from, to, now);
        }
    }

    /// Since when an endpoint is told and what is owed to it in ranges, with what is proposed.
    pub fn account(&self, endpoint: &EndpointName) -> Option<&Account> {
        self.books.get(endpoint)?.account()
    }

    /// Every delivery that is made out to an endpoint, by id, with what is proposed.
    pub fn owed(&self, endpoint: &EndpointName) -> impl Iterator<Item = (&DeliveryId, &Owed)> {
        self.books.get(endpoint).into_iter().flat_map(Book::all_owed)
    }

    /// What is owed to an endpoint.
    pub fn debt(&self, endpoint: &EndpointName) -> Debt {
        self.books.get(endpoint).map(Book::debt).unwrap_or_default()
    }

    /// Whether anything is proposed.
    pub fn is_changed(&self) -> bool {
        self.books.values().any(Book::is_changed)
    }

    /// The records that make what is proposed true: a value, or none for a tombstone. Each key occurs once.
    pub fn changes(&self) -> Vec<(Key, Option<Vec<u8>>)> {
        let mut changes = Vec::new();
        for (name, book) in &self.books {
            book.changes(name, &mut changes);
        }
        changes
    }

    /// What was proposed is committed.
    pub fn merge(&mut self) {
        self.books.values_mut().for_each(Book::merge);
    }

    /// What was proposed is gone.
    pub fn discard(&mut self) {
        self.books.values_mut().for_each(Book::discard);
        self.books.retain(|_, book| book.account().is_some() || book.alerts() > 0);
    }
}

#[cfg(test)]
mod tests;
