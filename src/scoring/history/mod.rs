//! What is remembered of one card: the newest events one by one, everything older as totals.
//!
//! Two parts, so that the whole is bounded and still does not depend on the order of arrival:
//!
//! - **recent**: the newest [`RECENT_MAX`] events within [`RECENT_MS`] of the newest one. The set is a
//!   function of all events seen: an event that falls out once can never come back in.
//! - **settled**: a commutative fold over every event that is not recent ([`totals`]). An event joins
//!   it once, on leaving the recent part, or at once if it comes too late for it.
//!
//! [`judgements`](History::judgements), [`last_sighting`](History::last_sighting) and the incidents'
//! accounts ([`account`]) are the exceptions: they are about what was judged in the order of the log.

pub mod account;
pub mod departed;
mod event;
pub mod past;
mod totals;
pub mod windows;

pub use account::{Account, Flow, IncidentHash};
pub use departed::{DEPARTED_PREFIX, Departed};
pub use event::{Event, Role, SightingRef, event_of, money_of};
pub use past::Past;
pub use totals::Money;

use serde::{Deserialize, Serialize};

use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;
use crate::scoring::cardholder::is_in_force;
use account::{Accounts, Entry, brings_purchase, earliest};
use totals::Totals;

/// How many events are remembered one by one.
pub const RECENT_MAX: usize = 128;
/// How far before the newest event they may lie, in milliseconds: seven days. Long enough for a
/// clearing to find its authorization, and for windows and duplicates to be exact for events that
/// come up to four days late.
pub const RECENT_MS: i64 = 7 * 24 * 3_600_000;
/// How far apart two events with one transaction id may lie and still be duplicates: 72 hours.
pub const DUPLICATE_MS: i64 = 72 * 3_600_000;
/// The version of the encoded form: its first byte.
const ENCODING: u8 = 2;
/// The version before, which knew no accounts.
const ENCODING_1: u8 = 1;

/// What is remembered of one card. Bounded by construction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// Sightings judged, duplicates included.
    judgements: u64,
    /// The sighting judged last, in log order.
    last: Option<SightingRef>,
    /// The earliest use or settlement, in epoch milliseconds.
    since: Option<i64>,
    /// Sorted by time, then sighting.
    recent: Vec<Event>,
    /// Everything that is not recent.
    settled: Totals,
    /// What each incident's books are made of.
    accounts: Accounts,
}

/// The first version's layout, for good.
#[derive(Serialize, Deserialize)]
struct HistoryV1 {
    judgements: u64,
    last: Option<SightingRef>,
    since: Option<i64>,
    recent: Vec<Event>,
    settled: Totals,
}

impl From<HistoryV1> for History {
    fn from(old: HistoryV1) -> History {
        let HistoryV1 { judgements, last, since, recent, settled } = old;
        History { judgements, last, since, recent, settled, accounts: Accounts::unaccounted(judgements) }
    }
}

/// Bytes are not an encoded history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The version byte is missing or another.
    #[error("not a card history of version {ENCODING_1} or {ENCODING}")]
    Version,
    /// The bytes after the version byte do not read.
    #[error("a damaged card history")]
    Damaged,
}

impl History {
    /// The record's value: a version byte, then `postcard`. Equal histories have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Writing into memory cannot fail, and every field has a known length.
        postcard::to_extend(self, vec![ENCODING]).unwrap_or_default()
    }

    /// Reads what [`History::encode`] wrote, in this version or the one before. What an older history has
    /// seen is in no incident's account: [`History::unaccounted`].
    ///
    /// # Errors
    /// [`HistoryError`] when the version is another or the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<History, HistoryError> {
        match bytes.split_first() {
            Some((&ENCODING, body)) => whole(body),
            Some((&ENCODING_1, body)) => whole::<HistoryV1>(body).map(History::from),
            _ => Err(HistoryError::Version),
        }
    }

    /// How many sightings were judged, duplicates included.
    pub fn judgements(&self) -> u64 {
        self.judgements
    }

    /// The id of the sighting judged last, in log order.
    pub fn last_sighting(&self) -> Option<String> {
        self.last.map(SightingRef::to_text)
    }

    /// The earliest use known.
    pub fn since(&self) -> Option<Timestamp> {
        self.since.map(Timestamp)
    }

    /// How many uses are known; a purchase that was authorized and cleared counts once.
    pub fn uses(&self) -> u64 {
        Past::before(self, i64::MAX).uses
    }

    /// The newest events, oldest first.
    pub fn recent(&self) -> &[Event] {
        &self.recent
    }

    /// The earlier sighting that `event` repeats, if there is one: the same transaction id and kind
    /// within 72 hours.
    pub fn duplicate_of(&self, event: &Event) -> Option<String> {
        let id = event.id?;
        self.recent
            .iter()
            .find(|known| {
                known.id == Some(id)
                    && known.kind == event.kind
                    && known.at.abs_diff(event.at) <= DUPLICATE_MS.unsigned_abs()
            })
            .map(|known| known.sighting.to_text())
    }

    /// Counts a judgement without moving anything else.
    pub fn count_judgement(&mut self, sighting: &Sighting) {
        self.judgements += 1;
        self.last = Some(SightingRef::of(sighting));
    }

    /// What the card's sightings came to for an incident.
    pub fn account(&self, incident: IncidentHash) -> Option<&Account> {
        self.accounts.of(incident)
    }

    /// The accounts of all incidents, at most [`account::ACCOUNTS_MAX`].
    pub fn accounts(&self) -> impl Iterator<Item = (IncidentHash, &Account)> {
        self.accounts.iter()
    }

    /// Entries that are in no account: of incidents beyond the bound, or from before there were accounts.
    pub fn unaccounted(&self) -> u64 {
        self.accounts.unaccounted
    }

    /// What stays of it while its card is listed and was not seen for long: the accounts, and nothing of any single
    /// use.
    pub fn bare(&self) -> History {
        History { accounts: self.accounts.clone(), ..History::default() }
    }

    /// Whether nothing but accounts is left, and some are.
    pub fn is_bare(&self) -> bool {
        self.judgements == 0 && *self != History::default()
    }

    /// Puts a sighting that repeats none on account for each of its incidents. Goes before
    /// [`History::absorb`]: what the purchase is compared with is what was known before it.
    pub fn enter(&mut self, sighting: &Sighting, event: Event, late: bool, alerted: bool) {
        let brings_purchase = brings_purchase(&event, &self.recent);
        let entry = Entry { event, brings_purchase, late, alerted };
        for incident in &sighting.incidents {
            let entry = is_in_force(incident, event.at).then_some(&entry);
            self.accounts.enter(IncidentHash::of(&incident.id), entry);
        }
    }

    /// Remembers an event.
    pub fn absorb(&mut self, event: Event) {
        if event.role.is_purchase() {
            self.since = earliest(self.since, Some(event.at));
        }
        let place = self.recent.partition_point(|known| known.order() < event.order());
        self.recent.insert(place, event);
        let newest = self.recent.last().map_or(event.at, |newest| newest.at);
        let too_old = self.recent.partition_point(|known| known.at < newest.saturating_sub(RECENT_MS));
        let too_many = self.recent.len().saturating_sub(RECENT_MAX);
        for leaving in self.recent.drain(..too_old.max(too_many)) {
            self.settled.add(&leaving);
        }
    }
}

/// Reads a form that has to fill its bytes.
fn whole<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, HistoryError> {
    match postcard::take_from_bytes(body) {
        Ok((read, [])) => Ok(read),
        _ => Err(HistoryError::Damaged),
    }
}

#[cfg(test)]
mod tests;
