//! The expiry date printed on a card: a month of a year.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A month of a year. Orders by time; in JSON and in text `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpiryDate {
    year: u16,
    month: u8,
}

/// A text is not an expiry date. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an expiry date: MM/YY, MM/YYYY or YYYY-MM is expected")]
pub struct ExpiryDateError;

impl ExpiryDate {
    /// The month `month` (1 to 12) of the year `year` (2000 to 2099).
    ///
    /// # Errors
    /// When month or year is out of bounds.
    pub fn new(year: u16, month: u8) -> Result<ExpiryDate, ExpiryDateError> {
        if (1..=12).contains(&month) && (2000..=2099).contains(&year) {
            Ok(ExpiryDate { year, month })
        } else {
            Err(ExpiryDateError)
        }
    }

    /// Reads the four digits `YYMM` of ISO 8583 field 14 and of the magnetic stripe: in a transaction they
    /// mean nothing else, in a list made by people they might be `MMYY`.
    ///
    /// # Errors
    /// When the text is not four digits or no month.
    pub fn parse_yymm(text: &str) -> Result<ExpiryDate, ExpiryDateError> {
        if text.len() != 4 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ExpiryDateError);
        }
        let (year, month) = text.split_at(2);
        let year: u16 = year.parse().map_err(|_| ExpiryDateError)?;
        ExpiryDate::new(2000 + year, month.parse().map_err(|_| ExpiryDateError)?)
    }

    /// The year, 2000 to 2099.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    pub fn month(self) -> u8 {
        self.month
    }
}

impl FromStr for ExpiryDate {
    type Err = ExpiryDateError;

    /// Reads `MM/YY`, `MM/YYYY`, `MM-YY`, `MM-YYYY`, `YYYY-MM` and `YYYY/MM`; a month may have one digit.
    ///
    /// Four digits without a separator are refused: cards print `MMYY`, ISO 8583 field 14 carries `YYMM`,
    /// and `0912` is a date either way.
    fn from_str(text: &str) -> Result<ExpiryDate, ExpiryDateError> {
        let (left, right) = text.trim().split_once(['/', '-']).ok_or(ExpiryDateError)?;
        let number = |part: &str| -> Result<u16, ExpiryDateError> {
            if part.bytes().all(|b| b.is_ascii_digit()) {
                part.parse().map_err(|_| ExpiryDateError)
            } else {
                Err(ExpiryDateError)
            }
        };
        let (year, month) = match (left.len(), right.len()) {
            (1 | 2, 2) => (2000 + number(right)?, number(left)?),
            (1 | 2, 4) => (number(right)?, number(left)?),
            (4, 1 | 2) => (number(left)?, number(right)?),
            _ => return Err(ExpiryDateError),
        };
        ExpiryDate::new(year, u8::try_from(month).map_err(|_| ExpiryDateError)?)
    }
}

impl fmt::Display for ExpiryDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Serialize for ExpiryDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExpiryDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_dates_are_read_or_refused() {
        let september = ExpiryDate::new(2027, 9).unwrap();
        for text in ["09/27", "9/27", "09/2027", "09-27", "2027-09", "2027/9", " 09/27 "] {
            assert_eq!(text.parse(), Ok(september), "{text}");
        }
        for text in
            ["0927", "2709", "13/27", "00/27", "09/1927", "202709", "", "/", "+9/27", "9/2", "2027-09-01"]
        {
            assert_eq!(text.parse::<ExpiryDate>(), Err(ExpiryDateError), "{text}");
        }
        assert_eq!(september.to_string(), "2027-09");
        assert!(september < "01/28".parse().unwrap());
        assert_eq!(ExpiryDate::parse_yymm("2709"), Ok(september));
        for text in ["0927", "2713", "270", "27-9", ""] {
            assert_ne!(ExpiryDate::parse_yymm(text), Ok(september), "{text}");
        }
    }
}
