//! The paths a file names: `use` trees unfolded, `super` and `self` resolved to `crate`.

use crate::tokens::{Kind, Token, after_closing};

/// A path as it resolves from the root of the crate (`crate::…`) or of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

impl NamedPath {
    /// Whether the path starts with `prefix` (`std::time::Instant`).
    pub fn starts_with(&self, prefix: &str) -> bool {
        let mut segments = self.segments.iter();
        prefix.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
    }

    /// Whether `pair` stands somewhere in the path (`thread::sleep`).
    pub fn contains(&self, pair: [&str; 2]) -> bool {
        self.segments.windows(2).any(|two| two == pair)
    }
}

/// Every path in `tokens`, the code of module `module` (`["exposure", "set"]`).
pub fn paths(tokens: &[Token], module: &[String]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    // Inline modules that are open, and how deep in braces each began.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') => {
                depth = depth.saturating_sub(1);
                inline.retain(|(_, began)| *began <= depth);
            }
            Kind::Word(word)
                if word == "mod" && tokens.get(at + 2).is_some_and(|token| token.is_mark('{')) =>
            {
                inline.extend(tokens[at + 1].word().map(|name| (name.to_owned(), depth + 1)));
            }
            Kind::Word(word) => {
                let here =
                    || module.iter().cloned().chain(inline.iter().map(|(name, _)| name.clone())).collect();
                let is_use = word == "use";
                if is_use || starts_path(tokens, at) {
                    let mut unfolded = Vec::new();
                    at = tree(tokens, at + usize::from(is_use), &[], &mut unfolded);
                    let here: Vec<String> = here();
                    found.extend(unfolded.into_iter().map(|path| resolve(path, &here)));
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn starts_path(tokens: &[Token], at: usize) -> bool {
    let colons = |from: usize| {
        tokens.get(from).is_some_and(|token| token.is_mark(':'))
            && tokens.get(from + 1).is_some_and(|token| token.is_mark(':'))
    };
    colons(at + 1) && !(at >= 2 && colons(at - 2) && at >= 3 && tokens[at - 3].word().is_some())
}

/// Unfolds the tree that starts at `at` under `prefix`; the place after it.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(word)) => {
                segments.push(word.clone());
                at += 1;
            }
            Some(Kind::Mark('*')) if segments.len() > prefix.len() => {
                at += 1;
                break;
            }
            Some(Kind::Mark('{')) => {
                let end = after_closing(tokens, at);
                at += 1;
                while at + 1 < end {
                    at = tree(tokens, at, &segments, found).max(at + 1);
                    if tokens.get(at).is_some_and(|token| token.is_word("as")) {
                        at += 2;
                    }
                    if tokens.get(at).is_some_and(|token| token.is_mark(',')) {
                        at += 1;
                    }
                }
                return end;
            }
            Some(Kind::Mark(':')) if segments.is_empty() => {
                at += 2;
                continue;
            }
            _ => break,
        }
        let colons =
            [at, at + 1].iter().all(|place| tokens.get(*place).is_some_and(|token| token.is_mark(':')));
        let goes_on = tokens
            .get(at + 2)
            .is_some_and(|token| token.word().is_some() || token.is_mark('{') || token.is_mark('*'));
        if !(colons && goes_on) {
            break;
        }
        at += 2;
    }
    if segments.len() > prefix.len() {
        found.push(NamedPath { segments, line });
    }
    at
}

fn resolve(path: NamedPath, here: &[String]) -> NamedPath {
    let Some(first) = path.segments.first() else { return path };
    if first != "super" && first != "self" {
        return path;
    }
    let ups = path.segments.iter().filter(|segment| *segment == "super").count();
    let rest = path.segments.iter().skip_while(|segment| *segment == "super" || *segment == "self");
    let base = here.iter().take(here.len().saturating_sub(ups));
    let segments = std::iter::once("crate".to_owned()).chain(base.cloned()).chain(rest.cloned()).collect();
    NamedPath { segments, line: path.line }
}
