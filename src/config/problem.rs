//! Mistakes in the configuration: where each stands, what is wrong, what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the configuration file, counted from 1.
    Line(PathBuf, usize),
    /// The configuration file as a whole: the key is not written in it.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Nowhere: there is no file, and the default is in force.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Variable(name) => write!(f, "environment variable {name}"),
            Place::Default => f.write_str("configuration"),
        }
    }
}

/// One mistake. It never repeats the value that was written: that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key, with its sections: `sight.workers`. Empty where the file itself is wrong.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; follows the word *write*.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.advice.is_empty() {
            write!(f, "; write {}", self.advice)?;
        }
        Ok(())
    }
}

/// Every mistake of a configuration, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// The mistakes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The name among `names` that `written` was probably meant to be: the one that takes the fewest
/// single-letter changes and swaps of neighbours, if they are at most a third of its letters.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (changes(written, name), name))
        .filter(|(changes, name)| *changes <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, dropped, replaced or swapped with a neighbour to turn `a` into `b`
/// (the optimal string alignment distance).
fn changes(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_changed_are_counted() {
        for (a, b, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("workers", "workers", 0),
            ("worker", "workers", 1),
            ("wrokers", "workers", 1),
            ("kitten", "sitting", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(changes(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn a_name_too_far_away_is_not_proposed() {
        let names = ["workers", "workers_max", "linger"];
        assert_eq!(nearest("wrokers", names.into_iter()), Some("workers"));
        assert_eq!(nearest("worker_max", names.into_iter()), Some("workers_max"));
        assert_eq!(nearest("threads", names.into_iter()), None);
    }
}
