//! Outcomes as JSON bytes. Ours say everything; what other people's systems write need say no more than what it is
//! about and the verdict.

use serde::{Deserialize, Serialize};

use crate::domain::card::Fingerprint;
use crate::domain::incident::IncidentId;
use crate::domain::outcome::{
    About, By, Decision, Note, OUTCOME_SCHEMA, Outcome, Subject, TRANSACTION_BYTES_MAX, Verdict,
};
use crate::domain::time::Timestamp;

use super::wire::WireError;

/// The JSON Schema (draft 2020-12) of an outcome.
pub const OUTCOME_SCHEMA_JSON: &str = include_str!("../../config/schema/outcome-1.json");

/// An outcome as it is written.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sighting: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    verdict: Verdict,
    note: Option<&'a Note>,
    by: &'a By,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a About>,
}

impl<'a> Written<'a> {
    fn of(outcome: &'a Outcome) -> Written<'a> {
        let (alert, sighting, transaction) = match &outcome.subject {
            Subject::Alert(id) => (Some(id.as_str()), None, None),
            Subject::Sighting(id) => (None, Some(id.as_str()), None),
            Subject::Transaction(id) => (None, None, Some(id.as_str())),
        };
        let Decision { verdict, note, by, at } = &outcome.decision;
        Written {
            schema: OUTCOME_SCHEMA,
            alert,
            sighting,
            transaction,
            verdict: *verdict,
            note: note.as_ref(),
            by,
            at: *at,
            about: outcome.about.as_ref(),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::of(self).serialize(serializer)
    }
}

/// An outcome as it may be found.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    alert: Option<String>,
    #[serde(default)]
    sighting: Option<String>,
    #[serde(default)]
    transaction: Option<String>,
    verdict: Verdict,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    by: Option<By>,
    #[serde(default)]
    at: Option<Timestamp>,
    #[serde(default)]
    about: Option<About>,
}

/// Reads an outcome. `written_at` stands in for `at` where the record does not say.
///
/// # Errors
/// [`WireError`] when it is not one: no or several subjects, an id that is none, a verdict that is none, a note that is
/// too long or holds a card number.
pub fn decode_outcome(bytes: &[u8], written_at: Timestamp) -> Result<Outcome, WireError> {
    let other = WireError::Schema { schema: OUTCOME_SCHEMA };
    let found: Found = serde_json::from_slice(bytes).map_err(|error| WireError::Malformed {
        schema: OUTCOME_SCHEMA,
        line: error.line(),
        column: error.column(),
    })?;
    if found.schema.as_deref().is_some_and(|schema| schema != OUTCOME_SCHEMA) {
        return Err(other);
    }
    let subject = match (found.alert, found.sighting, found.transaction) {
        (Some(id), None, None) => Subject::of_id(&id).filter(|subject| matches!(subject, Subject::Alert(_))),
        (None, Some(id), None) => {
            Subject::of_id(&id).filter(|subject| matches!(subject, Subject::Sighting(_)))
        }
        (None, None, Some(id)) => {
            (1..=TRANSACTION_BYTES_MAX).contains(&id.len()).then_some(Subject::Transaction(id))
        }
        _ => None,
    };
    let by = found.by.unwrap_or_else(By::unsaid);
    if !by.is_fit() {
        return Err(other);
    }
    let note = Note::of(found.note.as_deref()).map_err(|_| other)?;
    let at = found.at.unwrap_or(written_at);
    let decision = Decision { verdict: found.verdict, note, by, at };
    Ok(Outcome { subject: subject.ok_or(other)?, decision, about: found.about })
}

/// The card that an outcome names, and the incidents, as far as they read as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCard {
    /// The card.
    pub fingerprint: Fingerprint,
    /// The incidents that exposed it.
    pub incidents: Vec<IncidentId>,
}

/// The card that an outcome names, whatever else it says; `None` where it names none or is no JSON.
pub fn named_card(bytes: &[u8]) -> Option<NamedCard> {
    #[derive(Deserialize)]
    struct Naming {
        about: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        fingerprint: Fingerprint,
        #[serde(default)]
        incidents: serde_json::Value,
    }
    let Named { fingerprint, incidents } = serde_json::from_slice::<Naming>(bytes).ok()?.about;
    let incidents = incidents.as_array().into_iter().flatten();
    let incidents = incidents.filter_map(|id| id.as_str()?.parse().ok()).collect();
    Some(NamedCard { fingerprint, incidents })
}

/// Writes an outcome.
///
/// # Errors
/// [`WireError::Unwritable`]; not for what reads as an outcome.
pub fn encode_outcome(outcome: &Outcome) -> Result<Vec<u8>, WireError> {
    serde_json::to_vec(outcome).map_err(|_| WireError::Unwritable)
}

#[cfg(test)]
mod tests;
