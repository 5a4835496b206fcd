//! The rules, each a function from a file to what it breaks.

use crate::paths::{NamedPath, paths};
use crate::tokens::{Kind, Token, after_closing, tokens, without_tests};

/// Rooms by row. A room knows the rows above its own and, of its own, itself.
///
/// The words come in three rows because some words are said with others (a clock tells a `Timestamp`), and
/// the house in five because it is built in that order.
pub const ROWS: [&[&str]; 12] = [
    &["domain", "fault"],
    &["clock", "backoff", "stop", "secret"],
    &["health", "metrics"],
    &["codec", "exposure", "scoring", "origin", "simulation"],
    &["watch", "judge", "books", "notice"],
    &["kafka", "webhook", "files", "http", "report"],
    &["lines"],
    &["config"],
    &["telemetry"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Rooms that are told everything and touch nothing.
const PURE: [&str; 10] =
    ["domain", "codec", "exposure", "scoring", "origin", "simulation", "watch", "judge", "books", "notice"];

/// What such a room may not name.
const IMPURE: [&str; 17] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "tokio",
    "rdkafka",
    "rdkafka_sys",
    "axum",
    "tracing",
    "rustix",
    "prometheus",
    "crate::clock",
    "crate::health",
    "crate::metrics",
];

/// Lines of a file: the aim, and what fails.
pub const FILE_LINES: [usize; 2] = [400, 500];
/// Lines of a function, signature and braces included: the aim, and what fails.
pub const FUNCTION_LINES: [usize; 2] = [70, 100];

/// The only file that may say `unsafe`.
const UNSAFE_FILE: &str = "src/kafka/native.rs";

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub file: String,
    pub line: usize,
    pub rule: &'static str,
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.text)
    }
}

/// A file to look at: its path from the root of the tree, with `/`.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Everything that `sources` break, in order of files and lines.
pub fn check(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in sources {
        machine_paths(source, &mut found);
    }
    let rust: Vec<Parsed> =
        sources.iter().filter(|source| source.path.ends_with(".rs")).map(Parsed::of).collect();
    let test_modules: Vec<Vec<String>> = rust.iter().flat_map(Parsed::test_modules).collect();
    for file in &rust {
        sizes(file, &mut found);
        bans(file, &mut found);
        log_messages(file, &mut found);
        let is_test = test_modules.iter().any(|module| file.module.starts_with(module));
        if file.path.starts_with("src/") && !is_test {
            rows(file, &mut found);
        }
    }
    found.sort();
    found
}

struct Parsed<'a> {
    path: &'a str,
    text: &'a str,
    module: Vec<String>,
    all: Vec<Token>,
    code: Vec<Token>,
    test_children: Vec<String>,
}

impl Parsed<'_> {
    fn of(source: &Source) -> Parsed<'_> {
        let all = tokens(&source.text);
        let (code, test_children) = without_tests(&all);
        let inner = source.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        Parsed { path: &source.path, text: &source.text, module, all, code, test_children }
    }

    /// Modules in files of their own that exist in test builds alone.
    fn test_modules(&self) -> Vec<Vec<String>> {
        let children = self.test_children.iter();
        children.map(|child| self.module.iter().chain([child]).cloned().collect()).collect()
    }

    fn violation(&self, line: usize, rule: &'static str, text: impl Into<String>) -> Violation {
        Violation { file: self.path.to_owned(), line, rule, text: text.into() }
    }

    fn paths(&self, tokens: &[Token]) -> Vec<NamedPath> {
        paths(tokens, &self.module)
    }
}

/// Functions of a file: name, first line, number of lines.
pub fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let tokens = tokens(text);
    let starts = (0..tokens.len()).filter(|at| tokens[*at].is_word("fn"));
    let bodies = starts.filter_map(|at| {
        let name = tokens.get(at + 1)?.word()?;
        let mut end = at + 2;
        while !tokens.get(end)?.is_mark('{') {
            if tokens[end].is_mark(';') {
                return None;
            }
            let nested = tokens[end].is_mark('(') || tokens[end].is_mark('[');
            end = if nested { after_closing(&tokens, end) } else { end + 1 };
        }
        let last = after_closing(&tokens, end) - 1;
        Some((name.to_owned(), tokens[at].line, tokens[last].line - tokens[at].line + 1))
    });
    bodies.collect()
}

fn sizes(file: &Parsed<'_>, found: &mut Vec<Violation>) {
    let lines = file.text.lines().count();
    if lines > FILE_LINES[1] {
        found.push(file.violation(1, "size", format!("{lines} lines; the aim is {}", FILE_LINES[0])));
    }
    for (name, line, lines) in functions(file.text) {
        if lines > FUNCTION_LINES[1] {
            let aim = FUNCTION_LINES[0];
            found.push(file.violation(
                line,
                "size",
                format!("fn {name} has {lines} lines; the aim is {aim}"),
            ));
        }
    }
}

fn rows(file: &Parsed<'_>, found: &mut Vec<Violation>) {
    // The root only declares modules.
    let Some(room) = file.module.first() else { return };
    let row_of = |room: &str| ROWS.iter().position(|row| row.contains(&room));
    let Some(row) = row_of(room) else {
        found.push(file.violation(1, "room", format!("`{room}` is no room of the house")));
        return;
    };
    for path in file.paths(&file.code) {
        if PURE.contains(&room.as_str())
            && let Some(impure) = IMPURE.iter().find(|impure| path.starts_with(impure))
        {
            found.push(file.violation(path.line, "pure", format!("`{room}` names `{impure}`")));
        }
        // The binary sees the library as any other crate would.
        let own = path.starts_with("crate") || (room == "main" && path.starts_with("cardwatch"));
        let Some(known) = path.segments.get(1).filter(|_| own) else { continue };
        let above = match row_of(known) {
            Some(known_row) => known_row < row || known == room,
            // An item of the root itself, such as a macro.
            None => true,
        };
        if !above {
            let text = format!("`{room}` knows `{known}` ({})", path.segments.join("::"));
            found.push(file.violation(path.line, "row", text));
        }
    }
}

fn bans(file: &Parsed<'_>, found: &mut Vec<Violation>) {
    for (at, token) in file.all.iter().enumerate() {
        let next = |ahead: usize| file.all.get(at + ahead);
        if token.is_word("unsafe") && file.path != UNSAFE_FILE {
            found.push(file.violation(token.line, "unsafe", format!("only {UNSAFE_FILE} may")));
        }
        let attribute = token.is_mark('#') && next(1).is_some_and(|token| token.is_mark('['));
        if attribute && next(2).is_some_and(|token| token.is_word("ignore")) {
            found.push(file.violation(token.line, "ignored test", "assert what is wrong now, or delete it"));
        }
    }
    for path in file.paths(&file.all) {
        if path.contains(["thread", "sleep"]) {
            found.push(file.violation(path.line, "sleep", "wait for a condition with a deadline"));
        }
    }
}

/// Log messages start with a small letter (or a name in capitals) and do not end with a period.
fn log_messages(file: &Parsed<'_>, found: &mut Vec<Violation>) {
    const MACROS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];
    let tokens = &file.code;
    for at in 0..tokens.len() {
        let is_log = tokens[at].word().is_some_and(|word| MACROS.contains(&word));
        let opens =
            |ahead: usize, mark: char| tokens.get(at + ahead).is_some_and(|token| token.is_mark(mark));
        if !(is_log && opens(1, '!') && opens(2, '(')) {
            continue;
        }
        for place in at + 3..after_closing(tokens, at + 2) {
            let Kind::Text(message) = &tokens[place].kind else { continue };
            // A field's value stands behind `=`; the message is an argument of its own.
            let stands_alone =
                tokens[place - 1].is_mark('(') && place == at + 3 || tokens[place - 1].is_mark(',');
            if stands_alone && !is_log_message(message) {
                let text = format!("{message:?} should start small and end without a period");
                found.push(file.violation(tokens[place].line, "log message", text));
            }
        }
    }
}

fn is_log_message(message: &str) -> bool {
    let first: String = message.chars().take_while(|character| character.is_alphanumeric()).collect();
    let name = first.len() > 1 && !first.chars().any(char::is_lowercase);
    let small = !first.chars().next().is_some_and(char::is_uppercase);
    (small || name) && !message.ends_with('.')
}

fn machine_paths(source: &Source, found: &mut Vec<Violation>) {
    // Put together here so that this file does not find itself.
    let roots = ["work", "home", "root", "Users"].map(|name| format!("/{name}/"));
    for (number, line) in source.text.lines().enumerate() {
        for root in &roots {
            // Only where a path begins: a URL or a longer path may hold such a part.
            let begins = line.match_indices(root.as_str()).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|before| before.is_alphanumeric() || "._-~}*".contains(before))
            });
            if begins {
                let text = format!("a path of one machine ({root}…)");
                found.push(Violation {
                    file: source.path.clone(),
                    line: number + 1,
                    rule: "machine path",
                    text,
                });
            }
        }
    }
}
