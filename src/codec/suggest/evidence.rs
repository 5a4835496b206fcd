//! What values at one place have in common.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::names;
use crate::domain::card::CardNumber;
use crate::domain::country;
use crate::domain::expiry::ExpiryDate;
use crate::domain::money::Currency;
use crate::domain::time_form::TimeForm;

/// Values of a place that are told apart, to see whether they differ.
const DISTINCT_MAX: usize = 4_096;
/// The most spellings of known words that are kept.
const WORDS_MAX: usize = 16;

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Number(&'a str),
    Truth,
}

/// Something that may be true of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trait {
    Luhn,
    Fingerprint,
    CurrencyLetters,
    CurrencyNumber,
    Country,
    Rfc3339,
    Rfc3339Civil,
    Compact,
    EpochSeconds,
    EpochMillis,
    EpochMicros,
    FourDigits,
    Decimal,
    Whole,
    Padded,
    ResponseCode,
    EntryMode,
    MessageType,
    ProcessingCode,
    Letter,
    Indicator,
    Expiry,
    Text,
    Truth,
}

/// What was seen at one place. Holds no value but spellings of known words.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) found: u64,
    empty: u64,
    traits: BTreeMap<Trait, u64>,
    distinct: HashSet<u64>,
    hasher: RandomState,
    /// Known words as they are spelled here.
    pub(super) words: HashSet<String>,
    pub(super) worded: u64,
}

impl Evidence {
    pub(super) fn take(&mut self, value: Scalar<'_>) {
        let text = match value {
            Scalar::Text("") => {
                self.empty += 1;
                return;
            }
            Scalar::Text(text) | Scalar::Number(text) => text,
            Scalar::Truth => "",
        };
        self.found += 1;
        if self.distinct.len() < DISTINCT_MAX {
            self.distinct.insert(self.hasher.hash_one(text));
        }
        for one in traits(value, text) {
            *self.traits.entry(one).or_default() += 1;
        }
        if matches!(value, Scalar::Text(_)) && names::is_known_word(text) {
            self.worded += 1;
            if self.words.len() < WORDS_MAX {
                self.words.insert(text.to_owned());
            }
        }
    }

    /// In how many values it held.
    pub(super) fn count(&self, one: Trait) -> u64 {
        self.traits.get(&one).copied().unwrap_or(0)
    }

    /// Whether it held nearly always: a few odd values are no reason against it.
    pub(super) fn is(&self, one: Trait) -> bool {
        self.is_nearly_all(self.count(one))
    }

    pub(super) fn is_nearly_all(&self, count: u64) -> bool {
        count > 0 && count * 20 >= self.found * 19
    }

    /// Whether values hardly ever repeat.
    pub(super) fn is_distinct(&self) -> bool {
        let looked_at = self.found.min(DISTINCT_MAX as u64);
        self.distinct.len() as u64 * 20 >= looked_at * 19
    }
}

fn traits(value: Scalar<'_>, text: &str) -> Vec<Trait> {
    use Trait::*;
    let is_text = matches!(value, Scalar::Text(_));
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let letters = text.bytes().all(|b| b.is_ascii_uppercase());
    let len = text.len();
    let form = |format: &str, zone| {
        TimeForm::new(format, zone).ok().and_then(|form| form.parse(text).ok()).is_some_and(is_recent)
    };
    let checks: [(Trait, bool); 24] = [
        (Luhn, is_card_number(text)),
        (Fingerprint, text.parse::<crate::domain::card::Fingerprint>().is_ok()),
        (CurrencyLetters, is_text && len == 3 && text.to_ascii_uppercase().parse::<Currency>().is_ok()),
        (
            CurrencyNumber,
            digits && (1..=3).contains(&len) && text.parse().ok().and_then(Currency::from_number).is_some(),
        ),
        (Country, country::alpha2(text).is_some()),
        (Rfc3339, is_text && form("rfc3339", None)),
        (Rfc3339Civil, is_text && form("rfc3339", Some("UTC"))),
        (Compact, digits && len == 14 && form("%Y%m%d%H%M%S", Some("UTC"))),
        (EpochSeconds, len < 16 && form("epoch_s", None)),
        (EpochMillis, digits && form("epoch_ms", None)),
        (EpochMicros, digits && form("epoch_us", None)),
        (FourDigits, digits && (len == 4 || (!is_text && len == 3))),
        (Decimal, is_decimal(text)),
        (Whole, digits && len <= 12),
        (Padded, is_text && digits && len == 12 && text.starts_with('0')),
        (ResponseCode, len == 2 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())),
        (EntryMode, digits && (2..=3).contains(&len)),
        (
            MessageType,
            digits && len == 4 && matches!(text.as_bytes()[..2], [b'0'..=b'2', b'1' | b'2' | b'4']),
        ),
        (ProcessingCode, digits && len == 6),
        (Letter, is_text && len == 1 && letters),
        (Indicator, digits && len <= 2 && text.bytes().all(|b| b <= b'7')),
        (Expiry, is_expiry(text)),
        (Text, is_text),
        (Truth, matches!(value, Scalar::Truth)),
    ];
    checks.into_iter().filter(|(_, holds)| *holds).map(|(one, _)| one).collect()
}

/// Between 2000 and 2100: a number of another unit is far outside.
fn is_recent(at: crate::domain::time::Timestamp) -> bool {
    (946_684_800_000..4_102_444_800_000).contains(&at.millis())
}

fn is_card_number(text: &str) -> bool {
    CardNumber::parse(text.as_bytes())
        .is_ok_and(|number| (12..=19).contains(&number.digits().len()) && number.passes_luhn())
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    unsigned.len() <= 16 && unsigned.split_once('.').is_some_and(|(whole, part)| plain(whole) && plain(part))
}

fn is_expiry(text: &str) -> bool {
    text.parse::<ExpiryDate>().is_ok() || (text.len() == 4 && ExpiryDate::parse_yymm(text).is_ok())
}
