//! A mapping proposed from a sample of records, by the names of their members and the shapes of their values.
//!
//! A value is looked at and forgotten; what is kept of a place is how often each [trait](evidence) held. So the
//! proposal can say why, and says no value but words of our own lists ("approved", "ecom") as the house spells
//! them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::json;
use super::mapping::RECORD_BYTES_MAX;

mod choose;
mod evidence;
mod names;
mod text;

use evidence::{Evidence, Scalar};

/// The most places that are told apart.
const PLACES_MAX: usize = 2_000;
/// Elements of an array that are looked at.
const ELEMENTS_MAX: usize = 2;
/// The deepest place that a pointer may name.
const STEPS_MAX: usize = super::pointer::POINTER_STEPS_MAX;
/// A name with so many digits is data, not a name: a card number may stand there.
const NAME_DIGITS_MAX: usize = 5;
/// The longest name that is one.
const NAME_BYTES_MAX: usize = 64;

/// What was seen of a sample.
#[derive(Debug, Default)]
pub struct Suggester {
    records: u64,
    unreadable: u64,
    places: BTreeMap<String, Evidence>,
}

impl Suggester {
    /// Takes one record; `None` is a tombstone.
    pub fn take(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        self.records += 1;
        let read = (value.len() <= RECORD_BYTES_MAX)
            .then(|| std::str::from_utf8(value).ok())
            .flatten()
            .and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        match read {
            Some(raw) => self.walk(raw.get(), &mut String::new(), 0),
            None => self.unreadable += 1,
        }
    }

    /// Records with a value.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records that are not JSON.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The proposal as TOML, each line with its evidence. `about` says what was looked at.
    pub fn proposal(&self, about: &str) -> String {
        text::write(&choose::choose(&self.places, self.records - self.unreadable), about)
    }

    /// Whether anything was found that can be a card.
    pub fn has_card(&self) -> bool {
        choose::choose(&self.places, self.records - self.unreadable).card.is_some()
    }

    fn walk(&mut self, raw: &str, path: &mut String, steps: usize) {
        match raw.as_bytes().first() {
            Some(b'{') if steps < STEPS_MAX => {
                let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) else { return };
                for (name, value) in members {
                    if is_name(&name) {
                        let step = name.replace('~', "~0").replace('/', "~1");
                        self.step(&step, value.get(), path, steps);
                    }
                }
            }
            Some(b'[') if steps < STEPS_MAX => {
                let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return };
                for (place, value) in elements.into_iter().take(ELEMENTS_MAX).enumerate() {
                    self.step(&place.to_string(), value.get(), path, steps);
                }
            }
            Some(b'{' | b'[' | b'n') | None => {}
            Some(_) => self.leaf(raw, path),
        }
    }

    fn step(&mut self, name: &str, raw: &str, path: &mut String, steps: usize) {
        let before = path.len();
        path.push('/');
        path.push_str(name);
        self.walk(raw, path, steps + 1);
        path.truncate(before);
    }

    fn leaf(&mut self, raw: &str, path: &str) {
        if path.is_empty() || (!self.places.contains_key(path) && self.places.len() >= PLACES_MAX) {
            return;
        }
        let evidence = self.places.entry(path.to_owned()).or_default();
        match json::inside_quotes(raw) {
            Some(inside) if memchr::memchr(b'\\', inside.as_bytes()).is_none() => {
                evidence.take(Scalar::Text(inside));
            }
            Some(inside) => {
                let mut text = Zeroizing::new(String::new());
                if json::unescape(inside, &mut text).is_ok() {
                    evidence.take(Scalar::Text(&text));
                }
            }
            None if raw == "true" || raw == "false" => evidence.take(Scalar::Truth),
            None => evidence.take(Scalar::Number(raw)),
        }
    }
}

/// Whether a member's name can be one that a person chose.
fn is_name(name: &str) -> bool {
    let digits = name.chars().filter(|char| char.is_numeric()).count();
    digits <= NAME_DIGITS_MAX && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
