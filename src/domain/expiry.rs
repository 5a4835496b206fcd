//! The expiry date of a card: a month of a year.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The last month in which a card is valid. In text and JSON `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExpiryDate {
    year: u16,
    month: u8,
}

/// A text is not an expiry date. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an expiry date: MM/YY, MM/YYYY, YYYY-MM or YYMM is expected")]
pub struct ExpiryDateError;

impl ExpiryDate {
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

    /// Reads `MM/YY`, `MM/YYYY` and `YYYY-MM` as people write them, and `YYMM` as ISO 8583 field 14 and
    /// the magnetic stripe have it. Two-digit years are of this century.
    fn from_str(text: &str) -> Result<Self, ExpiryDateError> {
        let (year, month) = match (text.len(), text.split_once('/'), text.split_once('-')) {
            (5 | 7, Some((month, year)), _) => (year, month),
            (7, None, Some((year, month))) => (year, month),
            (4, None, None) => text.split_at_checked(2).ok_or(ExpiryDateError)?,
            _ => return Err(ExpiryDateError),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if month.len() != 2 || !matches!(year.len(), 2 | 4) || !digits(month) || !digits(year) {
            return Err(ExpiryDateError);
        }
        let month = month.parse().map_err(|_| ExpiryDateError)?;
        let written: u16 = year.parse().map_err(|_| ExpiryDateError)?;
        let year = if year.len() == 2 { 2000 + written } else { written };
        if (1..=12).contains(&month) && (2000..=2099).contains(&year) {
            Ok(ExpiryDate { year, month })
        } else {
            Err(ExpiryDateError)
        }
    }
}

impl fmt::Display for ExpiryDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl TryFrom<String> for ExpiryDate {
    type Error = ExpiryDateError;
    fn try_from(text: String) -> Result<Self, ExpiryDateError> {
        text.parse()
    }
}

impl From<ExpiryDate> for String {
    fn from(date: ExpiryDate) -> String {
        date.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_dates_are_read_in_four_forms_and_in_no_other() {
        for text in ["09/25", "09/2025", "2025-09", "2509"] {
            let date: ExpiryDate = text.parse().unwrap();
            assert_eq!((date.year(), date.month()), (2025, 9), "{text}");
            assert_eq!(date.to_string(), "2025-09");
            assert_eq!(serde_json::to_string(&date).unwrap(), "\"2025-09\"");
        }
        for text in [
            "", "9/25", "13/25", "00/25", "09/1999", "2025-13", "2513", "25/09/", "+9/25", "09-25", "é09",
            "é/25", "202509",
        ] {
            assert_eq!(text.parse::<ExpiryDate>(), Err(ExpiryDateError), "{text}");
        }
    }
}
