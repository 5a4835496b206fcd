//! As much of a page and of a shell's language as these tests ask about.

pub use crate::blocks::{Part, parts};

/// The prose of a page, in one text.
pub fn prose(page: &str) -> String {
    let lines = parts(page).into_iter().map(|part| match part {
        Part::Prose(line) => line + "\n",
        Part::Code(..) => "\n".to_owned(),
    });
    lines.collect()
}

/// The spans of code in prose: what stands between back-ticks, within a paragraph.
pub fn spans(prose: &str) -> Vec<String> {
    let paragraphs = prose.split("\n\n");
    let odd = paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    odd.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The commands of a shell's lines, each as its words: continuations are joined, comments dropped, pipes, lists and
/// redirections end a command, and of `$(…)` the inside is a command too.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let script = script.replace("\\\n", " ");
    for line in script.lines() {
        shell(&mut line.chars().collect::<Vec<_>>().as_slice(), &mut commands, false);
    }
    commands
}

fn shell(rest: &mut &[char], commands: &mut Vec<Vec<String>>, inner: bool) {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    while let [first, after @ ..] = *rest {
        *rest = after;
        let begun = word.is_some();
        let mut add = |text: &str| word.get_or_insert_default().push_str(text);
        match first {
            ')' if inner => break,
            '#' if !begun => {
                *rest = &[];
            }
            '$' if after.first() == Some(&'(') => {
                *rest = &after[1..];
                add("$()");
                shell(rest, commands, true);
            }
            '\'' | '"' => {
                let end = after.iter().position(|c| c == first).unwrap_or(after.len());
                let quoted: String = after[..end].iter().collect();
                *rest = after.get(end + 1..).unwrap_or_default();
                add(&quoted);
                if *first == '"'
                    && let Some((_, command)) = quoted.split_once("$(")
                {
                    shell(&mut command.chars().collect::<Vec<_>>().as_slice(), commands, true);
                }
            }
            '|' | ';' | '&' | '(' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            '>' | '<' => {
                words.extend(word.take().filter(|word| word.parse::<u8>().is_err()));
                // The file, or the mark of lines that follow, is no word of the command.
                let marks = after.iter().take_while(|c| "><&".contains(**c)).count();
                let blanks = after[marks..].iter().take_while(|c| c.is_whitespace()).count();
                let name = after[marks + blanks..].iter().take_while(|c| !" |;&()".contains(**c)).count();
                *rest = &after[marks + blanks + name..];
            }
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => add(&other.to_string()),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
}

#[test]
fn spans_of_code_are_what_stands_between_marks() {
    assert_eq!(spans("a `b\nc` d\n\n`e`"), ["b c", "e"]);
}

#[test]
fn lines_of_a_shell_come_apart_into_commands() {
    for (script, want) in [
        ("a b  c # d", vec![vec!["a", "b", "c"]]),
        ("a \\\n  --b \"c d\" 'e f'", vec![vec!["a", "--b", "c d", "e f"]]),
        ("a < x | b > y 2> z; c && d &", vec![vec!["a"], vec!["b"], vec!["c"], vec!["d"]]),
        ("A=$(b c | d) e", vec![vec!["b", "c"], vec!["d"], vec!["A=$()", "e"]]),
        ("x \"$(b c)\"", vec![vec!["b", "c"], vec!["x", "$(b c)"]]),
        ("(umask 077; a)", vec![vec!["umask", "077"], vec!["a)"]]),
    ] {
        assert_eq!(commands(script), want, "{script}");
    }
}
