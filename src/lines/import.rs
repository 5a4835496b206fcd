//! Changes the exposure list: one writer per incident, a claim first, a finishing mark last.
//!
//! The transactional id is made of the incident's, so taking it over fences and aborts whoever held it
//! before. Cards are written in transactions of at most 10,000 records or one second: one transaction for a
//! whole list would hold every reader of the topic back. Until the finishing mark is committed, nothing of
//! a revision is visible; after it, all of it is.

mod bury;
mod outcomes;
mod writer;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::audit::Begun;
use super::read::Source;
use super::snapshot::Snapshots;
use super::start::Stopped;
use crate::clock::Clock;
use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::incident::IncidentId;
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::plan::ListedCard;
use crate::exposure::record::{CardRecord, IncidentRecord, IncidentState, ListKey, Mark, RecordError};
use crate::exposure::revision::RevisionError;
use crate::exposure::set::{ExposureSet, View};
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::kafka::producer::{IMPORT, TransactionalProducer};
use crate::stop::{Stop, exit};

pub use bury::Burial;
pub use writer::Writer;

/// How long a fenced import waits to learn who took over.
const CLAIM_AWAITED: Duration = Duration::from_secs(5);

/// Why a change of the list ended.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another import of the same incident took over; nothing of this one is or will be visible.
    #[error("{0}; nothing of this change is visible")]
    TakenOver(String),
    /// The change is refused by the incident's own rules.
    #[error(transparent)]
    Refused(#[from] RevisionError),
    /// Nobody knows whether the last step was written.
    #[error("{0}")]
    Unknown(String),
    /// Anything else that stops it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl ImportError {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            ImportError::TakenOver(_) | ImportError::Unknown(_) => exit::UNAVAILABLE,
            ImportError::Refused(_) => exit::DATA,
            ImportError::Stopped(stopped) => stopped.code,
        }
    }
}

/// Ends the audit record of a change of the list. Where nobody knows whether it was written, its intent stands
/// alone.
pub fn settle<T>(begun: Begun, done: Result<T, ImportError>) -> Result<T, ImportError> {
    match done {
        Ok(done) => begun.done().map(|()| done).map_err(ImportError::from),
        Err(error @ ImportError::Unknown(_)) => Err(error),
        Err(error) => {
            begun.failed(&error.to_string());
            Err(error)
        }
    }
}

/// Where the list is and who changes it.
pub struct ListTopic {
    /// The cluster.
    pub cluster: Cluster,
    /// Asks for watermarks.
    pub probe: Probe,
    /// The topic of the list.
    pub topic: String,
    /// What transactional ids begin with.
    pub prefix: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for ListTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListTopic({})", self.topic)
    }
}

/// What the list says of one incident.
#[derive(Debug, Default)]
pub struct Known {
    /// The incident; `None` where there is no such.
    pub incident: Option<IncidentRecord>,
    /// The offset of the incident's newest record.
    pub offset: i64,
    /// Its cards, shown or not.
    pub cards: HashMap<Fingerprint, ListedCard>,
    /// The other incidents there are.
    pub others: BTreeSet<IncidentId>,
    /// What the other open incidents know of the keys.
    pub keys: BTreeMap<KeyId, (IncidentId, CheckValue)>,
}

impl Known {
    /// How many cards of the incident are watched.
    pub fn shown(&self) -> u64 {
        let Some(incident) = &self.incident else { return 0 };
        self.cards.values().filter(|card| incident.shows(&card.record.events)).count() as u64
    }

    /// Whether a key is the one that the list knows by this name: the incident's own, or another's.
    ///
    /// # Errors
    /// [`RevisionError::OtherKey`] when it is not.
    pub fn check_key(&self, key: &KeyId, check: CheckValue) -> Result<(), RevisionError> {
        if let Some(incident) = &self.incident {
            incident.check_key(key, check)?;
        }
        match self.keys.get(key) {
            Some((incident, known)) if *known != check => {
                Err(RevisionError::OtherKey { incident: incident.clone(), key: key.clone() })
            }
            _ => Ok(()),
        }
    }

    fn note_other(&mut self, id: &IncidentId, value: Option<&[u8]>) -> Result<(), RecordError> {
        self.keys.retain(|_, (incident, _)| incident != id);
        let Some(value) = value else {
            self.others.remove(id);
            return Ok(());
        };
        self.others.insert(id.clone());
        let record = IncidentRecord::from_json(id, value)?;
        if record.state == IncidentState::Open {
            let checks = record.checks.into_iter();
            self.keys.extend(checks.map(|(key, check)| (key, (id.clone(), check))));
        }
        Ok(())
    }
}

/// What an incident knows of one card.
#[derive(Debug)]
pub struct Holding {
    /// The incident.
    pub incident: IncidentRecord,
    /// The card's records, by fingerprint: one for each key that it is or was listed under.
    pub cards: HashMap<Fingerprint, ListedCard>,
}

/// How far the list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end of this moment. Somebody's open transaction is waited for.
    End,
    /// Only as far as no open transaction stands in the way: what is behind one is not seen.
    Stable,
}

impl ListTopic {
    /// Reads the whole list as it is at this moment, record by record; the time of the newest record.
    ///
    /// # Errors
    /// When the topic cannot be read, does not come to its end, or `visit` refuses a record.
    pub fn read(
        &self,
        until: Until,
        mut visit: impl FnMut(i64, &[u8], Option<&[u8]>) -> Result<(), RecordError>,
    ) -> Result<Option<Timestamp>, Stopped> {
        self.check_topic()?;
        let marks = match until {
            Until::End => self.probe.watermarks(&self.topic, 0)?,
            Until::Stable => self.probe.stable_watermarks(&self.topic, 0)?,
        };
        let group = format!("{}-import", self.prefix);
        let source = Source {
            cluster: &self.cluster,
            group: &group,
            topic: &self.topic,
            partition: 0,
            what: "the exposure list",
            clock: self.clock.as_ref(),
        };
        let mut newest = None;
        source.read(marks.low, marks.high, |message| {
            let key = message.key().unwrap_or_default();
            newest = Some(message.timestamp());
            visit(message.offset(), key, message.value()).map_err(|error| {
                Stopped::new(exit::DATA, format!("{} offset {}: {error}", self.topic, message.offset()))
            })
        })?;
        Ok(newest)
    }

    /// What reads whole topics of the same cluster.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots {
            cluster: self.cluster.clone(),
            probe: self.probe.clone(),
            group: format!("{}-import", self.prefix),
            clock: Arc::clone(&self.clock),
        }
    }

    /// What the list says of `id` now.
    ///
    /// # Errors
    /// As [`ListTopic::read`].
    pub fn look(&self, id: &IncidentId, until: Until) -> Result<Known, Stopped> {
        let mut known = Known::default();
        self.read(until, |offset, key, value| {
            match ListKey::parse(key)? {
                ListKey::Incident(found) if found == *id => {
                    known.offset = offset;
                    known.incident = match value {
                        Some(value) => Some(IncidentRecord::from_json(id, value)?),
                        None => None,
                    };
                }
                ListKey::Incident(other) => known.note_other(&other, value)?,
                ListKey::Card { ref key, fingerprint, ref incident } if incident == id => match value {
                    Some(value) => {
                        let name = ListKey::Card { key: key.clone(), fingerprint, incident: id.clone() };
                        let record = CardRecord::from_json(&name, value)?;
                        known.cards.insert(fingerprint, ListedCard { key: key.clone(), record });
                    }
                    None => {
                        known.cards.remove(&fingerprint);
                    }
                },
                ListKey::Card { .. } => {}
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// All incidents, and how many cards each shows; the time of the newest record.
    ///
    /// # Errors
    /// As [`ListTopic::read`].
    pub fn survey(&self) -> Result<(Arc<View>, Option<Timestamp>), Stopped> {
        let (_, mut writer) = ExposureSet::new(&[]);
        let newest =
            self.read(Until::End, |offset, key, value| writer.apply(offset, key, value).map(|_| ()))?;
        Ok((writer.publish(), newest))
    }

    /// The incidents that have a record of a card under any of these fingerprints.
    ///
    /// # Errors
    /// As [`ListTopic::read`].
    pub fn holding(&self, names: &HashSet<Fingerprint>) -> Result<BTreeMap<IncidentId, Holding>, Stopped> {
        let mut incidents = BTreeMap::new();
        let mut cards: BTreeMap<IncidentId, HashMap<Fingerprint, ListedCard>> = BTreeMap::new();
        self.read(Until::End, |_, key, value| {
            let list_key = ListKey::parse(key)?;
            match (&list_key, value) {
                (ListKey::Incident(id), Some(value)) => {
                    incidents.insert(id.clone(), IncidentRecord::from_json(id, value)?);
                }
                (ListKey::Incident(id), None) => drop(incidents.remove(id)),
                (ListKey::Card { key, fingerprint, incident }, value) if names.contains(fingerprint) => {
                    let of_incident = cards.entry(incident.clone()).or_default();
                    match value {
                        None => drop(of_incident.remove(fingerprint)),
                        Some(value) => {
                            let record = CardRecord::from_json(&list_key, value)?;
                            of_incident.insert(*fingerprint, ListedCard { key: key.clone(), record });
                        }
                    }
                }
                (ListKey::Card { .. }, _) => {}
            }
            Ok(())
        })?;
        let held = cards.into_iter().filter(|(_, cards)| !cards.is_empty());
        Ok(held
            .filter_map(|(id, cards)| Some((id.clone(), Holding { incident: incidents.remove(&id)?, cards })))
            .collect())
    }

    fn check_topic(&self) -> Result<(), Stopped> {
        match self.probe.partitions(&self.topic)? {
            Some(1) => Ok(()),
            Some(partitions) => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "topic {} has {partitions} partitions and the exposed list needs exactly 1: delete it and make it \
                     with `cardwatch topics --create`, or name another under topics.exposures",
                    self.topic
                ),
            )),
            None => Err(Stopped::new(
                exit::CONFIG,
                format!("topic {} does not exist; make it with `cardwatch topics --create`", self.topic),
            )),
        }
    }

    /// Becomes the one writer of `id`: an earlier one is fenced, its open transaction aborted, and only
    /// then the list is read.
    ///
    /// # Errors
    /// When the cluster does not answer or the list cannot be read.
    pub fn take_over(&self, id: &IncidentId) -> Result<(Writer<'_>, Known), ImportError> {
        let transactional_id = format!("{}-import-{id}", self.prefix);
        let producer =
            TransactionalProducer::start(&self.cluster, &transactional_id, IMPORT, Arc::clone(&self.clock))
                .map_err(|error| {
                Stopped::new(
                    exit::UNAVAILABLE,
                    format!("the import could not start its transactions: {error}"),
                )
            })?;
        let known = self.look(id, Until::End)?;
        Ok((Writer::new(self, id, producer), known))
    }

    /// Who holds the incident now, for a writer of revision `own` that was fenced.
    fn who_took_over(&self, id: &IncidentId, own: Option<u32>) -> String {
        let deadline = self.clock.instant() + CLAIM_AWAITED;
        loop {
            let incident = self.look(id, Until::End).ok().and_then(|known| known.incident);
            let newest = incident.as_ref().and_then(|incident| newest_change(incident, own));
            if let Some((what, mark)) = newest {
                return format!(
                    "another change of incident {id} took over: {what} by {} on {} at {}",
                    mark.by, mark.host, mark.at
                );
            }
            if self.clock.instant() >= deadline {
                return format!(
                    "another change of incident {id} took over and has written nothing yet, or this process was \
                     stopped for longer than a transaction lasts; `cardwatch incident show {id}` tells"
                );
            }
            // Who took over reads the list first and claims a number then.
            Stop::new().wait(CLAIM_AWAITED / 10);
        }
    }
}

/// The newest step in the life of an incident that is not the claim of revision `own`.
fn newest_change(incident: &IncidentRecord, own: Option<u32>) -> Option<(String, &Mark)> {
    let claims = incident.revisions.iter().filter(|revision| Some(revision.number) > own);
    let claims = claims.map(|revision| (format!("revision {}", revision.number), &revision.claimed));
    let since = own.and_then(|own| incident.revision(own)).map_or(Timestamp(i64::MIN), |own| own.claimed.at);
    let undone = incident.revisions.iter().filter_map(|revision| {
        let mark = revision.undone.as_ref().filter(|mark| mark.at >= since)?;
        Some((format!("revision {} undone", revision.number), mark))
    });
    let closed = incident.closed.iter().map(|mark| ("closed".to_owned(), mark));
    let removals = incident.removals.iter().filter(|removal| removal.mark.at >= since);
    let removals = removals.map(|removal| ("records of cards removed".to_owned(), &removal.mark));
    claims.chain(undone).chain(closed).chain(removals).max_by_key(|(_, mark)| mark.at)
}
