//! The life of an incident: how its revision log may change, and what it means.
//!
//! ```text
//!            claim              finish           undo
//!   (none) ────────▶ claimed ────────▶ done ────────▶ undone
//!                       │
//!                       └──────▶ dead      when any later change finds it still claimed
//! ```
//!
//! Whoever changes an incident holds its transactional id, which fences the import before: a claim that is
//! found standing can never be finished any more, so the next change buries it.

use std::collections::BTreeMap;

use crate::domain::card::KeyId;
use crate::domain::incident::{Details, IncidentId};
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::record::{
    CardTotals, Counts, INCIDENT_SCHEMA, IncidentRecord, IncidentState, Mark, REVISION_NUMBER_MAX, Revision,
    RevisionState,
};

/// Why a change of an incident is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The incident is closed.
    #[error("incident {0} is closed: open a new incident for new findings")]
    Closed(IncidentId),
    /// No revision has the number.
    #[error("incident {incident} has no revision {number}: its revisions are {first} to {last}")]
    NoSuchRevision {
        /// The incident.
        incident: IncidentId,
        /// The number asked for.
        number: u32,
        /// The lowest number there is, 0 if none.
        first: u32,
        /// The highest.
        last: u32,
    },
    /// Only a claimed revision can be finished.
    #[error("revision {number} of {incident} cannot be finished: {reason}")]
    CannotFinish {
        /// The incident.
        incident: IncidentId,
        /// The revision.
        number: u32,
        /// Why not.
        reason: &'static str,
    },
    /// Only a done revision can be undone.
    #[error("revision {number} of {incident} cannot be undone: {reason}")]
    CannotUndo {
        /// The incident.
        incident: IncidentId,
        /// The revision.
        number: u32,
        /// Why not.
        reason: &'static str,
    },
    /// What a revision withdrew is gone.
    #[error(
        "revision {number} of {incident} cannot be undone: the records of {cards} cards that it withdrew were removed \
         at {at}; list those cards again in a new revision"
    )]
    Removed {
        /// The incident.
        incident: IncidentId,
        /// The revision.
        number: u32,
        /// How many cards.
        cards: u64,
        /// When the newest of them went.
        at: Timestamp,
    },
    /// A legal hold is in force.
    #[error("incident {incident} is under a legal hold, set by {by} at {at} ({why}): release it first")]
    Held {
        /// The incident.
        incident: IncidentId,
        /// Who set it.
        by: String,
        /// When.
        at: Timestamp,
        /// Why.
        why: String,
    },
    /// No legal hold is in force.
    #[error("incident {0} is under no legal hold")]
    NotHeld(IncidentId),
    /// The details contradict themselves.
    #[error("{0}")]
    Details(&'static str),
    /// The incident's cards were written under another key of the same name.
    #[error(
        "key {key} is not the key that the cards of {incident} were written under: its check value differs; \
         put the right {key}.key into the key directory, or make the list of fingerprints again with it"
    )]
    OtherKey {
        /// The incident.
        incident: IncidentId,
        /// The key.
        key: KeyId,
    },
    /// 2,147,483,647 revisions were claimed.
    #[error("incident {0} has used up its revision numbers")]
    NumbersUsedUp(IncidentId),
}

/// What an import reports when it is through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finish {
    /// When.
    pub at: Timestamp,
    /// What happened to the list's entries.
    pub counts: Counts,
    /// The incident's cards before and after.
    pub cards: Option<CardTotals>,
    /// The check values of the keys that cards were written under, as far as they are known.
    pub checks: BTreeMap<KeyId, CheckValue>,
}

impl IncidentRecord {
    /// An incident that nothing is known of yet. Its first claim makes revision 1.
    pub fn new(id: IncidentId) -> IncidentRecord {
        IncidentRecord {
            schema: INCIDENT_SCHEMA.to_owned(),
            id,
            state: IncidentState::Open,
            closed: None,
            checks: BTreeMap::new(),
            revisions: Vec::new(),
            holds: Vec::new(),
            removals: Vec::new(),
        }
    }

    /// Takes the next number for a revision with these details and returns it.
    ///
    /// # Errors
    /// [`RevisionError`] when the incident is closed or the details contradict themselves.
    pub fn claim(&mut self, details: Details, claimed: Mark) -> Result<u32, RevisionError> {
        self.check_open()?;
        check_details(&details)?;
        let number = self.revisions.last().map_or(0, |last| last.number) + 1;
        if number > REVISION_NUMBER_MAX {
            return Err(RevisionError::NumbersUsedUp(self.id.clone()));
        }
        self.bury_claimed();
        let follows = self.in_force().map(|revision| revision.number);
        self.revisions.push(Revision {
            number,
            state: RevisionState::Claimed,
            claimed,
            done_at: None,
            undone: None,
            follows,
            details,
            counts: Counts::default(),
            cards: None,
            gone: None,
        });
        Ok(number)
    }

    /// Puts a claimed revision in force.
    ///
    /// # Errors
    /// [`RevisionError`] when it is not claimed any more, the incident was closed meanwhile, or a key differs
    /// from that of earlier revisions.
    pub fn finish(&mut self, number: u32, finish: Finish) -> Result<(), RevisionError> {
        self.check_open()?;
        for (key, check) in &finish.checks {
            self.check_key(key, *check)?;
        }
        let reason = match self.find(number)?.state {
            RevisionState::Claimed => None,
            RevisionState::Done => Some("it is done already"),
            RevisionState::Undone => Some("it was undone"),
            RevisionState::Dead => Some("another import took over; import again for a new revision"),
        };
        if let Some(reason) = reason {
            return Err(RevisionError::CannotFinish { incident: self.id.clone(), number, reason });
        }
        self.checks.extend(finish.checks);
        if let Some(revision) = self.revisions.iter_mut().find(|revision| revision.number == number) {
            revision.state = RevisionState::Done;
            revision.done_at = Some(finish.at);
            revision.counts = finish.counts;
            revision.cards = finish.cards;
        }
        Ok(())
    }

    /// Gives a claimed revision up; whether it was one.
    pub fn abandon(&mut self, number: u32) -> bool {
        let claimed =
            |revision: &&mut Revision| revision.number == number && revision.state == RevisionState::Claimed;
        match self.revisions.iter_mut().find(claimed) {
            Some(revision) => {
                revision.state = RevisionState::Dead;
                true
            }
            None => false,
        }
    }

    /// Takes a revision back, for good: what it changed becomes as if it had not been, in the order of the
    /// revisions that stay. To have it again is a new revision.
    ///
    /// # Errors
    /// [`RevisionError`] when it is not in force or the incident is closed.
    pub fn undo(&mut self, number: u32, undone: Mark) -> Result<(), RevisionError> {
        self.check_open()?;
        let reason = match self.find(number)?.state {
            RevisionState::Done => None,
            RevisionState::Undone => Some("it was undone before; undo is final"),
            RevisionState::Claimed => {
                Some("it is not done: it shows nothing yet, and dies with the next change")
            }
            RevisionState::Dead => Some("its import never finished, so it changed nothing"),
        };
        if let Some(reason) = reason {
            return Err(RevisionError::CannotUndo { incident: self.id.clone(), number, reason });
        }
        if let Some(gone) = self.find(number)?.gone {
            let (incident, cards) = (self.id.clone(), gone.cards);
            return Err(RevisionError::Removed { incident, number, cards, at: gone.at });
        }
        self.bury_claimed();
        if let Some(revision) = self.revisions.iter_mut().find(|revision| revision.number == number) {
            revision.state = RevisionState::Undone;
            revision.undone = Some(undone);
        }
        Ok(())
    }

    /// Ends the watch on all the incident's cards.
    ///
    /// # Errors
    /// [`RevisionError::Closed`] when it ended before.
    pub fn close(&mut self, closed: Mark) -> Result<(), RevisionError> {
        self.check_open()?;
        self.bury_claimed();
        self.state = IncidentState::Closed;
        self.closed = Some(closed);
        Ok(())
    }

    /// The revision of a number.
    pub fn revision(&self, number: u32) -> Option<&Revision> {
        let place = self.revisions.binary_search_by_key(&number, |revision| revision.number).ok()?;
        self.revisions.get(place)
    }

    /// The last revision that is done and not undone.
    pub fn in_force(&self) -> Option<&Revision> {
        self.revisions.iter().rev().find(|revision| revision.state == RevisionState::Done)
    }

    /// What the incident says of itself: the details of the last revision in force.
    pub fn details(&self) -> Option<&Details> {
        self.in_force().map(|revision| &revision.details)
    }

    /// Whether a card with these events is watched.
    pub fn shows(&self, events: &[i32]) -> bool {
        self.state == IncidentState::Open && self.lists(events)
    }

    /// Whether a card with these events is on the list, be the incident open or not.
    pub fn lists(&self, events: &[i32]) -> bool {
        last_event_adds(events, |number| self.has(number, RevisionState::Done))
    }

    /// Whether a key is the one that earlier revisions used under this name, as far as that is known.
    ///
    /// # Errors
    /// [`RevisionError::OtherKey`] when it is not.
    pub fn check_key(&self, key: &KeyId, check: CheckValue) -> Result<(), RevisionError> {
        match self.checks.get(key) {
            Some(known) if *known != check => {
                Err(RevisionError::OtherKey { incident: self.id.clone(), key: key.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What a revision of the log changed.
    ///
    /// # Errors
    /// [`RevisionError::NoSuchRevision`] when there is none of the number.
    pub fn comparison(&self, number: u32) -> Result<Comparison, RevisionError> {
        let revision = self.find(number)?;
        let before = revision.follows.and_then(|number| self.revision(number));
        Ok(Comparison {
            before: Side {
                cards: revision.cards.map(|cards| cards.before),
                details: before.map(|revision| revision.details.clone()),
            },
            after: Side {
                cards: revision.cards.map(|cards| cards.after),
                details: Some(revision.details.clone()),
            },
        })
    }

    pub(in crate::exposure) fn has(&self, number: u32, state: RevisionState) -> bool {
        self.revision(number).is_some_and(|revision| revision.state == state)
    }

    fn find(&self, number: u32) -> Result<&Revision, RevisionError> {
        self.revision(number).ok_or_else(|| RevisionError::NoSuchRevision {
            incident: self.id.clone(),
            number,
            first: self.revisions.first().map_or(0, |revision| revision.number),
            last: self.revisions.last().map_or(0, |revision| revision.number),
        })
    }

    fn check_open(&self) -> Result<(), RevisionError> {
        match self.state {
            IncidentState::Open => Ok(()),
            IncidentState::Closed => Err(RevisionError::Closed(self.id.clone())),
        }
    }

    pub(in crate::exposure) fn bury_claimed(&mut self) {
        for revision in &mut self.revisions {
            if revision.state == RevisionState::Claimed {
                revision.state = RevisionState::Dead;
            }
        }
    }
}

/// Whether the last of `events` whose revision counts is an addition.
pub fn last_event_adds(events: &[i32], counts: impl Fn(u32) -> bool) -> bool {
    events.iter().rev().find(|event| counts(event.unsigned_abs())).is_some_and(|event| *event > 0)
}

/// One side of a before/after table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The incident's cards on the list; `None` when that was not counted.
    pub cards: Option<u64>,
    /// Period, elements and all else; `None` when no revision was in force.
    pub details: Option<Details>,
}

impl Side {
    /// An incident as it stands, with a count of its cards.
    pub fn of(incident: &IncidentRecord, cards: u64) -> Side {
        Side { cards: Some(cards), details: incident.details().cloned() }
    }
}

/// What a change did: the before/after table of a revision, an undo or a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Before the change.
    pub before: Side,
    /// After it.
    pub after: Side,
}

/// Details that cannot be placed in time would stop every `sight` that loads them, so none are written.
fn check_details(details: &Details) -> Result<(), RevisionError> {
    let Ok((from, until)) = details.exposure_span() else {
        return Err(RevisionError::Details(
            "the exposure period cannot be placed in time: the time zone must be a name of the IANA database, \
             such as Asia/Tokyo",
        ));
    };
    if from >= until {
        return Err(RevisionError::Details("the exposure period ends before it begins"));
    }
    match details.watch_span() {
        Err(_) => Err(RevisionError::Details("the watch period cannot be placed in time")),
        Ok((from, Some(until))) if from >= until => {
            Err(RevisionError::Details("the watch period ends before it begins"))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
