//! A checked condition, and its value for what it is asked about.
//!
//! Three-valued: an unknown name makes what is computed from it unknown, except that `false && x` is
//! false and `true || x` is true whatever `x` is. A whole-number overflow is unknown as well.

use std::cmp::Ordering;

use crate::scoring::signals::Value;

use super::Values;

/// A node of a condition. Only [`super::condition`] makes them, so types always fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<N> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Name(N),
    /// `known(name)`: whether the name has a value.
    Known(N),
    /// `"text" in name`: whether the texts of the name have this one among them.
    Holds(N, Box<str>),
    Not(Box<Node<N>>),
    Negate(Box<Node<N>>),
    All(Vec<Node<N>>),
    Any(Vec<Node<N>>),
    /// Condition, value if true, value if false.
    Choose(Box<[Node<N>; 3]>),
    Arithmetic(Arithmetic, Box<[Node<N>; 2]>),
    Compare(Comparison, Box<[Node<N>; 2]>),
    OneOf(Box<Node<N>>, Vec<Node<N>>),
    Match(TextMatch, Box<Node<N>>, Box<str>),
}

/// An operation on two numbers of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A question about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextMatch {
    StartsWith,
    EndsWith,
    Contains,
}

impl<N: Copy> Node<N> {
    /// The value under these values of the names.
    pub(super) fn value<'v, V: Values<'v, N>>(&'v self, values: &V) -> Value<'v> {
        match self {
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Double(value) => Value::Double(*value),
            Node::Text(text) => Value::Text(text),
            Node::Name(name) => values.get(*name),
            Node::Known(name) => Value::Bool(values.is_known(*name)),
            Node::Holds(name, text) => values.holds(*name, text).into(),
            Node::Not(inner) => match inner.value(values) {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Unknown,
            },
            Node::Negate(inner) => match inner.value(values) {
                Value::Int(value) => value.checked_neg().into(),
                Value::Double(value) => Value::Double(-value),
                _ => Value::Unknown,
            },
            Node::All(terms) => decided_by(false, terms, values),
            Node::Any(terms) => decided_by(true, terms, values),
            Node::Choose(parts) => match parts[0].value(values) {
                Value::Bool(true) => parts[1].value(values),
                Value::Bool(false) => parts[2].value(values),
                _ => Value::Unknown,
            },
            Node::Arithmetic(operation, sides) => {
                operation.apply(sides[0].value(values), sides[1].value(values))
            }
            Node::Compare(comparison, sides) => {
                comparison.apply(sides[0].value(values), sides[1].value(values))
            }
            Node::OneOf(inner, list) => match inner.value(values) {
                Value::Unknown => Value::Unknown,
                value => list
                    .iter()
                    .any(|item| Comparison::Equal.apply(value, item.value(values)) == Value::Bool(true))
                    .into(),
            },
            Node::Match(question, inner, part) => match inner.value(values) {
                Value::Text(text) => match question {
                    TextMatch::StartsWith => text.starts_with(&**part),
                    TextMatch::EndsWith => text.ends_with(&**part),
                    TextMatch::Contains => text.contains(&**part),
                }
                .into(),
                _ => Value::Unknown,
            },
        }
    }
}

/// `&&` (decided by false) or `||` (decided by true): the deciding value wins, then unknown.
fn decided_by<'v, N: Copy, V: Values<'v, N>>(deciding: bool, terms: &'v [Node<N>], values: &V) -> Value<'v> {
    let mut value = Value::Bool(!deciding);
    for term in terms {
        match term.value(values) {
            Value::Bool(term) if term == deciding => return Value::Bool(deciding),
            Value::Bool(_) => {}
            _ => value = Value::Unknown,
        }
    }
    value
}

impl Arithmetic {
    fn apply<'v>(self, left: Value<'v>, right: Value<'v>) -> Value<'v> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => match self {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide => left.checked_div(right),
                Arithmetic::Remainder => left.checked_rem(right),
            }
            .into(),
            (Value::Double(left), Value::Double(right)) => match self {
                Arithmetic::Add => Value::Double(left + right),
                Arithmetic::Subtract => Value::Double(left - right),
                Arithmetic::Multiply => Value::Double(left * right),
                Arithmetic::Divide => Value::Double(left / right),
                Arithmetic::Remainder => Value::Unknown,
            },
            _ => Value::Unknown,
        }
    }
}

impl Comparison {
    fn apply<'v>(self, left: Value<'v>, right: Value<'v>) -> Value<'v> {
        let order = match (left, right) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
            (Value::Double(left), Value::Double(right)) => left.partial_cmp(&right),
            (Value::Int(left), Value::Double(right)) => (left as f64).partial_cmp(&right),
            (Value::Double(left), Value::Int(right)) => left.partial_cmp(&(right as f64)),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(&right)),
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            _ => return Value::Unknown,
        };
        Value::Bool(match self {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::NotEqual => order != Some(Ordering::Equal),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }
}
