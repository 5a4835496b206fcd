//! How long records of cards are kept, and what stands in the way of keeping or removing them.
//!
//! A card's record has done its work when the card has been off the list for long enough that nobody will undo
//! that any more, or when the incident's watch is over. Removing records never changes what shows: a watch
//! that is over is closed first, and what was withdrawn shows no more. A legal hold suspends all of it.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::exposure::record::{IncidentRecord, IncidentState, Mark, Revision, RevisionState};
use crate::exposure::revision::RevisionError;
use crate::fault;

/// How long records are kept that are of no more use. In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// From a card's withdrawal (`retention.withdrawn`).
    pub withdrawn_ms: i64,
    /// From the end of a watch (`retention.ended`).
    pub ended_ms: i64,
}

/// A legal hold on an incident: nothing of it is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When, by whom.
    #[serde(flatten)]
    pub set: Mark,
    /// Why, in the words of whoever set it.
    pub why: String,
    /// When and by whom it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Mark>,
}

/// Why records of cards were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The cards had been withdrawn for long enough.
    Withdrawn,
    /// The watch was over.
    Ended,
    /// Somebody asked for it, card by card.
    Forgotten,
}

impl Reason {
    /// The word used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Withdrawn => "withdrawn",
            Reason::Ended => "ended",
            Reason::Forgotten => "forgotten",
        }
    }
}

/// Records of cards that were removed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// When, by whom.
    #[serde(flatten)]
    pub mark: Mark,
    /// Why.
    pub why: Reason,
    /// How many.
    pub cards: u64,
}

/// That the records of cards which a revision withdrew are gone: it cannot be undone any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// When the newest of them went.
    pub at: Timestamp,
    /// How many.
    pub cards: u64,
}

impl IncidentRecord {
    /// The hold in force.
    pub fn hold(&self) -> Option<&Hold> {
        self.holds.last().filter(|hold| hold.released.is_none() && !fault::broken("hold-ignored"))
    }

    /// Suspends removal. Also of a closed incident: its cards may be evidence.
    ///
    /// # Errors
    /// [`RevisionError::Held`] when a hold is in force.
    pub fn set_hold(&mut self, set: Mark, why: &str) -> Result<(), RevisionError> {
        self.check_not_held()?;
        self.bury_claimed();
        self.holds.push(Hold { set, why: why.to_owned(), released: None });
        Ok(())
    }

    /// Ends the hold: what was due meanwhile is removed by the next sweep.
    ///
    /// # Errors
    /// [`RevisionError::NotHeld`] when none is in force.
    pub fn release_hold(&mut self, released: Mark) -> Result<(), RevisionError> {
        match self.holds.last_mut().filter(|hold| hold.released.is_none()) {
            Some(hold) => hold.released = Some(released),
            None => return Err(RevisionError::NotHeld(self.id.clone())),
        }
        self.bury_claimed();
        Ok(())
    }

    /// Refuses what a hold forbids.
    ///
    /// # Errors
    /// [`RevisionError::Held`].
    pub fn check_not_held(&self) -> Result<(), RevisionError> {
        match self.hold() {
            None => Ok(()),
            Some(hold) => Err(RevisionError::Held {
                incident: self.id.clone(),
                by: hold.set.by.clone(),
                at: hold.set.at,
                why: hold.why.clone(),
            }),
        }
    }

    /// When the watch ended or will; `None` while it has no end.
    pub fn watch_end(&self) -> Option<Timestamp> {
        let closed = self.closed.as_ref().map(|mark| mark.at);
        let planned = self.details().and_then(|details| details.watch_span().ok()?.1);
        closed.into_iter().chain(planned).min()
    }

    /// Whether the watch of an open incident has been over for `retention.ended_ms`, so that it is to be closed.
    pub fn is_over(&self, retention: Retention, now: Timestamp) -> bool {
        let end = self.watch_end().filter(|_| self.state == IncidentState::Open && self.hold().is_none());
        end.is_some_and(|end| end.plus_millis(retention.ended_ms) <= now)
    }

    /// When the record of a card with these events is to be removed; `None` while nothing says so.
    pub fn due_at(&self, events: &[i32], retention: Retention) -> Option<Timestamp> {
        if self.hold().is_some() {
            return None;
        }
        let ended = self.watch_end().filter(|_| self.state == IncidentState::Closed);
        let ended = ended.map(|end| end.plus_millis(retention.ended_ms));
        let withdrawn = self.off_since(events).map(|since| since.plus_millis(retention.withdrawn_ms));
        ended.into_iter().chain(withdrawn).min()
    }

    /// Why a record that is due is removed.
    pub fn reason(&self) -> Reason {
        match self.state {
            IncidentState::Open => Reason::Withdrawn,
            IncidentState::Closed => Reason::Ended,
        }
    }

    /// Notes the removal of cards with these events, in the same transaction as their tombstones. `mark` is the
    /// same for all parts of one removal, which are counted together.
    pub fn note_removal<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a [i32]>,
        why: Reason,
        mark: &Mark,
    ) {
        let mut cards = 0;
        for events in events {
            cards += 1;
            // Forgetting one card leaves a revision of many undoable: this card stays away either way.
            for number in self.withdrawals(events).filter(|_| why != Reason::Forgotten) {
                if let Some(revision) = self.revisions.iter_mut().find(|one| one.number == number) {
                    let before = revision.gone.map_or(0, |gone| gone.cards);
                    revision.gone = Some(Gone { at: mark.at, cards: before + 1 });
                }
            }
        }
        match self.removals.last_mut().filter(|last| last.why == why && last.mark == *mark) {
            Some(last) => last.cards += cards,
            None => self.removals.push(Removal { mark: mark.clone(), why, cards }),
        }
    }

    /// Since when a card with these events has been off the list: the newest thing that happened to it. `None`
    /// while it is on it, or while an import may be writing it.
    fn off_since(&self, events: &[i32]) -> Option<Timestamp> {
        if self.lists(events) {
            return None;
        }
        let mut since = None;
        for event in events {
            let revision = self.revision(event.unsigned_abs())?;
            since = since.max(Some(settled_at(revision)?));
        }
        since
    }

    /// The revisions whose withdrawal keeps a card with these events off the list: undoing them could bring it
    /// back.
    fn withdrawals(&self, events: &[i32]) -> std::vec::IntoIter<u32> {
        let mut withdrawals = Vec::new();
        for event in events.iter().rev() {
            match (self.has(event.unsigned_abs(), RevisionState::Done), *event > 0) {
                (true, true) => return withdrawals.into_iter(),
                (true, false) => withdrawals.push(event.unsigned_abs()),
                (false, _) => {}
            }
        }
        // Never added by a revision that counts: nothing brings it back.
        Vec::new().into_iter()
    }
}

/// When a revision came to be what it is; `None` while it may become something else.
fn settled_at(revision: &Revision) -> Option<Timestamp> {
    match revision.state {
        RevisionState::Claimed => None,
        RevisionState::Done => Some(revision.done_at.unwrap_or(revision.claimed.at)),
        RevisionState::Undone => {
            Some(revision.undone.as_ref().map_or(revision.claimed.at, |undone| undone.at))
        }
        RevisionState::Dead => Some(revision.claimed.at),
    }
}

#[cfg(test)]
mod tests;
