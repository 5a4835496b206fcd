//! What the list says of keeping: worked out once for each membership, so that millions of cards are asked about
//! in the time of as many look-ups.

use std::sync::Arc;

use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::record::IncidentRecord;
use crate::exposure::retention::Retention;
use crate::exposure::set::membership::Member;
use crate::exposure::set::view::View;

/// What the list says of keeping what is known of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing keeps it: no incident has a record of the card, or every such record is due to be removed.
    No,
    /// An incident has a record of the card that is not due.
    Listed,
    /// An incident under a legal hold has one.
    Held,
}

/// What a view says of keeping at one moment.
#[derive(Debug)]
pub struct Retained {
    view: Arc<View>,
    /// By membership known when the view was made.
    keeps: Vec<Keep>,
}

impl Retained {
    /// Works it out for every membership.
    pub fn new(view: Arc<View>, retention: Retention, now: Timestamp) -> Retained {
        let of = |members: &[Member]| {
            let keeps = members.iter().map(|member| view.keep(member, retention, now));
            keeps.max().unwrap_or(Keep::No)
        };
        let keeps = view.memberships().all().iter().map(|members| of(members)).collect();
        Retained { view, keeps }
    }

    /// What keeps a card, under whichever key it may be listed by this fingerprint.
    pub fn keep(&self, card: &Fingerprint) -> Keep {
        // A membership made later belongs to a change that is under way.
        let keep = |membership: u32| self.keeps.get(membership as usize).copied().unwrap_or(Keep::Listed);
        self.view.memberships_of(card).map(keep).max().unwrap_or(Keep::No)
    }

    /// The offset of the newest incident record that was considered.
    pub fn frontier(&self) -> i64 {
        self.view.frontier()
    }
}

/// A record of a card: its incident, unless the list has none, and its events there.
pub type RecordOf<'a> = (Option<&'a IncidentRecord>, Box<[i32]>);

impl View {
    /// The records of a card, shown or not, under whichever key it may be listed by this fingerprint.
    pub fn records_of(&self, card: &Fingerprint) -> Vec<RecordOf<'_>> {
        let mut records = Vec::new();
        for membership in self.memberships_of(card).filter_map(|id| self.memberships().get(id)) {
            let of = |member: &Member| (self.incident(member.incident), member.events.clone());
            records.extend(membership.iter().map(of));
        }
        records
    }

    /// How many records of each incident are due to be removed: those with any, sorted by id.
    pub fn due(&self, retention: Retention, now: Timestamp) -> Vec<(IncidentId, u64)> {
        let mut due: Vec<(IncidentId, u64)> = Vec::new();
        for (members, cards) in self.memberships().all().iter().zip(self.cards()) {
            for member in members.iter().filter(|_| *cards > 0) {
                let Some(incident) = self.incident(member.incident) else { continue };
                if incident.due_at(&member.events, retention).is_some_and(|at| at <= now) {
                    match due.iter_mut().find(|(id, _)| *id == incident.id) {
                        Some((_, sum)) => *sum += cards,
                        None => due.push((incident.id.clone(), *cards)),
                    }
                }
            }
        }
        due.sort();
        due
    }

    fn keep(&self, member: &Member, retention: Retention, now: Timestamp) -> Keep {
        match self.incident(member.incident) {
            // Cards without their incident: a list that is still being read, or that somebody else wrote.
            None => Keep::Listed,
            Some(incident) if incident.hold().is_some() => Keep::Held,
            Some(incident) => match incident.due_at(&member.events, retention) {
                Some(at) if at <= now => Keep::No,
                _ => Keep::Listed,
            },
        }
    }
}
