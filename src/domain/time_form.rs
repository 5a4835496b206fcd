//! How a house writes its times: RFC 3339, numbers since 1970, or a pattern, with a zone where they have none.

use std::fmt;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::time::{EpochUnit, TimeError, Timestamp};

/// Words that stand for a form, and the forms.
const WORDS: [(&str, Format); 4] = [
    ("rfc3339", Format::Rfc3339),
    ("epoch_s", Format::Epoch(EpochUnit::Seconds)),
    ("epoch_ms", Format::Epoch(EpochUnit::Millis)),
    ("epoch_us", Format::Epoch(EpochUnit::Micros)),
];

/// What may be written for a format, as a phrase.
pub const FORMATS: &str =
    r#""rfc3339", "epoch_s", "epoch_ms", "epoch_us", or a pattern such as "%Y%m%d%H%M%S""#;

/// A shortest civil time, `2018-06-05T14:30`: what is shorter has a day and no hour.
const CIVIL_BYTES_MIN: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Format {
    Rfc3339,
    Epoch(EpochUnit),
    Pattern(String),
}

/// How times are written. Reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeForm {
    format: Format,
    /// Where times without an offset were taken. Never beside a format that always has one.
    zone: Option<TimeZone>,
}

/// Why a form cannot be used. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFormError {
    /// Neither a word nor a pattern.
    #[error("is no format of times")]
    Format,
    /// A pattern that cannot be followed.
    #[error("has a pattern that cannot be followed")]
    Pattern,
    /// A pattern that leaves out year, month, day, hour or minute.
    #[error("has a pattern without a full date, hour and minute")]
    Incomplete,
    /// A zone is needed.
    #[error("has times without an offset, whose meaning would be a guess")]
    NoZone,
    /// A zone is of no use.
    #[error("has a timezone, and its format already says where a time was taken")]
    NeedlessZone,
    /// Not a zone.
    #[error("has a timezone that the IANA database does not know")]
    Zone,
}

impl Default for TimeForm {
    /// RFC 3339 with an offset.
    fn default() -> TimeForm {
        TimeForm { format: Format::Rfc3339, zone: None }
    }
}

impl TimeForm {
    /// A form by its word or strptime pattern, and the IANA zone of times without an offset.
    ///
    /// # Errors
    /// [`TimeFormError`] when the pattern is none, says too little, or leaves open where a time was taken.
    pub fn new(format: &str, zone: Option<&str>) -> Result<TimeForm, TimeFormError> {
        let zone = match zone {
            Some(name) => Some(TimeZone::get(name).map_err(|_| TimeFormError::Zone)?),
            None => None,
        };
        let word = WORDS.into_iter().find(|(word, _)| *word == format).map(|(_, format)| format);
        let format = match word {
            Some(format) => format,
            None if format.contains('%') => Format::Pattern(format.to_owned()),
            None => return Err(TimeFormError::Format),
        };
        match (&format, &zone) {
            (Format::Epoch(_), Some(_)) => return Err(TimeFormError::NeedlessZone),
            (Format::Pattern(pattern), zone) => match (has_offset(pattern)?, zone) {
                (true, Some(_)) => return Err(TimeFormError::NeedlessZone),
                (false, None) => return Err(TimeFormError::NoZone),
                _ => {}
            },
            _ => {}
        }
        Ok(TimeForm { format, zone })
    }

    /// Numbers since 1970.
    pub fn epoch(unit: EpochUnit) -> TimeForm {
        TimeForm { format: Format::Epoch(unit), zone: None }
    }

    /// Whether a JSON number can be such a time. RFC 3339 is always text.
    pub fn takes_numbers(&self) -> bool {
        self.format != Format::Rfc3339
    }

    /// Reads a time.
    ///
    /// # Errors
    /// [`TimeError`] when the text is of another form, or outside 1970 to 9999.
    pub fn parse(&self, text: &str) -> Result<Timestamp, TimeError> {
        match &self.format {
            Format::Epoch(unit) => Timestamp::parse_epoch(text, *unit),
            Format::Rfc3339 => match &self.zone {
                None => Timestamp::parse_rfc3339(text),
                Some(zone) => Timestamp::parse_rfc3339(text).or_else(|_| civil(text, zone)),
            },
            Format::Pattern(pattern) => {
                let parsed = BrokenDownTime::parse(pattern, text).map_err(|_| TimeError::OtherPattern)?;
                let at = match &self.zone {
                    None => parsed.to_timestamp().map_err(|_| TimeError::OtherPattern)?,
                    Some(zone) => in_zone(parsed.to_datetime(), zone).ok_or(TimeError::OtherPattern)?,
                };
                Timestamp::from_jiff(at)
            }
        }
    }
}

fn civil(text: &str, zone: &TimeZone) -> Result<Timestamp, TimeError> {
    let civil = if text.len() < CIVIL_BYTES_MIN { None } else { in_zone(text.parse(), zone) };
    Timestamp::from_jiff(civil.ok_or(TimeError::NotCivil)?)
}

/// An hour that a clock shows twice is taken for the first, one that it skips for the same length of time later.
fn in_zone(civil: Result<jiff::civil::DateTime, jiff::Error>, zone: &TimeZone) -> Option<jiff::Timestamp> {
    civil.ok()?.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}

/// Whether a pattern says where a time was taken. Found out by writing a time with it and reading it back.
fn has_offset(pattern: &str) -> Result<bool, TimeFormError> {
    let sample = jiff::civil::date(2001, 11, 23).at(16, 45, 0, 0);
    let zone = TimeZone::fixed(jiff::tz::offset(5));
    let sample = sample.to_zoned(zone).map_err(|_| TimeFormError::Pattern)?;
    let text = jiff::fmt::strtime::format(pattern, &sample).map_err(|_| TimeFormError::Pattern)?;
    let parsed = BrokenDownTime::parse(pattern, &text).map_err(|_| TimeFormError::Pattern)?;
    if let Ok(at) = parsed.to_timestamp() {
        return if at == sample.timestamp() { Ok(true) } else { Err(TimeFormError::Incomplete) };
    }
    match parsed.to_datetime() {
        Ok(civil) if civil == sample.datetime() => Ok(false),
        _ => Err(TimeFormError::Incomplete),
    }
}

impl fmt::Display for TimeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            Format::Pattern(pattern) => f.write_str(pattern),
            format => f.write_str(WORDS.iter().find(|(_, word)| word == format).map_or("", |(word, _)| word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_where_a_time_was_taken_or_is_refused() {
        use TimeFormError::*;
        for (format, zone, want) in [
            ("rfc3339", None, Ok(())),
            ("rfc3339", Some("Asia/Tokyo"), Ok(())),
            ("epoch_ms", None, Ok(())),
            ("epoch_ms", Some("Asia/Tokyo"), Err(NeedlessZone)),
            ("%Y%m%d%H%M%S", Some("Asia/Tokyo"), Ok(())),
            ("%Y%m%d%H%M%S", None, Err(NoZone)),
            ("%Y-%m-%d %H:%M:%S%z", None, Ok(())),
            ("%Y-%m-%d %H:%M:%S%:z", Some("UTC"), Err(NeedlessZone)),
            ("%s", None, Ok(())),
            ("%d.%m.%y %H:%M", Some("Europe/Berlin"), Ok(())),
            ("%b %d, %Y %I:%M %p", Some("UTC"), Ok(())),
            ("%m%d%H%M%S", Some("UTC"), Err(Incomplete)),
            ("%Y%m%d", Some("UTC"), Err(Incomplete)),
            ("%Y%m%d%H", Some("UTC"), Err(Incomplete)),
            ("%H%M%S", Some("UTC"), Err(Incomplete)),
            ("%Y%!", Some("UTC"), Err(Pattern)),
            ("yyyyMMdd", Some("UTC"), Err(Format)),
            ("", None, Err(Format)),
            ("rfc3339", Some("Mars/Olympus"), Err(Zone)),
        ] {
            assert_eq!(TimeForm::new(format, zone).map(drop), want, "{format} {zone:?}");
        }
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let at = Timestamp(1_528_177_215_000);
        for (format, zone, text, want) in [
            ("%Y%m%d%H%M%S", Some("Asia/Tokyo"), "20180605144015", Ok(at)),
            ("%Y%m%d%H%M%S", Some("UTC"), "20180605054015", Ok(at)),
            ("%Y%m%d%H%M%S", Some("UTC"), "2018060505401", Ok(Timestamp(1_528_177_201_000))),
            ("%Y%m%d%H%M%S", Some("UTC"), "20181305054015", Err(TimeError::OtherPattern)),
            ("%Y%m%d%H%M%S", Some("UTC"), "20180605054015Z", Err(TimeError::OtherPattern)),
            ("%Y%m%d%H%M%S", Some("UTC"), "00010605054015", Err(TimeError::OutOfRange)),
            ("%d/%m/%Y %H:%M:%S %z", None, "05/06/2018 14:40:15 +0900", Ok(at)),
            ("rfc3339", Some("Asia/Tokyo"), "2018-06-05T14:40:15", Ok(at)),
            ("rfc3339", Some("Asia/Tokyo"), "2018-06-05 14:40:15.000", Ok(at)),
            ("rfc3339", Some("Asia/Tokyo"), "2018-06-05T05:40:15Z", Ok(at)),
            ("rfc3339", Some("Asia/Tokyo"), "2018-06-05", Err(TimeError::NotCivil)),
            ("rfc3339", None, "2018-06-05T14:40:15", Err(TimeError::NotRfc3339)),
            // One o'clock twice, and half past two never.
            ("rfc3339", Some("America/New_York"), "2018-11-04T01:30:00", Ok(Timestamp(1_541_309_400_000))),
            ("rfc3339", Some("America/New_York"), "2018-03-11T02:30:00", Ok(Timestamp(1_520_753_400_000))),
        ] {
            assert_eq!(TimeForm::new(format, zone).unwrap().parse(text), want, "{format} {text}");
        }
    }
}
