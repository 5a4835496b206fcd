//! Load for benchmarks: records of one size, made fast.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::domain::time::Timestamp;

use super::number::{self, NumberText};
use super::{Purpose, random};

/// The size of every record of a load, in bytes.
pub const RECORD_BYTES: usize = 245;

/// What a load is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadSpec {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// How many records.
    pub records: u64,
    /// Cards in circulation, 1 to 1,000,000,000; more are taken as that.
    pub cards: u32,
    /// The share of cards (and so of records) that are exposed, 0 to 1.
    pub exposed_share: f64,
    /// The time of the first record.
    pub start: Timestamp,
    /// Milliseconds from one record to the next, in thousandths: 20 is 50,000 records a second.
    pub step_micros: u32,
}

/// An endless-looking stream of records without habits or thieves, every one of [`RECORD_BYTES`] bytes.
#[derive(Debug)]
pub struct Load {
    spec: LoadSpec,
    exposed: u32,
    rng: ChaCha8Rng,
    made: u64,
    template: Vec<u8>,
    /// Offsets in the template: id, time, card, amount.
    slots: [usize; 4],
    day: i64,
}

const ID: &[u8] = b"IIIIIIIIIIIIIIII";
const TIME: &[u8] = b"YYYY-MM-DDTHH:MM:SS.mmmZ";
const CARD: &[u8] = b"CCCCCCCCCCCCCCCC";
const AMOUNT: &[u8] = b"AAAAA";
const PADDING: &[u8] = b"~";

impl Load {
    /// Begins a load.
    pub fn new(spec: LoadSpec) -> Load {
        let spec = LoadSpec { cards: spec.cards.clamp(1, 1_000_000_000), ..spec };
        let text = concat!(
            r#"{"id":"tx-IIIIIIIIIIIIIIII","at":"YYYY-MM-DDTHH:MM:SS.mmmZ","card":"CCCCCCCCCCCCCCCC","amount":"AAAAA","#,
            r#""currency":"JPY","merchant":{"id":"M00042","name":"Asagiri~","mcc":"5411","country":"JP"},"#,
            r#""channel":"ecom","initiation":"cardholder"}"#
        )
        .as_bytes();
        let mut template = text.to_vec();
        let place = find(&template, PADDING);
        let filler = vec![b'a'; RECORD_BYTES + PADDING.len() - template.len()];
        template.splice(place..=place, filler);
        let slots = [ID, TIME, CARD, AMOUNT].map(|mark| find(&template, mark));
        let exposed = (f64::from(spec.cards) * spec.exposed_share.clamp(0.0, 1.0)).round() as u32;
        let rng = random(spec.seed, Purpose::Load, 0, 0);
        Load { spec, exposed, rng, made: 0, template, slots, day: -1 }
    }

    /// The next record, valid until the next call, and whether its card is exposed; `None` after the last.
    pub fn next_record(&mut self) -> Option<(&[u8], bool)> {
        if self.made == self.spec.records {
            return None;
        }
        let after = self.made.saturating_mul(u64::from(self.spec.step_micros)) / 1000;
        let at = self.spec.start.plus_millis(i64::try_from(after).unwrap_or(i64::MAX));
        let card = self.rng.random_range(0..self.spec.cards);
        let amount = self.rng.random_range(10_000..100_000u64);
        let [id, time, number, minor] = self.slots;
        hexadecimal(&mut self.template[id..id + ID.len()], number::mix(self.made ^ self.spec.seed));
        self.write_time(time, at);
        self.template[number..number + CARD.len()]
            .copy_from_slice(load_number(self.spec.seed, card).as_str().as_bytes());
        decimal(&mut self.template[minor..minor + AMOUNT.len()], amount);
        self.made += 1;
        Some((&self.template, card < self.exposed))
    }

    /// The numbers of the exposed cards.
    pub fn exposed_numbers(&self) -> impl ExactSizeIterator<Item = NumberText> {
        let seed = self.spec.seed;
        (0..self.exposed).map(move |card| load_number(seed, card))
    }

    fn write_time(&mut self, slot: usize, at: Timestamp) {
        const DAY_MS: i64 = 86_400_000;
        let day = at.millis().div_euclid(DAY_MS);
        if day != self.day {
            self.day = day;
            self.template[slot..slot + TIME.len()].copy_from_slice(at.to_string().as_bytes());
        }
        let millis = at.millis().rem_euclid(DAY_MS) as u64;
        let parts = [
            (11, 2, millis / 3_600_000),
            (14, 2, millis / 60_000 % 60),
            (17, 2, millis / 1000 % 60),
            (20, 3, millis % 1000),
        ];
        for (offset, width, value) in parts {
            decimal(&mut self.template[slot + offset..slot + offset + width], value);
        }
    }
}

/// A number of 16 digits: records have one size.
fn load_number(seed: u64, card: u32) -> NumberText {
    // Of six prefixes the last has 15 digits; walk over the other five.
    number::number(seed, card / 5 * 6 + card % 5)
}

fn find(text: &[u8], mark: &[u8]) -> usize {
    memchr::memmem::find(text, mark).unwrap_or(0)
}

fn decimal(slot: &mut [u8], mut value: u64) {
    for digit in slot.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn hexadecimal(slot: &mut [u8], mut value: u64) {
    for digit in slot.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value % 16) as usize];
        value /= 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn spec() -> LoadSpec {
        LoadSpec {
            seed: 5,
            records: 20_000,
            cards: 10_000,
            exposed_share: 0.1,
            start: Timestamp(1_528_177_199_990),
            step_micros: 20,
        }
    }

    #[test]
    fn every_record_is_json_of_one_size_on_the_card_it_says() {
        let mut load = Load::new(spec());
        let exposed: HashSet<String> =
            load.exposed_numbers().map(|number| number.as_str().to_owned()).collect();
        assert_eq!(exposed.len(), 1_000);
        let (mut count, mut hits, mut ids) = (0u64, 0u64, HashSet::new());
        while let Some((record, is_exposed)) = load.next_record() {
            assert_eq!(record.len(), RECORD_BYTES);
            let json: serde_json::Value = serde_json::from_slice(record).unwrap();
            assert_eq!(exposed.contains(json["card"].as_str().unwrap()), is_exposed);
            let at = Timestamp::parse_rfc3339(json["at"].as_str().unwrap()).unwrap();
            assert_eq!(at, spec().start.plus_millis((count / 50) as i64));
            assert!(ids.insert(json["id"].as_str().unwrap().to_owned()));
            hits += u64::from(is_exposed);
            count += 1;
        }
        assert_eq!(count, 20_000);
        assert!((1_800..2_200).contains(&hits), "{hits}");
    }

    #[test]
    fn the_same_seed_gives_the_same_load_and_another_another() {
        let bytes = |spec: LoadSpec| {
            let mut load = Load::new(LoadSpec { records: 100, ..spec });
            let mut all = Vec::new();
            while let Some((record, _)) = load.next_record() {
                all.extend_from_slice(record);
            }
            all
        };
        assert_eq!(bytes(spec()), bytes(spec()));
        assert_ne!(bytes(spec()), bytes(LoadSpec { seed: 6, ..spec() }));
    }
}
