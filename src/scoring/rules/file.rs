//! The rules file: TOML to rules and limits, with every mistake and its line.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::card::is_slug;
use crate::domain::money::{Currency, Money};
use crate::scoring::amounts::{Amounts, Limits};

use super::check::condition;
use super::text::Template;
use super::{Rule, RuleError, RuleSet, SCORE_MAX, THRESHOLD_DEFAULT, THRESHOLD_MAX, nearest};

/// The most rules a file may hold.
const RULES_MAX: usize = 256;

/// Reads a rules file. Limits that it does not set are those of `base`.
pub(super) fn read(text: &str, file: &str, base: Amounts) -> Result<RuleSet, Vec<RuleError>> {
    let mut reader = Reader { text, file, errors: Vec::new(), lines: BTreeMap::new() };
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(at, error.message().to_owned());
    }
    if !syntax.is_empty() {
        return Err(reader.errors);
    }
    let mut amounts = base;
    let mut rules = Vec::new();
    let mut threshold = THRESHOLD_DEFAULT;
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("rule", DeValue::Array(tables)) => rules = reader.rules(tables.iter(), value.span().start),
            ("amounts", DeValue::Table(table)) => reader.amounts(table, &mut amounts),
            ("threshold", score) => match whole_in(score, THRESHOLD_MAX) {
                Some(score) => threshold = score,
                None => {
                    let message = format!("threshold is a whole number from 1 to {THRESHOLD_MAX}");
                    reader.error(value.span().start, message);
                }
            },
            ("rule", _) => reader.error(key.span().start, "write rules as `[[rule]]`".to_owned()),
            ("amounts", _) => reader.error(key.span().start, "write limits as `[amounts.JPY]`".to_owned()),
            (name, _) => {
                let near = nearest(name, ["rule", "amounts", "threshold"].into_iter());
                reader.error(key.span().start, format!("`{name}` is not a key of a rules file{near}"));
            }
        }
    }
    if rules.is_empty() && reader.errors.is_empty() {
        reader.error(0, "no `[[rule]]`: nothing would ever be alerted".to_owned());
    }
    if reader.errors.is_empty() {
        return Ok(RuleSet::new(rules, amounts, threshold));
    }
    reader.errors.sort_by_key(|error| error.line);
    Err(reader.errors)
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    errors: Vec<RuleError>,
    /// The line on which each rule name was first used.
    lines: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn error(&mut self, at: usize, message: String) {
        let line = self.line(at);
        self.errors.push(RuleError { file: self.file.to_owned(), line, message });
    }

    fn rules<'v>(
        &mut self,
        tables: impl ExactSizeIterator<Item = &'v Spanned<DeValue<'v>>>,
        at: usize,
    ) -> Vec<Rule> {
        if tables.len() > RULES_MAX {
            self.error(at, format!("more than {RULES_MAX} rules"));
        }
        let mut rules = Vec::new();
        for table in tables {
            match table.get_ref() {
                DeValue::Table(fields) => rules.extend(self.rule(fields, table.span().start)),
                _ => self.error(table.span().start, "write rules as `[[rule]]`".to_owned()),
            }
        }
        rules
    }

    /// One rule; `None` after complaining.
    fn rule(&mut self, fields: &DeTable<'_>, at: usize) -> Option<Rule> {
        let before = self.errors.len();
        for key in fields.keys() {
            let name = key.get_ref().as_ref();
            if !["name", "when", "score", "text"].contains(&name) {
                let near = nearest(name, ["name", "when", "score", "text"].into_iter());
                self.error(key.span().start, format!("`{name}` is not a key of a rule{near}"));
            }
        }
        let name = self.string(fields, "name", at);
        if let Some((name, at)) = &name {
            self.name(name, *at);
        }
        let when = self.string(fields, "when", at);
        let condition = when.as_ref().and_then(|(when, at)| match condition(when) {
            Ok(condition) => Some(condition),
            Err(wrongs) => {
                // A multi-line string begins on the line after its opening quotes.
                let opening = &self.text[*at..];
                let multi = ["\"\"\"\n", "'''\n", "\"\"\"\r\n", "'''\r\n"];
                let first = usize::from(multi.iter().any(|quotes| opening.starts_with(quotes)));
                let line = self.line(*at) + first;
                for wrong in wrongs {
                    let message = format!("when: {}", wrong.message);
                    self.errors.push(RuleError {
                        file: self.file.to_owned(),
                        line: line + wrong.line,
                        message,
                    });
                }
                None
            }
        });
        let score = self.score(fields, at);
        let text = self.string(fields, "text", at);
        let template = text.and_then(|(text, at)| {
            if text.trim().is_empty() {
                self.error(at, "text is empty: an alert must say in words why it was raised".to_owned());
            }
            match Template::parse(&text) {
                Ok(template) => Some((template, text)),
                Err(wrongs) => {
                    wrongs.into_iter().for_each(|wrong| self.error(at, format!("text: {wrong}")));
                    None
                }
            }
        });
        if self.errors.len() > before {
            return None;
        }
        let ((name, _), (when, _), (template, text)) = (name?, when?, template?);
        Some(Rule::new(name, when, score?, text, condition?, template))
    }

    fn name(&mut self, name: &str, at: usize) {
        if !is_slug(name, 64) {
            self.error(at, "a rule's name is 1 to 64 of a-z, 0-9, - and _".to_owned());
        }
        let line = self.line(at);
        match self.lines.get(name) {
            Some(first) => self.error(at, format!("`{name}` is already the rule on line {first}")),
            None => {
                self.lines.insert(name.to_owned(), line);
            }
        }
    }

    /// A field that must be a text, and where it stands.
    fn string(&mut self, fields: &DeTable<'_>, key: &str, at: usize) -> Option<(String, usize)> {
        match fields.get(key) {
            None => {
                self.error(at, format!("a rule without `{key}`"));
                None
            }
            Some(value) => match value.get_ref() {
                DeValue::String(text) => Some((text.as_ref().to_owned(), value.span().start)),
                other => {
                    let message = format!("{key} is a text in quotes, not {}", article(other.type_str()));
                    self.error(value.span().start, message);
                    None
                }
            },
        }
    }

    fn score(&mut self, fields: &DeTable<'_>, at: usize) -> Option<u32> {
        let Some(value) = fields.get("score") else {
            self.error(at, "a rule without `score`".to_owned());
            return None;
        };
        let score = whole_in(value.get_ref(), SCORE_MAX);
        if score.is_none() {
            self.error(value.span().start, format!("score is a whole number from 1 to {SCORE_MAX}"));
        }
        score
    }

    fn amounts(&mut self, tables: &DeTable<'_>, amounts: &mut Amounts) {
        for (code, value) in tables {
            let at = code.span().start;
            let Ok(currency) = code.get_ref().parse::<Currency>() else {
                self.error(at, format!("`{}` is not an ISO 4217 currency code", code.get_ref()));
                continue;
            };
            let DeValue::Table(fields) = value.get_ref() else {
                self.error(at, format!("write limits as `[amounts.{currency}]`, `small = …`, `large = …`"));
                continue;
            };
            for key in fields.keys().filter(|key| !["small", "large"].contains(&key.get_ref().as_ref())) {
                let near = nearest(key.get_ref(), ["small", "large"].into_iter());
                self.error(key.span().start, format!("`{}` is not a limit{near}", key.get_ref()));
            }
            let small = self.limit(fields, "small", currency, at);
            let large = self.limit(fields, "large", currency, at);
            match (small, large) {
                (Some(small), Some(large)) if small < large => amounts.set(currency, Limits { small, large }),
                (Some(_), Some(_)) => self.error(at, format!("{currency}: small must be less than large")),
                _ => {}
            }
        }
    }

    /// A limit in major units: a whole number, or a decimal in quotes.
    fn limit(&mut self, fields: &DeTable<'_>, key: &str, currency: Currency, at: usize) -> Option<i64> {
        let Some(value) = fields.get(key) else {
            self.error(at, format!("{currency} without `{key}`"));
            return None;
        };
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', ""),
            DeValue::Float(number) => number.as_str().replace('_', ""),
            DeValue::String(text) => text.as_ref().to_owned(),
            _ => String::new(),
        };
        match Money::parse_major(&text, currency) {
            Ok(money) if money.minor > 0 => Some(money.minor),
            _ => {
                let message = format!("{key} is an amount of {currency} in major units, more than nothing");
                self.error(value.span().start, message);
                None
            }
        }
    }
}

/// A whole number from 1 to `max`.
fn whole_in(value: &DeValue<'_>, max: u32) -> Option<u32> {
    match value {
        DeValue::Integer(number) => u32::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .ok()
            .filter(|number| (1..=max).contains(number)),
        _ => None,
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
