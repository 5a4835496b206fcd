//! The core fed from files: the same recognising and judging as in the stream, one transaction at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::codec::dead::Unreadable;
use crate::codec::mapping::Mapping;
use crate::domain::alert::Alert;
use crate::domain::card::{Fingerprint, KeyId};
use crate::domain::incident::{Details, Element, IncidentId, Period, WatchPeriod};
use crate::domain::position::Record;
use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;
use crate::exposure::fingerprint::{Fingerprinter, Keyring};
use crate::exposure::record::{CardRecord, IncidentRecord, ListKey, Mark, RecordError};
use crate::exposure::revision::Finish;
use crate::exposure::set::{ExposureSet, View};
use crate::judge::Judge;
use crate::scoring::history::History;
use crate::watch::{Seen, Watch, fingerprint_of};

/// What one transaction came to.
#[derive(Debug)]
pub enum Fed {
    /// Its card is not exposed, or there was no value.
    Miss,
    /// Its card field does not read.
    Unreadable(Unreadable),
    /// Its card is exposed: the sighting, and the alert if it raised one.
    Sighted(Box<Sighting>, Option<Box<Alert>>),
}

/// Recognises and judges, with every history in memory.
#[derive(Debug)]
pub struct Feed {
    watch: Watch,
    view: Arc<View>,
    judge: Judge,
    histories: HashMap<Fingerprint, History>,
}

impl Feed {
    /// Judges transactions on the cards that `view` shows.
    pub fn new(watch: Watch, view: Arc<View>, judge: Judge) -> Feed {
        Feed { watch, view, judge, histories: HashMap::new() }
    }

    /// When a transaction happened, as far as its record tells; whether its card is exposed or not.
    pub fn time_of(&self, record: &Record<'_>) -> Option<Timestamp> {
        self.watch.time_of(record)
    }

    /// Takes one transaction. It is judged as if it had been seen when it happened, so that the time at
    /// which the file is read makes no difference.
    pub fn take(&mut self, record: &Record<'_>) -> Fed {
        let found = match self.watch.look(&self.view, record, record.timestamp, Vec::new) {
            Seen::Miss | Seen::Tombstone => return Fed::Miss,
            Seen::Unreadable(unreadable) => return Fed::Unreadable(unreadable),
            Seen::Sighting(found) => found,
        };
        let mut sighting = found.sighting;
        sighting.seen_at = sighting.transaction.at.unwrap_or(record.timestamp);
        let history = self.histories.entry(sighting.card.fingerprint).or_default();
        let judgement = self.judge.judge(&sighting, history, sighting.seen_at);
        *history = judgement.history;
        Fed::Sighted(Box::new(sighting), judgement.alert.map(Box::new))
    }
}

/// Makes an exposed set of one incident, whose cards are watched at all times, out of `cards` listed under `key`.
///
/// # Errors
/// [`RecordError`] only where the program contradicts itself.
pub fn set_of(
    keyring: &Keyring,
    key: &KeyId,
    cards: impl Iterator<Item = (Fingerprint, CardRecord)>,
    at: Timestamp,
) -> Result<Arc<ExposureSet>, RecordError> {
    let (set, mut writer) = ExposureSet::new(&keyring.ids());
    let mut incident = IncidentRecord::new(incident_id()?);
    let mark = Mark { at, by: "backtest".to_owned(), host: String::new() };
    let refused = |_| RecordError::Key;
    let number = incident.claim(all_times(), mark).map_err(refused)?;
    incident.finish(number, Finish { at, ..Finish::default() }).map_err(refused)?;
    let mut offset = 0;
    for (fingerprint, mut record) in cards {
        record.events = vec![i32::try_from(number).unwrap_or(1)];
        let name = ListKey::Card { key: key.clone(), fingerprint, incident: incident.id.clone() };
        writer.apply(offset, name.to_string().as_bytes(), Some(&record.to_json()))?;
        offset += 1;
    }
    let name = ListKey::Incident(incident.id.clone());
    writer.apply(offset, name.to_string().as_bytes(), Some(&incident.to_json()))?;
    writer.publish();
    Ok(set)
}

fn incident_id() -> Result<IncidentId, RecordError> {
    "backtest".parse().map_err(|_| RecordError::Key)
}

/// Number, name and expiry exposed at any time, watched at all times.
fn all_times() -> Details {
    let day = |year| jiff::civil::Date::constant(year, 1, 1);
    Details {
        name: "backtest".to_owned(),
        party: "backtest".to_owned(),
        time_zone: "UTC".to_owned(),
        exposure: Period { from: day(1970), until: day(2200) },
        watch: WatchPeriod { from: None, until: None },
        elements: vec![Element::Pan, Element::Name, Element::Expiry],
    }
}

/// The fingerprint under the primary key of a transaction's card, whether it is exposed or not.
///
/// # Errors
/// Why the card field does not read.
pub fn card_of(
    mapping: &Mapping,
    fingerprinter: &Fingerprinter,
    value: &[u8],
) -> Result<Fingerprint, Unreadable> {
    fingerprint_of(fingerprinter, 0, &mapping.scan(value)?)
}
