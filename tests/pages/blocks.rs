//! As much of Markdown as tests of pages ask about: what is prose, and what is code.

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
}
