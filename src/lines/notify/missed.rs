//! What became of the alerts that an endpoint wants: for a receiver that looks for what it missed.
//!
//! The ledger has what is owed and nothing of what was delivered, so alerts are read from their own topic and held
//! against it. The ledger is read first: what changes meanwhile may show as owed and be delivered, never the other way round.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::ledgers::Ledgers;
use super::office::Office;
use super::sheets::{Found, Sheet, Shelf, Wish};
use crate::domain::delivery::{DeliveryId, EndpointName};
use crate::domain::reconcile::WalkPlace;
use crate::domain::time::Timestamp;
use crate::lines::start::{CLUSTER, Stopped};
use crate::notice::filter::Filter;
use crate::notice::record::{Account, Range, Stage};
use crate::stop::exit;

/// Records that are read at a time.
const CHUNK: usize = 500;
/// Records that are looked at for one answer: a filter may want few of them.
const LOOKED_AT_MAX: usize = 5_000;

/// A delivery in the ledger, as far as a receiver is told.
#[derive(Debug, Clone)]
struct Due {
    id: DeliveryId,
    failed: bool,
    at: Timestamp,
    attempts: u32,
    last: Option<String>,
}

/// The ledger of one endpoint, as it was at a moment.
#[derive(Debug, Default)]
pub struct View {
    due: HashMap<(i32, i64), Due>,
    accounts: BTreeMap<i32, Account>,
    taken: BTreeMap<i32, i64>,
}

impl View {
    /// What `ledgers` have of an endpoint.
    pub fn of(ledgers: &Ledgers, endpoint: &EndpointName) -> View {
        let mut view = View { taken: ledgers.taken().clone(), ..View::default() };
        view.accounts = ledgers.accounts(endpoint).cloned().unwrap_or_default();
        for entry in ledgers.pending(Some(endpoint)).into_iter().chain(ledgers.failed(Some(endpoint))) {
            let owed = &entry.owed;
            let due = Due {
                id: entry.id.clone(),
                failed: owed.stage == Stage::Failed,
                at: owed.due,
                attempts: owed.attempts,
                last: owed.last.clone(),
            };
            for member in &owed.members {
                view.due.insert((entry.partition, member.offset), due.clone());
            }
        }
        view
    }

    /// The word for where an alert stands, and the delivery that it is in where it is made out.
    fn state(&self, partition: i32, offset: i64) -> (&'static str, Option<&Due>) {
        if let Some(due) = self.due.get(&(partition, offset)) {
            return (if due.failed { "failed" } else { "pending" }, Some(due));
        }
        let Some(account) = self.accounts.get(&partition) else { return ("coming", None) };
        if account.ranges.iter().any(|range| (range.from..range.to).contains(&offset)) {
            return ("pending", None);
        }
        if account.left.is_some_and(|left| offset >= left) || offset < account.begun {
            return ("unowed", None);
        }
        let taken = self.taken.get(&partition).copied().unwrap_or(0);
        (if offset < taken { "delivered" } else { "coming" }, None)
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointName,
    /// Which alerts it wants.
    pub filter: &'a Filter,
    /// Whether it is told in batches: then the id of what was delivered is not known any more.
    pub batches: bool,
    /// Alerts that were written at this time or later.
    pub since: Timestamp,
    /// Where to go on.
    pub from: WalkPlace,
    /// Alerts at most.
    pub limit: usize,
}

/// A part of what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The alerts, in no order of time.
    pub items: Vec<Value>,
    /// The time before which they were asked for.
    pub until: Timestamp,
    /// Where to go on; `None` at the end.
    pub next: Option<WalkPlace>,
}

impl Walk<'_> {
    /// Reads on, until there are enough alerts, or enough was looked at.
    ///
    /// # Errors
    /// When the alerts cannot be read.
    pub fn part(&self, office: &Office, shelf: &Shelf, view: &View) -> Result<Part, Stopped> {
        let (mut items, mut left) = (Vec::new(), LOOKED_AT_MAX);
        let until = self.from.until;
        let partitions = office.probe.partitions(&office.alerts)?.unwrap_or(0);
        let mut begin = self.from.offset;
        for partition in self.from.partition..partitions {
            let (mut at, to) = self.bounds(office, partition, begin.take(), until)?;
            while at < to {
                if left == 0 || items.len() >= self.limit {
                    let next = Some(WalkPlace { partition, offset: Some(at), until });
                    return Ok(Part { items, until, next });
                }
                let most = CHUNK.min(left);
                left -= most;
                let (sheets, upto) = self.read(shelf, partition, at..to, most)?;
                at = upto;
                for sheet in sheets.iter().filter(|sheet| self.filter.wants(&sheet.alert)) {
                    items.push(self.item(view, partition, sheet));
                    if items.len() >= self.limit {
                        at = sheet.offset + 1;
                        break;
                    }
                }
            }
        }
        Ok(Part { items, until, next: None })
    }

    /// The offsets of a partition that are asked for. What lies behind an open transaction is not waited for.
    fn bounds(
        &self,
        office: &Office,
        partition: i32,
        begin: Option<i64>,
        until: Timestamp,
    ) -> Result<(i64, i64), Stopped> {
        let from = match begin {
            Some(offset) => offset,
            None => office.probe.offset_at(&office.alerts, partition, self.since)?,
        };
        let end = office.probe.offset_at(&office.alerts, partition, until)?;
        let stable = office.probe.stable_watermarks(&office.alerts, partition)?.high;
        Ok((from, end.min(stable)))
    }

    fn read(
        &self,
        shelf: &Shelf,
        partition: i32,
        offsets: std::ops::Range<i64>,
        most: usize,
    ) -> Result<(Vec<std::sync::Arc<Sheet>>, i64), Stopped> {
        let from = offsets.start;
        let range = Range::asked(from, offsets.end);
        let wish = Wish::Range { endpoint: self.endpoint.clone(), range, most };
        match shelf.fetch(partition, &wish)? {
            Found::Range { sheets, upto, .. } if upto > from => Ok((sheets, upto)),
            _ => Err(Stopped::new(
                exit::UNAVAILABLE,
                format!("{}/{partition} cannot be read at offset {from}: {CLUSTER}", shelf.topic),
            )),
        }
    }

    fn item(&self, view: &View, partition: i32, sheet: &Sheet) -> Value {
        let (state, due) = view.state(partition, sheet.offset);
        let id = match due {
            Some(due) => Some(due.id.clone()),
            None => (!self.batches).then(|| DeliveryId::of_alert(&sheet.alert)),
        };
        json!({
            "webhook_id": id, "alert": sheet.alert.id, "revision": sheet.alert.revision,
            "raised_at": sheet.alert.raised_at, "state": state,
            "attempts": due.map(|due| due.attempts),
            "next_attempt": due.filter(|due| !due.failed).map(|due| due.at),
            "last_failure": due.and_then(|due| due.last.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_alert_stands_is_what_the_ledger_has_of_it() {
        let mut view = View::default();
        assert_eq!(view.state(0, 5).0, "coming", "nothing was told of this partition yet");
        let due = |failed| Due {
            id: DeliveryId::written("alr_x-1"),
            failed,
            at: Timestamp(9),
            attempts: 2,
            last: Some("timeout".to_owned()),
        };
        view.due.insert((0, 20), due(false));
        view.due.insert((0, 21), due(true));
        let range = Range { from: 30, to: 40, count: 10, asked: false, since: None };
        view.accounts.insert(0, Account { begun: 10, ranges: vec![range], left: None });
        view.taken.insert(0, 50);
        for (offset, word) in [
            (9, "unowed"),
            (10, "delivered"),
            (20, "pending"),
            (21, "failed"),
            (29, "delivered"),
            (30, "pending"),
            (39, "pending"),
            (40, "delivered"),
            (49, "delivered"),
            (50, "coming"),
        ] {
            assert_eq!(view.state(0, offset).0, word, "{offset}");
        }
        assert!(view.state(0, 20).1.is_some() && view.state(0, 30).1.is_none());
        assert_eq!(view.state(1, 20).0, "coming", "another partition");
        view.accounts.get_mut(&0).unwrap().left = Some(45);
        assert_eq!((view.state(0, 44).0, view.state(0, 45).0), ("delivered", "unowed"));
    }
}
