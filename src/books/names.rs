//! Which fingerprints are one card.

use std::collections::HashMap;

use crate::domain::card::Fingerprint;

/// The cards that have several fingerprints, each known by the lowest of them.
#[derive(Debug, Default)]
pub(super) struct Cards {
    of: HashMap<Fingerprint, Fingerprint>,
    names: HashMap<Fingerprint, Vec<Fingerprint>>,
}

impl Cards {
    /// Joins every fingerprint with the others that are told of it, and these with theirs.
    pub(super) fn new<'a>(told: impl Iterator<Item = (&'a Fingerprint, &'a [Fingerprint])>) -> Cards {
        let mut above: HashMap<Fingerprint, Fingerprint> = HashMap::new();
        for (card, others) in told {
            for other in others {
                let (one, two) = (top(&mut above, *card), top(&mut above, *other));
                above.insert(one.max(two), one.min(two));
            }
        }
        let mut cards = Cards::default();
        for name in above.keys().copied().collect::<Vec<_>>() {
            let card = top(&mut above, name);
            cards.of.insert(name, card);
            cards.names.entry(card).or_default().push(name);
        }
        cards
    }

    /// The card of a fingerprint.
    pub(super) fn of(&self, name: &Fingerprint) -> Fingerprint {
        self.of.get(name).copied().unwrap_or(*name)
    }

    /// All fingerprints of a card; none where it has but one.
    pub(super) fn names(&self, card: &Fingerprint) -> &[Fingerprint] {
        self.names.get(card).map_or(&[], Vec::as_slice)
    }
}

/// The lowest fingerprint that is known to be of the same card, with the way there shortened.
fn top(above: &mut HashMap<Fingerprint, Fingerprint>, name: Fingerprint) -> Fingerprint {
    let mut top = name;
    while let Some(next) = above.get(&top).filter(|next| **next != top) {
        top = *next;
    }
    above.insert(name, top);
    top
}
