//! The exposed set in memory: looked at by every worker, changed by one writer.
//!
//! A card is a fingerprint and the id of its *membership*, the interned list of its events by incident. What shows
//! is decided by a [`View`]: the states of all revisions at one moment, and the memberships that show under them.
//! Card records change the tables at once and nobody sees it, because their newest events belong to a revision that
//! no view calls done. Finishing, undoing or closing makes one new view, stored in one atomic swap: a revision of a
//! million cards becomes visible as a whole.
//!
//! ```text
//!   apply(card record) ──▶ tables: fingerprint ─▶ membership id ◀── lookup ── View ◀── swap ── publish()
//!   apply(incident record) ──▶ standings of the writer ───────────────────────────────────────────┘
//! ```

mod cards;
mod membership;
mod retained;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::incident::IncidentId;
use crate::exposure::record::{CardRecord, IncidentRecord, ListKey, RecordError};
use crate::exposure::set::cards::{Base, Extra, Extras, KeyTable};
use crate::exposure::set::membership::{Interner, NOWHERE};
use crate::exposure::set::view::Standing;
use crate::fault;

pub use crate::exposure::set::retained::{Keep, RecordOf, Retained};
pub use crate::exposure::set::view::{Hit, Stats, View, WrongCheck};

/// The frontier of a list that nothing was read of.
pub const FRONTIER_NONE: i64 = -1;

/// The exposed set as its readers hold it.
#[derive(Debug)]
pub struct ExposureSet {
    current: ArcSwap<View>,
}

impl ExposureSet {
    /// An empty set and its one writer. `keys` are those of the keyring in its order, so that its key indices
    /// serve for [`View::lookup`]; keys that only the list knows come after them.
    #[allow(clippy::new_ret_no_self, reason = "a set without its writer would stay empty")]
    pub fn new(keys: &[KeyId]) -> (Arc<ExposureSet>, SetWriter) {
        let mut writer = SetWriter {
            set: None,
            interner: Interner::new(),
            incident_indices: HashMap::new(),
            incidents: Vec::new(),
            tables: Vec::new(),
            loading: true,
            staged: Vec::new(),
            card_counts: Vec::new(),
            frontier: FRONTIER_NONE,
            in_part: fault::broken("revision-visible-in-part"),
        };
        for key in keys {
            writer.table_index(key);
        }
        let set = Arc::new(ExposureSet { current: ArcSwap::from_pointee(writer.view()) });
        writer.set = Some(Arc::clone(&set));
        (set, writer)
    }

    /// The newest view: one atomic load. A batch is judged under one view from start to end.
    pub fn view(&self) -> Arc<View> {
        self.current.load_full()
    }
}

/// What a record changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// A card; no view shows it until an incident record follows.
    Card,
    /// An incident; the next [`SetWriter::publish`] shows it.
    Incident(IncidentId),
}

/// The one writer of a set: `refresh`.
#[derive(Debug)]
pub struct SetWriter {
    set: Option<Arc<ExposureSet>>,
    interner: Interner,
    incident_indices: HashMap<IncidentId, u32>,
    incidents: Vec<Option<Standing>>,
    tables: Vec<Arc<KeyTable>>,
    /// Until the first publish no view looks at the cards, so they go straight into what becomes the base.
    loading: bool,
    staged: Vec<Base>,
    /// For each key, how many cards have each membership.
    card_counts: Vec<Vec<u64>>,
    frontier: i64,
    in_part: bool,
}

impl SetWriter {
    /// Takes in the record at `offset`; a value of `None` is a tombstone.
    ///
    /// Apply everything up to the high watermark before the first [`SetWriter::publish`]: a list is read
    /// fastest while nobody looks.
    ///
    /// # Errors
    /// [`RecordError`] when key or value cannot be read. The set is then as it was before.
    pub fn apply(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) -> Result<Applied, RecordError> {
        let key = ListKey::parse(key)?;
        match &key {
            ListKey::Card { key: key_id, fingerprint, incident } => {
                let record = match value {
                    Some(value) => CardRecord::from_json(&key, value)?,
                    None => CardRecord::default(),
                };
                self.apply_card(key_id, *fingerprint, incident, record);
                Ok(Applied::Card)
            }
            ListKey::Incident(id) => {
                let standing = match value {
                    Some(value) => Some(Standing::new(IncidentRecord::from_json(id, value)?, self.in_part)?),
                    None => None,
                };
                let index = self.incident_index(id);
                self.incidents[index as usize] = standing;
                self.frontier = offset;
                Ok(Applied::Incident(id.clone()))
            }
        }
    }

    /// Makes what was applied visible, in one swap, and returns the new view.
    pub fn publish(&mut self) -> Arc<View> {
        if self.loading {
            self.loading = false;
            for (table, base) in self.tables.iter_mut().zip(std::mem::take(&mut self.staged)) {
                *table = Arc::new(KeyTable::new(table.id.clone(), base, Arc::clone(&table.extras)));
            }
        }
        for table in &mut self.tables {
            if table.is_due_to_fold() {
                *table = Arc::new(table.folded());
            }
        }
        let view = Arc::new(self.view());
        if let Some(set) = &self.set {
            set.current.store(Arc::clone(&view));
        }
        view
    }

    /// The offset of the last incident record applied, published or not.
    pub fn frontier(&self) -> i64 {
        self.frontier
    }

    fn view(&self) -> View {
        let memberships = Arc::clone(self.interner.shared());
        View::new(self.frontier, self.tables.clone(), memberships, self.incidents.clone(), &self.card_counts)
    }

    fn apply_card(&mut self, key: &KeyId, card: Fingerprint, incident: &IncidentId, record: CardRecord) {
        let table_index = self.table_index(key);
        let incident = self.incident_index(incident);
        let before = if self.loading {
            self.staged[table_index].get(&card).copied()
        } else {
            self.tables[table_index].get(&card)
        };
        let before = before.unwrap_or(NOWHERE);
        let after = self.interner.step(before, incident, &record.events);
        // What a hit tells comes before what makes the card a hit.
        keep_extra(&self.tables[table_index].extras, card, incident, record);
        if after == before {
            return;
        }
        match (self.loading, after) {
            (true, NOWHERE) => drop(self.staged[table_index].remove(&card)),
            (true, _) => drop(self.staged[table_index].insert(card, after)),
            (false, _) => self.tables[table_index].set(card, after),
        }
        let counts = &mut self.card_counts[table_index];
        counts.resize(counts.len().max(before.max(after) as usize + 1), 0);
        if before != NOWHERE {
            counts[before as usize] -= 1;
        }
        if after != NOWHERE {
            counts[after as usize] += 1;
        }
    }

    fn table_index(&mut self, key: &KeyId) -> usize {
        if let Some(index) = self.tables.iter().position(|table| table.id == *key) {
            return index;
        }
        let extras = Arc::new(Extras::default());
        self.tables.push(Arc::new(KeyTable::new(key.clone(), Base::default(), extras)));
        self.card_counts.push(Vec::new());
        if self.loading {
            self.staged.push(Base::default());
        }
        self.tables.len() - 1
    }

    fn incident_index(&mut self, id: &IncidentId) -> u32 {
        if let Some(index) = self.incident_indices.get(id) {
            return *index;
        }
        let index = self.incidents.len() as u32;
        self.incidents.push(None);
        self.incident_indices.insert(id.clone(), index);
        index
    }
}

fn keep_extra(extras: &Extras, card: Fingerprint, incident: u32, record: CardRecord) {
    let is_plain = record.expiry.is_none() && record.references.is_empty();
    if is_plain && extras.is_empty() {
        return;
    }
    let gone = record.events.is_empty();
    let mut of_card = extras.entry(card).or_default();
    of_card.retain(|extra| extra.incident != incident);
    if !is_plain && !gone {
        of_card.push(Extra { incident, expiry: record.expiry, references: record.references });
    }
    let is_empty = of_card.is_empty();
    // The guard holds the shard that removing would wait for.
    drop(of_card);
    if is_empty {
        extras.remove(&card);
    }
}

#[cfg(test)]
mod tests;
