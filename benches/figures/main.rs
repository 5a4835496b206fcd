//! The figures of `docs/figures.md`: what the program does beside what the Kafka client alone does, on a real
//! broker, in one run.
//!
//! ```text
//! cargo bench --bench figures -- [sight|memory|latency|takeover|list|webhooks|all] [--records N] [--seconds N] [--rounds N] [--cards N]
//! cargo bench --bench figures -- real --transactions FILE --list FILE [--mapping FILE]
//! ```
//!
//! Measured is the release binary. This bench itself is built with the dev-dependencies and so with the test
//! feature `faults`; it therefore builds the binary once more without it (`cargo build --release --bin
//! cardwatch`) and runs a copy of that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "in a bench a panic is the report, and the table goes to standard output"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod bare;
mod core;
mod feed;
mod latency;
mod list;
mod process;
mod real;
mod sight;
mod stage;
mod table;
mod takeover;
mod webhooks;

use table::Table;

/// What to measure, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Records of the throughput figures.
    pub(crate) records: u64,
    /// Seconds of the latency figure, after its warm-up.
    pub(crate) seconds: u64,
    /// Rounds of the throughput and takeover figures; medians are told.
    pub(crate) rounds: usize,
    /// Cards of the long list.
    pub(crate) cards: u32,
}

const USAGE: &str = "usage: cargo bench --bench figures -- [sight|memory|latency|takeover|list|webhooks|all] [--records N] [--seconds N] [--rounds N] [--cards N]
       cargo bench --bench figures -- real --transactions FILE --list FILE [--mapping FILE]
       cargo bench --bench figures -- [webhook-throughput|webhook-latency|webhook-isolation|webhook-memory] [--rounds N] [--seconds N]
       cargo bench --bench figures -- core [--rounds N]";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "bare") {
        return bare::consume(&arguments[1..]);
    }
    // `cargo test --benches` starts every bench once without this word, to see that it runs at all.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("{USAGE}");
        return;
    }
    let (wanted, scale, files) = parse(&arguments);
    if wanted == "core" {
        return core::run(scale.rounds);
    }
    let Some(binary) = process::release_binary() else { return };
    let mut table = Table::new();
    let runs = |name: &str| wanted == "all" || wanted == name;
    table.note(process::machine());
    if runs("sight") {
        sight::measure(&binary, scale, &mut table);
    }
    if runs("memory") {
        sight::measure_memory(&binary, scale, &mut table);
    }
    if runs("latency") {
        latency::measure(&binary, scale, &mut table);
    }
    if runs("takeover") {
        takeover::measure(&binary, scale, &mut table);
    }
    if runs("list") {
        list::measure(&binary, scale, &mut table);
    }
    webhooks::measure(|part| runs("webhooks") || wanted == part, &binary, scale, &mut table);
    if wanted == "real" {
        real::measure(&binary, &files, &mut table);
    }
    table.note(format!("load average at the end: {}", process::load_average()));
    table.print();
}

fn parse(arguments: &[String]) -> (String, Scale, real::Files) {
    let mut scale = Scale { records: 3_000_000, seconds: 60, rounds: 3, cards: 1_000_000 };
    let mut files = real::Files::default();
    let mut wanted = "all".to_owned();
    let mut rest = arguments.iter().filter(|argument| *argument != "--bench");
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().unwrap_or_else(|| panic!("{argument} needs a value\n{USAGE}"));
        let mut number = || {
            let number = value().replace('_', "").parse::<u64>().ok().filter(|value| *value > 0);
            number.unwrap_or_else(|| panic!("{argument} needs a number\n{USAGE}"))
        };
        match argument.as_str() {
            "core" | "sight" | "memory" | "latency" | "takeover" | "list" | "webhooks" | "real" | "all" => {
                wanted.clone_from(argument);
            }
            part if webhooks::PARTS.contains(&part) => wanted.clone_from(argument),
            "--records" => scale.records = number(),
            "--seconds" => scale.seconds = number(),
            "--rounds" => scale.rounds = usize::try_from(number()).expect("a few rounds"),
            "--cards" => scale.cards = u32::try_from(number()).expect("up to a billion cards"),
            "--transactions" => files.transactions = Some(value().into()),
            "--list" => files.list = Some(value().into()),
            "--mapping" => files.mapping = Some(value().into()),
            other => panic!("what is {other}?\n{USAGE}"),
        }
    }
    (wanted, scale, files)
}
