//! The pages that people read, held against the program and against each other: links lead somewhere, commands are
//! ones that the program takes, and what is a reference is what the code says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

/// What of a page is prose, and what is code.
#[path = "pages/blocks.rs"]
mod blocks;
/// Every command line in pages and in the help, against the program's own parser.
#[path = "pages/commands.rs"]
mod commands;
/// Links, anchors, and the table of contents.
#[path = "pages/links.rs"]
mod links;
/// Reading Markdown and command lines.
#[path = "pages/markdown.rs"]
mod markdown;
/// The pages of the reference, made from the code.
#[path = "pages/reference.rs"]
mod reference;
/// Configuration and rules in pages.
#[path = "pages/settings.rs"]
mod settings;
/// What the reference says in words.
#[path = "pages/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};

/// A file of the project.
fn project(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The text of a file of the project.
fn text(file: &str) -> String {
    std::fs::read_to_string(project(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every page of the project, by its path: all Markdown but what cargo and git made.
fn pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![project("")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // A link to a directory has the same pages again, in another place.
            if path.is_dir() && !path.is_symlink() && !["target", ".git"].contains(&name.as_str()) {
                open.push(path);
            } else if name.ends_with(".md") {
                let page = path.strip_prefix(project("")).unwrap().display().to_string();
                found.push((page, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.iter().any(|(page, _)| page == "docs/SUMMARY.md"), "the tree was not found");
    found
}
