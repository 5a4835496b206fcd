//! Conditions over a closed list of typed names: those of rules over signals, those of filters over alerts.
//!
//! Conditions are CEL (the Common Expression Language), parsed by the `cel` crate, which checks no
//! types. The part of CEL that makes sense over flat names is taken, the rest refused by name:
//!
//! - `&& || ! == != < <= > >= + - * / %`, `c ? a : b`, parentheses;
//! - whole numbers, decimals, texts, `true`, `false`; `x in [literals]`, and `"text" in x` of a list;
//! - `text.startsWith("…")`, `endsWith`, `contains`;
//! - `known(x)`: whether a name has a value (in place of CEL's `has`, which needs a message).
//!
//! The divisor of `/` and `%` is a literal other than zero, so that no condition can fail while judging.

mod check;
mod expression;
mod near;
mod types;

use std::fmt;

use super::signals::Value;
use expression::Node;

pub use check::condition;
pub use near::nearest;

/// The names that conditions of one sort may speak of.
pub trait Vocabulary: Copy + Eq + fmt::Debug + 'static {
    /// Every name, in the order in which they are shown.
    const ALL: &'static [Self];
    /// What a name is called in messages: "signal".
    const NOUN: &'static str;
    /// What such a condition belongs to: "rule".
    const OWNER: &'static str;

    /// The name, as conditions write it.
    fn name(self) -> &'static str;

    /// Its type.
    fn kind(self) -> Kind;
}

/// The type of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A decimal number.
    Double,
    /// One of a closed list of words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Several texts, of a closed list of words where it is not empty.
    Texts(&'static [&'static str]),
}

/// The values of the names for one thing that a condition is asked about.
pub trait Values<'v, N> {
    /// The value of a name. Of a name of [`Kind::Texts`] nobody asks for it.
    fn get(&self, name: N) -> Value<'v>;

    /// Whether the texts of a name of [`Kind::Texts`] have this one among them; `None` is unknown.
    fn holds(&self, _name: N, _text: &str) -> Option<bool> {
        None
    }

    /// Whether the name has a value.
    fn is_known(&self, name: N) -> bool {
        self.get(name) != Value::Unknown
    }
}

/// A checked condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition<N> {
    node: Node<N>,
    reads: Vec<N>,
    /// What was looked for in a list of texts.
    members: Vec<(N, String)>,
}

impl<N: Vocabulary> Condition<N> {
    /// True, false, or unknown where that depends on an unknown value.
    pub fn value<'v, V: Values<'v, N>>(&'v self, values: &V) -> Value<'v> {
        self.node.value(values)
    }

    /// The names that the condition reads, each once.
    pub fn reads(&self) -> &[N] {
        &self.reads
    }

    /// The texts that the condition looks for in lists, by list.
    pub fn members(&self) -> impl Iterator<Item = (N, &str)> {
        self.members.iter().map(|(name, text)| (*name, text.as_str()))
    }
}

/// Something wrong in a condition; `line` counts from 0 within its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 0.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}
