//! Whoever copies a command line from a page or from the help gets no error from the parser.

use cardwatch::cli::args;

use crate::markdown::{Part, commands, parts, prose, spans};
use crate::pages;

/// Whether a word stands for others: `ID`, `FILE`, `N`, `…`.
fn is_placeholder(word: &str) -> bool {
    let capitals = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word.contains('…') || capitals
}

/// What is wrong with a whole command line, if anything is.
fn refused(words: &[String]) -> Option<String> {
    let shown = words.join(" ");
    match args::parse(words, String::new()) {
        Err(error) if error.use_stderr() => Some(format!("{shown}\n    {error}")),
        _ => None,
    }
}

/// What is wrong with a line in which words stand for others, or that is cut short: a subcommand or an option
/// that does not exist.
fn unknown(words: &[String]) -> Option<String> {
    let mut command = args::command();
    command.build();
    let mut at = &command;
    let mut words_left = words[1..].iter();
    while let Some(word) = words_left.next() {
        if let Some(option) = word.strip_prefix("--") {
            let (name, given) = option.split_once('=').map_or((option, false), |(name, _)| (name, true));
            if ["help", "version", ""].contains(&name) {
                continue;
            }
            let known = at.get_arguments().find(|known| known.get_long() == Some(name));
            let Some(known) = known else {
                return Some(format!("{}: there is no --{name}", words.join(" ")));
            };
            if !given && known.get_action().takes_values() {
                words_left.next();
            }
        } else if let Some(inner) = at.find_subcommand(word) {
            at = inner;
        } else if at.has_subcommands()
            && !is_placeholder(word)
            && !word.starts_with('-')
            && !word.contains(['[', '<', '|'])
        {
            return Some(format!("{}: there is no command {word}", words.join(" ")));
        }
    }
    None
}

fn fault(words: &[String], whole: bool) -> Option<String> {
    let placeholders = words.iter().any(|word| is_placeholder(word));
    if whole && !placeholders { refused(words) } else { unknown(words) }
}

fn ours(words: &[String]) -> Option<&[String]> {
    // Assignments in front are the shell's.
    let at = words.iter().position(|word| !word.contains('=') || word.starts_with('-'))?;
    (words[at] == "cardwatch").then(|| &words[at..])
}

#[test]
fn every_command_of_the_pages_is_one() {
    let (mut wrong, mut whole, mut spoken) = (Vec::new(), 0, 0);
    // The help sets remarks off by blanks alone; its examples have a test of their own.
    for (page, text) in pages().into_iter().filter(|(page, _)| page != "docs/reference/commands.md") {
        for part in parts(&text) {
            let Part::Code(kind, code) = part else { continue };
            if !["", "sh", "bash", "text", "console"].contains(&kind.as_str()) {
                continue;
            }
            for words in commands(&code).iter().filter_map(|words| ours(words)) {
                whole += 1;
                wrong.extend(fault(words, true).map(|fault| format!("{page}: {fault}")));
            }
        }
        // In prose a command is often cut short: `cardwatch incident`.
        for words in spans(&prose(&text)).iter().flat_map(|span| commands(span)) {
            if let Some(words) = ours(&words) {
                spoken += 1;
                wrong.extend(fault(words, false).map(|fault| format!("{page}: {fault}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} commands are none:\n{}", wrong.len(), wrong.join("\n"));
    assert!(whole > 100 && spoken > 60, "{whole} commands and {spoken} mentions were found");
}

/// The examples below `command`, with those of its subcommands: the lines behind "Examples:".
fn examples(command: &clap::Command, found: &mut Vec<String>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if let Some((_, after)) = help.split_once("Examples:\n") {
        let block = after.split("\n\n").next().unwrap_or_default().replace("\\\n", " ");
        // Two blanks or more set a remark off.
        let line = |line: &str| line.trim().split("  ").next().unwrap_or_default().to_owned();
        let joined = |line: &str| line.split(" \\").collect::<String>();
        for example in block.lines() {
            let whole = example.trim();
            // A line that was continued has runs of blanks of its own.
            let command = if whole.contains("   --") {
                whole.split_whitespace().collect::<Vec<_>>().join(" ")
            } else {
                line(whole)
            };
            found.push(joined(&command));
        }
    }
    command.get_subcommands().for_each(|inner| examples(inner, found));
}

#[test]
fn every_example_of_the_help_is_a_command() {
    let mut found = Vec::new();
    examples(&args::command(), &mut found);
    let mut wrong = Vec::new();
    for example in &found {
        let lines = commands(example);
        let ours: Vec<&[String]> = lines.iter().filter_map(|words| ours(words)).collect();
        assert!(!ours.is_empty(), "an example without cardwatch: {example}");
        wrong.extend(ours.into_iter().filter_map(|words| fault(words, true)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.len() > 60, "{found:?}");
}

/// Words as a page would have them.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_command_that_is_none_is_noticed() {
    for (line, whole) in [
        ("cardwatch incident open shop --dryrun", false),
        ("cardwatch incidents list", false),
        ("cardwatch incident revise ID --with LIST", true),
        ("cardwatch topics --input-partitions 4", true),
        ("cardwatch outcome", true),
        ("cardwatch key rotate", false),
    ] {
        assert!(fault(&words(line), whole).is_some(), "{line}");
    }
    for (line, whole) in [
        ("cardwatch incident", false),
        ("cardwatch incident revise ID --replace LIST", true),
        ("cardwatch run --help", true),
        ("cardwatch run --lines score", true),
    ] {
        assert_eq!(fault(&words(line), whole), None, "{line}");
    }
}
