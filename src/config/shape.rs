//! What the value of a key may be: how it is read, and what to write when it cannot be.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use crate::codec::seal::PublicKey;
use crate::domain::card::is_slug;

/// A value as it was written: in the file, or as the text of an environment variable.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// From the file.
    Value(&'a DeValue<'a>),
    /// From the environment.
    Text(&'a str),
}

impl<'a> Input<'a> {
    /// The text, where the value is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            Input::Value(value) => value.as_str(),
            Input::Text(text) => Some(text),
        }
    }

    fn integer(&self) -> Option<i128> {
        match self {
            Input::Value(DeValue::Integer(integer)) => {
                i128::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            Input::Value(_) => None,
            Input::Text(text) => text.trim().parse().ok(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Input::Value(DeValue::Float(float)) => float.as_str().parse().ok(),
            Input::Value(DeValue::Integer(_)) => self.integer().map(|integer| integer as f64),
            Input::Value(_) => None,
            Input::Text(text) => text.trim().parse().ok(),
        }
    }
}

/// Reads a value, or says in a phrase what is wrong with it.
type Read<T> = Box<dyn Fn(&Input<'_>) -> Result<T, String>>;

/// What a value may be.
pub(super) struct Shape<T> {
    /// What to write, as a phrase: "a whole number from 1 to 64".
    pub(super) allowed: String,
    /// Reads the value.
    pub(super) read: Read<T>,
}

impl<T> fmt::Debug for Shape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

/// A shape by its phrase and its reading.
pub(super) fn shape<T>(
    allowed: impl Into<String>,
    read: impl Fn(&Input<'_>) -> Result<T, String> + 'static,
) -> Shape<T> {
    Shape { allowed: allowed.into(), read: Box::new(read) }
}

/// A text that `good` accepts; otherwise it is not `what`.
pub(super) fn text_that<T>(
    allowed: impl Into<String>,
    what: &'static str,
    good: impl Fn(&str) -> Option<T> + 'static,
) -> Shape<T> {
    shape(allowed, move |input| {
        let text = input.text().ok_or("is not a text in quotes")?;
        good(text).ok_or_else(|| format!("is not {what}"))
    })
}

/// An empty text is `None`, anything else what `inner` reads.
pub(super) fn optional<T: 'static>(inner: Shape<T>) -> Shape<Option<T>> {
    let read = inner.read;
    shape(format!("{}, or \"\" for none", inner.allowed), move |input| match input.text() {
        Some("") => Ok(None),
        _ => read(input).map(Some),
    })
}

/// A text that stays empty until the other keys are known, because its default depends on them.
pub(super) fn derived(inner: Shape<String>) -> Shape<String> {
    let read = inner.read;
    shape(inner.allowed, move |input| match input.text() {
        Some("") => Ok(String::new()),
        _ => read(input),
    })
}

/// `HOST:PORT`, several separated by commas.
pub(super) fn servers() -> Shape<String> {
    text_that("one or more of \"HOST:PORT\", separated by commas", "a list of hosts with ports", |text| {
        let good = |server: &str| {
            let (host, port) = server.trim().rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(())
        };
        text.split(',').all(|server| good(server).is_some()).then(|| text.to_owned())
    })
}

/// A path; a relative one is looked up from the working directory.
pub(super) fn path() -> Shape<PathBuf> {
    text_that("a path in quotes", "a path: it is empty", |text| {
        (!text.is_empty()).then(|| PathBuf::from(text))
    })
}

/// An IP address and a port to listen on.
pub(super) fn address() -> Shape<SocketAddr> {
    text_that("\"IP:PORT\", such as \"127.0.0.1:9600\"", "an IP address with a port", |text| {
        text.parse().ok()
    })
}

/// The longest name Kafka gives a topic, in characters (Kafka's `Topic.MAX_NAME_LENGTH`).
const TOPIC_CHARS_MAX: usize = 249;

fn is_kafka_name(text: &str, chars_max: usize) -> bool {
    text.len() <= chars_max
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The name of a topic.
pub(super) fn topic() -> Shape<String> {
    let allowed = "a topic's name: 1 to 249 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"";
    text_that(allowed, "a topic's name", |text| {
        let good = is_kafka_name(text, TOPIC_CHARS_MAX) && !matches!(text, "" | "." | "..");
        good.then(|| text.to_owned())
    })
}

/// A part of a topic's, a group's or a transactional id's name; `chars` says how long it may be.
pub(super) fn name_part(chars: RangeInclusive<usize>) -> Shape<String> {
    let allowed = format!("{} to {} of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"", chars.start(), chars.end());
    text_that(allowed, "a name that Kafka takes", move |text| {
        (chars.contains(&text.len()) && is_kafka_name(text, *chars.end())).then(|| text.to_owned())
    })
}

/// A JSON Pointer (RFC 6901) to a field; the empty pointer, to the whole record, is none.
pub(super) fn pointer() -> Shape<String> {
    text_that("a JSON Pointer such as \"/merchant/id\"", "a JSON Pointer", |text| {
        let escapes_good = text.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'));
        (text.starts_with('/') && escapes_good).then(|| text.to_owned())
    })
}

/// One of a few words.
pub(super) fn choice<T: Clone + 'static>(words: &[(&'static str, T)]) -> Shape<T> {
    let names: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let words = words.to_vec();
    let allowed = match names.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", names.join(", ")),
    };
    text_that(allowed, "one of the words", move |text| {
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone())
    })
}

/// Several different words of a few, at least one: a list, or in a variable separated by commas.
pub(super) fn choices<T: Clone + PartialEq + 'static>(words: &[(&'static str, T)]) -> Shape<Vec<T>> {
    let one = choice(words);
    let all: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    shape(format!("a list of one or more of {}", all.join(", ")), move |input| {
        let values: Result<Vec<T>, String> = match input {
            Input::Value(DeValue::Array(array)) => {
                array.iter().map(|entry| (one.read)(&Input::Value(entry.get_ref()))).collect()
            }
            Input::Value(_) => return Err("is not a list".to_owned()),
            Input::Text(text) => text.split(',').map(|word| (one.read)(&Input::Text(word.trim()))).collect(),
        };
        let values = values.map_err(|_| "holds something else than the words".to_owned())?;
        let repeated = values.iter().enumerate().any(|(n, value)| values[..n].contains(value));
        match values.len() {
            0 => Err("is empty".to_owned()),
            _ if repeated => Err("names one of them twice".to_owned()),
            _ => Ok(values),
        }
    })
}

/// Some different words of a few, in a list, or none.
pub(super) fn few<T: Clone + PartialEq + 'static>(words: &[(&'static str, T)]) -> Shape<Vec<T>> {
    let all: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let some = choices(words);
    shape(format!("a list of some of {}", all.join(", ")), move |input| match input {
        Input::Value(DeValue::Array(array)) if array.is_empty() => Ok(Vec::new()),
        _ => (some.read)(input),
    })
}

/// A list, each entry of which `one` reads.
pub(super) fn list<T: 'static>(one: Shape<T>) -> Shape<Vec<T>> {
    shape(format!("a list of {}", one.allowed), move |input| match input {
        Input::Value(DeValue::Array(array)) => {
            let entry = |(place, entry): (usize, &toml::Spanned<DeValue<'_>>)| {
                let read = (one.read)(&Input::Value(entry.get_ref()));
                read.map_err(|wrong| format!("{wrong} in entry {}", place + 1))
            };
            array.iter().enumerate().map(entry).collect()
        }
        _ => Err("is not a list".to_owned()),
    })
}

/// A whole number within a range; `unit` follows it in words ("" for none).
pub(super) fn whole<T>(range: RangeInclusive<u32>, unit: &'static str) -> Shape<T>
where
    T: TryFrom<u32> + 'static,
{
    let (from, to) = (*range.start(), *range.end());
    let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
    shape(format!("a whole number from {from} to {to}{unit}"), move |input| {
        let number = input.integer().ok_or("is not a whole number")?;
        u32::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| "is out of range".to_owned())
    })
}

/// Yes or no.
pub(super) fn truth() -> Shape<bool> {
    shape("true or false", |input| match input {
        Input::Value(DeValue::Boolean(truth)) => Ok(*truth),
        Input::Text("true") => Ok(true),
        Input::Text("false") => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    })
}

/// A name of a-z, 0-9, - and _.
pub(super) fn slug(bytes_max: usize) -> Shape<String> {
    let allowed = format!("a name of 1 to {bytes_max} of a-z, 0-9, \"-\" and \"_\"");
    text_that(allowed, "such a name", move |text| is_slug(text, bytes_max).then(|| text.to_owned()))
}

/// A share: more than 0, at most 1.
pub(super) fn share() -> Shape<f64> {
    shape("a share above 0 and up to 1, such as 0.05", |input| {
        let number = input.number().ok_or("is not a number")?;
        if number > 0.0 && number <= 1.0 { Ok(number) } else { Err("is out of range".to_owned()) }
    })
}

/// A share that may be nothing: from 0 to 1.
pub(super) fn jitter() -> Shape<f64> {
    shape("a share from 0 to 1, such as 0.1", |input| {
        let number = input.number().ok_or("is not a number")?;
        if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("is out of range".to_owned()) }
    })
}

/// A public key to seal to.
pub(super) fn sealing_key() -> Shape<PublicKey> {
    let allowed = "a public key as `cardwatch dead-letters keygen` prints it";
    shape(allowed, |input| {
        let text = input.text().ok_or("is not a text in quotes")?;
        text.parse::<PublicKey>().map_err(|error| format!("is not a public key: {error}"))
    })
}

/// The units of a duration, the longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration with its unit, within a range.
pub(super) fn duration(from: &'static str, to: &'static str) -> Shape<Duration> {
    shape(format!("a duration from \"{from}\" to \"{to}\" (units: ms, s, m, h, d)"), move |input| {
        let text = input.text().ok_or("has no unit")?;
        let duration = read_duration(text).ok_or("is not a whole number with a unit")?;
        let within = read_duration(from).is_some_and(|from| from <= duration)
            && read_duration(to).is_some_and(|to| duration <= to);
        if within { Ok(duration) } else { Err("is out of range".to_owned()) }
    })
}

fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(*millis)?))
}

/// Whatever `words` names, or what `other` reads from a text or a TOML time.
pub(super) fn word_or<T: Clone + 'static>(
    words: &[(&'static str, T)],
    allowed: &'static str,
    what: &'static str,
    other: impl Fn(&str) -> Option<T> + 'static,
) -> Shape<T> {
    let words = words.to_vec();
    shape(allowed, move |input| {
        let text = match input {
            Input::Value(DeValue::Datetime(time)) => time.to_string(),
            _ => input.text().ok_or_else(|| format!("is not {what}"))?.to_owned(),
        };
        let word = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        word.or_else(|| other(&text)).ok_or_else(|| format!("is not {what}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(shape: &Shape<T>, toml: &str) -> Result<T, String> {
        let value = DeValue::parse(toml).unwrap();
        (shape.read)(&Input::Value(value.get_ref()))
    }

    #[test]
    fn durations_carry_their_unit_and_stay_in_range() {
        let shape = duration("1ms", "7d");
        for (toml, want) in [
            ("\"5ms\"", Ok(5)),
            ("\"10s\"", Ok(10_000)),
            ("\"5m\"", Ok(300_000)),
            ("\"24h\"", Ok(86_400_000)),
            ("\"7d\"", Ok(604_800_000)),
            ("\"8d\"", Err("is out of range")),
            ("\"0s\"", Err("is out of range")),
            ("10", Err("has no unit")),
            ("\"10\"", Err("is not a whole number with a unit")),
            ("\"1.5s\"", Err("is not a whole number with a unit")),
            ("\"-1s\"", Err("is not a whole number with a unit")),
            ("\"\"", Err("is not a whole number with a unit")),
            ("\"99999999999999999999s\"", Err("is not a whole number with a unit")),
        ] {
            let got = read(&shape, toml);
            assert_eq!(got, want.map(Duration::from_millis).map_err(str::to_owned), "{toml}");
        }
    }

    #[test]
    fn whole_numbers_are_read_in_every_notation_and_bounded() {
        let shape = whole::<usize>(1..=64, "");
        for (toml, want) in [
            ("1", Ok(1)),
            ("0x10", Ok(16)),
            ("6_4", Ok(64)),
            ("0", Err("is out of range")),
            ("-1", Err("is out of range")),
            ("65", Err("is out of range")),
            ("99999999999999999999", Err("is out of range")),
            ("1.0", Err("is not a whole number")),
            ("\"1\"", Err("is not a whole number")),
        ] {
            assert_eq!(read(&shape, toml), want.map_err(str::to_owned), "{toml}");
        }
        assert_eq!((shape.read)(&Input::Text("8")), Ok(8));
    }

    #[test]
    fn pointers_servers_and_topics_are_checked() {
        for (toml, good) in [
            ("\"/a/b\"", true),
            ("\"/a~1b~0\"", true),
            ("\"/\"", true),
            ("\"a\"", false),
            ("\"\"", false),
            ("\"/a~2\"", false),
            ("\"/a~\"", false),
        ] {
            assert_eq!(read(&pointer(), toml).is_ok(), good, "{toml}");
        }
        for (toml, good) in [
            ("\"a:9092\"", true),
            ("\"a:9092,[::1]:9093\"", true),
            ("\"a\"", false),
            ("\"a:0\"", false),
            ("\"a:9092,\"", false),
            ("\":9092\"", false),
        ] {
            assert_eq!(read(&servers(), toml).is_ok(), good, "{toml}");
        }
        let long = format!("\"{}\"", "t".repeat(250));
        for (toml, good) in [("\"a.b_c-D9\"", true), ("\"..\"", false), ("\"a b\"", false), (&long, false)] {
            assert_eq!(read(&topic(), toml).is_ok(), good, "{toml}");
        }
    }

    #[test]
    fn a_list_of_words_is_not_empty_and_repeats_nothing() {
        let shape = choices(&[("sight", 1), ("score", 2)]);
        assert_eq!(read(&shape, "[\"score\", \"sight\"]"), Ok(vec![2, 1]));
        for toml in ["[]", "[\"sight\", \"sight\"]", "[\"notify\"]", "\"sight\"", "[1]"] {
            assert!(read(&shape, toml).is_err(), "{toml}");
        }
        assert_eq!((shape.read)(&Input::Text("sight, score")), Ok(vec![1, 2]));
    }
}
