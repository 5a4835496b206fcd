//! The types of expressions and the operators between them.

use cel::common::ast::operators;

use super::expression::{Arithmetic, Comparison};
use super::{Kind, Vocabulary};

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type<N> {
    Bool,
    Int,
    Double,
    Text,
    /// A name that holds one of these words.
    Word(N, &'static [&'static str]),
    /// A name that holds several texts, of these words where there are any.
    Texts(N, &'static [&'static str]),
    /// Already complained about: fits everywhere.
    Any,
}

impl<N: Vocabulary> Type<N> {
    /// Of the value of a name.
    pub(super) fn of(name: N) -> Type<N> {
        match name.kind() {
            Kind::Bool => Type::Bool,
            Kind::Int => Type::Int,
            Kind::Double => Type::Double,
            Kind::Text => Type::Text,
            Kind::Word(words) => Type::Word(name, words),
            Kind::Texts(words) => Type::Texts(name, words),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Bool => "true or false",
            Type::Int => "a whole number",
            Type::Double => "a decimal number",
            Type::Text | Type::Word(..) => "a text",
            Type::Texts(..) => "a list of texts",
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
