//! As much of Markdown and of a shell's language as these tests ask about.

/// A stretch of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text for people, a line.
    Prose(String),
    /// A block of code: the word behind its fence (empty for one that is indented) and its lines.
    Code(String, String),
}

/// A page by lines of prose and blocks of code.
pub fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines().peekable();
    // What an item of a list is indented by belongs to the item: code begins four columns further in.
    let (mut item, mut blank) = (0, true);
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some(fence) = bare.strip_prefix("```") {
            let mut code = String::new();
            for inner in lines.by_ref().take_while(|inner| !inner.trim_start().starts_with("```")) {
                let spaces = inner.len() - inner.trim_start().len();
                code += &inner[indent.min(spaces)..];
                code.push('\n');
            }
            parts.push(Part::Code(fence.trim().to_owned(), code));
            blank = true;
            continue;
        }
        if indent >= item + 4 && blank && !bare.is_empty() {
            let mut code = format!("{}\n", &line[item + 4..]);
            while let Some(next) = lines
                .next_if(|next| next.trim().is_empty() || next.len() - next.trim_start().len() >= item + 4)
            {
                code += next.get(item + 4..).unwrap_or_default();
                code.push('\n');
            }
            parts.push(Part::Code(String::new(), code));
            continue;
        }
        if !bare.is_empty() && blank && indent < item {
            item = 0;
        }
        let digits = bare.trim_start_matches(|c: char| c.is_ascii_digit());
        if let Some(rest) = digits.strip_prefix(". ").filter(|_| digits.len() < bare.len()) {
            item = line.len() - rest.len();
        } else if let Some(rest) = bare.strip_prefix("- ") {
            item = line.len() - rest.len();
        }
        blank = bare.is_empty();
        parts.push(Part::Prose(line.to_owned()));
    }
    parts
}

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
fn pages_come_apart_into_prose_and_code() {
    let page = "# A\n\n    one\n    two\n\n1. item\n\n       three\n\n   still item\n\n```sh\nfour\n```\ntext\n    no code\n";
    let code: Vec<_> = parts(page)
        .into_iter()
        .filter_map(|part| match part {
            Part::Code(word, code) => Some((word, code.trim_end().to_owned())),
            Part::Prose(_) => None,
        })
        .collect();
    let want = [("", "one\ntwo"), ("", "three"), ("sh", "four")];
    assert_eq!(code, want.map(|(word, code)| (word.to_owned(), code.to_owned())));
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
