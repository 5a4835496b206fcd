//! A page's commands, as a reader copies them: what stands in its blocks of shell, in order.

use std::path::Path;

use crate::blocks::{Part, parts};

/// What a reader does with a page, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Types this command: continuations and here-documents are part of it.
    Type(String),
    /// Sees this: lines that the commands before it print, with `…` for what differs.
    See(String),
}

/// The text of a page of the project.
pub fn text(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// The part of a page below a heading, to the next of the same depth.
pub fn below(page: &str, heading: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let mark = heading.split(' ').next().unwrap();
    rest.split(&format!("\n{mark} ")).next().unwrap().to_owned()
}

/// The blocks of code of a page: the word behind the fence, none where a block is indented, and its lines.
fn code(page: &str) -> impl Iterator<Item = (String, String)> {
    parts(page).into_iter().filter_map(|part| match part {
        Part::Code(word, body) => Some((word, body.trim_end_matches('\n').to_owned())),
        Part::Prose(_) => None,
    })
}

/// The steps of a page, from its fenced blocks of `sh` and `text`. Any other block is for the eye.
pub fn fenced(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (word, body) in code(page) {
        match word.as_str() {
            "sh" => steps.extend(commands(&body).into_iter().map(Step::Type)),
            "text" => steps.push(Step::See(body)),
            _ => {}
        }
    }
    steps
}

/// The commands of a page's indented blocks.
pub fn indented(page: &str) -> Vec<String> {
    code(page).filter(|(word, _)| word.is_empty()).flat_map(|(_, body)| commands(&body)).collect()
}

/// A shell's lines by commands.
fn commands(script: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let mut command = line.to_owned();
        while command.ends_with('\\') {
            command.truncate(command.len() - 1);
            command += lines.next().unwrap_or_default().trim_start();
        }
        if let Some((_, end)) = command.split_once("<<'") {
            let end = end.trim_end_matches('\'').to_owned();
            let document = lines.by_ref().take_while(|line| *line != end).map(|line| format!("{line}\n"));
            command = format!("{command}\n{}{end}", document.collect::<String>());
        }
        if !command.trim().is_empty() && !command.starts_with('#') {
            commands.push(command);
        }
    }
    commands
}

/// One blank where there are several.
pub fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The command without the remark behind it, single-spaced: what two ways of writing it have in common.
pub fn bare(command: &str) -> String {
    single_spaced(command.split(" # ").next().unwrap_or_default())
}

/// Whether each line that a page shows was printed: its parts between `…`, in order, however it is spaced.
pub fn shows(printed: &str, shown: &str) -> Result<(), String> {
    let printed = single_spaced(printed);
    let mut rest = printed.as_str();
    for part in
        shown.lines().flat_map(|line| line.split('…')).map(single_spaced).filter(|part| !part.is_empty())
    {
        match rest.find(&part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return Err(part),
        }
    }
    Ok(())
}

#[test]
fn a_page_comes_apart_into_what_is_typed_and_what_is_seen() {
    let page = "# A\n\n```sh\none \\\n  two\n\ncat > f <<'END'\nx\n\ny\nEND\n```\n\nwords\n\n```text\na … b\n```\n\n```toml\nno\n```\n";
    let typed = |text: &str| Step::Type(text.to_owned());
    let want = [typed("one two"), typed("cat > f <<'END'\nx\n\ny\nEND"), Step::See("a … b".to_owned())];
    assert_eq!(fenced(page), want);
    assert_eq!(
        indented("a\n\n    b \\\n      c   # d\n\ne\n\n    f\n").iter().map(|c| bare(c)).collect::<Vec<_>>(),
        ["b c", "f"]
    );
}

#[test]
fn what_is_shown_is_looked_for_in_order() {
    assert_eq!(shows("x  1   y\nz 2", "x … y\n…\nz"), Ok(()));
    assert_eq!(shows("x 1 y", "y … x"), Err("x".to_owned()));
}
