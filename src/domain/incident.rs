//! Incidents: a breach, what was exposed in it, when, and for how long its cards are watched.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::card::is_slug;
use super::time::Timestamp;

/// The id of an incident: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(Arc<str>);

/// A text is not an incident id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an incident id: 1 to 64 of a-z, 0-9, - and _ are expected")]
pub struct IncidentIdError;

impl IncidentId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IncidentId {
    type Err = IncidentIdError;
    fn from_str(text: &str) -> Result<Self, IncidentIdError> {
        if is_slug(text, 64) { Ok(IncidentId(text.into())) } else { Err(IncidentIdError) }
    }
}

impl TryFrom<String> for IncidentId {
    type Error = IncidentIdError;
    fn try_from(text: String) -> Result<Self, IncidentIdError> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A piece of data that was exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// The card number.
    Pan,
    /// The cardholder's name.
    Name,
    /// The expiry date.
    Expiry,
    /// The security code.
    SecurityCode,
    /// The magnetic stripe's data.
    Track,
    /// The PIN.
    Pin,
    /// The postal address.
    Address,
    /// The e-mail address.
    Email,
    /// The telephone number.
    Phone,
    /// The password of the breached party's account.
    Password,
}

impl Element {
    /// Every element, in the order in which they are shown.
    pub const ALL: [Element; 10] = [
        Element::Pan,
        Element::Name,
        Element::Expiry,
        Element::SecurityCode,
        Element::Track,
        Element::Pin,
        Element::Address,
        Element::Email,
        Element::Phone,
        Element::Password,
    ];

    /// The word used in JSON, in rules and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Element::Pan => "pan",
            Element::Name => "name",
            Element::Expiry => "expiry",
            Element::SecurityCode => "security_code",
            Element::Track => "track",
            Element::Pin => "pin",
            Element::Address => "address",
            Element::Email => "email",
            Element::Phone => "phone",
            Element::Password => "password",
        }
    }

    /// The element of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Element> {
        Element::ALL.into_iter().find(|element| element.as_str() == word)
    }
}

/// When cards were exposed: dates in the incident's time zone, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first day.
    pub from: jiff::civil::Date,
    /// The last day.
    pub until: jiff::civil::Date,
}

/// When a card's use is watched. Separate from the exposure: misuse comes minutes to years later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPeriod {
    /// The first day; `None` means from the first day of exposure.
    pub from: Option<jiff::civil::Date>,
    /// The last day; `None` means until the incident is closed.
    pub until: Option<jiff::civil::Date>,
}

/// What an incident says of itself; a revision may change every part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// A name for people.
    pub name: String,
    /// Who was breached.
    pub party: String,
    /// The IANA time zone in which the dates are meant.
    pub time_zone: String,
    /// When cards were exposed.
    pub exposure: Period,
    /// When their use is watched.
    pub watch: WatchPeriod,
    /// What was exposed, sorted, without repetition.
    pub elements: Vec<Element>,
}

impl Details {
    /// The first and the first-excluded point of the exposure period, in epoch milliseconds.
    ///
    /// # Errors
    /// When the time zone is not in the database or a date cannot be placed in it.
    pub fn exposure_span(&self) -> Result<(Timestamp, Timestamp), jiff::Error> {
        Ok((self.start_of(self.exposure.from)?, self.start_of(self.exposure.until.tomorrow()?)?))
    }

    /// The first and the first-excluded point of the watch period; `None` means open-ended.
    ///
    /// # Errors
    /// As [`Details::exposure_span`].
    pub fn watch_span(&self) -> Result<(Timestamp, Option<Timestamp>), jiff::Error> {
        let from = self.start_of(self.watch.from.unwrap_or(self.exposure.from))?;
        let until = match self.watch.until {
            Some(date) => Some(self.start_of(date.tomorrow()?)?),
            None => None,
        };
        Ok((from, until))
    }

    fn start_of(&self, date: jiff::civil::Date) -> Result<Timestamp, jiff::Error> {
        let zoned = date.in_tz(&self.time_zone)?;
        Ok(Timestamp(zoned.timestamp().as_millisecond()))
    }
}

/// Up to eight named strings that lead a person or a case system to the card's owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct References(BTreeMap<String, String>);

/// How many references a card may have.
pub const REFERENCES_MAX: usize = 8;
/// The longest name of a reference, in bytes.
pub const REFERENCE_NAME_BYTES_MAX: usize = 32;
/// The longest value of a reference, in bytes.
pub const REFERENCE_VALUE_BYTES_MAX: usize = 128;

/// Why a reference is refused. Carries nothing of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The name is not a slug, or too long.
    #[error("a reference's name is 1 to 32 of a-z, 0-9, - and _")]
    Name,
    /// The value is longer than 128 bytes.
    #[error("a reference's value is longer than 128 bytes")]
    Value,
    /// There are eight already.
    #[error("a card has more than eight references")]
    TooMany,
}

impl References {
    /// Adds or replaces a reference.
    ///
    /// # Errors
    /// [`ReferenceError`] when name, value or their number is out of bounds.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), ReferenceError> {
        if !is_slug(name, REFERENCE_NAME_BYTES_MAX) {
            return Err(ReferenceError::Name);
        }
        if value.len() > REFERENCE_VALUE_BYTES_MAX {
            return Err(ReferenceError::Value);
        }
        if self.0.len() == REFERENCES_MAX && !self.0.contains_key(name) {
            return Err(ReferenceError::TooMany);
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Adds those of `other` whose names are still free, up to the limit.
    pub fn merge(&mut self, other: &References) {
        for (name, value) in &other.0 {
            if self.0.len() < REFERENCES_MAX || self.0.contains_key(name) {
                self.0.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// One incident that a card is exposed in, as a sighting and an alert name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposedIn {
    /// The incident.
    pub id: IncidentId,
    /// The newest revision in force when the card was recognised.
    pub revision: u32,
    /// What was exposed.
    pub elements: Vec<Element>,
    /// First point of the exposure period.
    pub exposed_from: Timestamp,
    /// First point after the exposure period.
    pub exposed_until: Timestamp,
    /// First point of the watch period.
    pub watch_from: Timestamp,
    /// First point after the watch period, if it has an end.
    pub watch_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details() -> Details {
        Details {
            name: "Shop".to_owned(),
            party: "Shop KK".to_owned(),
            time_zone: "Asia/Tokyo".to_owned(),
            exposure: Period { from: "2015-01-07".parse().unwrap(), until: "2017-10-16".parse().unwrap() },
            watch: WatchPeriod { from: None, until: Some("2019-12-31".parse().unwrap()) },
            elements: vec![Element::Pan, Element::Expiry],
        }
    }

    #[test]
    fn periods_include_both_days_in_the_incidents_own_zone() {
        let (from, until) = details().exposure_span().unwrap();
        assert_eq!(from.to_string(), "2015-01-06T15:00:00.000Z");
        assert_eq!(until.to_string(), "2017-10-16T15:00:00.000Z");
        let (from, until) = details().watch_span().unwrap();
        assert_eq!(from.to_string(), "2015-01-06T15:00:00.000Z");
        assert_eq!(until.unwrap().to_string(), "2019-12-31T15:00:00.000Z");
    }

    #[test]
    fn references_are_bounded_in_number_name_and_length() {
        let mut references = References::default();
        for n in 0..REFERENCES_MAX {
            references.insert(&format!("ref{n}"), "v").unwrap();
        }
        assert_eq!(references.insert("ninth", "v"), Err(ReferenceError::TooMany));
        references.insert("ref0", "again").unwrap();
        assert_eq!(references.insert("Bad Name", "v"), Err(ReferenceError::Name));
        assert_eq!(references.insert("ref1", &"x".repeat(129)), Err(ReferenceError::Value));
    }
}
