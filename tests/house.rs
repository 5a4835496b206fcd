//! The rules of the house, held by a test: who may know whom, what stays pure, how large things grow.
//!
//! The rules are text rules on purpose. They know tokens and `use` trees and not types, which is enough to
//! keep an honest author from slipping, and is read in ten minutes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "what grows towards a limit is told, not failed")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "house/paths.rs"]
mod paths;
#[path = "house/rules.rs"]
mod rules;
#[path = "house/tokens.rs"]
mod tokens;

use std::fs;
use std::path::Path;

use rules::{FILE_LINES, FUNCTION_LINES, Source, check, functions};

/// The tree as it stands: all text but what git and cargo made.
fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("readable").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !["target", ".git"].contains(&name.as_str()) {
                directories.push(path);
            } else if path.is_file()
                && name != ".git"
                && let Ok(text) = fs::read_to_string(&path)
            {
                let path =
                    path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found
}

#[test]
fn the_tree_keeps_the_rules() {
    let tree = tree();
    assert!(tree.iter().any(|source| source.path == "src/domain/card.rs"), "the tree was not found");
    let broken = check(&tree);
    let list: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{} broken rules:\n{}", list.len(), list.join("\n"));

    // Above the aim and below the limit: told to whoever runs this with --nocapture.
    for source in tree.iter().filter(|source| source.path.ends_with(".rs")) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES[0] {
            println!("{}: {lines} lines", source.path);
        }
        for (name, line, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES[0] {
                println!("{}:{line}: fn {name}, {lines} lines", source.path);
            }
        }
    }
}

/// What `text` at `path` breaks: rule and line.
fn broken(path: &str, text: &str) -> Vec<(&'static str, usize)> {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    check(&[source]).into_iter().map(|violation| (violation.rule, violation.line)).collect()
}

#[test]
fn rooms_know_the_rows_above_them_only() {
    for (path, text, expected) in [
        ("src/judge.rs", "use crate::scoring::History;", vec![]),
        ("src/scoring/mod.rs", "use crate::domain::{card, money::Money};", vec![]),
        ("src/clock.rs", "use crate::domain::time::Timestamp;", vec![]),
        ("src/domain/card.rs", "use crate::clock::Clock;", vec!["pure", "row"]),
        ("src/codec/mod.rs", "\nuse crate::exposure::Fingerprint;", vec!["row"]),
        ("src/codec/mod.rs", "use crate::{domain::card, scoring::{rules, History}};", vec!["row", "row"]),
        ("src/codec/wire.rs", "use super::super::scoring::History;", vec!["row"]),
        ("src/codec/wire.rs", "use super::scanner::Scanner; use self::inner::X;", vec![]),
        ("src/codec/mod.rs", "mod inner { use super::super::scoring::X; }", vec!["row"]),
        ("src/codec/mod.rs", "mod inner { use super::scoring::X; }", vec![]),
        ("src/codec/mod.rs", "fn f() -> crate::watch::Watch { loop {} }", vec!["row"]),
        ("src/codec/mod.rs", "pub(crate) use crate::lines::sight as other;", vec!["row"]),
        ("src/watch.rs", "use crate::judge::Judge;", vec!["row"]),
        ("src/kafka/mod.rs", "use crate::http::Health;", vec!["row"]),
        ("src/lines/sight.rs", "use crate::{kafka, watch, codec};", vec![]),
        ("src/lines/sight.rs", "use crate::config::Settings;", vec!["row"]),
        ("src/config/mod.rs", "use crate::lines::Sight; use crate::codec::*;", vec![]),
        ("src/main.rs", "use cardwatch::cli;", vec![]),
        ("src/attic/mod.rs", "", vec!["room"]),
    ] {
        let rules: Vec<&str> = broken(path, text).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(rules, expected, "{path}: {text}");
    }
}

#[test]
fn pure_rooms_touch_nothing() {
    for (text, expected) in [
        ("use std::time::Duration; use std::io::Read;", 0),
        ("use std::time::{Duration, Instant};", 1),
        ("fn f() { let _ = std::fs::read(\"x\"); }", 1),
        ("use std::{fs, net::TcpStream, sync::Arc};", 2),
        ("fn f() { tracing::info!(\"seen\"); }", 1),
        ("use tokio::sync::mpsc; use rdkafka::Message;", 2),
        ("// use std::fs;\n/* std::net /* */ tokio::spawn */ const T: &str = \"std::fs\";", 0),
        (
            "const R: &str = r#\"\"std::fs\"#; fn f<'a>(_: &'a str) { let _ = ('\"', b'\\'', std::env::args()); }",
            1,
        ),
    ] {
        for room in ["src/exposure/set.rs", "src/judge.rs", "src/domain/time.rs"] {
            assert_eq!(broken(room, text).len(), expected, "{room}: {text}");
        }
        assert_eq!(broken("src/kafka/mod.rs", text), [], "{text}");
    }
}

#[test]
fn modules_of_tests_may_know_anybody() {
    let planted = "use crate::judge::Judge; fn f() { tokio::spawn(g()); }";
    for text in [
        format!("#[cfg(test)]\nmod tests {{ {planted} }}"),
        format!("#[cfg(all(test, feature = \"x\"))]\n#[allow(dead_code)]\nmod tests {{ {planted} }}"),
        "#[cfg(test)]\nuse crate::judge::{Judge, Other};\nfn f() {}".to_owned(),
        "#[cfg(test)]\npub(crate) use tokio::{self, spawn};".to_owned(),
    ] {
        assert_eq!(broken("src/codec/mod.rs", &text), [], "{text}");
        let after = format!("{text}\nuse crate::judge::Judge;");
        assert_eq!(broken("src/codec/mod.rs", &after).len(), 1, "what follows is code again: {after}");
    }
    let text = format!("#[cfg(not(test))] mod x {{ {planted} }}");
    assert_eq!(broken("src/codec/mod.rs", &text).len(), 2);

    let parent = Source { path: "src/codec/mod.rs".to_owned(), text: "#[cfg(test)] mod tests;".to_owned() };
    let child = |path: &str| Source { path: path.to_owned(), text: planted.to_owned() };
    assert_eq!(check(&[parent.clone(), child("src/codec/tests.rs")]), []);
    assert_eq!(check(&[parent, child("src/codec/other.rs")]).len(), 2);
}

#[test]
fn files_and_functions_stay_small() {
    let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    // }\n".repeat(lines - 2));
    assert_eq!(broken("src/app.rs", &function(100)), []);
    assert_eq!(broken("src/app.rs", &format!("\n{}", function(101))), [("size", 2)]);
    assert_eq!(broken("tests/x.rs", &"//\n".repeat(500)), []);
    assert_eq!(broken("tests/x.rs", &"//\n".repeat(501)), [("size", 1)]);
    let text =
        "trait T { fn a(&self) -> [u8; 3]; fn b() { if x { y } } }\nfn c<F>(f: fn(u8)) where F: Fn() {\n}";
    let found: Vec<(String, usize)> =
        functions(text).into_iter().map(|(name, _, lines)| (name, lines)).collect();
    assert_eq!(found, [("b".to_owned(), 1), ("c".to_owned(), 2)]);
}

#[test]
fn what_is_banned_is_found_and_what_is_not_is_not() {
    let ignored = concat!("#[test]\n#[ig", "nore = \"slow\"]\nfn t() {}");
    let home = concat!("see /ho", "me/someone/x");
    for (path, text, expected) in [
        ("src/app.rs", "fn f() { unsafe { g() } }", vec![("unsafe", 1)]),
        ("src/kafka/native.rs", "fn f() { unsafe { g() } }", vec![]),
        ("tests/x.rs", "// unsafe\nconst UNSAFE: &str = \"unsafe\";", vec![]),
        ("tests/x.rs", ignored, vec![("ignored test", 2)]),
        ("tests/x.rs", "fn f() { std::thread::sleep(D); }", vec![("sleep", 1)]),
        ("tests/x.rs", "use std::thread;\nfn f() { thread::sleep(D); }", vec![("sleep", 2)]),
        ("src/app.rs", "use std::thread::{self, sleep};", vec![("sleep", 1)]),
        ("src/app.rs", "fn f() { tokio::time::sleep(D); }", vec![]),
        ("README.md", home, vec![("machine path", 1)]),
        ("README.md", concat!("https://example.com/ho", "me/x and ./ho", "me/x"), vec![]),
        ("src/app.rs", "fn f() { tracing::info!(count = 1, text = \"Big.\", \"all done\"); }", vec![]),
        ("src/app.rs", "fn f() { info!(\n  \"All done\"\n); }", vec![("log message", 2)]),
        ("src/app.rs", "fn f() { tracing::warn!(a, %b, \"done.\"); }", vec![("log message", 1)]),
        ("src/app.rs", "fn f() { warn!(\"SIGHUP: read again\"); println!(\"All done.\"); }", vec![]),
    ] {
        assert_eq!(broken(path, text), expected, "{path}: {text}");
    }
}
