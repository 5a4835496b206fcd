//! Writes `config/reference.toml`: every key with its default, what it is for and what it may be.

use std::fmt::Write as _;

use super::kafka::{Oauth, Properties};
use super::keys::{KeyCommands, KeyFiles};
use super::mapping::{MappingSettings, ReferencePointers};
use super::section::{KeyDescription, Section, SectionDescription};
use super::sections::{
    Alerts, Audit, Books, Brokers, Card, DeadLetters, History, Http, InputTopic, Instance, Keys, Lines, Log,
    Notify, Refresh, Retention, Score, Sight, Topics,
};
use super::tokens::HttpTokens;
use super::webhooks::Webhooks;

/// The longest line of a comment, in characters.
const COMMENT_CHARS_MAX: usize = 98;

const HEAD: &str = "\
# Every key of cardwatch's configuration, with its default. Generated from the declarations in
# src/config; a test keeps it complete and true.
#
# A line that begins with \"# \" and a key is an example: the key has no default, or one that follows
# from other keys. Any key can be overridden by the variable CARDWATCH_SECTION__KEY, such as
# CARDWATCH_KAFKA__BOOTSTRAP_SERVERS or CARDWATCH_INPUT__CARD__FIELD. Relative paths start at the
# working directory. `cardwatch check` reports every mistake at once.
";

/// Every section, in the order of the file.
pub(super) fn sections() -> Vec<SectionDescription> {
    vec![
        Brokers::describe(),
        Oauth::describe(),
        Properties::describe(),
        Topics::describe(),
        InputTopic::describe(),
        Card::describe(),
        MappingSettings::describe(),
        ReferencePointers::describe(),
        Keys::describe(),
        KeyFiles::describe(),
        KeyCommands::describe(),
        Instance::describe(),
        Lines::describe(),
        Sight::describe(),
        Score::describe(),
        Books::describe(),
        Notify::describe(),
        Refresh::describe(),
        History::describe(),
        Retention::describe(),
        Alerts::describe(),
        DeadLetters::describe(),
        Http::describe(),
        HttpTokens::describe(),
        Audit::describe(),
        Log::describe(),
    ]
}

/// The text of `config/reference.toml`.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for section in sections() {
        text.push('\n');
        comment(&mut text, &joined(section.doc));
        // A list of tables has its heading among its examples: one that stood here would be an entry.
        if !section.examples.first().is_some_and(|first| first.starts_with("[[")) {
            let _ = writeln!(text, "[{}]", section.path);
        }
        let mut allowed = "";
        for key in &section.keys {
            text.push('\n');
            write_key(&mut text, key, key.allowed != allowed);
            allowed = &key.allowed;
        }
        for example in section.examples {
            let _ = writeln!(text, "# {example}");
        }
    }
    write_webhooks(&mut text);
    text
}

/// The list of endpoints, which is empty by default: all of it is an example.
fn write_webhooks(text: &mut String) {
    let (list, examples) = Webhooks::describe();
    text.push('\n');
    comment(text, &joined(list.doc));
    let mut allowed = "";
    for key in &list.keys {
        if let Some(example) = examples.iter().find(|example| example.from == key.name) {
            let _ = writeln!(text, "# [[{}]]", list.path);
            example.lines.iter().for_each(|line| {
                let _ = writeln!(text, "# {line}");
            });
        }
        text.push('\n');
        comment(text, &joined(key.doc));
        if key.allowed != allowed {
            comment(text, &format!("Write {}.", key.allowed));
        }
        let _ = match key.example {
            Some(example) => writeln!(text, "# {} = {example}", key.name),
            None => writeln!(text, "# The default:\n# {} = {}", key.name, key.default),
        };
        allowed = &key.allowed;
    }
}

/// `say_allowed` is false where the key before this one takes the same: twenty pointers in a row need no
/// twenty explanations.
fn write_key(text: &mut String, key: &KeyDescription, say_allowed: bool) {
    comment(text, &joined(key.doc));
    if say_allowed {
        comment(text, &format!("Write {}.", key.allowed));
    }
    let _ = match key.example {
        Some(example) => writeln!(text, "# {} = {example}", key.name),
        None => writeln!(text, "{} = {}", key.name, key.default),
    };
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Adds `sentence` as comment lines, broken between words.
fn comment(text: &mut String, sentence: &str) {
    let mut line = String::from("#");
    for word in sentence.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_CHARS_MAX {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
