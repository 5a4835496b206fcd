//! Removes records of cards from the exposure list when they are due, or when somebody asks to forget a card.
//!
//! It writes as the incident's one writer, so it never meets an import or another sweep half-way: whoever takes
//! the incident over fences the other, and each transaction holds the tombstones of some cards *and* the incident
//! record that counts them. An incident that an import is at work on is left for the next round. A record goes
//! after the histories of its card: [`TendedUntil`] tells how far `score` has forgotten. The outcomes that name a card
//! go in the same transaction as the last record of it, and those that come later by themselves (`late`).

mod late;
mod outcomes;
mod plan;
mod rounds;
mod tended;

use std::collections::{HashMap, HashSet};

use super::audit::{Audit, Begun, Deed};
use super::import::{ImportError, Known, ListTopic, Writer, settle};
use super::names::Links;
use super::score::Forgetting;
use super::start::Stopped;
use crate::domain::audit::Act;
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::plan::CardName;
use crate::exposure::record::{IncidentRecord, Mark, RevisionState};
use crate::exposure::retention::Reason;
use crate::fault;
use crate::stop::Stop;

use outcomes::{Fate, Keeping, Key, Named};

pub use rounds::Rounds;
pub use tended::TendedUntil;

/// Records removed in one transaction.
const PART: usize = 5_000;
/// How long a claim may stand before nobody can be at work on it any more, in milliseconds: a day.
const CLAIM_LIVES_MS: i64 = 24 * 3_600_000;
/// How long after a removal the list is kept moving, in milliseconds: 30 days. Brokers close and clean a segment
/// only when something is written behind it.
const MOVING_MS: i64 = 30 * 24 * 3_600_000;

/// Removes records of cards.
pub struct Sweeper {
    /// The list.
    pub list: ListTopic,
    /// The topic of the outcomes; may be missing.
    pub outcomes: String,
    /// The topic of the histories; it is read alone.
    pub card_history: String,
    /// Tells how far histories are forgotten.
    pub tended: TendedUntil,
    /// How long records and histories are kept.
    pub forgetting: Forgetting,
    /// How long an outcome is kept whose card no incident lists, in milliseconds (`retention.outcome_grace`).
    pub grace_ms: i64,
    /// Where it is written down; `None` in the demonstration, which nobody answers for.
    pub audit: Option<Audit>,
    /// Ends the waiting.
    pub stop: Stop,
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sweeper({:?})", self.list)
    }
}

/// What a sweep made of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// The incident.
    pub incident: IncidentId,
    /// Whether its watch was over, so that it was closed.
    pub closed: bool,
    /// Records removed; of a dry run, those that would be.
    pub removed: u64,
    /// Outcomes removed with them; `None` where that was not looked for.
    pub outcomes: Option<u64>,
    /// Records that are due and stay, because `score` has not forgotten the histories yet.
    pub waiting: u64,
    /// Whether an import is at work on it, so that it was left alone.
    pub busy: bool,
}

impl Swept {
    fn nothing(incident: &IncidentId) -> Swept {
        let incident = incident.clone();
        Swept { incident, closed: false, removed: 0, outcomes: Some(0), waiting: 0, busy: false }
    }
}

/// What became of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// What was removed, by incident.
    pub swept: Vec<Swept>,
    /// Outcomes removed, over all.
    pub outcomes: u64,
}

/// What a round made of all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The incidents that anything was to be done for.
    pub swept: Vec<Swept>,
    /// Outcomes removed whose card no incident lists; of a dry run, those that would be.
    pub late: u64,
    /// Histories that are due to be forgotten; `None` where that was not looked for. `score` forgets them.
    pub histories: Option<u64>,
}

impl Sweeper {
    /// One round over everything. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// The first failure; what was removed before it stays removed.
    pub fn round(&self, mark: &Mark, dry_run: bool) -> Result<Round, ImportError> {
        if dry_run {
            return self.plan(mark);
        }
        let swept = self.records(mark)?;
        fault::point("sweep", "before-late");
        let (view, _) = self.list.survey()?;
        let late = self.late_outcomes(&view, mark)?;
        Ok(Round { swept, late, histories: None })
    }

    /// Removes the records that are due, of all incidents, and the outcomes that go with them.
    ///
    /// # Errors
    /// The first failure; what was removed before it stays removed.
    fn records(&self, mark: &Mark) -> Result<Vec<Swept>, ImportError> {
        let (view, newest) = self.list.survey()?;
        let due = view.due(self.forgetting.retention, mark.at);
        let mut all = Vec::new();
        for incident in view.incidents() {
            let over = incident.is_over(self.forgetting.retention, mark.at);
            if !over && !due.iter().any(|(id, _)| *id == incident.id) {
                continue;
            }
            let swept = if is_busy(incident, mark.at) {
                Swept { busy: true, outcomes: None, ..Swept::nothing(&incident.id) }
            } else {
                self.sweep(&incident.id, mark)?
            };
            self.tell(&swept);
            all.push(swept);
        }
        if all.iter().all(|swept| swept.removed == 0) {
            let records: Vec<&IncidentRecord> = view.incidents();
            self.keep_moving(&records, newest, mark.at)?;
        }
        Ok(all)
    }

    /// Refuses where a legal hold keeps what is held of a card, or an outcome that names it. `names` are its
    /// fingerprints.
    ///
    /// # Errors
    /// The hold, or what stops the reading.
    pub fn check_not_held(&self, names: &HashSet<Fingerprint>) -> Result<(), ImportError> {
        let named = Named::read(&self.list, &self.outcomes)?;
        let (view, _) = self.list.survey()?;
        let of_records = names.iter().flat_map(|name| view.records_of(name)).filter_map(|record| record.0);
        of_records.chain(named.incidents_of(names, &view)).try_for_each(IncidentRecord::check_not_held)?;
        Ok(())
    }

    /// Removes a card's records from every incident, and the outcomes that name it, at once. `names` are its
    /// fingerprints.
    ///
    /// # Errors
    /// A legal hold as by [`Sweeper::check_not_held`], before anything is written; or what stops the writing.
    pub fn forget(&self, names: &HashSet<Fingerprint>, mark: &Mark) -> Result<Forgotten, ImportError> {
        self.check_not_held(names)?;
        let holding = self.list.holding(names)?;
        let mut outcomes = Named::read(&self.list, &self.outcomes)?.of(names);
        let mut forgotten = Forgotten { swept: Vec::new(), outcomes: outcomes.len() as u64 };
        let last = holding.keys().next_back();
        for id in holding.keys() {
            let (mut writer, known) = self.list.take_over(id)?;
            let Some(mut incident) = known.incident else { continue };
            incident.check_not_held()?;
            let cards: Vec<(CardName, &[i32])> = known
                .cards
                .iter()
                .filter(|(fingerprint, _)| names.contains(*fingerprint))
                .map(|(fingerprint, card)| (name(*fingerprint, card), card.record.events.as_slice()))
                .collect();
            incident.note_removal(cards.iter().map(|card| card.1), Reason::Forgotten, mark);
            let names: Vec<CardName> = cards.into_iter().map(|card| card.0).collect();
            // As in a sweep, they go with the last record.
            let going = if Some(id) == last { std::mem::take(&mut outcomes) } else { Vec::new() };
            self.remove(&mut writer, &names, &going, &incident, Reason::Forgotten)?;
            let (removed, going) = (names.len() as u64, Some(going.len() as u64));
            let swept = Swept { removed, outcomes: going, ..Swept::nothing(id) };
            self.tell(&swept);
            forgotten.swept.push(swept);
        }
        if !outcomes.is_empty() {
            forgotten.outcomes = self.bury(Reason::Forgotten.as_str(), |named| Ok(named.of(names)))?;
        }
        Ok(forgotten)
    }

    /// Waits until `score` has gone over all histories under the list as it is now; whether it has.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn await_histories(&self) -> Result<bool, Stopped> {
        let (view, _) = self.list.survey()?;
        let tended = self.tended.wait(view.frontier(), Timestamp(i64::MIN), &self.stop)?;
        Ok(tended.is_none_or(|tended| tended.frontier >= view.frontier()))
    }

    fn sweep(&self, id: &IncidentId, mark: &Mark) -> Result<Swept, ImportError> {
        let (mut writer, mut known) = self.list.take_over(id)?;
        let mut swept = Swept::nothing(id);
        let Some(mut incident) = known.incident.take() else { return Ok(swept) };
        if incident.is_over(self.forgetting.retention, mark.at) {
            incident.close(mark.clone())?;
            let deed = Deed::new(Act::Close, format!("incident/{id}")).because(Some("its watch was over"));
            let begun = self.begin(&mut writer, deed)?;
            end(begun, writer.put(&incident))?;
            swept.closed = true;
            fault::point("sweep", "after-close");
            // Its cards are due now, and `score` has to know it by this record.
            known.offset = self.list.look(id, super::import::Until::End)?.offset;
        }
        let (due, waiting) = self.due(&known, &incident, mark.at)?;
        swept.waiting = waiting;
        let why = incident.reason();
        let outcomes = self.outcomes_of(id, &due)?;
        for part in due.chunks(PART) {
            incident.note_removal(part.iter().map(|card| card.1), why, mark);
            let names: Vec<CardName> = part.iter().map(|card| card.0.clone()).collect();
            let going = names.iter().filter_map(|name| outcomes.get(&name.fingerprint));
            let going: Vec<Key> = going.flatten().cloned().collect();
            self.remove(&mut writer, &names, &going, &incident, why)?;
            fault::point("sweep", "after-part");
            swept.removed += part.len() as u64;
            swept.outcomes = swept.outcomes.map(|before| before + going.len() as u64);
        }
        Ok(swept)
    }

    /// The outcomes that go with these records of an incident, by the last of the card's records here, in order.
    fn outcomes_of(
        &self,
        id: &IncidentId,
        due: &[(CardName, &[i32])],
    ) -> Result<HashMap<Fingerprint, Vec<Key>>, ImportError> {
        let named = if due.is_empty() { Named::default() } else { Named::read(&self.list, &self.outcomes)? };
        if named.is_empty() {
            return Ok(HashMap::new());
        }
        let links = Links::read(&self.list, &self.card_history)?;
        let (view, _) = self.list.survey()?;
        let keeping = Keeping { links: links.of(named.cards()), view: &view };
        let due: HashSet<Fingerprint> = due.iter().map(|card| card.0.fingerprint).collect();
        let mut going: HashMap<Fingerprint, Vec<Key>> = HashMap::new();
        for (key, outcome) in named.all() {
            let lets_go = |incident: &IncidentRecord, name: &Fingerprint, _: &[i32]| {
                incident.id == *id && due.contains(name)
            };
            if let Fate::Goes { record, .. } = keeping.fate(outcome, lets_go) {
                going.entry(record).or_default().push(key.clone());
            }
        }
        Ok(going)
    }

    /// The cards to remove now, in order, and how many have to wait for `score`.
    #[allow(clippy::type_complexity, reason = "names beside events, used once")]
    fn due<'k>(
        &self,
        known: &'k Known,
        incident: &IncidentRecord,
        now: Timestamp,
    ) -> Result<(Vec<(CardName, &'k [i32])>, u64), ImportError> {
        let mut due: Vec<(Timestamp, CardName, &[i32])> = Vec::new();
        for (fingerprint, card) in &known.cards {
            match incident.due_at(&card.record.events, self.forgetting.retention) {
                Some(at) if at <= now => due.push((at, name(*fingerprint, card), &card.record.events)),
                _ => {}
            }
        }
        let Some(last) = due.iter().map(|card| card.0).max() else { return Ok((Vec::new(), 0)) };
        let tended = match fault::broken("record-before-history") {
            false => self.tended.wait(known.offset, last, &self.stop)?,
            true => None,
        };
        let all = due.len();
        if let Some(tended) = tended {
            due.retain(|card| tended::is_past(&tended, known.offset, card.0));
        }
        due.sort_unstable_by_key(|card| card.1.fingerprint);
        let waiting = (all - due.len()) as u64;
        Ok((due.into_iter().map(|(_, name, events)| (name, events)).collect(), waiting))
    }

    /// Writes a record that means nothing, where removed records may still be on a broker's disk and nothing was
    /// written behind them since the last round.
    fn keep_moving(
        &self,
        incidents: &[&IncidentRecord],
        newest: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), ImportError> {
        let Some(incident) = incidents.iter().find(|incident| is_moving(incident, now)) else {
            return Ok(());
        };
        if newest.is_some_and(|newest| newest.plus_millis(MOVE_AFTER_MS) > now) {
            return Ok(());
        }
        self.list.stir(&incident.id)
    }

    /// Removes records, and writes down that it was done. The audit log outlives the card, so it names none.
    fn remove(
        &self,
        writer: &mut Writer<'_>,
        cards: &[CardName],
        outcomes: &[Key],
        incident: &IncidentRecord,
        why: Reason,
    ) -> Result<(), ImportError> {
        let mut removed = serde_json::json!({"records_removed": cards.len()});
        if !outcomes.is_empty() {
            removed["outcomes_removed"] = outcomes.len().into();
        }
        let deed = Deed::new(Act::Forget, format!("incident/{}", incident.id)).after(removed);
        let begun = self.begin(writer, deed.because(Some(why.as_str())))?;
        let dropped = writer.drop_outcomes(&self.outcomes, outcomes);
        fault::point("sweep", "in-part");
        end(begun, dropped.and_then(|()| writer.remove(cards, incident)))
    }

    fn begin(&self, writer: &mut Writer<'_>, deed: Deed) -> Result<Option<Begun>, ImportError> {
        let Some(audit) = &self.audit else { return Ok(None) };
        let begun = audit.in_transaction(deed)?;
        writer.attest(&begun);
        Ok(Some(begun))
    }

    fn tell(&self, swept: &Swept) {
        let Swept { incident, closed, removed, outcomes, waiting, .. } = swept;
        tracing::info!(%incident, closed, removed, outcomes, waiting, "records of cards removed");
    }
}

fn end(begun: Option<Begun>, done: Result<(), ImportError>) -> Result<(), ImportError> {
    match begun {
        Some(begun) => settle(begun, done),
        None => done,
    }
}

/// How old the list's newest record must be before it is moved, in milliseconds: rounds may be seconds apart.
const MOVE_AFTER_MS: i64 = 1_000;

fn name(fingerprint: Fingerprint, card: &crate::exposure::plan::ListedCard) -> CardName {
    CardName { key: card.key.clone(), fingerprint }
}

/// Whether records that were removed from an incident may still be on a broker's disk.
fn is_moving(incident: &IncidentRecord, now: Timestamp) -> bool {
    incident.removals.last().is_some_and(|last| last.mark.at.plus_millis(MOVING_MS) > now)
}

/// Whether an import may be at work on an incident.
fn is_busy(incident: &IncidentRecord, now: Timestamp) -> bool {
    let last = incident.revisions.last();
    last.is_some_and(|last| {
        last.state == RevisionState::Claimed && last.claimed.at.plus_millis(CLAIM_LIVES_MS) > now
    })
}

#[cfg(test)]
mod tests;
