//! Links lead somewhere, and every page of the book is in its table of contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::markdown::{Part, parts, prose};
use crate::{pages, project, text};

/// The targets of a page's links, code left out.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    // What stands in code marks is not a link.
    let outside: String =
        prose.split("\n\n").map(|part| part.split('`').step_by(2).collect::<String>() + "\n").collect();
    let inline = outside.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let listed =
        outside.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, to)| to));
    inline.chain(listed).map(|target| target.trim().to_owned()).collect()
}

/// The anchors that a page's headings make, on GitHub and in mdBook alike.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for part in parts(page) {
        let Part::Prose(line) = part else { continue };
        let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) else { continue };
        let Some(heading) = heading.strip_prefix(' ') else { continue };
        let slug: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// `path` without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the project", path.display()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_leads_somewhere() {
    let pages: BTreeMap<String, String> = pages().into_iter().collect();
    let (mut wrong, mut links) = (Vec::new(), 0);
    for (page, text) in &pages {
        for target in
            targets(text).iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match file {
                "" => PathBuf::from(page),
                file => plain(&Path::new(page).parent().unwrap().join(file)),
            };
            let to = to.display().to_string();
            if !project(&to).exists() {
                wrong.push(format!("{page}: {target}: there is no {to}"));
            } else if !anchor.is_empty() && !pages.get(&to).is_some_and(|page| anchors(page).contains(anchor))
            {
                wrong.push(format!("{page}: {target}: no heading of {to} makes this anchor"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(links > 100, "only {links} links were found");
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents_once() {
    let listed = targets(&text("docs/SUMMARY.md"));
    let once: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(once.len(), listed.len(), "a page stands in it twice");
    let pages = pages();
    let there = pages.iter().filter_map(|(page, _)| page.strip_prefix("docs/"));
    let there: BTreeSet<&str> = there.filter(|page| *page != "SUMMARY.md").collect();
    assert_eq!(once, there);
}

/// Files of the project that prose names without linking to them.
#[test]
fn every_file_that_is_named_exists() {
    let roots = ["src/", "docs/", "config/", "deploy/", "tests/", "benches/"];
    let (mut wrong, mut names) = (Vec::new(), 0);
    for (page, text) in pages() {
        for span in crate::markdown::spans(&prose(&text)) {
            let named =
                roots.iter().any(|root| span.starts_with(root)) && !span.contains([' ', '*', '…', '<', '{']);
            if named {
                names += 1;
                if !project(span.trim_end_matches('/')).exists() {
                    wrong.push(format!("{page}: {span}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "named and not there:\n{}", wrong.join("\n"));
    assert!(names > 50, "only {names} names were found");
}

/// Metrics that pages speak of exist.
#[test]
fn every_metric_that_is_named_exists() {
    let reference = text("docs/metrics.md");
    let known: BTreeSet<&str> = reference.split('`').filter(|name| name.starts_with("cardwatch_")).collect();
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for span in crate::markdown::spans(&prose(&text)) {
            let name = span.split(['{', ' ', '[']).next().unwrap_or_default();
            let one = name.starts_with("cardwatch_")
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            let series = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            if one && !known.contains(name) && !series.is_some_and(|name| known.contains(name)) {
                wrong.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "named and not in docs/metrics.md:\n{}", wrong.join("\n"));
}
