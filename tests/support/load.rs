//! A load that arrives as it would in production: at its own pace, whatever the program makes of it.

use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::check::Input;
use super::records::{Outgoing, Producer};
use super::wait;

/// What to offer. The same specification makes the same transactions, whenever it is run.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Where all randomness comes from.
    pub seed: u64,
    /// Transactions a second.
    pub rate: u32,
    /// For how long.
    pub seconds: u32,
    /// How many cards are used.
    pub cards: usize,
    /// How many of 100 cards are exposed.
    pub exposed_percent: u32,
    /// Partitions of the input topic. Written to at random: sight must not care.
    pub partitions: i32,
}

/// One transaction to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// When, since the start of the load.
    pub at: Duration,
    /// Its number, from 0.
    pub number: u64,
    /// Which card.
    pub card: usize,
    /// Which partition.
    pub partition: i32,
    /// How much, in minor units of a currency with two places.
    pub amount: u32,
    /// Which merchant.
    pub merchant: u32,
}

/// What was offered.
#[derive(Debug)]
pub struct Offered {
    /// Every transaction with the place it came to stand, in the order sent.
    pub inputs: Vec<Input>,
    /// How far the sending fell behind its own schedule at worst. A load that was late was not open loop.
    pub latest: Duration,
}

impl Load {
    /// How many transactions there will be.
    pub fn count(&self) -> u64 {
        u64::from(self.rate) * u64::from(self.seconds)
    }

    /// Whether a card is exposed. Spread evenly, so that any stretch of cards has its share.
    pub fn is_exposed(&self, card: usize) -> bool {
        (card as u64 * 37) % 100 < u64::from(self.exposed_percent)
    }

    /// The exposed cards.
    pub fn exposed(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.cards).filter(|card| self.is_exposed(*card))
    }

    /// The transactions in order of time.
    pub fn plan(&self) -> impl Iterator<Item = Planned> + use<> {
        let load = *self;
        let mut random = ChaCha8Rng::seed_from_u64(load.seed);
        (0..load.count()).map(move |number| {
            // One in each of its equal slots, anywhere in it: neither in step nor in bursts.
            let within: f64 = random.random();
            Planned {
                at: Duration::from_secs_f64((number as f64 + within) / f64::from(load.rate)),
                number,
                card: random.random_range(0..load.cards),
                partition: random.random_range(0..load.partitions),
                amount: amount(&mut random),
                merchant: random.random_range(0..500),
            }
        })
    }

    /// Offers the load, one record after the other at its time.
    ///
    /// Open loop: a record goes out when it is due and not when the one before was acknowledged, so a stall
    /// of the program or the broker is felt by everything that arrives meanwhile. Record timestamps are
    /// the *planned* times, so latency measured from them counts a late send as well.
    pub fn offer(&self, producer: &Producer, topic: &str) -> Offered {
        self.offer_while(producer, topic, || true)
    }

    /// As [`Load::offer`], and no more once `go_on` says so.
    pub fn offer_while(&self, producer: &Producer, topic: &str, go_on: impl Fn() -> bool) -> Offered {
        let already = producer.places().len();
        let (start, wall) = (wait::now(), SystemClock.now().millis());
        let (mut cards, mut latest) = (Vec::new(), Duration::ZERO);
        for planned in self.plan().take_while(|_| go_on()) {
            let due = start + planned.at;
            while let Some(early) = due.checked_duration_since(wait::now()).filter(|early| !early.is_zero()) {
                producer.poll();
                // A millisecond at a time at most: the client's delivery reports want serving.
                wait::pause(early.min(Duration::from_millis(1)));
            }
            latest = latest.max(wait::now().saturating_duration_since(due));
            let at = wall + i64::try_from(planned.at.as_millis()).expect("hours at most");
            let outgoing = Outgoing::to(topic).partition(planned.partition).timestamp(at);
            producer.send(&outgoing.value(planned.json(at)));
            cards.push(planned.card);
        }
        let places = producer.places().split_off(already);
        let inputs = places.iter().zip(cards).map(|(place, card)| Input {
            topic: topic.to_owned(),
            partition: place.partition,
            offset: place.offset,
            card,
        });
        Offered { inputs: inputs.collect(), latest }
    }
}

impl Planned {
    /// The transaction as the default mapping reads it, about 300 bytes.
    pub fn json(&self, at_ms: i64) -> String {
        let at = jiff::Timestamp::from_millisecond(at_ms).expect("a time of our days");
        let online = self.merchant.is_multiple_of(3);
        let (channel, credential) = if online { ("ecom", "keyed") } else { ("pos", "chip") };
        format!(
            r#"{{"id":"tx-{}","at":"{at}","card":"{}","kind":"authorization","outcome":"approved","amount":"{}.{:02}","currency":"EUR","merchant":{{"id":"m-{}","name":"Merchant {}","mcc":"{}","country":"NL"}},"channel":"{channel}","initiation":"cardholder","credential":"{credential}"}}"#,
            self.number,
            card_number(self.card),
            self.amount / 100,
            self.amount % 100,
            self.merchant,
            self.merchant,
            5_400 + self.merchant % 100,
        )
    }
}

/// Mostly small, at times large.
fn amount(random: &mut impl Rng) -> u32 {
    if random.random_ratio(1, 20) {
        random.random_range(20_000..90_000)
    } else {
        random.random_range(100..8_000)
    }
}

/// The number of a card: 16 digits that pass the Luhn check, of a range no issuer has.
pub fn card_number(card: usize) -> String {
    let mut digits = format!("999917{card:09}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    digits.push(char::from_digit((10 - sum % 10) % 10, 10).expect("a digit"));
    digits
}
