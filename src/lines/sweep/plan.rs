//! What a sweep would do: the same rules, on a list whose ended watches are closed in memory alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::outcomes::{Fate, Keeping, Named};
use super::{Round, Sweeper, Swept, is_busy};
use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::exposure::record::{IncidentRecord, ListKey, Mark};
use crate::exposure::set::{ExposureSet, FRONTIER_NONE, Retained, View};
use crate::kafka::native::Message;
use crate::lines::import::{ImportError, Until};
use crate::lines::names::Links;
use crate::lines::score::{Known, is_forgotten};
use crate::lines::start::Stopped;
use crate::scoring::history::History;
use crate::stop::exit;

impl Sweeper {
    /// What a round at this moment would remove.
    pub(super) fn plan(&self, mark: &Mark) -> Result<Round, ImportError> {
        let named = Named::read(&self.list, &self.outcomes)?;
        let (known, links) = self.histories()?;
        let (view, closed) = self.closed(mark)?;
        let due: BTreeMap<IncidentId, u64> =
            view.due(self.forgetting.retention, mark.at).into_iter().collect();
        let mut swept = BTreeMap::new();
        for incident in view.incidents() {
            let (id, busy) = (&incident.id, is_busy(incident, mark.at));
            let (over, cards) = (closed.contains(id), due.get(id).copied().unwrap_or(0));
            if over || cards > 0 {
                let removed = if busy { 0 } else { cards };
                swept.insert(id.clone(), Swept { closed: over, removed, busy, ..Swept::nothing(id) });
            }
        }
        let lets_go = |incident: &IncidentRecord, _: &Fingerprint, events: &[i32]| {
            let due_at = incident.due_at(events, self.forgetting.retention);
            !is_busy(incident, mark.at) && due_at.is_some_and(|at| at <= mark.at)
        };
        let keeping = Keeping { links: links.of(named.cards()), view: &view };
        let mut late = 0;
        for (_, outcome) in named.all() {
            match keeping.fate(outcome, lets_go) {
                Fate::Stays => {}
                Fate::Goes { incident, .. } => {
                    let of = swept.get_mut(&incident).and_then(|swept| swept.outcomes.as_mut());
                    of.into_iter().for_each(|outcomes| *outcomes += 1);
                }
                Fate::Unlisted => {
                    let is_due = view.frontier() != FRONTIER_NONE && outcome.is_past(self.grace_ms, mark.at);
                    late += u64::from(is_due);
                }
            }
        }
        let retained = Retained::new(view, self.forgetting.retention, mark.at);
        let is_due = |(card, known): &(&Fingerprint, &Known)| {
            let known = Known { names: links.beside(card), ..(*known).clone() };
            is_forgotten(card, &known, &retained, &self.forgetting, mark.at)
        };
        let histories = Some(known.iter().filter(is_due).count() as u64);
        Ok(Round { swept: swept.into_values().collect(), late, histories })
    }

    /// When each history was written last, with nothing in it but what a pass has left of it, and which cards are one.
    fn histories(&self) -> Result<(HashMap<Fingerprint, Known>, Links), Stopped> {
        let (mut known, mut links) = (HashMap::new(), Links::default());
        self.list.snapshots().topic("the histories", &self.card_history, |message: &Message<'_>| {
            let key = message.key().unwrap_or_default();
            let card = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
            if let (false, Some(card)) = (links.learn(key, message.value()), card) {
                match message.value() {
                    Some(value) => {
                        let bare = History::decode(value).ok().filter(History::is_bare);
                        let history = bare.unwrap_or_default();
                        let written = message.timestamp();
                        known.insert(card, Known { history, written, ..Known::default() })
                    }
                    None => known.remove(&card),
                };
            }
            Ok(())
        })?;
        Ok((known, links))
    }

    /// The list as it is once a sweep has closed the watches that are over, and their incidents.
    fn closed(&self, mark: &Mark) -> Result<(Arc<View>, Vec<IncidentId>), ImportError> {
        let (_, mut writer) = ExposureSet::new(&[]);
        self.list.read(Until::End, |offset, key, value| writer.apply(offset, key, value).map(|_| ()))?;
        let view = writer.publish();
        let mut closed = Vec::new();
        for incident in view.incidents() {
            if !incident.is_over(self.forgetting.retention, mark.at) || is_busy(incident, mark.at) {
                continue;
            }
            let mut incident = incident.clone();
            incident.close(mark.clone())?;
            let key = ListKey::Incident(incident.id.clone()).to_string();
            writer
                .apply(view.frontier(), key.as_bytes(), Some(&incident.to_json()))
                .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
            closed.push(incident.id);
        }
        Ok((writer.publish(), closed))
    }
}
