//! Rules: conditions over signals, each with a score and a text, and the file they stand in.

mod check;
mod file;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::domain::alert::Reason;

use super::amounts::Amounts;
use super::condition::nearest;
use super::signals::{Signal, SignalSet, Signals, Value};
use check::Condition;
use text::Template;

/// The rules that ship with the program.
pub const DEFAULT_RULES: &str = include_str!("../../../config/rules.toml");

/// The highest score of one rule.
pub const SCORE_MAX: u32 = 100;

/// The threshold of a file that sets none.
pub const THRESHOLD_DEFAULT: u32 = 50;

/// The highest threshold.
pub const THRESHOLD_MAX: u32 = 1_000;

/// A mistake in a rules file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RuleError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// A rule, checked.
#[derive(Debug, Clone)]
pub struct Rule {
    name: String,
    when: String,
    score: u32,
    words: String,
    condition: Condition,
    text: Template,
    /// What condition and text read.
    facts: SignalSet,
}

impl Rule {
    fn new(
        name: String,
        when: String,
        score: u32,
        words: String,
        condition: Condition,
        text: Template,
    ) -> Rule {
        let mut facts = condition.reads;
        facts.extend(text.reads());
        Rule { name, when, score, words, condition, text, facts }
    }

    /// Its name: also the label of its metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it adds to the score when it holds.
    pub fn score(&self) -> u32 {
        self.score
    }

    fn reason(&self, signals: &Signals<'_>) -> Reason {
        let facts: BTreeMap<String, serde_json::Value> =
            self.facts.iter().map(|signal| (signal.name().to_owned(), json(signals.get(signal)))).collect();
        Reason { rule: self.name.clone(), score: self.score, text: self.text.fill(signals), facts }
    }
}

fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Unknown => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::Text(text) => text.into(),
    }
}

/// A checked rules file.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Rule>,
    amounts: Amounts,
    threshold: u32,
    digest: String,
}

/// What the rules say of one sighting.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The sum of the scores of the rules that hold.
    pub score: u32,
    /// The places of the rules that hold, in the order of the file.
    holding: Vec<usize>,
    /// The unknown signals that kept a rule from being true or false.
    pub unknown: SignalSet,
}

impl RuleSet {
    /// Reads and checks a rules file. `file` names it in errors.
    ///
    /// # Errors
    /// Every mistake at once, each with its line.
    pub fn parse(text: &str, file: &str) -> Result<RuleSet, Vec<RuleError>> {
        // A file that sets no limits for a currency has those that ship with the program.
        let shipped = match text == DEFAULT_RULES {
            true => Amounts::default(),
            false => file::read(DEFAULT_RULES, "config/rules.toml", Amounts::default())?.amounts,
        };
        file::read(text, file, shipped)
    }

    fn new(rules: Vec<Rule>, amounts: Amounts, threshold: u32) -> RuleSet {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(b"cardwatch/rules/1");
        part(&threshold.to_be_bytes());
        for rule in &rules {
            part(rule.name.as_bytes());
            part(rule.when.as_bytes());
            part(&rule.score.to_be_bytes());
            part(rule.words.as_bytes());
        }
        for (currency, limits) in amounts.iter() {
            part(currency.code().as_bytes());
            part(&limits.small.to_be_bytes());
            part(&limits.large.to_be_bytes());
        }
        let digest = data_encoding::HEXLOWER.encode(&hash.finalize()[..8]);
        RuleSet { rules, amounts, threshold, digest }
    }

    /// 16 hexadecimal digits of SHA-256 over rules, threshold and limits; comments and layout do not count.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The score from which a sighting is an alert.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The limits by currency.
    pub fn amounts(&self) -> &Amounts {
        &self.amounts
    }

    /// What the rules say of a sighting's signals.
    pub fn assess(&self, signals: &Signals<'_>) -> Assessment {
        let mut assessment = Assessment { score: 0, holding: Vec::new(), unknown: SignalSet::default() };
        for (place, rule) in self.rules.iter().enumerate() {
            match rule.condition.node.value(signals) {
                Value::Bool(true) => {
                    assessment.score += rule.score;
                    assessment.holding.push(place);
                }
                Value::Bool(false) => {}
                _ => {
                    let unknown = |signal: &Signal| signals.get(*signal) == Value::Unknown;
                    rule.condition.reads.iter().filter(unknown).for_each(|s| assessment.unknown.insert(s));
                }
            }
        }
        assessment
    }

    /// The reasons of an assessment, the heaviest first.
    pub fn reasons(&self, assessment: &Assessment, signals: &Signals<'_>) -> Vec<Reason> {
        let holding = assessment.holding.iter().filter_map(|place| self.rules.get(*place));
        let mut reasons: Vec<Reason> = holding.map(|rule| rule.reason(signals)).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.score));
        reasons
    }
}

#[cfg(test)]
mod tests;
