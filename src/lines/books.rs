//! Brings the books together: the exposure list, the histories and the outcomes, as they are at one moment.

use super::audit::{GivenUp, Trail, lost_ranges};
use super::import::{ListTopic, Until};
use super::mark::Mark;
use super::patience::patiently;
use super::score::{NAMES_PREFIX, Names};
use super::snapshot::Snapshots;
use super::start::Stopped;
use crate::books::{Decided, Finding, Ledger, Removed};
use crate::codec::outcome::decode_outcome;
use crate::domain::audit::Act;
use crate::domain::card::Fingerprint;
use crate::domain::outcome::Verdict;
use crate::domain::time::Timestamp;
use crate::domain::vocabulary;
use crate::exposure::record::{CardRecord, IncidentRecord, ListKey, RecordError};
use crate::kafka::consumer::Committed;
use crate::kafka::group::Group;
use crate::kafka::native::Message;
use crate::report::coverage::{Coverage, Lost, Watched};
use crate::scoring::history::{DEPARTED_PREFIX, Departed, History, HistoryError};
use crate::stop::{Stop, exit};

/// Where the books are kept, beside the list.
#[derive(Debug, Clone)]
pub struct BookTopics {
    /// Card histories.
    pub card_history: String,
    /// Outcomes; may be missing.
    pub outcomes: String,
    /// What is watched.
    pub input: String,
    /// What is judged.
    pub sightings: String,
    /// The group that reads the input.
    pub sight_group: String,
    /// The group that judges.
    pub score_group: String,
}

/// Reads books.
#[derive(Debug)]
pub struct BookReader<'a> {
    /// The list.
    pub list: &'a ListTopic,
    /// Everything else.
    pub topics: BookTopics,
}

impl BookReader<'_> {
    /// Everything that books are made of, as it is now.
    ///
    /// # Errors
    /// When a topic cannot be read, or holds something else.
    pub fn ledger(&self) -> Result<Ledger, Stopped> {
        let mut ledger = Ledger::default();
        self.list.read(Until::End, |_, key, value| list_record(&mut ledger, key, value))?;
        let snapshots = self.list.snapshots();
        let history = &self.topics.card_history;
        let there = snapshots
            .topic("the histories", history, |message| history_record(&mut ledger, history, message))?;
        if !there {
            let message = format!("topic {history} does not exist; make it with `cardwatch topics --create`");
            return Err(Stopped::new(exit::CONFIG, message));
        }
        snapshots.topic("the outcomes", &self.topics.outcomes, |message| {
            outcome_record(&mut ledger, message);
            Ok(())
        })?;
        Ok(ledger)
    }

    /// How much of the input is watched, as it is now; `trail` tells what was given up.
    ///
    /// # Errors
    /// When the cluster does not answer, or there is no audit topic.
    pub fn coverage(&self, trail: &Trail) -> Result<Coverage, Stopped> {
        let snapshots = self.list.snapshots();
        let BookTopics { input, sightings, sight_group, score_group, .. } = &self.topics;
        let mut watched = Vec::new();
        for (partition, high, committed) in standings(&snapshots, input, sight_group)? {
            watched.push(self.watched(partition, high, committed)?);
        }
        let mut unjudged = 0;
        for (partition, high, committed) in standings(&snapshots, sightings, score_group)? {
            let next = committed.map_or(0, |committed| committed.offset);
            if high > next {
                snapshots.partition("sightings", sightings, partition, next, |_| {
                    unjudged += 1;
                    Ok(())
                })?;
            }
        }
        let given_up = lost_ranges(trail)?.into_iter();
        let own = given_up.filter(|lost| lost.range.topic == *input && lost.range.group == *sight_group);
        let lost = own.map(lost).collect();
        Ok(Coverage { as_of: snapshots.clock.now(), topic: input.clone(), watched, lost, unjudged })
    }

    fn watched(&self, partition: i32, high: i64, committed: Option<Committed>) -> Result<Watched, Stopped> {
        let Some(committed) = committed else {
            return Ok(Watched { partition, began: None, is_read: false, unread: high, oldest_unread: None });
        };
        let mark = Mark::parse(&committed.metadata);
        let unread = (high - committed.offset).max(0);
        let oldest_unread = match unread {
            0 => None,
            _ => Some(self.list.probe.time_at(&self.topics.input, partition, committed.offset)?),
        };
        let began = mark.began.map(|began| began.at);
        Ok(Watched { partition, began, is_read: true, unread, oldest_unread })
    }
}

fn lost(given_up: GivenUp) -> Lost {
    let GivenUp { range, act, at, by, reason: _ } = given_up;
    let by = by.claimed.clone().unwrap_or_else(|| by.login());
    Lost { range, at, by, skipped: act == Act::Skip.as_str() }
}

/// Each partition's end and what the group has committed of it.
fn standings(
    snapshots: &Snapshots,
    topic: &str,
    group: &str,
) -> Result<Vec<(i32, i64, Option<Committed>)>, Stopped> {
    let Some(partitions) = snapshots.probe.partitions(topic)? else { return Ok(Vec::new()) };
    let group = Group::new(&snapshots.cluster, group).map_err(|error| {
        Stopped::new(exit::CONFIG, format!("the Kafka client refuses its settings: {error}"))
    })?;
    // An open transaction of the running service holds the answer back for a moment.
    let committed = patiently(&Stop::new(), topic, group.name(), || group.committed(topic, partitions))?;
    let with_end = |(partition, committed)| {
        Ok((partition, snapshots.probe.watermarks(topic, partition)?.high, committed))
    };
    committed.into_iter().map(with_end).collect()
}

pub(super) fn list_record(ledger: &mut Ledger, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
    let key = ListKey::parse(key)?;
    match &key {
        ListKey::Incident(id) => {
            let record = value.map(|value| IncidentRecord::from_json(id, value)).transpose()?;
            ledger.incident(id, record);
        }
        ListKey::Card { fingerprint, incident, .. } => {
            let record = value.map(|value| CardRecord::from_json(&key, value)).transpose()?;
            ledger.card(incident, *fingerprint, record.map(|record| record.events));
        }
    }
    Ok(())
}

pub(super) fn history_record(ledger: &mut Ledger, topic: &str, message: &Message<'_>) -> Result<(), Stopped> {
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok()).ok_or("the key is not text");
    let entered = key.map_err(str::to_owned);
    let entered = entered.and_then(|key| enter_history(ledger, message.partition(), key, message.value()));
    entered.map_err(|what| {
        let place = format!("{topic}/{} offset {}", message.partition(), message.offset());
        let message = format!("{place}: {what}; something else wrote to this topic, or a newer version did");
        Stopped::new(exit::DATA, message)
    })
}

/// Enters a record of the topic of the histories; what is wrong with it, as the end of a sentence.
pub(super) fn enter_history(
    ledger: &mut Ledger,
    partition: i32,
    key: &str,
    value: Option<&[u8]>,
) -> Result<(), String> {
    let failed = |error: HistoryError| error.to_string();
    if key.starts_with(DEPARTED_PREFIX) {
        let incident = Departed::incident(key).ok_or("the key names no incident")?;
        ledger.departed(partition, incident, value.map(Departed::decode).transpose().map_err(failed)?);
    } else if let Some(card) = key.strip_prefix(NAMES_PREFIX) {
        let card = card.parse().map_err(|_| "the key names no fingerprint")?;
        let names = value.map(serde_json::from_slice::<Names>).transpose();
        ledger.names(card, names.map_err(|_| "a card's names do not read")?.map(|names| names.others));
    } else if !key.contains('/') {
        // A card's record is named by its fingerprint alone; checkpoints and whatever else is kept here are not.
        let fingerprint: Fingerprint = key.parse().map_err(|_| "the key is no fingerprint")?;
        let history = value.map(History::decode).transpose().map_err(failed)?;
        ledger.history(fingerprint, history.as_ref());
    }
    Ok(())
}

/// Enters an outcome. Systems of others write to this topic too: what is no outcome counts for nothing and stops
/// nothing; [`decisions`](super::decisions) says of it that it is none.
pub(super) fn outcome_record(ledger: &mut Ledger, message: &Message<'_>) {
    let Some(id) = message.key().and_then(|key| std::str::from_utf8(key).ok()) else { return };
    if Removed::is_key(id.as_bytes()) {
        return ledger.removed(id, message.value().and_then(|value| Removed::from_json(value).ok()));
    }
    ledger.outcome(id, message.value().and_then(|value| decided(value, message.timestamp())));
}

/// What an outcome record decided; `None` where it does not read or does not say what it is about.
pub(super) fn decided(value: &[u8], written_at: Timestamp) -> Option<Decided> {
    let outcome = decode_outcome(value, written_at).ok()?;
    let about = outcome.about?;
    let finding = match outcome.decision.verdict {
        Verdict::Fraud => Finding::Fraud,
        Verdict::Genuine => Finding::Genuine,
        Verdict::Unknown => Finding::Unknown,
    };
    Some(Decided {
        finding,
        fingerprint: about.fingerprint,
        incidents: about.incidents,
        money: about.amount,
        declined: about.transaction_outcome == vocabulary::Outcome::Declined,
        used_at: about.transaction_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_counts_where_it_says_what_it_is_about() {
        let (print, id) = ("07".repeat(32), format!("alr_{}", "a".repeat(26)));
        let json = format!(
            r#"{{"schema":"cardwatch.outcome/1","alert":"{id}","verdict":"fraud","note":"n","about":{{
            "fingerprint":"{print}","key":"k1","incidents":["shop"],"raised_at":"2018-06-05T05:40:16.000Z",
            "severity":"high","score":90,"rules":["dear"],"transaction":"t1",
            "transaction_at":"2018-06-05T05:40:15.000Z","transaction_outcome":"declined","amount":"12980",
            "currency":"JPY"}}}}"#
        );
        let decided = |json: &str| super::decided(json.as_bytes(), Timestamp(0));
        let found = decided(&json).unwrap();
        assert_eq!((found.finding, found.declined), (Finding::Fraud, true));
        assert_eq!(found.money.unwrap().to_string(), "12980 JPY");
        assert_eq!(found.incidents, ["shop".parse().unwrap()]);
        for (from, to) in [
            ("fraud", "theft"),
            ("about", "above"),
            ("shop", "Shop"),
            ("{", "["),
            ("outcome/1", "outcome/9"),
            (id.as_str(), "A-1"),
            (r#""note":"n""#, r#""note":"4242 4242 4242 4242""#),
        ] {
            assert_eq!(decided(&json.replacen(from, to, 1)), None, "{from}");
        }
        let without = json.replace(r#""12980""#, "null").replace(r#""JPY""#, "null");
        assert_eq!(decided(&without).unwrap().money, None);
    }
}
