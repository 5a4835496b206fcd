//! What stays of cards whose histories are deleted: an incident's counts and sums, and nothing of any card.
//!
//! The books are made of the accounts in histories. When a history goes, its accounts are folded in here, in the
//! same transaction, so that an incident's totals never fall. The fold is commutative: it does not tell which cards
//! there were, nor in which order they went.

use serde::{Deserialize, Serialize};

use super::totals::slot;
use super::{Account, HistoryError, IncidentHash, whole};

/// The prefix of the key under which the topic of the histories keeps it, once for each partition.
pub const DEPARTED_PREFIX: &str = "departed/";
/// The version of the encoded form: its first byte.
const ENCODING: u8 = 1;
/// How many weeks are told apart: twenty years of them. Cards first seen in further ones count in the totals alone.
const WEEKS_MAX: usize = 1_040;

/// The cards of one incident whose histories are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Departed {
    /// Cards that had been seen within the watch.
    pub seen: u64,
    /// Cards on which an alert had been raised.
    pub suspected: u64,
    /// What all their sightings came to.
    pub total: Account,
    /// By week, sorted: see [`Departed::weeks`].
    weeks: Vec<(i32, FirstUses)>,
}

/// Cards in one week, each counted in the week of its first such use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FirstUses {
    /// Seen for the first time.
    pub seen: u64,
    /// Used for the first time in a way that raised an alert.
    pub suspected: u64,
}

impl Departed {
    /// The key of an incident's record.
    pub fn key(incident: IncidentHash) -> String {
        format!("{DEPARTED_PREFIX}{:016x}", incident.0)
    }

    /// The incident that a key names; `None` where it is the key of something else.
    pub fn incident(key: &str) -> Option<IncidentHash> {
        let digits = key.strip_prefix(DEPARTED_PREFIX).filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(IncidentHash)
    }

    /// The record's value: a version byte, then `postcard`.
    pub fn encode(&self) -> Vec<u8> {
        // Writing into memory cannot fail, and every field has a known length.
        postcard::to_extend(self, vec![ENCODING]).unwrap_or_default()
    }

    /// Reads what [`Departed::encode`] wrote.
    ///
    /// # Errors
    /// [`HistoryError`] when the version is another or the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Departed, HistoryError> {
        match bytes.split_first() {
            Some((&ENCODING, body)) => whole(body),
            _ => Err(HistoryError::Version),
        }
    }

    /// Folds a card's account in. `first` and `first_alerted` name the weeks of [`Account::first`] and
    /// [`Account::first_alerted`] by the day they begin on, counted from 1970.
    pub fn fold(&mut self, account: &Account, first: Option<i32>, first_alerted: Option<i32>) {
        self.seen = self.seen.saturating_add(u64::from(account.sightings() > 0));
        self.suspected = self.suspected.saturating_add(u64::from(account.alerts > 0));
        self.total.merge(account);
        if let Some(week) = first.and_then(|week| self.week(week)) {
            week.seen = week.seen.saturating_add(1);
        }
        if let Some(week) = first_alerted.and_then(|week| self.week(week)) {
            week.suspected = week.suspected.saturating_add(1);
        }
    }

    /// The weeks in which cards were first seen and first suspected, by the day they begin on, counted from 1970.
    pub fn weeks(&self) -> &[(i32, FirstUses)] {
        &self.weeks
    }

    fn week(&mut self, week: i32) -> Option<&mut FirstUses> {
        let known = self.weeks.binary_search_by_key(&week, |entry| entry.0).is_ok();
        (known || self.weeks.len() < WEEKS_MAX).then(|| slot(&mut self.weeks, week))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::fixtures::{DAY, START, sighting};
    use crate::scoring::history::{History, event_of};

    fn account() -> (IncidentHash, Account) {
        let mut history = History::default();
        for (number, alerted) in [(0, false), (1, true)] {
            let sighting = sighting(number, START + number * DAY, 500);
            history.enter(&sighting, event_of(&sighting), false, alerted);
        }
        let (incident, account) = history.accounts().next().unwrap();
        (incident, account.clone())
    }

    #[test]
    fn what_was_folded_in_reads_back_and_names_its_incident() {
        let (incident, account) = account();
        let mut departed = Departed::default();
        for week in [17_686, 17_679, 17_686] {
            departed.fold(&account, Some(week), None);
        }
        departed.fold(&Account::default(), None, None);
        assert_eq!((departed.seen, departed.suspected, departed.total.alerts), (3, 3, 3));
        assert_eq!(departed.total.sightings(), 6);
        assert_eq!((departed.total.first(), departed.total.last()), (account.first(), account.last()));
        let weeks: Vec<_> = departed.weeks().iter().map(|(day, week)| (*day, week.seen)).collect();
        assert_eq!(weeks, [(17_679, 1), (17_686, 2)]);
        assert_eq!(Departed::decode(&departed.encode()), Ok(departed.clone()));
        assert_eq!(Departed::incident(&Departed::key(incident)), Some(incident));
        for key in ["departed/", "departed/xx", "checkpoint/0", "departed/00000000000000000"] {
            assert_eq!(Departed::incident(key), None, "{key}");
        }
    }

    #[test]
    fn the_first_versions_form_stays_readable() {
        let mut departed = Departed::default();
        departed.fold(&account().1, Some(17_686), Some(17_686));
        let hex = data_encoding::HEXLOWER.encode(&departed.encode());
        assert_eq!(hex, GOLDEN);
        let mut newer = departed.encode();
        newer[0] = ENCODING + 1;
        assert_eq!(Departed::decode(&newer), Err(HistoryError::Version));
        assert_eq!(Departed::decode(&departed.encode()[..9]), Err(HistoryError::Damaged));
    }

    /// As version 1 wrote it, for good.
    const GOLDEN: &str = "01010102000000000000010180d8d8aaf9580180c88bfdf9580180c88bfdf958014a505902e807000001f403000001ac94020101";

    #[test]
    fn a_week_beyond_the_bound_counts_in_the_totals_alone() {
        let (_, account) = account();
        let mut departed = Departed::default();
        for week in 0..2_000 {
            departed.fold(&account, Some(week * 7), Some(week * 7));
        }
        assert_eq!((departed.seen, departed.suspected), (2_000, 2_000));
        assert_eq!(departed.weeks().len(), WEEKS_MAX);
        departed.fold(&account, Some(0), None);
        assert_eq!(departed.weeks()[0], (0, FirstUses { seen: 2, suspected: 1 }));
    }
}
