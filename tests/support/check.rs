//! Judges a run from outside: what went in, what is committed, what came out, and whether that fits.
//!
//! Pure: records and offsets go in, readable violations come out. The naive model is here, so nothing of
//! the program's own bookkeeping is used but the derivation of ids and, through [`Wire`], the reading of
//! its two binary forms.

use std::collections::{BTreeMap, BTreeSet};

use cardwatch::domain::position::Position;
use cardwatch::domain::time::Timestamp;
use serde_json::Value;

use super::records::Message;

/// A transaction that was produced to an input topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Which card, by its number in the test's own list of cards.
    pub card: usize,
}

/// Which cards were exposed from which frontier on: the offset of a marker, and all cards from there.
/// Starts with [`Listing::fixed`]: what was listed before the first process started.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    changes: BTreeMap<i64, BTreeSet<usize>>,
}

impl Listing {
    /// The same cards under every frontier.
    pub fn fixed(cards: impl IntoIterator<Item = usize>) -> Listing {
        Listing::default().then(i64::MIN, cards)
    }

    /// From `frontier` on, exactly these.
    pub fn then(mut self, frontier: i64, cards: impl IntoIterator<Item = usize>) -> Listing {
        self.changes.insert(frontier, cards.into_iter().collect());
        self
    }

    fn exposes(&self, card: usize, frontier: i64) -> bool {
        self.changes.range(..=frontier).next_back().is_some_and(|(_, cards)| cards.contains(&card))
    }

    /// Whether the card was exposed under the frontiers from `low` to `high`: always, never or at times.
    fn over(&self, card: usize, low: i64, high: i64) -> Option<bool> {
        let first = self.exposes(card, low);
        let later = self.changes.range(low..=high.max(low)).map(|(_, cards)| cards.contains(&card));
        later.into_iter().all(|exposed| exposed == first).then_some(first)
    }
}

/// The next offset a group reads, by topic and partition; every partition of the topic, from 0.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Everything that was seen when all was quiet: every process ended, every transaction too.
#[derive(Debug, Default)]
pub struct Run {
    pub inputs: Vec<Input>,
    pub listing: Listing,
    /// What `sight` has committed, for the input topics.
    pub sight: Offsets,
    /// The sightings topic, read committed.
    pub sightings: Vec<Message>,
    /// What `score` has committed, for the sightings topic.
    pub score: Offsets,
    /// The card-history topic, read committed.
    pub history: Vec<Message>,
    /// The alerts topic, read committed.
    pub alerts: Vec<Message>,
}

/// A checkpoint record as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The next offset of the sightings partition.
    pub next: i64,
    /// The partition count it was written under.
    pub partitions: i32,
}

/// Reads the forms that only the program knows.
pub trait Wire {
    /// The checkpoint in the value of `checkpoint/PARTITION`.
    fn checkpoint(&self, value: &[u8]) -> Result<Checkpoint, String>;
    /// How many judgements a history record counts, and the id of the last sighting it names.
    fn history(&self, value: &[u8]) -> Result<(u64, Option<String>), String>;
    /// The history that the sightings of one card make, judged one by one in this order by somebody
    /// naive; `None` leaves the comparison out.
    fn fold(&self, sightings: &[&Message]) -> Option<Vec<u8>>;
}

/// What can be wrong. A test of a broken build names the one it expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A record that cannot be read as what it should be.
    Unreadable,
    /// A listed card's transaction below the committed offset without a sighting.
    SightingMissing,
    /// More than one sighting of one transaction.
    SightingTwice,
    /// A sighting of an unlisted card, or of nothing that was produced.
    SightingUnfounded,
    /// A sighting of a transaction at or behind the committed offset.
    SightingAhead,
    /// The frontier fell along an input partition.
    FrontierFell,
    /// An id, a key or a partition that does not follow from what it should follow from.
    Identity,
    /// A history that counts more or fewer judgements than there are sightings, or is not there.
    JudgementCount,
    /// A history that is not the naive fold of its sightings.
    HistoryContent,
    /// A checkpoint that differs from the committed offset.
    Checkpoint,
    /// An alert twice, or of no judged sighting.
    AlertUnfounded,
    /// Revisions of an alert that are not numbered from 1 without a gap.
    RevisionGap,
    /// Alerts that differ from those of the same stream judged in one piece.
    AlertsDiffer,
    /// Something that a reader saw during the run and that is not there afterwards, or differs.
    Unstable,
}

/// One thing that is wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation<R = Rule> {
    pub rule: R,
    pub text: String,
}

impl<R: std::fmt::Debug> std::fmt::Display for Violation<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

/// Panics with the first violations, if there are any.
#[track_caller]
pub fn assert_none(violations: &[Violation]) {
    let first: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations, the first:\n{}", violations.len(), first.join("\n"));
}

/// A sighting with the parts that are looked at taken out.
struct Sighting<'a> {
    message: &'a Message,
    id: String,
    source: Position,
    fingerprint: String,
    frontier: i64,
}

/// All that is wrong with a run.
pub fn violations(run: &Run, wire: &dyn Wire) -> Vec<Violation> {
    let mut found = Vec::new();
    let sightings: Vec<Sighting<'_>> =
        run.sightings.iter().filter_map(|message| kept(sighting(message), &mut found)).collect();
    identities(&sightings, &mut found);
    sight(run, &sightings, &mut found);
    let judged: Vec<&Sighting<'_>> = sightings.iter().filter(|one| is_judged(run, one.message)).collect();
    histories(run, wire, &judged, &mut found);
    checkpoints(run, wire, &mut found);
    alerts(run, &judged, &mut found);
    found.sort();
    found
}

/// Each alert once, and the same as `expected`, whatever the time it took.
pub fn compare_alerts(expected: &[Value], found: &[Value]) -> Vec<Violation> {
    let by_id = |alerts: &[Value]| -> BTreeMap<String, Vec<Value>> {
        let mut map: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for alert in alerts {
            // Later revisions are what people decided, not what was judged.
            if alert["revision"] != 1 {
                continue;
            }
            let mut alert = alert.clone();
            if let Some(object) = alert.as_object_mut() {
                // The only fields that tell of the judging itself and not of what was judged.
                object.remove("raised_at");
                object.remove("timing");
            }
            map.entry(alert["id"].as_str().unwrap_or_default().to_owned()).or_default().push(alert);
        }
        map
    };
    let (expected, found) = (by_id(expected), by_id(found));
    let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differing = ids.into_iter().filter(|id| expected.get(*id) != found.get(*id)).map(|id| {
        let told = |alerts: Option<&Vec<Value>>| {
            alerts.map_or("nothing".to_owned(), |alerts| serde_json::to_string(alerts).expect("JSON"))
        };
        let text = format!("{id}: expected {}, found {}", told(expected.get(id)), told(found.get(id)));
        Violation { rule: Rule::AlertsDiffer, text }
    });
    differing.collect()
}

/// What a `read_committed` reader saw during a run is there afterwards, unchanged. `compacted`: records
/// may have gone since, but not changed.
pub fn compare_readers(during: &[Message], after: &[Message], compacted: bool) -> Vec<Violation> {
    let place = |message: &Message| (message.topic.clone(), message.partition, message.offset);
    let later: BTreeMap<_, &Message> = after.iter().map(|message| (place(message), message)).collect();
    let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let mut found = Vec::new();
    for message in during {
        let text = match later.get(&place(message)) {
            None if compacted => None,
            None => Some("was read during the run and is gone"),
            Some(same) if *same == message => None,
            Some(_) => Some("was read during the run and is another record now"),
        };
        let before = last.insert((&message.topic, message.partition), message.offset);
        let text =
            text.or(before.is_some_and(|before| before >= message.offset).then_some("was read out of order"));
        found.extend(text.map(|text| violation(Rule::Unstable, format!("{} {text}", at(message)))));
    }
    found
}

fn violation(rule: Rule, text: impl Into<String>) -> Violation {
    Violation { rule, text: text.into() }
}

fn kept<T>(result: Result<T, Violation>, found: &mut Vec<Violation>) -> Option<T> {
    result.map_err(|violation| found.push(violation)).ok()
}

fn at(message: &Message) -> String {
    format!("{}-{}@{}", message.topic, message.partition, message.offset)
}

fn json(message: &Message) -> Result<Value, Violation> {
    let value = message.value.as_deref().unwrap_or_default();
    serde_json::from_slice(value)
        .map_err(|error| violation(Rule::Unreadable, format!("{}: {error}", at(message))))
}

fn position(value: &Value) -> Option<Position> {
    let timestamp = &value["timestamp"];
    Some(Position {
        topic: value["topic"].as_str()?.to_owned(),
        partition: i32::try_from(value["partition"].as_i64()?).ok()?,
        offset: value["offset"].as_i64()?,
        timestamp: serde_json::from_value::<Timestamp>(timestamp.clone()).ok()?,
    })
}

fn sighting(message: &Message) -> Result<Sighting<'_>, Violation> {
    let value = json(message)?;
    let read = || {
        Some(Sighting {
            message,
            id: value["id"].as_str()?.to_owned(),
            source: position(&value["source"])?,
            fingerprint: value["card"]["fingerprint"].as_str()?.to_owned(),
            frontier: value["judged_by"]["exposures"].as_i64()?,
        })
    };
    read().ok_or_else(|| violation(Rule::Unreadable, format!("{} is no sighting: {value}", at(message))))
}

fn identities(sightings: &[Sighting<'_>], found: &mut Vec<Violation>) {
    let mut homes: BTreeMap<&str, i32> = BTreeMap::new();
    for one in sightings {
        let place = at(one.message);
        if one.id != one.source.derived_id("sgt") {
            found.push(violation(
                Rule::Identity,
                format!("{place}: id {} does not follow from its source", one.id),
            ));
        }
        if one.message.key.as_deref() != Some(one.fingerprint.as_bytes()) {
            found.push(violation(Rule::Identity, format!("{place}: its key is not its fingerprint")));
        }
        let home = *homes.entry(&one.fingerprint).or_insert(one.message.partition);
        if home != one.message.partition {
            let text = format!("{place}: earlier sightings of this card are in partition {home}");
            found.push(violation(Rule::Identity, text));
        }
    }
}

/// Every transaction of a listed card has exactly one sighting, and no other has any.
fn sight(run: &Run, sightings: &[Sighting<'_>], found: &mut Vec<Violation>) {
    type Place<'a> = (&'a str, i32, i64);
    let mut seen: BTreeMap<Place<'_>, Vec<&Sighting<'_>>> = BTreeMap::new();
    for one in sightings {
        let source = &one.source;
        seen.entry((&source.topic, source.partition, source.offset)).or_default().push(one);
    }
    let mut inputs: Vec<&Input> = run.inputs.iter().collect();
    inputs.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    let ceilings = ceilings(&inputs, &seen);
    let mut floor: Option<((&str, i32), i64)> = None;
    let mut cards = Cards::default();
    for (input, ceiling) in inputs.iter().zip(ceilings) {
        let partition = (input.topic.as_str(), input.partition);
        let name = format!("{}-{}@{} (card {})", input.topic, input.partition, input.offset, input.card);
        let committed = run.sight.get(&(input.topic.clone(), input.partition)).copied().unwrap_or(0);
        let low = floor.filter(|(known, _)| *known == partition).map_or(i64::MIN, |(_, frontier)| frontier);
        let found_here =
            seen.remove(&(input.topic.as_str(), input.partition, input.offset)).unwrap_or_default();
        if let [.., last] = found_here.as_slice() {
            let numbers: Vec<String> = found_here.iter().map(|one| at(one.message)).collect();
            if numbers.len() > 1 {
                found.push(violation(
                    Rule::SightingTwice,
                    format!("{name}: sightings {}", numbers.join(", ")),
                ));
            }
            if input.offset >= committed {
                let text = format!("{name}: sighting {}, but only {committed} is committed", numbers[0]);
                found.push(violation(Rule::SightingAhead, text));
            }
            for one in &found_here {
                if !run.listing.exposes(input.card, one.frontier) {
                    let text =
                        format!("{name}: sighting {} under frontier {}", at(one.message), one.frontier);
                    found.push(violation(Rule::SightingUnfounded, format!("{text}, where it is not listed")));
                }
                cards.pair(input.card, &one.fingerprint, &name, found);
            }
            if last.frontier < low {
                let text = format!("{name}: frontier {} after {low}", last.frontier);
                found.push(violation(Rule::FrontierFell, text));
            }
            floor = Some((partition, last.frontier.max(low)));
        } else if input.offset < committed && run.listing.over(input.card, low, ceiling) == Some(true) {
            found.push(violation(
                Rule::SightingMissing,
                format!("{name}: listed, below {committed}, not sighted"),
            ));
        }
    }
    for one in seen.into_values().flatten() {
        let text = format!("{} is of {:?}, which nobody produced", at(one.message), one.source);
        found.push(violation(Rule::SightingUnfounded, text));
    }
}

/// For each input the lowest frontier seen behind it in its partition: what it was judged under lies at or
/// below, since a frontier never falls.
fn ceilings(inputs: &[&Input], seen: &BTreeMap<(&str, i32, i64), Vec<&Sighting<'_>>>) -> Vec<i64> {
    let mut ceilings = vec![i64::MAX; inputs.len()];
    let mut behind: Option<((&str, i32), i64)> = None;
    for (ceiling, input) in ceilings.iter_mut().zip(inputs).rev() {
        let partition = (input.topic.as_str(), input.partition);
        *ceiling = behind.filter(|(known, _)| *known == partition).map_or(i64::MAX, |(_, frontier)| frontier);
        let here = seen.get(&(input.topic.as_str(), input.partition, input.offset));
        let lowest = here.into_iter().flatten().map(|one| one.frontier).min();
        behind = Some((partition, lowest.unwrap_or(i64::MAX).min(*ceiling)));
    }
    ceilings
}

/// One fingerprint for each card, and one card for each fingerprint.
#[derive(Default)]
struct Cards {
    by_card: BTreeMap<usize, String>,
    by_fingerprint: BTreeMap<String, usize>,
}

impl Cards {
    fn pair(&mut self, card: usize, fingerprint: &str, name: &str, found: &mut Vec<Violation>) {
        let known = self.by_card.entry(card).or_insert_with(|| fingerprint.to_owned());
        let owner = *self.by_fingerprint.entry(fingerprint.to_owned()).or_insert(card);
        if known != fingerprint || owner != card {
            found.push(violation(
                Rule::Identity,
                format!("{name}: fingerprint {fingerprint}, and card {owner}"),
            ));
        }
    }
}

fn is_judged(run: &Run, message: &Message) -> bool {
    run.score.get(&(message.topic.clone(), message.partition)).is_some_and(|next| message.offset < *next)
}

/// The last record of each key, of the partition it is in.
fn latest(messages: &[Message]) -> BTreeMap<(i32, &[u8]), &Message> {
    let keyed =
        messages.iter().filter_map(|message| Some(((message.partition, message.key.as_deref()?), message)));
    keyed.collect()
}

/// Whether a key of the histories' topic is a card's.
fn is_history(key: &[u8]) -> bool {
    !["checkpoint/", "names/", "departed/"].iter().any(|prefix| key.starts_with(prefix.as_bytes()))
}

/// Every judged sighting is in its card's history exactly once.
fn histories(run: &Run, wire: &dyn Wire, judged: &[&Sighting<'_>], found: &mut Vec<Violation>) {
    let mut cards: BTreeMap<(i32, &[u8]), Vec<&Message>> = BTreeMap::new();
    for one in judged {
        cards.entry((one.message.partition, one.fingerprint.as_bytes())).or_default().push(one.message);
    }
    let mut records = latest(&run.history);
    // No card of these runs is due to be forgotten: a tombstone is a history that is missing.
    records.retain(|(_, key), message| is_history(key) && message.value.is_some());
    for ((partition, key), sightings) in &mut cards {
        sightings.sort_by_key(|message| message.offset);
        let name = format!("card {} in partition {partition}", String::from_utf8_lossy(key));
        let Some(record) = records.remove(&(*partition, *key)) else {
            let text = format!("{name}: {} sightings and no history", sightings.len());
            found.push(violation(Rule::JudgementCount, text));
            continue;
        };
        let value = record.value.as_deref().unwrap_or_default();
        match wire.history(value) {
            Err(error) => found.push(violation(Rule::Unreadable, format!("{}: {error}", at(record)))),
            Ok((count, last)) => {
                if count != sightings.len() as u64 {
                    let text = format!("{name}: {} sightings, {count} judgements", sightings.len());
                    found.push(violation(Rule::JudgementCount, text));
                }
                let known = |id: &String| {
                    sightings.iter().filter_map(|one| sighting(one).ok()).any(|one| one.id == *id)
                };
                if last.as_ref().is_some_and(|last| !known(last)) {
                    let text = format!("{name}: names {last:?} as its last sighting, which it is not");
                    found.push(violation(Rule::HistoryContent, text));
                }
            }
        }
        if wire.fold(sightings).is_some_and(|expected| expected != value) {
            let text = format!("{name}: {} is not the fold of its {} sightings", at(record), sightings.len());
            found.push(violation(Rule::HistoryContent, text));
        }
    }
    for record in records.into_values() {
        found.push(violation(Rule::JudgementCount, format!("{}: a history without a sighting", at(record))));
    }
}

fn checkpoints(run: &Run, wire: &dyn Wire, found: &mut Vec<Violation>) {
    let records = latest(&run.history);
    for ((topic, partition), next) in &run.score {
        let key = format!("checkpoint/{partition}");
        let record = records.get(&(*partition, key.as_bytes()));
        let read = record.and_then(|record| record.value.as_deref()).map(|value| wire.checkpoint(value));
        let partitions = i32::try_from(run.score.keys().filter(|(other, _)| other == topic).count());
        let expected = Checkpoint { next: *next, partitions: partitions.expect("a count") };
        let text = match read {
            Some(Ok(checkpoint)) if checkpoint == expected => continue,
            Some(Ok(checkpoint)) => format!("{topic}-{partition}: {checkpoint:?}, committed {expected:?}"),
            Some(Err(error)) => format!("{topic}-{partition}: {error}"),
            // Nothing was ever judged there.
            None if *next == 0 => continue,
            None => format!("{topic}-{partition}: no {key}, committed {next}"),
        };
        found.push(violation(Rule::Checkpoint, text));
    }
}

/// Every alert is of one judged sighting, once, beside it.
fn alerts(run: &Run, judged: &[&Sighting<'_>], found: &mut Vec<Violation>) {
    let by_source: BTreeMap<String, &&Sighting<'_>> =
        judged.iter().map(|one| (one.source.derived_id("alr"), one)).collect();
    let mut seen: BTreeMap<(String, u64), String> = BTreeMap::new();
    for message in &run.alerts {
        let Some(value) = kept(json(message), found) else { continue };
        let (place, id) = (at(message), value["id"].as_str().unwrap_or_default().to_owned());
        let Some(one) = by_source.get(&id) else {
            found.push(violation(Rule::AlertUnfounded, format!("{place}: {id:?} is of no judged sighting")));
            continue;
        };
        if position(&value["source"]).as_ref() != Some(&one.source) {
            found.push(violation(Rule::Identity, format!("{place}: its source is not its sighting's")));
        }
        if message.partition != one.message.partition || message.key != one.message.key {
            let text = format!("{place}: not beside its sighting {}", at(one.message));
            found.push(violation(Rule::Identity, text));
        }
        if let Some(earlier) =
            seen.insert((id.clone(), value["revision"].as_u64().unwrap_or(0)), place.clone())
        {
            found.push(violation(Rule::AlertUnfounded, format!("{place}: {id} again, after {earlier}")));
        }
    }
    let mut revisions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (id, revision) in seen.keys() {
        revisions.entry(id).or_default().push(*revision);
    }
    for (id, numbers) in revisions {
        if !numbers.iter().copied().eq(1..=numbers.len() as u64) {
            found.push(violation(Rule::RevisionGap, format!("{id} has the revisions {numbers:?}")));
        }
    }
}
