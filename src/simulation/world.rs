//! The world: its inhabitants, its stream of transactions, its truth.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;

use rand::RngExt;

use crate::domain::incident::Element;
use crate::domain::time::Timestamp;

use super::breach::{Change, ListedCard, Notice, OrderBook, details};
use super::customer::CardDay;
use super::event::{Event, Purchase, Scheme, Truth, account_text, id_number, id_text, write_json};
use super::holder::Holder;
use super::merchant::Merchants;
use super::number::{self, NumberText};
use super::spec::{SpecError, WorldSpec};
use super::{Purpose, random, thief};

/// A world with everybody in it. Transactions are made day by day as [`World::events`] is read.
pub struct World {
    spec: WorldSpec,
    merchants: Merchants,
    holders: Vec<Holder>,
    book: OrderBook,
    /// In time order.
    misuse: Vec<Purchase>,
    /// Place in `misuse` by transaction id.
    misuse_ids: HashMap<u64, u32>,
}

/// One transaction by a thief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MisuseRecord {
    /// The transaction's id.
    pub id: String,
    /// The index of the card.
    pub card: u32,
    /// When.
    pub at: Timestamp,
    /// How the thief goes about it.
    pub scheme: Scheme,
}

impl World {
    /// Makes a world.
    ///
    /// # Errors
    /// [`SpecError`] when the spec is out of bounds.
    pub fn new(spec: WorldSpec) -> Result<World, SpecError> {
        spec.check()?;
        let merchants = Merchants::new(spec.seed, spec.merchants);
        let holders: Vec<Holder> = (0..spec.cards).map(|card| Holder::new(&spec, &merchants, card)).collect();
        let book = OrderBook::new(&spec);
        let mut misuse: Vec<Purchase> = victims(&spec, &book)
            .into_iter()
            .flat_map(|card| thief::misuse(&spec, &merchants, &holders[card as usize], card))
            .collect();
        misuse.sort_by_key(|purchase| (purchase.at, purchase.serial));
        let misuse_ids =
            misuse.iter().zip(0..).map(|(purchase, place)| (purchase.id(spec.seed), place)).collect();
        Ok(World { spec, merchants, holders, book, misuse, misuse_ids })
    }

    /// What this world was made from.
    pub fn spec(&self) -> &WorldSpec {
        &self.spec
    }

    /// Every transaction in time order. Only a day's worth is in memory at a time, besides clearings and
    /// refunds still to come.
    pub fn events(&self) -> Events<'_> {
        Events { world: self, day: 0, today: Vec::new().into_iter(), later: BinaryHeap::new(), thieves: 0 }
    }

    /// The first notice and its list.
    pub fn first_notice(&self) -> Notice<'_> {
        let mut elements = vec![Element::Pan, Element::Name, Element::Expiry];
        if self.spec.first_notice_names_code {
            elements.push(Element::SecurityCode);
        }
        Notice {
            world: self,
            first: [&self.book.kept, &self.book.withdrawn],
            at: self.spec.notice_at(),
            details: details(&self.spec, self.spec.first_exposure(), elements, false),
        }
    }

    /// The first revision of the list.
    pub fn revision(&self) -> Change<'_> {
        let elements = vec![Element::Pan, Element::Name, Element::Expiry];
        Change {
            world: self,
            added: &self.book.added,
            withdrawn: &self.book.withdrawn,
            at: self.spec.revision_at(),
            details: details(&self.spec, self.spec.exposure, elements, true),
        }
    }

    /// How many cards were really exposed: those on the list after the revision.
    pub fn exposed_cards(&self) -> usize {
        self.book.exposed()
    }

    /// The truth: every transaction by a thief, in time order.
    pub fn truth(&self) -> impl ExactSizeIterator<Item = MisuseRecord> {
        self.misuse.iter().map(|purchase| self.misuse_record(purchase))
    }

    /// The truth about the transaction with this id; `None` when it is genuine or not of this world.
    pub fn misuse(&self, id: &str) -> Option<MisuseRecord> {
        let place = self.misuse_ids.get(&id_number(id)?)?;
        self.misuse.get(*place as usize).map(|purchase| self.misuse_record(purchase))
    }

    /// Whether the transaction with this id is a thief's.
    pub fn is_misuse(&self, id: &str) -> bool {
        id_number(id).is_some_and(|id| self.misuse_ids.contains_key(&id))
    }

    /// The number of the card with this index.
    pub fn number(&self, card: u32) -> NumberText {
        number::number(self.spec.seed, card)
    }

    /// The card with this index as a list names it.
    pub(super) fn listed(&self, card: u32) -> ListedCard {
        let (month, year) = self.holders[card as usize].expiry;
        ListedCard {
            card,
            number: self.number(card),
            expiry: format!("{month:02}/{year:02}"),
            account: account_text(card),
        }
    }

    fn misuse_record(&self, purchase: &Purchase) -> MisuseRecord {
        let scheme = match purchase.truth {
            Truth::Misuse { scheme } => scheme,
            Truth::Genuine => Scheme::Quiet,
        };
        MisuseRecord {
            id: id_text(purchase.id(self.spec.seed)),
            card: purchase.card,
            at: purchase.at,
            scheme,
        }
    }

    fn event(&self, purchase: &Purchase) -> Event {
        let id = id_text(purchase.id(self.spec.seed));
        let mut json = Vec::with_capacity(420);
        let holder = &self.holders[purchase.card as usize];
        write_json(&mut json, purchase, &id, self.number(purchase.card), holder, &self.merchants);
        Event { at: purchase.at, card: purchase.card, truth: purchase.truth, id, json }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("spec", &self.spec)
            .field("exposed", &self.book.exposed())
            .field("misuse", &self.misuse.len())
            .finish_non_exhaustive()
    }
}

/// Which of the exposed cards are misused: exactly the share asked for, at least one if it is not 0.
fn victims(spec: &WorldSpec, book: &OrderBook) -> Vec<u32> {
    let exposed = book.exposed();
    let wanted = exposed as f64 * spec.misused_share;
    let count = if wanted > 0.0 { (wanted.round() as usize).max(1) } else { 0 };
    let mut rng = random(spec.seed, Purpose::Victims, 0, 0);
    let mut places: Vec<usize> = (0..exposed).collect();
    for place in 0..count {
        let other = rng.random_range(place..exposed);
        places.swap(place, other);
    }
    places[..count].iter().map(|&place| book.exposed_card(place)).collect()
}

/// A purchase that waits for its day. Ordered by time.
#[derive(Debug)]
struct Later(Purchase);

impl Later {
    fn order(&self) -> (Timestamp, u64, &'static str) {
        (self.0.at, self.0.serial, self.0.kind.as_str())
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Later) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Later {}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Later) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Later) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// The stream of a world's transactions, in time order.
#[derive(Debug)]
pub struct Events<'w> {
    world: &'w World,
    day: i32,
    today: std::vec::IntoIter<Purchase>,
    later: BinaryHeap<Reverse<Later>>,
    /// How many of the thieves' purchases have been handed out.
    thieves: usize,
}

impl Events<'_> {
    /// Everything of the next day, in time order.
    fn make_day(&mut self) {
        let World { spec, merchants, holders, book, misuse, .. } = self.world;
        let mut made = Vec::new();
        for (card, holder) in (0..).zip(holders) {
            CardDay::new(spec, merchants, holder, (card, self.day), &mut made).live();
        }
        for &(day, card) in book.entered_on(self.day) {
            CardDay::new(spec, merchants, &holders[card as usize], (card, day), &mut made).enter_at_shop();
        }
        let end = spec.day_start(self.day + 1);
        let (mut today, later): (Vec<Purchase>, Vec<Purchase>) =
            made.into_iter().partition(|purchase| purchase.at < end);
        self.later.extend(later.into_iter().map(|purchase| Reverse(Later(purchase))));
        while self.later.peek().is_some_and(|Reverse(next)| next.0.at < end) {
            today.extend(self.later.pop().map(|Reverse(next)| next.0));
        }
        while let Some(next) = misuse.get(self.thieves).filter(|next| next.at < end) {
            today.push(next.clone());
            self.thieves += 1;
        }
        today.sort_unstable_by_key(|purchase| (purchase.at, purchase.serial, purchase.kind.as_str()));
        self.today = today.into_iter();
        self.day += 1;
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(purchase) = self.today.next() {
                return Some(self.world.event(&purchase));
            }
            if self.day >= self.world.spec.days as i32 {
                return None;
            }
            self.make_day();
        }
    }
}
