//! What is said, and written down, about records that nobody will read.

use super::known::{Known, Standing};
use super::{Starts, Stopped};
use crate::domain::audit::{Act, LostRange};
use crate::domain::time::Timestamp;
use crate::kafka::probe::Watermarks;
use crate::lines::audit::{Audit, Deed};
use crate::lines::mark::Gap;
use crate::stop::exit;

/// What to do about lost records.
const ACCEPT: &str = "To go on with the first record there is, start once with `cardwatch run --accept-gap WHO`, which notes who \
     answers for it";

/// Refuses a topic that is not the one whose offsets were committed.
pub(in crate::lines) fn check_topic_id(
    topic: &str,
    pinned: Option<&str>,
    found: Option<&str>,
) -> Result<(), Stopped> {
    match (pinned, found) {
        (Some(pinned), Some(found)) if pinned != found => Err(Stopped::new(
            exit::CONFIG,
            format!(
                "topic {topic} was deleted and made again (its id was {pinned}, now {found}): committed offsets mean \
                 other records. {ACCEPT}"
            ),
        )),
        _ => Ok(()),
    }
}

impl Starts {
    /// Writes down that a range is given up, before anything behind it is read. Should the process end before
    /// that is remembered, the same range is accepted, and written down, once more.
    pub(super) fn accept(
        &self,
        audit: &Audit,
        standing: &Standing,
        known: Option<&Known>,
        (gap, next): (&Gap, i64),
        stopped: &Stopped,
    ) -> Result<(), Stopped> {
        let partition = standing.partition;
        let lost = LostRange {
            topic: self.topic.clone(),
            partition,
            group: self.group.clone(),
            first: gap.first,
            last: gap.last,
            from: known.and_then(|known| known.newest),
            until: self.time_at(partition, next, standing.marks),
        };
        let deed = Deed::new(Act::AcceptGap, lost.subject())
            .before(serde_json::json!({ "next": gap.first }))
            .after(serde_json::json!({ "next": next, "lost": lost }))
            .because(Some(&stopped.message));
        audit.record(deed)?;
        tracing::warn!(
            topic = self.topic,
            partition,
            first = gap.first,
            last = gap.last,
            next,
            by = gap.by,
            reason = stopped.message,
            "a gap was accepted"
        );
        Ok(())
    }

    /// The time of the record at `offset`; `None` where there is none, or the cluster does not tell.
    fn time_at(&self, partition: i32, offset: i64, marks: Watermarks) -> Option<Timestamp> {
        let there = (marks.low..marks.high).contains(&offset);
        there.then(|| self.probe.time_at(&self.topic, partition, offset).ok()).flatten()
    }

    /// Why a line stops whose next record is gone while it reads.
    pub(in crate::lines) fn lost(&self, partition: i32, next: i64) -> Stopped {
        let marks = self.probe.watermarks(&self.topic, partition);
        match marks.map_err(Stopped::from).and_then(|marks| self.check_range(partition, next, marks)) {
            Err(stopped) => stopped,
            // Within the range again: a replica that lagged behind was asked.
            Ok(()) => Stopped::new(
                exit::UNAVAILABLE,
                format!(
                    "{}/{partition} did not give its records from offset {next} on; start again",
                    self.topic
                ),
            ),
        }
    }

    pub(super) fn check_range(&self, partition: i32, next: i64, marks: Watermarks) -> Result<(), Stopped> {
        if next < marks.low {
            // Where nothing is left, nothing would tell.
            let time = self.time_at(partition, marks.low, marks);
            let time = time.map_or_else(String::new, |time| format!("all from before {time}, "));
            return Err(Stopped::new(
                exit::DATA,
                format!(
                    "{} records of {}/{partition} are lost: offsets {next} to {}, {time}expired before group {} had \
                     read them; lengthen the topic's retention. {ACCEPT}",
                    marks.low - next,
                    self.topic,
                    marks.low - 1,
                    self.group,
                ),
            ));
        }
        if next > marks.high {
            return Err(Stopped::new(
                exit::DATA,
                format!(
                    "group {} had read {}/{partition} up to offset {next}, but the topic ends at {}: it was deleted and \
                     made again, or cut. {ACCEPT}",
                    self.group, self.topic, marks.high,
                ),
            ));
        }
        Ok(())
    }

    /// Why a line stops whose group Kafka has forgotten: from where on nobody knows what was read, and what of
    /// that is gone.
    pub(super) fn forgotten(&self, standing: &Standing, known: &Known) -> Stopped {
        let (partition, marks, next) = (standing.partition, standing.marks, known.next);
        let (topic, group) = (&self.topic, &self.group);
        let noted = known.noted.map_or_else(String::new, |noted| format!(", noted at {noted}"));
        let newest = known.newest.map_or_else(String::new, |newest| format!(" after a record from {newest}"));
        let mut range = match marks.high - next {
            0 => "nothing has come since".to_owned(),
            count => format!("{count} records have come since: offsets {next} to {}", marks.high - 1),
        };
        if next < marks.low {
            range += &format!(", of which {} up to offset {} have expired", marks.low - next, marks.low - 1);
        }
        let on = next.max(marks.low);
        if let Some(time) = self.time_at(partition, on, marks) {
            range += &format!("; the first that is there is from {time}");
        }
        let twice = match known.noted {
            Some(_) => "; what was read after that note is read twice",
            None => "",
        };
        Stopped::new(
            exit::DATA,
            format!(
                "Kafka no longer knows how far group {group} has read {topic}/{partition}: its offsets expired \
                 (offsets.retention.minutes), or somebody deleted them. It was at offset {next}{newest}{noted}, and \
                 {range}. To go on at offset {on}, start once with `cardwatch run --accept-gap WHO`, which notes who \
                 answers for it{twice}; `cardwatch skip-to` goes on elsewhere in the input"
            ),
        )
    }
}
