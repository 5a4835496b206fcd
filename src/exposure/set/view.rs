//! What a worker sees of the list: frozen at a frontier.

use std::sync::Arc;

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::{ExposedIn, IncidentId, References};
use crate::exposure::fingerprint::Keyring;
use crate::exposure::record::{IncidentRecord, IncidentState, RecordError, RevisionState};
use crate::exposure::revision::last_event_adds;
use crate::exposure::set::cards::KeyTable;
use crate::exposure::set::membership::{Member, Memberships};

/// A card found on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The incidents that expose the card, sorted by id; at least one.
    pub incidents: Vec<ExposedIn>,
    /// The card's expiry date: the latest, if lists disagree, because the card was renewed since the others.
    pub expiry: Option<ExpiryDate>,
    /// The references of all lists; of one name, that of the first incident by id.
    pub references: References,
}

/// How many cards a view shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Cards in at least one incident. A card listed under two keys counts twice.
    pub cards: u64,
    /// Cards of each open incident, sorted by id. A card in two counts in both.
    pub by_incident: Vec<(IncidentId, u64)>,
    /// Cards under each key, in the order of key indices.
    pub by_key: Vec<(KeyId, u64)>,
    /// An estimate of the set's size in memory.
    pub memory_bytes: u64,
}

/// An open incident whose cards were written under another key of the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key} is not the key that incident {incident} was imported with: its check value differs")]
pub struct WrongCheck {
    /// The key.
    pub key: KeyId,
    /// The incident.
    pub incident: IncidentId,
}

/// An incident as a view sees it.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    record: Arc<IncidentRecord>,
    /// What a hit tells of the incident; `None` when no revision is in force.
    exposed_in: Option<ExposedIn>,
    /// The broken variant of the fault tests: claimed revisions count too.
    in_part: bool,
}

impl Standing {
    /// Works out once what every hit will need.
    ///
    /// # Errors
    /// When the details in force cannot be placed in time.
    pub(super) fn new(record: IncidentRecord, in_part: bool) -> Result<Standing, RecordError> {
        let claimed = record.revisions.last().filter(|last| in_part && last.state == RevisionState::Claimed);
        let exposed_in = match record.in_force().or(claimed) {
            None => None,
            Some(revision) => {
                let spans = revision
                    .details
                    .exposure_span()
                    .and_then(|exposed| revision.details.watch_span().map(|watch| (exposed, watch)));
                let Ok(((exposed_from, exposed_until), (watch_from, watch_until))) = spans else {
                    return Err(RecordError::Contradiction {
                        key: crate::exposure::record::ListKey::Incident(record.id.clone()),
                        what: "its periods cannot be placed in its time zone",
                    });
                };
                Some(ExposedIn {
                    id: record.id.clone(),
                    revision: revision.number,
                    elements: revision.details.elements.clone(),
                    exposed_from,
                    exposed_until,
                    watch_from,
                    watch_until,
                })
            }
        };
        Ok(Standing { record: Arc::new(record), exposed_in, in_part })
    }

    fn shows(&self, events: &[i32]) -> bool {
        let counts = |number: u32| {
            self.record.has(number, RevisionState::Done)
                || (self.in_part && self.record.has(number, RevisionState::Claimed))
        };
        self.exposed_in.is_some()
            && self.record.state == IncidentState::Open
            && last_event_adds(events, counts)
    }
}

/// The list as it stood at one frontier. Immutable: it keeps giving the same answers however the list changes,
/// except that a card's expiry date and references are always the newest, and that an erased card is gone.
#[derive(Debug)]
pub struct View {
    frontier: i64,
    tables: Vec<Arc<KeyTable>>,
    memberships: Arc<Memberships>,
    incidents: Vec<Option<Standing>>,
    /// For each membership known when the view was made, the incidents that show, sorted by id.
    visible: Vec<Box<[u32]>>,
    /// For each membership, how many cards have it, under whichever key.
    cards: Vec<u64>,
    stats: Stats,
}

impl View {
    pub(super) fn new(
        frontier: i64,
        tables: Vec<Arc<KeyTable>>,
        memberships: Arc<Memberships>,
        incidents: Vec<Option<Standing>>,
        card_counts: &[Vec<u64>],
    ) -> View {
        let stats = Stats::default();
        let (visible, cards) = (Vec::new(), sums(card_counts));
        let mut view = View { frontier, tables, memberships, incidents, visible, cards, stats };
        view.visible = view.memberships.all().iter().map(|members| view.shown(members)).collect();
        view.stats = view.count(card_counts);
        view
    }

    /// The offset of the last incident record applied, -1 before the first. Every sighting names it.
    pub fn frontier(&self) -> i64 {
        self.frontier
    }

    /// The index of a key's table, for cards whose key the input names.
    pub fn key_index(&self, key: &KeyId) -> Option<usize> {
        self.tables.iter().position(|table| table.id == *key)
    }

    /// Looks a card up under the key of an index. Indices of a keyring's keys are those of its order, if the set
    /// was made with them.
    #[inline]
    pub fn lookup(&self, key_index: usize, card: &Fingerprint) -> Option<Hit> {
        let table = self.tables.get(key_index)?;
        let membership = table.get(card)?;
        self.hit(table, membership, card)
    }

    /// How many cards the view shows.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The incidents of the list, open or closed, sorted by id.
    pub fn incidents(&self) -> Vec<&IncidentRecord> {
        let mut records: Vec<&IncidentRecord> =
            self.incidents.iter().flatten().map(|standing| &*standing.record).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records
    }

    /// Keys that cards are watched under and the keyring lacks, with the number of cards that cannot be
    /// recognised for it.
    pub fn missing_keys(&self, keyring: &Keyring) -> Vec<(KeyId, u64)> {
        let missing = |(key, cards): &&(KeyId, u64)| *cards > 0 && keyring.get(key).is_none();
        self.stats.by_key.iter().filter(missing).cloned().collect()
    }

    /// Open incidents that were imported under other keys than those of the same names in the keyring.
    pub fn wrong_checks(&self, keyring: &Keyring) -> Vec<WrongCheck> {
        let open = self.incidents().into_iter().filter(|record| record.state == IncidentState::Open);
        let wrong = open.flat_map(|record| {
            let keys = keyring.keys().iter();
            keys.filter(|key| record.check_key(key.id(), key.check_value()).is_err())
                .map(|key| WrongCheck { key: key.id().clone(), incident: record.id.clone() })
        });
        wrong.collect()
    }

    /// Off the path of a miss, which is what nearly every transaction is.
    #[cold]
    fn hit(&self, table: &KeyTable, membership: u32, card: &Fingerprint) -> Option<Hit> {
        let newer: Box<[u32]>;
        let shown = match self.visible.get(membership as usize) {
            Some(shown) => shown,
            None => {
                // The card was written after this view was made. Its newest events belong to revisions that
                // were not done then, so under this view's own states the older ones still decide.
                newer = self.shown(&self.memberships.get(membership)?);
                &newer
            }
        };
        if shown.is_empty() {
            return None;
        }
        let mut hit =
            Hit { incidents: self.exposed_in(shown), expiry: None, references: References::default() };
        if let Some(extras) = table.extras.get(card) {
            let in_order =
                shown.iter().filter_map(|incident| extras.iter().find(|extra| extra.incident == *incident));
            for extra in in_order {
                hit.expiry = hit.expiry.max(extra.expiry);
                hit.references.merge(&extra.references);
            }
        }
        Some(hit)
    }

    fn exposed_in(&self, shown: &[u32]) -> Vec<ExposedIn> {
        let standings = shown.iter().filter_map(|incident| self.standing(*incident));
        standings.filter_map(|standing| standing.exposed_in.clone()).collect()
    }

    pub(super) fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// The card's membership under each key that lists it.
    pub(super) fn memberships_of(&self, card: &Fingerprint) -> impl Iterator<Item = u32> {
        self.tables.iter().filter_map(|table| table.get(card))
    }

    pub(super) fn cards(&self) -> &[u64] {
        &self.cards
    }

    pub(super) fn incident(&self, incident: u32) -> Option<&IncidentRecord> {
        self.standing(incident).map(|standing| &*standing.record)
    }

    fn standing(&self, incident: u32) -> Option<&Standing> {
        self.incidents.get(incident as usize)?.as_ref()
    }

    fn shown(&self, members: &[Member]) -> Box<[u32]> {
        let shows = |member: &&Member| {
            self.standing(member.incident).is_some_and(|standing| standing.shows(&member.events))
        };
        let mut shown: Vec<u32> = members.iter().filter(shows).map(|member| member.incident).collect();
        shown.sort_by_key(|incident| self.standing(*incident).map(|standing| &standing.record.id));
        shown.into()
    }

    /// `card_counts` holds, for each key, how many cards have each membership.
    fn count(&self, card_counts: &[Vec<u64>]) -> Stats {
        let mut stats = Stats::default();
        let mut by_incident = vec![0u64; self.incidents.len()];
        for (table, counts) in self.tables.iter().zip(card_counts) {
            let mut cards = 0;
            for (shown, count) in self.visible.iter().zip(counts).filter(|(shown, _)| !shown.is_empty()) {
                cards += count;
                shown.iter().for_each(|incident| by_incident[*incident as usize] += count);
            }
            stats.cards += cards;
            stats.by_key.push((table.id.clone(), cards));
            stats.memory_bytes += table.memory_bytes();
        }
        let counted = self.incidents.iter().zip(by_incident);
        stats.by_incident = counted
            .filter_map(|(standing, count)| Some((standing.as_ref()?, count)))
            .filter(|(standing, _)| standing.record.state == IncidentState::Open)
            .map(|(standing, count)| (standing.record.id.clone(), count))
            .collect();
        stats.by_incident.sort();
        stats
    }
}

/// For each membership the cards of all keys.
fn sums(card_counts: &[Vec<u64>]) -> Vec<u64> {
    let mut sums = vec![0; card_counts.iter().map(Vec::len).max().unwrap_or(0)];
    for counts in card_counts {
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    sums
}
