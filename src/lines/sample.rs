//! Looks at a topic without taking part: some records from a stated position, and the list as it stands.
//!
//! No group is joined and nothing is committed or written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::start::Stopped;
use crate::clock::Clock;
use crate::domain::card::KeyId;
use crate::domain::time::Timestamp;
use crate::exposure::set::{ExposureSet, View};
use crate::kafka::client::Cluster;
use crate::kafka::probe::{Probe, Watermarks};
use crate::kafka::reader::{Read, Reader};
use crate::stop::exit;

/// The name the reader gives; the group is not joined.
const READER: &str = "cardwatch-check";
/// How long nothing may come although more is there.
const STALL: Duration = Duration::from_secs(30);
/// How long one look waits for records.
const WAIT: Duration = Duration::from_millis(100);

/// Where a sample begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// So that it ends with the newest record.
    #[default]
    Newest,
    /// At the oldest record there is.
    Earliest,
    /// At the first record of this time or later.
    At(Timestamp),
}

/// What was read of a partition: offsets from `from` up to, not including, `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset behind the last.
    pub until: i64,
    /// Records there; fewer than offsets where a topic is compacted or written in transactions.
    pub records: u64,
}

/// Reads up to `records` committed records of `topic` from `position` on, spread evenly over its partitions, and
/// hands each value to `take`.
///
/// # Errors
/// When the topic does not exist or the cluster does not answer.
pub fn read(
    cluster: &Cluster,
    clock: &dyn Clock,
    topic: &str,
    (position, records): (Position, u64),
    mut take: impl FnMut(Option<&[u8]>),
) -> Result<Vec<Stretch>, Stopped> {
    let probe = probe(cluster)?;
    let Some(partitions) = probe.partitions(topic)? else {
        return Err(Stopped::new(
            exit::CONFIG,
            format!("topic {topic} does not exist; write the name of yours in input.topic"),
        ));
    };
    let mut marks = Vec::new();
    for partition in 0..partitions {
        let stable = probe.stable_watermarks(topic, partition)?;
        let low = match position {
            Position::Newest | Position::Earliest => stable.low,
            Position::At(at) => probe.offset_at(topic, partition, at)?.clamp(stable.low, stable.high),
        };
        marks.push(Watermarks { low, ..stable });
    }
    let mut stretches: Vec<Stretch> = (marks.iter().zip(shares(&marks, records)).zip(0..))
        .map(|((marks, share), partition)| {
            let from = if position == Position::Newest { marks.high - share } else { marks.low };
            Stretch { partition, from, until: from + share, records: 0 }
        })
        .filter(|stretch| stretch.until > stretch.from)
        .collect();
    follow(cluster, clock, topic, &mut stretches, |message| take(message.value()))?;
    Ok(stretches)
}

/// How many offsets of each partition are read: evenly, and what one has too few for goes to the others.
fn shares(marks: &[Watermarks], records: u64) -> Vec<i64> {
    let mut shares = vec![0; marks.len()];
    let mut left = i64::try_from(records).unwrap_or(i64::MAX);
    loop {
        let room = |at: usize, shares: &[i64]| marks[at].high - marks[at].low - shares[at];
        let open: Vec<usize> = (0..marks.len()).filter(|&at| room(at, &shares) > 0).collect();
        if left == 0 || open.is_empty() {
            return shares;
        }
        let each = (left / open.len() as i64).max(1);
        for at in open {
            let more = each.min(room(at, &shares)).min(left);
            shares[at] += more;
            left -= more;
        }
    }
}

/// The exposed list as it stands now; `None` where its topic does not exist. `keys` are those of the keyring, in its
/// order.
///
/// # Errors
/// When the list cannot be read.
pub fn exposed(
    cluster: &Cluster,
    clock: &dyn Clock,
    topic: &str,
    keys: &[KeyId],
) -> Result<Option<Arc<View>>, Stopped> {
    let probe = probe(cluster)?;
    if probe.partitions(topic)?.is_none() {
        return Ok(None);
    }
    let marks = probe.stable_watermarks(topic, 0)?;
    let (_set, mut writer) = ExposureSet::new(keys);
    let mut stretches = vec![Stretch { partition: 0, from: marks.low, until: marks.high, records: 0 }];
    let mut wrong = None;
    follow(cluster, clock, topic, &mut stretches, |message| {
        let key = message.key().unwrap_or_default();
        if let Err(error) = writer.apply(message.offset(), key, message.value()) {
            wrong.get_or_insert(format!("{topic} does not read at offset {}: {error}", message.offset()));
        }
    })?;
    match wrong {
        Some(message) => Err(Stopped::new(exit::DATA, message)),
        None => Ok(Some(writer.publish())),
    }
}

fn probe(cluster: &Cluster) -> Result<Probe, Stopped> {
    Probe::new(cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))
}

fn follow(
    cluster: &Cluster,
    clock: &dyn Clock,
    topic: &str,
    stretches: &mut [Stretch],
    mut take: impl FnMut(&crate::kafka::native::Message<'_>),
) -> Result<(), Stopped> {
    let starts: Vec<(i32, i64)> = stretches.iter().map(|one| (one.partition, one.from)).collect();
    let failed = |error: &dyn std::fmt::Display| {
        Stopped::new(exit::UNAVAILABLE, format!("topic {topic} cannot be read: {error}"))
    };
    let mut reached = starts.clone();
    let mut is_done = stretches.iter().all(|one| one.from >= one.until);
    if is_done {
        return Ok(());
    }
    let mut reader = Reader::new(cluster, READER, topic, &starts).map_err(|error| failed(&error))?;
    let mut moved: Instant = clock.instant();
    while !is_done {
        for read in reader.read(WAIT) {
            let (partition, next) = match &read {
                Read::Record(message) => (message.partition(), message.offset() + 1),
                Read::End { partition, offset } => (*partition, *offset),
                Read::Failed { code, .. } => return Err(failed(code)),
            };
            let places = stretches.iter_mut().zip(&mut reached);
            let Some((stretch, (_, reached))) =
                places.into_iter().find(|(one, _)| one.partition == partition)
            else {
                continue;
            };
            if let Read::Record(message) = &read
                && message.offset() < stretch.until
            {
                stretch.records += 1;
                take(message);
            }
            *reached = (*reached).max(next);
            moved = clock.instant();
        }
        is_done = stretches.iter().zip(&reached).all(|(one, (_, reached))| *reached >= one.until);
        if clock.instant() - moved > STALL {
            let told = reader.take_error().map_or_else(|| "nothing comes".to_owned(), |(_, reason)| reason);
            return Err(failed(&told));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_partitions_as_far_as_they_reach() {
        let marks = |sizes: &[i64]| -> Vec<Watermarks> {
            sizes.iter().map(|size| Watermarks { low: 7, high: 7 + size }).collect()
        };
        for (sizes, records, want) in [
            (&[100, 100][..], 10, &[5, 5][..]),
            (&[100, 3, 100], 13, &[5, 3, 5]),
            (&[0, 0], 10, &[0, 0]),
            (&[2, 2], 10, &[2, 2]),
            (&[100, 100, 100], 2, &[1, 1, 0]),
            (&[], 10, &[]),
        ] {
            assert_eq!(shares(&marks(sizes), records), want, "{sizes:?}");
        }
    }
}
