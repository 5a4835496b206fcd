//! Dead letters: written in the transaction of the records they stand for, and counted, because too many
//! of them mean that the mapping is wrong rather than the records.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pump::LineError;
use super::start::Stopped;
use crate::codec::dead::Unreadable;
use crate::codec::dead_letter::{DeadLetter, DeadRecord, LetterRules, OriginalHeader, Payload};
use crate::domain::position::Record;
use crate::domain::time::Timestamp;
use crate::kafka::client::MESSAGE_BYTES_MAX;
use crate::kafka::producer::{Outgoing, TransactionalProducer};
use crate::metrics::LoopMetrics;
use crate::stop::exit;

/// Records over which the share of unreadable ones is taken.
const WINDOW: u64 = 1_000;

/// Makes a keyed digest of bytes.
pub type Digest = Arc<dyn Fn(&[u8]) -> [u8; 32] + Send + Sync>;

/// Writes a line's dead letters and watches their share.
pub struct Undertaker {
    topic: String,
    payload: Payload,
    digest: Option<Digest>,
    stop_at: f64,
    metrics: LoopMetrics,
    seen: u64,
    dead: u64,
    reasons: BTreeMap<(&'static str, &'static str), u64>,
    proposed: Vec<&'static str>,
    /// Where the first unreadable record of the window stands.
    first: Option<String>,
    over: Option<String>,
}

impl std::fmt::Debug for Undertaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Undertaker({}, {:?})", self.topic, self.payload)
    }
}

impl Undertaker {
    /// Writes to `topic`; stops the line when more than the share `stop_at` of 1,000 records is unreadable.
    pub fn new(
        topic: String,
        payload: Payload,
        digest: Option<Digest>,
        stop_at: f64,
        metrics: LoopMetrics,
    ) -> Undertaker {
        Undertaker {
            topic,
            payload,
            digest,
            stop_at,
            metrics,
            seen: 0,
            dead: 0,
            reasons: BTreeMap::new(),
            proposed: Vec::new(),
            first: None,
            over: None,
        }
    }

    /// A record was readable.
    #[inline]
    pub fn readable(&mut self) {
        self.count();
    }

    /// Writes the letter of a record that was not.
    ///
    /// # Errors
    /// When the letter cannot be put into the transaction.
    pub fn bury(
        &mut self,
        record: &Record<'_>,
        headers: &[OriginalHeader<'_>],
        unreadable: Unreadable,
        now: Timestamp,
        out: &mut TransactionalProducer,
    ) -> Result<(), LineError> {
        let digest = self.digest.clone();
        let digest = digest.as_ref().map(|digest| &**digest as &dyn Fn(&[u8]) -> [u8; 32]);
        let bytes_max = MESSAGE_BYTES_MAX - 512;
        let rules = LetterRules { payload: self.payload, bytes_max, digest, entropy: self.entropy()? };
        let dead = DeadRecord { record: *record, headers, unreadable, found_at: now };
        let letter = DeadLetter::new(&dead, &rules);
        out.send(Outgoing {
            topic: &self.topic,
            partition: None,
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
            headers: &letter.headers,
        })?;
        self.proposed.push(unreadable.reason.as_str());
        self.first.get_or_insert_with(|| {
            format!("{}/{} at offset {}", record.topic, record.partition, record.offset)
        });
        *self.reasons.entry((unreadable.reason.as_str(), unreadable.field)).or_default() += 1;
        self.dead += 1;
        self.count();
        Ok(())
    }

    /// Randomness for one letter, where it is sealed.
    fn entropy(&self) -> Result<[u8; 32], Stopped> {
        let mut entropy = [0; 32];
        if let Payload::Sealed(_) = self.payload {
            getrandom::fill(&mut entropy).map_err(|error| {
                Stopped::new(exit::INTERNAL, format!("the system gave no random bytes to seal with: {error}"))
            })?;
        }
        Ok(entropy)
    }

    #[inline]
    fn count(&mut self) {
        self.seen += 1;
        if self.seen >= WINDOW {
            self.judge_window();
        }
    }

    fn judge_window(&mut self) {
        let share = self.dead as f64 / self.seen as f64;
        if share > self.stop_at {
            let commonest = self.reasons.iter().max_by_key(|(_, count)| **count);
            let ((reason, field), count) = commonest.map_or((("", ""), 0), |(key, count)| (*key, *count));
            self.over = Some(format!(
                "{} of {} records cannot be read ({count} times {reason} in field {field}), from {} on: the mapping or \
                 the topic is wrong; nothing of this batch is committed. Look at it with `cardwatch check --sample 1000`; \
                 pass over records that nobody needs with `cardwatch skip-to`, or raise dead_letters.stop_at",
                self.dead,
                self.seen,
                self.first.as_deref().unwrap_or_default()
            ));
        }
        self.seen = 0;
        self.dead = 0;
        self.first = None;
        self.reasons.clear();
    }

    /// Before a commit: whether too many records were unreadable.
    ///
    /// # Errors
    /// When they were; nothing may be committed then.
    pub fn check(&self) -> Result<(), Stopped> {
        match &self.over {
            Some(message) => Err(Stopped::new(exit::DATA, message.clone())),
            None => Ok(()),
        }
    }

    /// The letters are visible.
    pub fn merge(&mut self) {
        for reason in self.proposed.drain(..) {
            self.metrics.dead_letter(reason);
        }
    }

    /// The letters are gone, and their records will be read again.
    pub fn discard(&mut self) {
        self.proposed.clear();
        self.seen = 0;
        self.dead = 0;
        self.reasons.clear();
    }
}
