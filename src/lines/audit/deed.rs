//! What is done, as it is written down.

use serde_json::Value;

use crate::domain::audit::Act;

/// The longest reason or claim that is kept, in characters.
const WORDS_MAX: usize = 1_000;

/// What is about to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// The kind.
    pub act: Act,
    /// What it is done to: `incident/shop-2026`, `key/k2`, `topic/transactions/3`, `rules`.
    pub subject: String,
    /// What it is before, where that makes sense.
    pub before: Option<Value>,
    /// What it is to be afterwards.
    pub after: Option<Value>,
    /// Why, in the words of who does it.
    pub reason: Option<String>,
}

impl Deed {
    /// An act on a subject.
    pub fn new(act: Act, subject: impl Into<String>) -> Deed {
        Deed { act, subject: subject.into(), before: None, after: None, reason: None }
    }

    /// And what it was before.
    #[must_use]
    pub fn before(mut self, before: impl Into<Value>) -> Deed {
        self.before = Some(before.into());
        self
    }

    /// And what it is to be afterwards.
    #[must_use]
    pub fn after(mut self, after: impl Into<Value>) -> Deed {
        self.after = Some(after.into());
        self
    }

    /// And why.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Deed {
        self.reason = reason.map(bounded);
        self
    }
}

/// As much of somebody's words as is kept: on one line.
pub(super) fn bounded(words: &str) -> String {
    words.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebodys_words_are_kept_on_one_line_and_cut() {
        let long = format!("a\nb\u{1b}[2J{}", "é".repeat(2 * WORDS_MAX));
        let deed = Deed::new(Act::Close, "incident/shop").because(Some(&long));
        let kept = deed.reason.unwrap();
        assert!(kept.starts_with("ab[2Jé") && kept.chars().count() == 1_000, "{kept}");
    }
}
