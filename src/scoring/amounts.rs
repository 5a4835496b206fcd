//! What is small and what is large, currency by currency.

use std::collections::BTreeMap;

use crate::domain::money::Currency;

/// The two limits of a currency, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Amounts up to this are small: what a thief tries a card with.
    pub small: i64,
    /// Amounts from this on are large: worth stealing by themselves.
    pub large: i64,
}

/// Limits by currency. A currency without an entry has neither small nor large amounts: the signals are
/// unknown, because a guess from another currency would be wrong by its exchange rate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amounts(BTreeMap<Currency, Limits>);

impl Amounts {
    /// Sets the limits of a currency.
    pub fn set(&mut self, currency: Currency, limits: Limits) {
        self.0.insert(currency, limits);
    }

    /// The limits of a currency.
    pub fn of(&self, currency: Currency) -> Option<Limits> {
        self.0.get(&currency).copied()
    }

    /// Every currency with its limits, by code.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Limits)> {
        self.0.iter().map(|(currency, limits)| (*currency, *limits))
    }
}
