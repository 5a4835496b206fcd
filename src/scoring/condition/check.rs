//! From the text of a condition to a checked expression.

use cel::Program;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::expression::{Arithmetic, Comparison, Node, TextMatch};
use super::types::{Type, arithmetic, comparison};
use super::{Condition, Kind, Vocabulary, Wrong, nearest};

/// The longest condition, in bytes.
const CONDITION_BYTES_MAX: usize = 4096;

/// Parses and checks a condition.
///
/// # Errors
/// Every mistake at once, each with its line.
pub fn condition<N: Vocabulary>(text: &str) -> Result<Condition<N>, Vec<Wrong>> {
    if text.len() > CONDITION_BYTES_MAX {
        let message = format!("longer than {CONDITION_BYTES_MAX} bytes: make it several {}s", N::OWNER);
        return Err(vec![Wrong { line: 0, message }]);
    }
    let program = Program::compile(text).map_err(|errors| {
        let wrong = |error: &cel::ParseError| Wrong {
            line: usize::try_from(error.pos.0 - 1).unwrap_or(0),
            message: format!("not CEL: {}", error.msg.replace('\n', " ")),
        };
        errors.errors.iter().map(wrong).collect::<Vec<_>>()
    })?;
    let mut checker = Checker {
        text,
        source: program.source_info(),
        reads: Vec::new(),
        members: Vec::new(),
        wrongs: Vec::new(),
    };
    let (node, kind) = checker.expression(program.expression());
    if !kind.is_bool() {
        checker
            .wrong(program.expression(), format!("is {}: a {} needs true or false", kind.name(), N::OWNER));
    }
    match checker.wrongs {
        wrongs if wrongs.is_empty() => Ok(Condition { node, reads: checker.reads, members: checker.members }),
        wrongs => Err(wrongs),
    }
}

struct Checker<'a, N> {
    text: &'a str,
    source: &'a SourceInfo,
    reads: Vec<N>,
    members: Vec<(N, String)>,
    wrongs: Vec<Wrong>,
}

impl<N: Vocabulary> Checker<'_, N> {
    /// What stands for an expression that was complained about.
    const NOTHING: (Node<N>, Type<N>) = (Node::Bool(false), Type::Any);

    fn wrong(&mut self, at: &IdedExpr, message: String) {
        // Positions count characters, not bytes.
        let start = self.source.offset_for(at.id).map_or(0, |(start, _)| start as usize);
        let line = self.text.chars().take(start).filter(|c| *c == '\n').count();
        self.wrongs.push(Wrong { line, message });
    }

    fn refuse(&mut self, at: &IdedExpr, message: String) -> (Node<N>, Type<N>) {
        self.wrong(at, message);
        Self::NOTHING
    }

    fn expression(&mut self, at: &IdedExpr) -> (Node<N>, Type<N>) {
        match &at.expr {
            Expr::Ident(name) => self.named(at, name),
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Call(call) => self.call(at, call),
            Expr::Select(select) => self.refuse(
                at,
                format!(
                    "`.{}`: {}s have no fields of their own, write `known(x)` to ask for a value",
                    select.field,
                    N::NOUN
                ),
            ),
            Expr::List(_) => self.refuse(at, "a list may only stand on the right of `in`".to_owned()),
            Expr::Comprehension(_) => {
                let message = match N::ALL.iter().find(|name| matches!(name.kind(), Kind::Texts(_))) {
                    Some(list) => {
                        format!("all, exists, map and filter are not taken: write `\"…\" in {}`", list.name())
                    }
                    None => format!("all, exists, map and filter: no {} is a list", N::NOUN),
                };
                self.refuse(at, message)
            }
            Expr::Map(_) | Expr::Struct(_) => self.refuse(at, "maps and messages are not taken".to_owned()),
            Expr::Unspecified => self.refuse(at, "an empty expression".to_owned()),
        }
    }

    fn named(&mut self, at: &IdedExpr, text: &str) -> (Node<N>, Type<N>) {
        let Some(name) = N::ALL.iter().copied().find(|name| name.name() == text) else {
            let near = nearest(text, N::ALL.iter().map(|name| name.name()));
            return self.refuse(at, format!("no {} is called `{text}`{near}", N::NOUN));
        };
        if !self.reads.contains(&name) {
            self.reads.push(name);
        }
        (Node::Name(name), Type::of(name))
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> (Node<N>, Type<N>) {
        match literal {
            LiteralValue::Boolean(value) => (Node::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Node::Int(*value.inner()), Type::Int),
            LiteralValue::Double(value) => (Node::Double(*value.inner()), Type::Double),
            LiteralValue::String(value) => (Node::Text(value.inner().into()), Type::Text),
            LiteralValue::UInt(_) => self.refuse(at, "write whole numbers without `u`".to_owned()),
            LiteralValue::Bytes(_) => self.refuse(at, format!("no {} is a byte string", N::NOUN)),
            LiteralValue::Null => {
                let message = format!("no {} is null: write `!known(x)` to ask for a missing value", N::NOUN);
                self.refuse(at, message)
            }
        }
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> (Node<N>, Type<N>) {
        if let Some(target) = &call.target {
            return self.text_match(at, call, target);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, terms) => self.logic(&call.func_name, terms),
            (operators::LOGICAL_NOT, [inner]) => (Node::Not(Box::new(self.truth(inner))), Type::Bool),
            (operators::NEGATE, [inner]) => {
                let (node, kind) = self.number(inner);
                (Node::Negate(Box::new(node)), kind)
            }
            (operators::CONDITIONAL, [test, then, otherwise]) => self.choose(at, test, then, otherwise),
            (operators::IN, [left, right]) => self.one_of(left, right),
            ("known", [IdedExpr { expr: Expr::Ident(name), .. }]) => match self.named(at, name) {
                (Node::Name(name), _) => (Node::Known(name), Type::Bool),
                _ => Self::NOTHING,
            },
            ("known", _) => self.refuse(at, format!("known() takes the name of one {}", N::NOUN)),
            (name, [left, right]) => {
                if let Some(operation) = arithmetic(name) {
                    self.arithmetic(at, operation, left, right)
                } else if let Some(comparison) = comparison(name) {
                    self.comparison(at, comparison, left, right)
                } else {
                    self.unknown_function(at, name)
                }
            }
            (name, _) => self.unknown_function(at, name),
        }
    }

    fn unknown_function(&mut self, at: &IdedExpr, name: &str) -> (Node<N>, Type<N>) {
        let near = nearest(name, ["known", "startsWith", "endsWith", "contains"].into_iter());
        self.refuse(at, format!("`{name}` is not taken in {}s{near}", N::OWNER))
    }

    fn logic(&mut self, operator: &str, terms: &[IdedExpr]) -> (Node<N>, Type<N>) {
        let mut flat = Vec::new();
        for term in terms {
            let node = self.truth(term);
            match (operator, node) {
                (operators::LOGICAL_AND, Node::All(inner)) | (operators::LOGICAL_OR, Node::Any(inner)) => {
                    flat.extend(inner);
                }
                (_, node) => flat.push(node),
            }
        }
        let node = if operator == operators::LOGICAL_AND { Node::All(flat) } else { Node::Any(flat) };
        (node, Type::Bool)
    }

    fn choose(
        &mut self,
        at: &IdedExpr,
        test: &IdedExpr,
        then: &IdedExpr,
        otherwise: &IdedExpr,
    ) -> (Node<N>, Type<N>) {
        let test = self.truth(test);
        let (then, then_kind) = self.expression(then);
        let (otherwise, otherwise_kind) = self.expression(otherwise);
        let kind = match (then_kind, otherwise_kind) {
            (Type::Any, kind) | (kind, Type::Any) => kind,
            (left, right) if left == right => left,
            (left, right) if left.is_text() && right.is_text() => Type::Text,
            (left, right) => {
                self.wrong(
                    at,
                    format!("is either {} or {}: both must be the same", left.name(), right.name()),
                );
                Type::Any
            }
        };
        (Node::Choose(Box::new([test, then, otherwise])), kind)
    }

    fn one_of(&mut self, left: &IdedExpr, right: &IdedExpr) -> (Node<N>, Type<N>) {
        let Expr::List(list) = &right.expr else { return self.member(left, right) };
        let (node, kind) = self.expression(left);
        let mut items = Vec::with_capacity(list.elements.len());
        for element in &list.elements {
            if !matches!(element.expr, Expr::Literal(_)) {
                self.wrong(element, "a list holds literals only".to_owned());
                continue;
            }
            let (item, item_kind) = self.expression(element);
            self.comparable(element, kind, (&item, item_kind));
            items.push(item);
        }
        (Node::OneOf(Box::new(node), items), Type::Bool)
    }

    /// `"text" in name`.
    fn member(&mut self, left: &IdedExpr, right: &IdedExpr) -> (Node<N>, Type<N>) {
        let list = match &right.expr {
            Expr::Ident(name) => self.named(right, name),
            _ => (Node::Bool(false), Type::Bool),
        };
        let (name, words) = match list {
            (Node::Name(name), Type::Texts(_, words)) => (name, words),
            (_, Type::Any) => return Self::NOTHING,
            _ => {
                let message = "`in` needs a list of literals on its right: [\"a\", \"b\"]".to_owned();
                return self.refuse(right, message);
            }
        };
        let Expr::Literal(LiteralValue::String(text)) = &left.expr else {
            let message = format!("a text in quotes is needed here: `\"…\" in {}`", name.name());
            return self.refuse(left, message);
        };
        let text = text.inner();
        if !words.is_empty() && !words.contains(&text) {
            let (near, list) = choices(text, words.iter().copied());
            self.wrong(left, format!("{} never holds \"{text}\"{near} (it is of {list})", name.name()));
        }
        self.members.push((name, text.to_owned()));
        (Node::Holds(name, text.into()), Type::Bool)
    }

    fn text_match(&mut self, at: &IdedExpr, call: &CallExpr, target: &IdedExpr) -> (Node<N>, Type<N>) {
        let question = match call.func_name.as_str() {
            "startsWith" => TextMatch::StartsWith,
            "endsWith" => TextMatch::EndsWith,
            "contains" => TextMatch::Contains,
            name => return self.unknown_function(at, name),
        };
        let (node, kind) = self.expression(target);
        if !kind.is_text() {
            self.wrong(target, format!("is {}: {} asks about a text", kind.name(), call.func_name));
        }
        match call.args.as_slice() {
            [IdedExpr { expr: Expr::Literal(LiteralValue::String(part)), .. }] => {
                (Node::Match(question, Box::new(node), part.inner().into()), Type::Bool)
            }
            _ => self.refuse(at, format!("{} takes one text in quotes", call.func_name)),
        }
    }

    fn arithmetic(
        &mut self,
        at: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> (Node<N>, Type<N>) {
        let (left, left_kind) = self.number(left);
        let (right_node, right_kind) = self.number(right);
        let kind = match (left_kind, right_kind) {
            (Type::Any, kind) | (kind, Type::Any) => kind,
            (left, right) if left == right => left,
            (left, right) => {
                let message = format!(
                    "calculates with {} and {}: write a decimal literal as `2.0`",
                    left.name(),
                    right.name()
                );
                return self.refuse(at, message);
            }
        };
        if matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
            let divides = match right_node {
                Node::Int(value) => value != 0,
                Node::Double(value) => value != 0.0,
                _ => false,
            };
            if !divides {
                self.wrong(right, "a divisor must be a literal other than zero".to_owned());
            }
            if operation == Arithmetic::Remainder && kind == Type::Double {
                self.wrong(at, "`%` takes whole numbers".to_owned());
            }
        }
        (Node::Arithmetic(operation, Box::new([left, right_node])), kind)
    }

    fn comparison(
        &mut self,
        at: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> (Node<N>, Type<N>) {
        let (left_node, left_kind) = self.expression(left);
        let (right_node, right_kind) = self.expression(right);
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if equality {
            self.comparable(left, right_kind, (&left_node, left_kind));
            if !matches!(left_node, Node::Text(_)) {
                self.comparable(right, left_kind, (&right_node, right_kind));
            }
        } else if !left_kind.is_number() || !right_kind.is_number() {
            let message =
                format!("orders {} and {}: only numbers have an order", left_kind.name(), right_kind.name());
            self.wrong(at, message);
        }
        (Node::Compare(comparison, Box::new([left_node, right_node])), Type::Bool)
    }

    /// Complains unless `item` can equal a value of `kind`; a word must be one of the list.
    fn comparable(&mut self, at: &IdedExpr, kind: Type<N>, item: (&Node<N>, Type<N>)) {
        match (kind, item) {
            (Type::Word(name, words), (Node::Text(text), _)) => {
                let name = name.name();
                let mut known = words.iter().copied().filter(|word| *word != "unknown");
                if &**text == "unknown" {
                    self.wrong(at, format!("unknown is no word to compare with: write `!known({name})`"));
                } else if !known.clone().any(|word| word == &**text) {
                    let (near, list) = choices(text, &mut known);
                    self.wrong(at, format!("{name} is never \"{text}\"{near} (it is {list})"));
                }
            }
            (Type::Any, _) | (_, (_, Type::Any)) => {}
            (kind, (_, item)) => {
                let fits = kind.is_number() && item.is_number()
                    || kind.is_text() && item.is_text()
                    || kind.is_bool() && item.is_bool();
                if !fits {
                    self.wrong(at, format!("compares {} with {}", kind.name(), item.name()));
                }
            }
        }
    }

    fn truth(&mut self, at: &IdedExpr) -> Node<N> {
        let (node, kind) = self.expression(at);
        if !kind.is_bool() {
            self.wrong(at, format!("is {}: true or false is needed here", kind.name()));
        }
        node
    }

    fn number(&mut self, at: &IdedExpr) -> (Node<N>, Type<N>) {
        let (node, kind) = self.expression(at);
        if kind.is_number() {
            return (node, kind);
        }
        self.refuse(at, format!("is {}: a number is needed here", kind.name()))
    }
}

/// A hint at the word meant by `text`, and all the words there are.
fn choices<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> (String, String) {
    let words: Vec<&str> = words.collect();
    (nearest(text, words.iter().copied()), words.join(", "))
}
