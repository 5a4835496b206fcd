//! The breach: who entered a card at the shop and when, and what the company made public of it.

use rand::RngExt;

use crate::domain::incident::{Details, Element, Period, WatchPeriod};
use crate::domain::time::Timestamp;

use super::number::NumberText;
use super::spec::{DayRange, WorldSpec};
use super::world::World;
use super::{Purpose, random};

/// The incident's id.
pub const INCIDENT: &str = "asagiri-shop";

/// Of the cards really exposed, the share that was entered in the days both periods cover. They are 28 % of the
/// founding incident's days; a shop's last year is its busiest.
const ENTERED_IN_OVERLAP: f64 = 0.6;

/// The shop's order book, as far as the breach is concerned.
#[derive(Debug)]
pub(super) struct OrderBook {
    /// Cards on both lists.
    pub(super) kept: Vec<u32>,
    /// Cards that only the revision names.
    pub(super) added: Vec<u32>,
    /// Cards that only the first list names: entered after the exposure had ended.
    pub(super) withdrawn: Vec<u32>,
    /// When each of them was entered: day and card, sorted.
    pub(super) entries: Vec<(i32, u32)>,
}

impl OrderBook {
    pub(super) fn new(spec: &WorldSpec) -> OrderBook {
        let mut rng = random(spec.seed, Purpose::Breach, 0, 0);
        let exposed = (f64::from(spec.cards) * spec.exposed_share).round() as usize;
        let listed = (exposed as f64 * spec.first_list_share).round() as usize;
        let kept = ((exposed as f64 * ENTERED_IN_OVERLAP).round() as usize).min(listed);
        let customers = (exposed + listed - kept).min(spec.cards as usize);

        // The first places of a shuffle.
        let mut cards: Vec<u32> = (0..spec.cards).collect();
        for place in 0..customers {
            let other = rng.random_range(place..cards.len());
            cards.swap(place, other);
        }
        let first = spec.first_exposure();
        let periods = [
            (&cards[..kept], DayRange { from: first.from, until: spec.exposure.until }),
            (&cards[kept..exposed], DayRange { from: spec.exposure.from, until: first.from - 1 }),
            (&cards[exposed..customers], DayRange { from: spec.exposure.until + 1, until: first.until }),
        ];
        let mut entries: Vec<(i32, u32)> = Vec::with_capacity(customers);
        for (cards, days) in periods {
            for &card in cards {
                entries.push((rng.random_range(days.from..=days.until.max(days.from)), card));
            }
        }
        entries.sort_unstable();
        let sorted = |cards: &[u32]| {
            let mut cards = cards.to_vec();
            cards.sort_unstable();
            cards
        };
        OrderBook {
            kept: sorted(periods[0].0),
            added: sorted(periods[1].0),
            withdrawn: sorted(periods[2].0),
            entries,
        }
    }

    /// How many cards were really exposed.
    pub(super) fn exposed(&self) -> usize {
        self.kept.len() + self.added.len()
    }

    /// A card that was really exposed, `place` below [`OrderBook::exposed`].
    pub(super) fn exposed_card(&self, place: usize) -> u32 {
        let split = self.kept.len();
        if place < split { self.kept[place] } else { self.added[place - split] }
    }

    /// The cards entered at the shop on `day`.
    pub(super) fn entered_on(&self, day: i32) -> &[(i32, u32)] {
        let from = self.entries.partition_point(|(entered, _)| *entered < day);
        let until = self.entries.partition_point(|(entered, _)| *entered <= day);
        &self.entries[from..until]
    }
}

/// What the incident says of itself, with an exposure from `days`.
pub(super) fn details(spec: &WorldSpec, days: DayRange, elements: Vec<Element>, watch_ends: bool) -> Details {
    Details {
        name: "Asagiri web shop".to_owned(),
        party: "Asagiri Health Foods KK".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        exposure: Period { from: date(spec.day_start(days.from)), until: date(spec.day_start(days.until)) },
        // Nobody knows at first for how long to watch; the revision says a year past what we simulate.
        watch: WatchPeriod {
            from: None,
            until: watch_ends.then(|| date(spec.day_start(spec.days as i32 + 365))),
        },
        elements,
    }
}

/// The date in Tokyo, which has had no summer time since 1951.
fn date(at: Timestamp) -> jiff::civil::Date {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
    jiff::tz::Offset::constant(9).to_datetime(at).date()
}

/// A card as a list names it.
#[derive(Debug, Clone)]
pub struct ListedCard {
    /// The index of the card.
    pub card: u32,
    /// Its number.
    pub number: NumberText,
    /// Its expiry date, `MM/YY`.
    pub expiry: String,
    /// The reference of its account.
    pub account: String,
}

/// The first notice: what the company makes known at first, partly wrong.
#[derive(Debug)]
pub struct Notice<'w> {
    pub(super) world: &'w World,
    pub(super) first: [&'w [u32]; 2],
    /// When it arrives.
    pub at: Timestamp,
    /// What it says of the incident.
    pub details: Details,
}

impl Notice<'_> {
    /// How many cards are on the list.
    pub fn len(&self) -> usize {
        self.first.iter().map(|cards| cards.len()).sum()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cards on the list.
    pub fn cards(&self) -> impl Iterator<Item = ListedCard> {
        self.first.iter().flat_map(|cards| cards.iter()).map(|&card| self.world.listed(card))
    }
}

/// The first revision: cards added *and* withdrawn, the period and the elements corrected.
#[derive(Debug)]
pub struct Change<'w> {
    pub(super) world: &'w World,
    pub(super) added: &'w [u32],
    pub(super) withdrawn: &'w [u32],
    /// When it arrives.
    pub at: Timestamp,
    /// What the incident says of itself from then on.
    pub details: Details,
}

impl Change<'_> {
    /// Cards that are on the list from now on.
    pub fn added(&self) -> impl ExactSizeIterator<Item = ListedCard> {
        self.added.iter().map(|&card| self.world.listed(card))
    }

    /// Cards that are no longer on the list.
    pub fn withdrawn(&self) -> impl ExactSizeIterator<Item = ListedCard> {
        self.withdrawn.iter().map(|&card| self.world.listed(card))
    }
}

/// A list as a CSV file with the header `pan,expiry,account`.
pub fn csv(cards: impl Iterator<Item = ListedCard>) -> String {
    let mut text = String::from("pan,expiry,account\n");
    for card in cards {
        text.push_str(&format!("{},{},{}\n", card.number.as_str(), card.expiry, card.account));
    }
    text
}
