//! Sightings and alerts as JSON bytes, and the schemas that describe them.

use crate::domain::alert::{ALERT_SCHEMA, Alert};
use crate::domain::sighting::{SIGHTING_SCHEMA, Sighting};

use super::transaction::cut;

/// The JSON Schema (draft 2020-12) of an alert.
pub const ALERT_SCHEMA_JSON: &str = include_str!("../../config/schema/alert-1.json");
/// The JSON Schema (draft 2020-12) of a sighting.
pub const SIGHTING_SCHEMA_JSON: &str = include_str!("../../config/schema/sighting-1.json");

/// A limit that every sighting can be brought under, in bytes, whatever its texts hold: what must stay is the
/// ids, the positions (a topic's name has at most 249 bytes) and the first incident.
pub const SIGHTING_BYTES_MIN: usize = 4096;

/// Why a record of our own does not read or cannot be written. Carries nothing of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or not the fields expected.
    #[error("line {line}, column {column}: not a {schema} record")]
    Malformed {
        /// The schema expected.
        schema: &'static str,
        /// The line of the mistake, from 1.
        line: usize,
        /// The column of the mistake, from 1.
        column: usize,
    },
    /// Another schema or another version of it.
    #[error("not of the schema {schema}")]
    Schema {
        /// The schema expected.
        schema: &'static str,
    },
    /// The record holds what JSON cannot.
    #[error("cannot be written as JSON")]
    Unwritable,
    /// The record stays above the limit whatever is left out.
    #[error("{bytes} bytes at the least, above the limit of {limit}")]
    TooLarge {
        /// What remains, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

fn malformed(schema: &'static str, error: &serde_json::Error) -> WireError {
    WireError::Malformed { schema, line: error.line(), column: error.column() }
}

/// Reads a sighting.
///
/// # Errors
/// [`WireError`] when it is not one.
pub fn decode_sighting(bytes: &[u8]) -> Result<Sighting, WireError> {
    let sighting: Sighting =
        serde_json::from_slice(bytes).map_err(|error| malformed(SIGHTING_SCHEMA, &error))?;
    match sighting.schema == SIGHTING_SCHEMA {
        true => Ok(sighting),
        false => Err(WireError::Schema { schema: SIGHTING_SCHEMA }),
    }
}

/// Reads an alert.
///
/// # Errors
/// [`WireError`] when it is not one.
pub fn decode_alert(bytes: &[u8]) -> Result<Alert, WireError> {
    let alert: Alert = serde_json::from_slice(bytes).map_err(|error| malformed(ALERT_SCHEMA, &error))?;
    match alert.schema == ALERT_SCHEMA {
        true => Ok(alert),
        false => Err(WireError::Schema { schema: ALERT_SCHEMA }),
    }
}

/// Writes an alert.
///
/// # Errors
/// [`WireError::Unwritable`]; not for alerts that the core makes.
pub fn encode_alert(alert: &Alert) -> Result<Vec<u8>, WireError> {
    serde_json::to_vec(alert).map_err(|_| WireError::Unwritable)
}

/// Writes a sighting in at most `limit` bytes; never fails for a limit of [`SIGHTING_BYTES_MIN`] or more.
///
/// What does not fit is given up in the order of what it is worth: names are cut, then left out; then
/// other ids and references are left out (half an id would be a wrong one) and named in `unreadable`; last
/// the incidents after the first.
///
/// # Errors
/// [`WireError::TooLarge`] when even that is above `limit`.
pub fn encode_sighting(sighting: &Sighting, limit: usize) -> Result<Vec<u8>, WireError> {
    let write = |sighting: &Sighting| serde_json::to_vec(sighting).map_err(|_| WireError::Unwritable);
    let bytes = write(sighting)?;
    if bytes.len() <= limit {
        return Ok(bytes);
    }
    let mut short = sighting.clone();
    let mut least = bytes.len();
    for step in SHORTENINGS {
        step(&mut short);
        let bytes = write(&short)?;
        if bytes.len() <= limit {
            return Ok(bytes);
        }
        least = bytes.len();
    }
    Err(WireError::TooLarge { bytes: least, limit })
}

/// Each takes more away than the one before.
const SHORTENINGS: [fn(&mut Sighting); 6] = [
    |sighting| shorten_names(sighting, 64),
    |sighting| shorten_names(sighting, 0),
    |sighting| sighting.card.others.clear(),
    leave_out_references,
    leave_out_ids,
    |sighting| sighting.incidents.truncate(1),
];

fn shorten_names(sighting: &mut Sighting, bytes: usize) {
    let merchant = &mut sighting.transaction.merchant;
    for text in [&mut merchant.name, &mut merchant.place] {
        *text =
            text.as_deref().map(|text| cut(text, bytes)).filter(|text| !text.is_empty()).map(str::to_owned);
    }
}

fn leave_out_references(sighting: &mut Sighting) {
    let left_out = std::mem::take(&mut sighting.card.references);
    sighting.unreadable.extend(left_out.iter().map(|(name, _)| format!("references.{name}")));
}

fn leave_out_ids(sighting: &mut Sighting) {
    let transaction = &mut sighting.transaction;
    let texts = [
        ("id", &mut transaction.id),
        ("response_code", &mut transaction.response_code),
        ("merchant_id", &mut transaction.merchant.id),
    ];
    for (name, text) in texts {
        if text.take().is_some() {
            sighting.unreadable.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
