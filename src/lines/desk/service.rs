//! The desk as the HTTP side needs it.

use std::sync::Arc;

use super::{Desk, FetchError, OutcomeError, Writer};
use crate::domain::alert::Alert;
use crate::domain::desk::{AlertKey, Order, Page, Place, Query, Summary};
use crate::domain::outcome::{Decision, Outcome, Subject};
use crate::http::alerts::{AlertDesk, DeskFault};
use crate::http::auth::Caller;
use crate::lines::audit::Audit;

/// A desk, with what is needed to decide at it.
#[derive(Debug)]
pub struct OpenDesk {
    /// The desk.
    pub desk: Arc<Desk>,
    /// Writes outcomes.
    pub writer: Writer,
    /// Where it is written down who decided.
    pub audit: Audit,
}

impl From<FetchError> for DeskFault {
    fn from(error: FetchError) -> DeskFault {
        DeskFault::Unavailable(error.to_string())
    }
}

impl From<OutcomeError> for DeskFault {
    fn from(error: OutcomeError) -> DeskFault {
        match error {
            OutcomeError::NoSuchAlert => DeskFault::NoSuchAlert,
            OutcomeError::Ambiguous(candidates) => DeskFault::Ambiguous(candidates),
            error => DeskFault::Unavailable(error.to_string()),
        }
    }
}

impl AlertDesk for OpenDesk {
    fn is_loaded(&self) -> bool {
        self.desk.is_loaded()
    }

    fn list(&self, query: &Query, order: Order, after: Option<&Place>, limit: usize) -> Page<Summary> {
        self.desk.list(query, order, after, limit)
    }

    fn revisions(&self, key: AlertKey) -> Result<Vec<Alert>, DeskFault> {
        Ok(self.desk.revisions(key)?)
    }

    fn alert(&self, key: AlertKey) -> Result<Alert, DeskFault> {
        self.desk.await_subject(&Subject::Alert(key.to_string()));
        Ok(self.desk.alert(key)?.ok_or(DeskFault::NoSuchAlert)?.alert)
    }

    fn outcomes(&self, subject: Option<&Subject>, before: Option<i64>, limit: usize) -> Page<Outcome> {
        self.desk.outcomes(subject, before, limit)
    }

    fn decide(&self, caller: &Caller, subject: Subject, decision: Decision) -> Result<Outcome, DeskFault> {
        self.desk.await_subject(&subject);
        let audit = self.audit.for_caller(caller).claiming(decision.by.claimed.as_deref());
        Ok(self.desk.decide(&self.writer, &audit, subject, decision)?.outcome)
    }
}
