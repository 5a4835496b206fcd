//! Writes down who did what, before it is done: nothing that must be written down happens where it cannot be.
//!
//! There are two places: the topic, which outlives the host, and a file beside the process, which outlives the
//! cluster. Which comes when depends on what the act is:
//!
//! - **A Kafka transaction** ([`Audit::in_transaction`]): the intent goes to the file, the record itself into the
//!   transaction ([`Begun::record`]), so that the topic has it exactly when the act is visible; the end goes to
//!   the file. A failure is told on the topic too.
//! - **Anything else on the cluster or in the service** ([`Audit::begin`]): the intent goes to file and topic, the
//!   act is done, the end goes to both. An intent that nothing follows says that nobody knows.
//! - **A change of local files** ([`Audit::locally`]): keys and tokens live where there may be no cluster. The file
//!   must take the intent, and from the file alone it comes to the topic ([`Audit::deliver`]): at once where the
//!   cluster is reached, and otherwise with the next such act or by the running service. Without a file the topic
//!   must take it.
//!
//! [`Audit::record`] is for what is already decided and cannot fail any more: one record, `done`, in both places.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use deed::bounded;

use super::start::{CLUSTER, Stopped};
use crate::clock::Clock;
use crate::domain::audit::{AUDIT_SCHEMA, AuditRecord, By, Ending, Via};
use crate::fault;
use crate::files::audit::AuditFile;
use crate::http::auth::Caller;
use crate::kafka::client::Cluster;
use crate::kafka::feed::Feed;
use crate::kafka::probe::Probe;
use crate::kafka::producer::Outgoing;
use crate::stop::exit;

mod deed;
mod delivery;
mod trail;

pub use deed::Deed;
pub use delivery::deliver_until;
pub use trail::{Entry, GivenUp, Trail, lost_ranges};

/// How long a record may take to the topic.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a cluster may take that an act does not need.
const WITHIN_LOCALLY: Duration = Duration::from_secs(2);
/// Random bytes in an id.
const ID_BYTES: usize = 16;

/// Where records go, for all acts of a process.
#[derive(Debug, Clone)]
pub struct AuditPlaces {
    /// The cluster.
    pub cluster: Cluster,
    /// The topic.
    pub topic: String,
    /// The transactional id under which what is in the file comes to the topic: of this host and file alone.
    pub sender: String,
    /// The file, if there is one.
    pub file: Option<AuditFile>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The program's version.
    pub version: String,
}

struct Shared {
    places: AuditPlaces,
    writer: Mutex<Option<Feed>>,
}

/// Writes audit records as somebody. Cheap to clone; calls block until a record is safe.
#[derive(Clone)]
pub struct Audit {
    shared: Arc<Shared>,
    by: By,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audit({}, {:?})", self.shared.places.topic, self.by)
    }
}

/// Which places an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// File and topic, before and after.
    Both,
    /// The file; the topic gets the record in the act's own transaction.
    Transaction,
    /// The file; the topic if it is reached.
    File,
}

impl Audit {
    /// Writes as `by`.
    pub fn new(places: AuditPlaces, by: By) -> Audit {
        Audit { shared: Arc::new(Shared { places, writer: Mutex::new(None) }), by }
    }

    /// The same as whoever sent a request with a token. Calls block: from a handler, through
    /// `tokio::task::spawn_blocking`.
    #[must_use]
    pub fn for_caller(&self, caller: &Caller) -> Audit {
        let by = By { via: Via::Http, token: Some(caller.name.clone()), claimed: None, ..self.by.clone() };
        Audit { shared: Arc::clone(&self.shared), by }
    }

    /// The same as somebody who says who they are.
    #[must_use]
    pub fn claiming(&self, who: Option<&str>) -> Audit {
        let by = By { claimed: who.map(bounded), ..self.by.clone() };
        Audit { shared: Arc::clone(&self.shared), by }
    }

    /// Who is written down.
    pub fn by(&self) -> &By {
        &self.by
    }

    /// Writes down what is decided and cannot fail any more.
    ///
    /// # Errors
    /// When it cannot be written down: then it must not be done.
    pub fn record(&self, deed: Deed) -> Result<AuditRecord, Stopped> {
        let record = self.draft(deed, Ending::Done)?;
        self.to_file(&record)?;
        self.to_topic(&record, WITHIN)?;
        Ok(record)
    }

    /// Writes down what is about to be done.
    ///
    /// # Errors
    /// When it cannot be written down: then it must not be done.
    pub fn begin(&self, deed: Deed) -> Result<Begun, Stopped> {
        self.start(deed, Needs::Both)
    }

    /// Writes down what is about to be done by a Kafka transaction. [`Begun::record`] goes into it.
    ///
    /// # Errors
    /// When the file does not take it: then it must not be done.
    pub fn in_transaction(&self, deed: Deed) -> Result<Begun, Stopped> {
        self.start(deed, Needs::Transaction)
    }

    /// Writes down what is about to be done to local files.
    ///
    /// # Errors
    /// When the file, or without one the topic, does not take it: then it must not be done.
    pub fn locally(&self, deed: Deed) -> Result<Begun, Stopped> {
        self.start(deed, Needs::File)
    }

    fn start(&self, deed: Deed, needs: Needs) -> Result<Begun, Stopped> {
        let needs = match (needs, &self.shared.places.file) {
            (Needs::File, None) => Needs::Both,
            (needs, _) => needs,
        };
        let record = self.draft(deed, Ending::Intent)?;
        if fault::broken("act-before-its-record") {
            return Ok(Begun { audit: self.clone(), record, needs, missed: None });
        }
        self.to_file(&record)?;
        let told = match needs {
            Needs::Both => self.to_topic(&record, WITHIN),
            Needs::File => self.deliver_within(WITHIN_LOCALLY).map(drop),
            // Looked at before the work and not at its end.
            Needs::Transaction => self.check_topic(WITHIN),
        };
        match told {
            Ok(()) => Ok(Begun { audit: self.clone(), record, needs, missed: None }),
            Err(missed) if needs == Needs::File => {
                Ok(Begun { audit: self.clone(), record, needs, missed: Some(missed) })
            }
            Err(stopped) => {
                // It is not done, and the file can say so. What refuses it is the topic's failure.
                let error = Some(bounded(&stopped.message));
                let at = self.shared.places.clock.now();
                let _ = self.to_file(&AuditRecord { outcome: Ending::Failed, error, at, ..record });
                Err(stopped)
            }
        }
    }

    fn draft(&self, deed: Deed, outcome: Ending) -> Result<AuditRecord, Stopped> {
        let mut random = [0u8; ID_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            Stopped::new(exit::INTERNAL, format!("the system gave no random bytes: {error}"))
        })?;
        let Deed { act, subject, before, after, reason } = deed;
        Ok(AuditRecord {
            schema: AUDIT_SCHEMA.to_owned(),
            id: format!("aud_{}", data_encoding::HEXLOWER.encode(&random)),
            at: self.shared.places.clock.now(),
            act: act.as_str().to_owned(),
            subject,
            before,
            after,
            reason,
            by: self.by.clone(),
            outcome,
            error: None,
            version: self.shared.places.version.clone(),
        })
    }

    fn to_file(&self, record: &AuditRecord) -> Result<(), Stopped> {
        let Some(file) = &self.shared.places.file else { return Ok(()) };
        file.append(record).map_err(|error| {
            let advice = "write another path under audit.file, or \"\" to have the topic alone";
            Stopped::new(exit::CONFIG, format!("{error}; {} must be written down: {advice}", record.act))
        })
    }

    fn check_topic(&self, within: Duration) -> Result<(), Stopped> {
        let AuditPlaces { cluster, topic, .. } = &self.shared.places;
        let probe = Probe::new(cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?;
        match probe.waiting(within).partitions(topic)? {
            Some(_) => Ok(()),
            None => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "topic {topic} does not exist, and what is done must be written down there; make it with \
                     `cardwatch topics --create`"
                ),
            )),
        }
    }

    /// Puts a record on the topic and waits until it is there.
    fn to_topic(&self, record: &AuditRecord, within: Duration) -> Result<(), Stopped> {
        let places = &self.shared.places;
        // A client that knows no such topic would wait for it.
        self.check_topic(within)?;
        let mut writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = (|| {
            let feed = match writer.take() {
                Some(feed) => feed,
                None => Feed::new(&places.cluster, Arc::clone(&places.clock))
                    .map_err(|error| error.to_string())?,
            };
            let feed = writer.insert(feed);
            let (key, value) = (record.id.as_bytes(), record.to_json());
            let outgoing = Outgoing {
                topic: &places.topic,
                partition: Some(0),
                key: Some(key),
                value: Some(&value),
                headers: &[],
            };
            feed.send(outgoing).map_err(|error| error.to_string())?;
            feed.finish(within).map_err(|error| error.to_string())
        })();
        sent.map_err(|error: String| {
            // What waits in this client must not arrive behind the refusal.
            *writer = None;
            let act = &record.act;
            Stopped::new(
                exit::UNAVAILABLE,
                format!("{act} must be written down in {}, and cannot be: {error}; {CLUSTER}", places.topic),
            )
        })
    }
}

/// An act whose intent is written down.
#[derive(Debug)]
#[must_use = "an intent that nothing follows says that nobody knows whether it was done"]
pub struct Begun {
    audit: Audit,
    record: AuditRecord,
    needs: Needs,
    missed: Option<Stopped>,
}

impl Begun {
    /// Where the topic was not reached and the act does not need it: why.
    pub fn missed(&self) -> Option<&str> {
        self.missed.as_ref().map(|stopped| stopped.message.as_str())
    }

    /// What the act turned out to change.
    pub fn set_after(&mut self, after: impl Into<Value>) {
        self.record.after = Some(after.into());
    }

    /// The record for the act's own transaction: topic, key and value, for its partition 0.
    pub fn record(&self) -> (String, Vec<u8>, Vec<u8>) {
        let mut record = self.record.clone();
        record.outcome = Ending::Done;
        record.at = self.audit.shared.places.clock.now();
        (self.audit.shared.places.topic.clone(), record.id.clone().into_bytes(), record.to_json())
    }

    /// It was done.
    ///
    /// # Errors
    /// When that cannot be written down; the intent is, and the error says that it was done.
    pub fn done(self) -> Result<(), Stopped> {
        let topic = self.needs != Needs::Transaction;
        let (id, act) = (self.record.id.clone(), self.record.act.clone());
        self.end(Ending::Done, None, topic).map_err(|stopped| {
            let message = format!(
                "{act} was done, but only its intent {id} is written down, not its end: {}",
                stopped.message
            );
            Stopped::new(stopped.code, message)
        })
    }

    /// It was not done. What cannot be written down of that is told in the log: the failure itself matters more.
    pub fn failed(self, why: &str) {
        let id = self.record.id.clone();
        if let Err(stopped) = self.end(Ending::Failed, Some(bounded(why)), true) {
            tracing::warn!(id, reason = stopped.message, "that an act failed could not be written down");
        }
    }

    /// As `result` says.
    ///
    /// # Errors
    /// That of `result`, or as [`Begun::done`].
    pub fn end_with<T>(self, result: Result<T, Stopped>) -> Result<T, Stopped> {
        match result {
            Ok(value) => self.done().map(|()| value),
            Err(stopped) => {
                self.failed(&stopped.message);
                Err(stopped)
            }
        }
    }

    fn end(mut self, outcome: Ending, error: Option<String>, topic: bool) -> Result<(), Stopped> {
        self.record.outcome = outcome;
        self.record.error = error;
        self.record.at = self.audit.shared.places.clock.now();
        self.audit.to_file(&self.record)?;
        match (topic, &self.missed) {
            (true, None) if self.needs == Needs::File => {
                // The intent is there, and the file has the end, which comes there later.
                if let Err(stopped) = self.audit.deliver_within(WITHIN_LOCALLY) {
                    tracing::warn!(
                        id = self.record.id,
                        reason = stopped.message,
                        "the audit topic waits for an end"
                    );
                }
                Ok(())
            }
            (true, None) => self.audit.to_topic(&self.record, WITHIN),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
