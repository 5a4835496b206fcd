//! Money: an amount in minor units and its ISO 4217 currency. Never a float on any path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency. The table (codes, numbers, exponents) is that of the `iso_currency` crate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// A text is not an ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 4217 currency code")]
pub struct CurrencyError;

impl Currency {
    /// From the three-digit number (JPY is 392), with or without leading zeros.
    pub fn from_number(number: u16) -> Option<Currency> {
        iso_currency::Currency::from_numeric(number).map(Currency)
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// So many minor units as exact decimal text of major units: `129.80` for 12,980 cents.
    pub fn major_text(self, minor: u64) -> String {
        let exponent = usize::from(self.exponent());
        let digits = format!("{minor:0width$}", width = exponent + 1);
        let (whole, part) = digits.split_at(digits.len() - exponent);
        if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
    }

    /// How many minor units make one unit: 100 for EUR, 1 for JPY.
    pub fn minor_units(self) -> u64 {
        10u64.pow(u32::from(self.exponent()))
    }

    /// How many decimal places the minor unit has: yen 0, dollar 2, dinar 3. Codes without minor
    /// units (gold, testing) count as 0.
    pub fn exponent(self) -> u8 {
        self.0.exponent().map_or(0, |exponent| exponent as u8)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        iso_currency::Currency::from_code(text).map(Currency).ok_or(CurrencyError)
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(text: String) -> Result<Self, CurrencyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a text is not an amount. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotDecimal,
    /// More non-zero decimal places than the currency has.
    #[error("finer than the currency's minor unit")]
    TooFine,
    /// Beyond what 63 bits of minor units hold.
    #[error("out of range")]
    OutOfRange,
}

/// An amount of money in minor units.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    /// Minor units: cents for the dollar, whole yen for the yen.
    pub minor: i64,
    /// The currency that gives `minor` its meaning.
    pub currency: Currency,
}

impl Money {
    /// Reads major units from decimal text or the text of a JSON number: `12.34`, `-5`, `1.00`, `1e2`.
    ///
    /// # Errors
    /// [`AmountError`] when the text is no number, is finer than the minor unit, or is out of range.
    pub fn parse_major(text: &str, currency: Currency) -> Result<Money, AmountError> {
        let minor = scale(text, i32::from(currency.exponent()))?;
        Ok(Money { minor, currency })
    }

    /// Reads minor units from decimal text without decimal places: `000000012980`.
    ///
    /// # Errors
    /// As [`Money::parse_major`].
    pub fn parse_minor(text: &str, currency: Currency) -> Result<Money, AmountError> {
        Ok(Money { minor: scale(text, 0)?, currency })
    }

    /// The major units as exact decimal text: `129.80` for 12,980 cents, `12980` for 12,980 yen.
    pub fn major_text(self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        format!("{sign}{}", self.currency.major_text(self.minor.unsigned_abs()))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.major_text(), self.currency)
    }
}

/// `text` times ten to the `places`, exactly, as an integer.
fn scale(text: &str, places: i32) -> Result<i64, AmountError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(AmountError::NotDecimal);
            }
            (mantissa, exponent.parse::<i32>().map_err(|_| AmountError::OutOfRange)?)
        }
        None => (text, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + part.len() == 0 || !plain(whole) || !plain(part) {
        return Err(AmountError::NotDecimal);
    }
    let part = part.trim_end_matches('0');
    let digits: String = format!("{whole}{part}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let shift = i64::from(places) + i64::from(exponent) - part.len() as i64;
    // 19 digits are all that an i64 can hold; a larger shift cannot be in range.
    if shift > 19 || digits.len() > 38 {
        return Err(AmountError::OutOfRange);
    }
    let mut value: i128 = digits.parse().map_err(|_| AmountError::OutOfRange)?;
    if shift >= 0 {
        value = value.checked_mul(10i128.pow(shift as u32)).ok_or(AmountError::OutOfRange)?;
    } else {
        let divisor = u32::try_from(-shift)
            .ok()
            .and_then(|places| 10i128.checked_pow(places))
            .ok_or(AmountError::TooFine)?;
        if value % divisor != 0 {
            return Err(AmountError::TooFine);
        }
        value /= divisor;
    }
    i64::try_from(if negative { -value } else { value }).map_err(|_| AmountError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    #[test]
    fn decimal_text_becomes_minor_units_exactly() {
        use AmountError::*;
        let jpy = "JPY".parse().unwrap();
        let bhd = "BHD".parse().unwrap();
        for (text, currency, want) in [
            ("105.42", usd(), Ok(10542)),
            ("1.00", usd(), Ok(100)),
            ("1", usd(), Ok(100)),
            (".5", usd(), Ok(50)),
            ("5.", usd(), Ok(500)),
            ("-3.07", usd(), Ok(-307)),
            ("1e2", usd(), Ok(10000)),
            ("12.5e-1", usd(), Ok(125)),
            ("1.005", usd(), Err(TooFine)),
            ("1.00500", usd(), Err(TooFine)),
            ("1.23000", usd(), Ok(123)),
            ("12980", jpy, Ok(12980)),
            ("12980.00", jpy, Ok(12980)),
            ("12980.5", jpy, Err(TooFine)),
            ("1.234", bhd, Ok(1234)),
            ("92233720368547758.07", usd(), Ok(i64::MAX)),
            ("92233720368547758.08", usd(), Err(OutOfRange)),
            ("1e400", usd(), Err(OutOfRange)),
            ("0e999999999", usd(), Ok(0)),
            ("1e-400", usd(), Err(TooFine)),
            ("1e99999999999", usd(), Err(OutOfRange)),
            ("", usd(), Err(NotDecimal)),
            (".", usd(), Err(NotDecimal)),
            ("1,000", usd(), Err(NotDecimal)),
            ("NaN", usd(), Err(NotDecimal)),
            ("1e", usd(), Err(NotDecimal)),
            ("--1", usd(), Err(NotDecimal)),
        ] {
            assert_eq!(Money::parse_major(text, currency).map(|m| m.minor), want, "{text}");
        }
    }

    #[test]
    fn minor_units_take_leading_zeros() {
        assert_eq!(Money::parse_minor("000000012980", usd()).unwrap().to_string(), "129.80 USD");
    }

    #[test]
    fn exponents_are_those_of_iso_4217() {
        for (code, exponent) in [("JPY", 0), ("USD", 2), ("KWD", 3), ("CLF", 4), ("XAU", 0), ("ISK", 0)] {
            assert_eq!(code.parse::<Currency>().unwrap().exponent(), exponent, "{code}");
        }
        assert!("ABC".parse::<Currency>().is_err());
        assert_eq!(Currency::from_number(392).unwrap().code(), "JPY");
    }

    proptest! {
        #[test]
        fn major_text_reads_back_as_the_same_money(minor in any::<i64>(), which in 0usize..3) {
            let currency: Currency = ["JPY", "USD", "KWD"][which].parse().unwrap();
            let money = Money { minor, currency };
            prop_assert_eq!(Money::parse_major(&money.major_text(), currency).unwrap(), money);
        }
    }
}
