//! Removes records of cards from the exposure list when they are due, or when somebody asks to forget a card.
//!
//! It writes as the incident's one writer, so it never meets an import or another sweep half-way: whoever takes
//! the incident over fences the other, and each transaction holds the tombstones of some cards *and* the incident
//! record that counts them. An incident that an import is at work on is left for the next round. A record goes
//! after the histories of its card: [`TendedUntil`] tells how far `score` has forgotten. The outcomes that name a card
//! go in the same transaction as the last record of it.

mod outcomes;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::audit::{Audit, Begun, Deed};
use super::import::{ImportError, Known, ListTopic, Writer, settle};
use super::mark::{Mark as Beside, Tended};
use super::refresh::Exposed;
use super::start::Stopped;
use crate::domain::audit::Act;
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::plan::CardName;
use crate::exposure::record::{IncidentRecord, Mark, RevisionState};
use crate::exposure::retention::{Reason, Retention};
use crate::kafka::consumer::Lookup;
use crate::stop::{Stop, exit};

use outcomes::{Key, Named};

/// Records removed in one transaction.
const PART: usize = 5_000;
/// How long a claim may stand before nobody can be at work on it any more, in milliseconds: a day.
const CLAIM_LIVES_MS: i64 = 24 * 3_600_000;
/// How long `score` is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after a removal the list is kept moving, in milliseconds: 30 days. Brokers close and clean a segment
/// only when something is written behind it.
const MOVING_MS: i64 = 30 * 24 * 3_600_000;

/// How far `score` has forgotten histories, over all partitions.
#[derive(Debug)]
pub struct TendedUntil {
    /// Asks for what `score` committed for the sightings.
    pub lookup: Lookup,
    /// How many partitions the sightings have.
    pub partitions: i32,
}

impl TendedUntil {
    /// What every partition was gone over for; `None` where `score` has never judged anything.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    pub fn now(&self) -> Result<Option<Tended>, Stopped> {
        let partitions: Vec<i32> = (0..self.partitions).collect();
        let committed = self.lookup.committed(&partitions).map_err(|error| {
            Stopped::new(
                exit::UNAVAILABLE,
                format!("how far histories are forgotten could not be asked: {error}"),
            )
        })?;
        let never = Tended { frontier: i64::MIN, at: Timestamp(i64::MIN) };
        let each = committed.into_iter().filter_map(|(_, committed)| committed);
        let each = each.map(|committed| Beside::parse(&committed.metadata).tended.unwrap_or(never));
        Ok(each.reduce(|a, b| Tended { frontier: a.frontier.min(b.frontier), at: a.at.min(b.at) }))
    }

    /// Waits until every history that was due at `at` under the list up to `frontier` is gone; how far it came.
    ///
    /// # Errors
    /// When the coordinator does not answer for as long as is waited.
    fn wait(&self, frontier: i64, at: Timestamp, stop: &Stop) -> Result<Option<Tended>, Stopped> {
        let mut waited = Duration::ZERO;
        loop {
            let now = self.now();
            let is_there = |tended: &Tended| tended.frontier >= frontier && tended.at >= at;
            if waited >= PATIENCE || now.as_ref().is_ok_and(|now| now.as_ref().is_none_or(is_there)) {
                return now;
            }
            if stop.wait(LOOK_EVERY) {
                return now;
            }
            waited += LOOK_EVERY;
        }
    }
}

/// Removes records of cards.
pub struct Sweeper {
    /// The list.
    pub list: ListTopic,
    /// The topic of the outcomes; may be missing.
    pub outcomes: String,
    /// Tells how far histories are forgotten.
    pub tended: TendedUntil,
    /// How long records are kept.
    pub retention: Retention,
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

impl Sweeper {
    /// One round over all incidents: those that anything was to be done for. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// The first failure; what was removed before it stays removed.
    pub fn round(&self, mark: &Mark, dry_run: bool) -> Result<Vec<Swept>, ImportError> {
        let (view, newest) = self.list.survey()?;
        let due = view.due(self.retention, mark.at);
        let mut all = Vec::new();
        for incident in view.incidents() {
            let over = incident.is_over(self.retention, mark.at);
            let cards = due.iter().find(|(id, _)| *id == incident.id).map_or(0, |(_, cards)| *cards);
            if !over && cards == 0 {
                continue;
            }
            let busy = is_busy(incident, mark.at);
            let nothing = Swept::nothing(&incident.id);
            let mut swept = Swept { closed: over, removed: cards, outcomes: None, busy, ..nothing };
            if busy {
                (swept.closed, swept.removed) = (false, 0);
            } else if !dry_run {
                swept = self.sweep(&incident.id, mark)?;
                self.tell(&swept);
            }
            all.push(swept);
        }
        if !dry_run && all.iter().all(|swept| swept.removed == 0) {
            let records: Vec<&IncidentRecord> = view.incidents();
            self.keep_moving(&records, newest, mark.at)?;
        }
        Ok(all)
    }

    /// Removes a card's records from every incident, and the outcomes that name it, at once. `names` are its
    /// fingerprints.
    ///
    /// # Errors
    /// A legal hold on any of the incidents, before anything is written; or what stops the writing.
    pub fn forget(&self, names: &HashSet<Fingerprint>, mark: &Mark) -> Result<Forgotten, ImportError> {
        let holding = self.list.holding(names)?;
        for held in holding.values() {
            held.incident.check_not_held()?;
        }
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
            self.remove_outcomes(&outcomes)?;
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
        if incident.is_over(self.retention, mark.at) {
            incident.close(mark.clone())?;
            let deed = Deed::new(Act::Close, format!("incident/{id}")).because(Some("its watch was over"));
            let begun = self.begin(&mut writer, deed)?;
            end(begun, writer.put(&incident))?;
            swept.closed = true;
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
            swept.removed += part.len() as u64;
            swept.outcomes = swept.outcomes.map(|before| before + going.len() as u64);
        }
        Ok(swept)
    }

    /// The outcomes that go with these records of an incident, by card.
    fn outcomes_of(
        &self,
        id: &IncidentId,
        due: &[(CardName, &[i32])],
    ) -> Result<HashMap<Fingerprint, Vec<Key>>, ImportError> {
        if due.is_empty() {
            return Ok(HashMap::new());
        }
        let named = Named::read(&self.list, &self.outcomes)?;
        let cards = named.among(due.iter().map(|card| card.0.fingerprint));
        if cards.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(named.going(&cards, id, &self.list.holding(&cards)?))
    }

    /// Removes outcomes of a card that no incident holds.
    fn remove_outcomes(&self, keys: &[Key]) -> Result<(), ImportError> {
        let bury = || self.list.bury_outcomes(&self.outcomes, keys);
        let Some(audit) = &self.audit else { return Ok(bury()?) };
        let removed = serde_json::json!({"outcomes_removed": keys.len()});
        let deed = Deed::new(Act::Forget, format!("topic/{}", self.outcomes)).after(removed);
        let begun = audit.begin(deed.because(Some(Reason::Forgotten.as_str())))?;
        Ok(begun.end_with(bury())?)
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
            match incident.due_at(&card.record.events, self.retention) {
                Some(at) if at <= now => due.push((at, name(*fingerprint, card), &card.record.events)),
                _ => {}
            }
        }
        let Some(last) = due.iter().map(|card| card.0).max() else { return Ok((Vec::new(), 0)) };
        let tended = self.tended.wait(known.offset, last, &self.stop)?;
        let all = due.len();
        if let Some(tended) = tended {
            due.retain(|card| tended.frontier >= known.offset && card.0 <= tended.at);
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
        Ok(self.list.stir(&incident.id)?)
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

/// Sweeps from time to time, inside the service.
#[derive(Debug)]
pub struct Rounds {
    /// Sweeps.
    pub sweeper: Sweeper,
    /// The list as this process knows it.
    pub exposed: Arc<Exposed>,
    /// Whether this process is the one that does it. Two at once would only fence each other.
    pub leads: Arc<AtomicBool>,
    /// How often.
    pub every: Duration,
    /// Who does it, for the record.
    pub by: String,
    /// Ends it.
    pub stop: Stop,
}

impl Rounds {
    /// Sweeps until somebody asks to stop. A round that fails is tried again at the next.
    pub fn run(&self) {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        while !self.stop.wait(self.every) {
            if !self.leads.load(Ordering::Relaxed) {
                continue;
            }
            // Outcomes may be rare, and nobody knows which of them were removed a while ago.
            if let Err(error) = outcomes::stir(&self.sweeper.list, &self.sweeper.outcomes) {
                tracing::warn!(%error, "outcomes that were removed may stay on disk for longer");
            }
            let mark = Mark { at: self.sweeper.list.clock.now(), by: self.by.clone(), host: host.clone() };
            // What is due is seen without reading the list: most rounds find nothing.
            let view = self.exposed.set.view();
            let quiet = view.due(self.sweeper.retention, mark.at).is_empty()
                && !view.incidents().iter().any(|incident| {
                    incident.is_over(self.sweeper.retention, mark.at) || is_moving(incident, mark.at)
                });
            if quiet {
                continue;
            }
            if let Err(error) = self.sweeper.round(&mark, false) {
                tracing::warn!(%error, "records of cards that are due could not be removed yet");
            }
        }
    }
}
