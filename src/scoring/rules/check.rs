//! The conditions of rules: over signals.

use crate::scoring::condition::{self, Kind, Values, Vocabulary, Wrong};
use crate::scoring::signals::{Signal, SignalSet, SignalType, Signals, Value};

/// A checked condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) node: condition::Condition<Signal>,
    pub(super) reads: SignalSet,
}

/// Parses and checks a condition.
pub(super) fn condition(text: &str) -> Result<Condition, Vec<Wrong>> {
    let node = condition::condition::<Signal>(text)?;
    let mut reads = SignalSet::default();
    node.reads().iter().for_each(|signal| reads.insert(*signal));
    Ok(Condition { node, reads })
}

impl Vocabulary for Signal {
    const ALL: &'static [Signal] = Signal::ALL;
    const NOUN: &'static str = "signal";
    const OWNER: &'static str = "rule";

    fn name(self) -> &'static str {
        Signal::name(self)
    }

    fn kind(self) -> Kind {
        match Signal::kind(self) {
            SignalType::Bool => Kind::Bool,
            SignalType::Int | SignalType::Amount => Kind::Int,
            SignalType::Double => Kind::Double,
            SignalType::Text => Kind::Text,
            SignalType::Word(words) => Kind::Word(words),
        }
    }
}

impl<'v> Values<'v, Signal> for Signals<'v> {
    #[inline]
    fn get(&self, signal: Signal) -> Value<'v> {
        Signals::get(self, signal)
    }
}
