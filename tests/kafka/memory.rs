//! Where card numbers are while the service works: nobody else's reading of its memory, and a count of what is there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use crate::deployment::{Deployment, ok};
use crate::support::load::card_number;
use crate::support::program::Ended;
use crate::support::{Isolation, Outgoing, Program, wait};

const WITHIN: Duration = Duration::from_secs(120);
const DRAIN: Duration = Duration::from_secs(5);
/// Transactions offered, each on a card of its own.
const RECORDS: usize = 120_000;
/// Cards on the list.
const EXPOSED: usize = RECORDS / 100;
/// One record in so many has a card that cannot be read.
const DEAD_EVERY: usize = 100;

/// A card as the stream writes it. Its digits alone, without the dashes, are what only the program itself makes.
fn written(card: usize) -> String {
    let digits = card_number(card);
    [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]].join("-")
}

/// What begins every card here, as it is written and as bare digits.
const WRITTEN: &[u8] = b"9999-17";
const BARE: &[u8] = b"999917";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Found {
    written: usize,
    bare: usize,
    bytes: u64,
}

/// Every place in the memory of a process where a card's number stands.
fn image(pid: u32) -> io::Result<Found> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = Found::default();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, mode) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if !mode.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping may have gone since it was listed.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        found.bytes += to - from;
        found.written +=
            memchr::memmem::find_iter(&bytes, WRITTEN).filter(|at| is_card(&bytes[*at..], 3)).count();
        found.bare += memchr::memmem::find_iter(&bytes, BARE).filter(|at| is_card(&bytes[*at..], 0)).count();
    }
    Ok(found)
}

/// Whether sixteen digits stand here, with so many dashes between them.
fn is_card(bytes: &[u8], dashes: usize) -> bool {
    let whole = &bytes[..bytes.len().min(16 + dashes)];
    whole.len() == 16 + dashes
        && whole.iter().filter(|byte| byte.is_ascii_digit()).count() == 16
        && whole.iter().filter(|byte| **byte == b'-').count() == dashes
}

/// What makes root an owner like any other: without the right to trace whomever it likes. Both the service and
/// its reader run so, because nobody may trace who has more rights.
const PLAIN_OWNER: [&str; 3] = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];

/// A command line as its user's, without the rights of root to trace others.
fn as_owner<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let plain: &[&str] = if rustix::process::geteuid().is_root() { &PLAIN_OWNER } else { &[] };
    plain.iter().chain(words).copied().collect()
}

/// Reads the first byte of a process's memory as its owner.
fn read_as_owner(pid: u32) -> String {
    let memory = format!("/proc/{pid}/mem");
    let words = as_owner(&["head", "-c", "1", &memory]);
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.expect("setpriv and head of util-linux and coreutils");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn start(deployment: &Deployment, faults: &str) -> Program {
    let words = as_owner(&[env!("CARGO_BIN_EXE_cardwatch"), "run"]);
    let service = Program::other(words[0], &words[1..]).config(&deployment.config());
    let mut program = service.env("CARDWATCH_FAULTS", faults).start();
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    program
}

#[test]
fn the_owner_cannot_read_the_memory_and_no_core_is_written() {
    let Some(deployment) = Deployment::new("hardened") else { return };
    let mut program = start(&deployment, "");
    let refused = read_as_owner(program.pid());
    assert!(refused.contains("Permission denied"), "{refused}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));

    // The same reading of a process that is open to it fails at the address alone.
    let mut program = start(&deployment, "break:memory-is-private");
    let let_in = read_as_owner(program.pid());
    assert!(!let_in.contains("Permission denied"), "{let_in}");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn card_numbers_in_memory_are_bounded_by_the_clients_buffers() {
    let Some(deployment) = Deployment::new("memory") else { return };
    let numbers: String = (0..EXPOSED).map(|card| card_number(card) + "\n").collect();
    let list = deployment.file("list", &numbers);
    ok(deployment.open("shop", &["--list", &list]));
    let mut program = start(&deployment, "break:memory-is-private");
    let before = image(program.pid()).unwrap();
    assert_eq!((before.written, before.bare), (0, 0), "the list in memory has no numbers");

    let topic = deployment.topic("transactions");
    let mut records = Vec::with_capacity(RECORDS);
    for number in 0..RECORDS {
        // Exposed cards all along the stream.
        let card = if number % 100 == 50 { number / 100 } else { EXPOSED + number };
        let extra = if number % DEAD_EVERY == 7 { "-9999" } else { "" };
        let value = format!(
            r#"{{"id":"t{number}","at":"2026-03-01T00:00:00Z","card":"{}{extra}","amount":"12.50","currency":"EUR","merchant":{{"id":"m-7","name":"Merchant 7","mcc":"5411","country":"NL"}},"channel":"ecom"}}"#,
            written(card)
        );
        records.push(Outgoing::to(&topic).partition(i32::try_from(number % 2).unwrap()).value(value));
    }
    deployment.kafka.produce(&records);
    // The same search in this process, which holds them all, finds them.
    let own = image(std::process::id()).unwrap();
    assert!(own.written >= RECORDS && own.bare >= EXPOSED, "{own:?}");
    drop((records, numbers));
    wait::until("everything is worked off", WITHIN, || {
        let committed = deployment.kafka.committed(&deployment.group("sight"), &topic);
        let half = i64::try_from(RECORDS / 2).unwrap();
        committed.iter().all(|one| one.offset == Some(half)).then_some(())
    });
    let after = image(program.pid()).unwrap();
    println!("{RECORDS} card numbers read; in {} MiB of memory: {after:?}", after.bytes >> 20);

    assert_eq!(deployment.kafka.read(&deployment.topic("sightings"), Isolation::Committed).len(), EXPOSED);
    let dead = deployment.kafka.read(&deployment.topic("dead-letters"), Isolation::Committed);
    assert_eq!(dead.len(), RECORDS / DEAD_EVERY);
    // What is freed is not wiped by the client, but its memory is used again: see docs/security.md.
    assert!(after.written <= BUFFERED_MAX, "{after:?}");
    // Digits without dashes are the program's own copies: one event at a time, and wiped.
    assert!(after.bare <= OWN_MAX, "{after:?}");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

/// Card numbers that the client's buffers may hold, and so what they freed: of each of the two partitions the queue
/// (20,000 records) and one answer to a fetch on top of it (4 MiB of records of 250 bytes, for both together).
const BUFFERED_MAX: usize = 2 * 20_000 + 4 * 1024 * 1024 / 250;
/// Copies of the program's own that may be left on a stack.
const OWN_MAX: usize = 4;
