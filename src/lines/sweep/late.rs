//! Outcomes that came after their card's records went, or under another key than the records that went.
//!
//! They go when no incident has a record of their card, by any name that is known, and they were written
//! `retention.outcome_grace` ago: an outcome may come before the list that names its card, from a system that hands
//! over both, and an import may be at work for a day. A list without any incident removes nothing.

use super::outcomes::{Keeping, Key, Named};
use super::{PART, Sweeper};
use crate::domain::audit::Act;
use crate::exposure::record::Mark;
use crate::exposure::set::{FRONTIER_NONE, View};
use crate::fault;
use crate::lines::audit::Deed;
use crate::lines::import::{ImportError, settle};
use crate::lines::names::Links;
use crate::lines::start::Stopped;

/// The key of a tombstone of no outcome.
const NONE: &[u8] = b"cardwatch/none";

impl Sweeper {
    /// Removes outcomes whose card no incident lists; how many. `seen` is the list as it was known a while ago:
    /// where it leaves none, the list is not read.
    ///
    /// # Errors
    /// What stops the reading or writing; what was removed before it stays removed.
    pub(super) fn late_outcomes(&self, seen: &View, mark: &Mark) -> Result<u64, ImportError> {
        if fault::broken("late-outcome-kept") {
            return Ok(0);
        }
        let named = Named::read(&self.list, &self.outcomes)?;
        let keeping = Keeping { links: Default::default(), view: seen };
        if seen.frontier() == FRONTIER_NONE || named.late(&keeping, self.grace_ms, mark.at).is_empty() {
            return Ok(0);
        }
        let removed = self.bury("no incident lists the card", |named| {
            // The list last: what was listed before an outcome was written is on it.
            let links = Links::read(&self.list, &self.card_history)?.of(named.cards());
            let (view, _) = self.list.survey()?;
            if view.frontier() == FRONTIER_NONE {
                return Ok(Vec::new());
            }
            Ok(named.late(&Keeping { links, view: &view }, self.grace_ms, mark.at))
        })?;
        if removed > 0 {
            tracing::info!(removed, "outcomes whose card no incident lists removed");
        }
        Ok(removed)
    }

    /// Removes the outcomes that `choose` names among all that are there, as their one remover; how many.
    pub(super) fn bury(
        &self,
        why: &str,
        choose: impl FnOnce(&Named) -> Result<Vec<Key>, Stopped>,
    ) -> Result<u64, ImportError> {
        let mut burial = self.list.burial("outcomes", &self.outcomes)?;
        let going = choose(&Named::read(&self.list, &self.outcomes)?)?;
        for part in going.chunks(PART) {
            // For the books: whoever removed outcomes before is fenced by now.
            let removing = self.list.removing(&self.outcomes, None, part)?;
            let Some(audit) = &self.audit else {
                burial.commit(part, Some(&removing), None)?;
                continue;
            };
            let removed = serde_json::json!({"outcomes_removed": part.len()});
            let deed = Deed::new(Act::Forget, format!("topic/{}", self.outcomes)).after(removed);
            let begun = audit.in_transaction(deed.because(Some(why)))?;
            let done = burial.commit(part, Some(&removing), Some(&begun));
            settle(begun, done)?;
        }
        Ok(going.len() as u64)
    }

    /// Writes a tombstone of no outcome, so that brokers close the segment before it. It changes nothing, for any
    /// reader. A topic that is missing or was never written to is left as it is.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub(super) fn stir_outcomes(&self) -> Result<(), ImportError> {
        match self.has_outcomes()? {
            true => self.list.burial("stir-outcomes", &self.outcomes)?.commit(&[NONE.to_vec()], None, None),
            false => Ok(()),
        }
    }

    /// Whether anything was ever written to the outcomes.
    fn has_outcomes(&self) -> Result<bool, Stopped> {
        let (probe, topic) = (&self.list.probe, &self.outcomes);
        Ok(probe.partitions(topic)?.is_some() && probe.watermarks(topic, 0)?.high > 0)
    }
}
