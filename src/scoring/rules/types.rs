//! The types of expressions and the operators between them.

use cel::common::ast::operators;

use crate::scoring::signals::{Signal, SignalType};

use super::expression::{Arithmetic, Comparison};

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
    /// A signal that holds one of these words.
    Word(Signal, &'static [&'static str]),
    /// Already complained about: fits everywhere.
    Any,
}

impl Type {
    /// Of a signal's value.
    pub(super) fn of(signal: Signal) -> Type {
        match signal.kind() {
            SignalType::Bool => Type::Bool,
            SignalType::Int | SignalType::Amount => Type::Int,
            SignalType::Double => Type::Double,
            SignalType::Text => Type::Text,
            SignalType::Word(words) => Type::Word(signal, words),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Bool => "true or false",
            Type::Int => "a whole number",
            Type::Double => "a decimal number",
            Type::Text | Type::Word(..) => "a text",
            Type::Any => "anything",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Type::Int | Type::Double | Type::Any)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Type::Text | Type::Word(..) | Type::Any)
    }

    pub(super) fn is_bool(self) -> bool {
        matches!(self, Type::Bool | Type::Any)
    }
}

/// The arithmetic operation of a CEL operator.
pub(super) fn arithmetic(operator: &str) -> Option<Arithmetic> {
    Some(match operator {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

/// The comparison of a CEL operator.
pub(super) fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
