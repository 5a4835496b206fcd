//! Imports the first notice and its revision, as `cardwatch incident` would.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ground::{Ground, fault};
use crate::app::settings::{book_topics, cluster};
use crate::books::Book;
use crate::clock::Clock;
use crate::domain::card::CardNumber;
use crate::domain::incident::{Details, IncidentId, References};
use crate::exposure::fingerprint::{Fingerprinter, Keyring};
use crate::exposure::plan::{Action, CardName, ImportPlan, PlanEntry};
use crate::exposure::record::{IncidentRecord, Mark};
use crate::exposure::revision::Finish;
use crate::kafka::probe::Probe;
use crate::lines::books::BookReader;
use crate::lines::import::{ImportError, ListTopic};
use crate::lines::start::Stopped;
use crate::report::RevisionSide;
use crate::simulation::{INCIDENT, ListedCard, World};

/// Keeps the list.
#[derive(Debug)]
pub(super) struct Clerk {
    list: ListTopic,
    keyring: Keyring,
    id: IncidentId,
}

/// What an import came to.
#[derive(Debug)]
pub(super) struct Imported {
    pub(super) before: RevisionSide,
    pub(super) after: RevisionSide,
    pub(super) added: u64,
    pub(super) withdrawn: u64,
}

impl Clerk {
    pub(super) fn new(ground: &Ground, clock: &Arc<dyn Clock>) -> Result<Clerk, Stopped> {
        let cluster = cluster(&ground.settings);
        let list = ListTopic {
            probe: Probe::new(&cluster).map_err(|error| fault("the mock cluster", &error))?,
            cluster,
            topic: ground.plan.topics.exposures.clone(),
            prefix: ground.plan.transactional_prefix.clone(),
            clock: Arc::clone(clock),
        };
        let id = INCIDENT.parse().map_err(|error| fault("incident", &error))?;
        Ok(Clerk { list, keyring: ground.keyring.clone(), id })
    }

    /// The incident's book, as `cardwatch incident show` makes it up. `None` where the mock cluster has dropped
    /// records of a history, so that it would not be whole.
    pub(super) fn book(&self, ground: &Ground) -> Result<Option<Book>, Stopped> {
        let topics = book_topics(&ground.settings);
        let probe = &self.list.probe;
        for partition in 0..probe.partitions(&topics.card_history)?.unwrap_or(0) {
            if probe.watermarks(&topics.card_history, partition)?.low > 0 {
                return Ok(None);
            }
        }
        let ledger = BookReader { list: &self.list, topics }.ledger()?;
        Ok(ledger.book(&self.id))
    }

    /// Imports the list of the first notice.
    pub(super) fn open(&self, world: &World) -> Result<Imported, Stopped> {
        let notice = world.first_notice();
        self.import(notice.details.clone(), notice.cards().map(|card| (Action::Add, card)))
    }

    /// Imports the revision: what it adds and what it withdraws, at once.
    pub(super) fn revise(&self, world: &World) -> Result<Imported, Stopped> {
        let change = world.revision();
        let added = change.added().map(|card| (Action::Add, card));
        let withdrawn = change.withdrawn().map(|card| (Action::Withdraw, card));
        self.import(change.details.clone(), added.chain(withdrawn))
    }

    fn import(
        &self,
        details: Details,
        entries: impl Iterator<Item = (Action, ListedCard)>,
    ) -> Result<Imported, Stopped> {
        let stopped = |error: ImportError| Stopped::new(error.code(), error.to_string());
        let (mut writer, known) = self.list.take_over(&self.id).map_err(stopped)?;
        let mut incident = known.incident.unwrap_or_else(|| IncidentRecord::new(self.id.clone()));
        let revision = incident.in_force().map(|revision| revision.number);
        let before = RevisionSide { revision, details: incident.details().cloned(), cards: 0 };
        let by = "cardwatch demo".to_owned();
        let mark = Mark { at: self.list.clock.now(), by, host: "this process".to_owned() };
        let number = writer.claim(&mut incident, details.clone(), mark).map_err(stopped)?;
        let claimed = incident.clone();
        let mut plan = ImportPlan::new(&claimed, number, known.cards);
        let fingerprinter = Fingerprinter::new(&self.keyring);
        for (action, card) in entries {
            let entry = self.entry(&fingerprinter, action, &card)?;
            for write in plan.entry(&entry).1 {
                writer.card(&write).map_err(stopped)?;
            }
        }
        let (counts, cards) = (plan.totals().counts, plan.totals().cards);
        let primary = self.keyring.primary();
        let checks = BTreeMap::from([(primary.id().clone(), primary.check_value())]);
        let finish = Finish { at: self.list.clock.now(), counts, cards: Some(cards), checks };
        writer.finish(&mut incident, number, finish).map_err(stopped)?;
        Ok(Imported {
            before: RevisionSide { cards: cards.before, ..before },
            after: RevisionSide { revision: Some(number), details: Some(details), cards: cards.after },
            added: counts.added,
            withdrawn: counts.withdrawn,
        })
    }

    fn entry(
        &self,
        fingerprinter: &Fingerprinter,
        action: Action,
        card: &ListedCard,
    ) -> Result<PlanEntry<'static>, Stopped> {
        let number = CardNumber::parse(card.number.as_str().as_bytes())
            .map_err(|error| fault("a simulated card", &error))?;
        let mut references = References::default();
        references
            .insert("account", &card.account)
            .map_err(|error| fault("a simulated card's account", &error))?;
        let key = self.keyring.primary().id().clone();
        let name = CardName { key, fingerprint: fingerprinter.of_number(0, &number) };
        Ok(PlanEntry { action, name, others: &[], expiry: card.expiry.parse().ok(), tier: None, references })
    }
}
