//! Time: milliseconds since the Unix epoch, and the texts they are read from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 text in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// The earliest point accepted, in epoch milliseconds: 1970-01-01.
const MIN_MS: i64 = 0;
/// The latest point accepted, in epoch milliseconds: 9999-12-31T23:59:59.999Z.
const MAX_MS: i64 = 253_402_300_799_999;

/// Why a text or number is not a time. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339 with an offset.
    #[error("not an RFC 3339 time with an offset")]
    NotRfc3339,
    /// Not RFC 3339, with or without an offset.
    #[error("not an RFC 3339 time")]
    NotCivil,
    /// Not what the pattern describes.
    #[error("not a time of the pattern")]
    OtherPattern,
    /// Not a whole number.
    #[error("not a whole number of time units")]
    NotWhole,
    /// Before 1970 or after 9999.
    #[error("outside the years 1970 to 9999")]
    OutOfRange,
}

/// The unit of a numeric time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds; decimal places are cut to milliseconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds, cut to milliseconds.
    Micros,
}

impl Timestamp {
    /// Reads an RFC 3339 text. A text without an offset is refused: its meaning would be a guess.
    ///
    /// # Errors
    /// [`TimeError`] when it is not one, or lies outside 1970 to 9999.
    pub fn parse_rfc3339(text: &str) -> Result<Timestamp, TimeError> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| TimeError::NotRfc3339)?;
        Timestamp::from_jiff(timestamp)
    }

    /// A time of the calendar's library.
    pub(super) fn from_jiff(timestamp: jiff::Timestamp) -> Result<Timestamp, TimeError> {
        Timestamp::checked(i128::from(timestamp.as_millisecond()))
    }

    /// Reads a number since the epoch from its decimal text.
    ///
    /// # Errors
    /// [`TimeError`] when it is no number, has places finer than seconds where the unit has none, or
    /// lies outside 1970 to 9999.
    pub fn parse_epoch(text: &str, unit: EpochUnit) -> Result<Timestamp, TimeError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(TimeError::NotWhole);
        }
        let value: i128 = whole.parse().map_err(|_| TimeError::OutOfRange)?;
        match unit {
            EpochUnit::Seconds => {
                let millis: String = part.chars().chain("000".chars()).take(3).collect();
                let millis: i128 = millis.parse().map_err(|_| TimeError::NotWhole)?;
                Timestamp::checked(value.saturating_mul(1000).saturating_add(millis))
            }
            _ if part.bytes().any(|b| b != b'0') => Err(TimeError::NotWhole),
            EpochUnit::Millis => Timestamp::checked(value),
            EpochUnit::Micros => Timestamp::checked(value / 1000),
        }
    }

    fn checked(millis: i128) -> Result<Timestamp, TimeError> {
        match i64::try_from(millis) {
            Ok(millis) if (MIN_MS..=MAX_MS).contains(&millis) => Ok(Timestamp(millis)),
            _ => Err(TimeError::OutOfRange),
        }
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This point moved by `millis`, held within the accepted years.
    pub fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(millis).clamp(MIN_MS, MAX_MS))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        Timestamp::parse_rfc3339(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_or_refused() {
        use EpochUnit::*;
        let at = Timestamp(1_528_177_215_000);
        assert_eq!(Timestamp::parse_rfc3339("2018-06-05T14:40:15+09:00"), Ok(Timestamp(1_528_177_215_000)));
        assert_eq!(Timestamp::parse_rfc3339("2018-06-05T05:40:15Z"), Ok(at));
        for text in ["2018-06-05T05:40:15", "2018-06-05", "yesterday", "", "1528177215"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(TimeError::NotRfc3339), "{text}");
        }
        for (text, unit, want) in [
            ("1528177215", Seconds, Ok(at)),
            ("1528177215.25", Seconds, Ok(at.plus_millis(250))),
            ("1528177215000", Millis, Ok(at)),
            ("1528177215000123", Micros, Ok(at)),
            ("1528177215000", Seconds, Err(TimeError::OutOfRange)),
            ("1.5", Millis, Err(TimeError::NotWhole)),
            ("-1", Seconds, Err(TimeError::NotWhole)),
            ("", Seconds, Err(TimeError::NotWhole)),
            ("99999999999999999999999999999999999999999", Millis, Err(TimeError::OutOfRange)),
        ] {
            assert_eq!(Timestamp::parse_epoch(text, unit), want, "{text} {unit:?}");
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_its_text(millis in MIN_MS..=MAX_MS) {
            let at = Timestamp(millis);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_string()).unwrap(), at);
        }
    }
}
