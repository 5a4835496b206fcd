//! Changing the exposed list from the command line, on a real broker.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{COMMAND, Deployment, column, fails, json, leaks, lines, ok, said};
use crate::support::load::card_number;
use crate::support::program::{Ended, Signal};
use crate::support::{Isolation, Program, wait};

const WITHIN: Duration = Duration::from_secs(60);

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn set(shown: &Deployment, incident: &str) -> Vec<String> {
    let cards = shown.shown(incident).into_iter();
    cards.map(|key| key.trim_end_matches(incident).to_owned()).collect()
}

#[test]
fn a_list_in_any_form_lists_the_same_cards() {
    let Some(deployment) = Deployment::new("forms") else { return };
    let csv: String = (0..60)
        .map(|card| {
            let note = if card == 7 { card_number(7) } else { format!("account {card}") };
            format!("{},{},09/29\n", note, card_number(card))
        })
        .collect();
    let csv = format!("note,pan,exp\n{csv}x,1234,\nx,{},\n", card_number(1).replace('9', "8"));
    let csv = deployment.file("cards.csv", csv);
    let columns = ["--column", "pan", "--expiry-column", "exp", "--reference", "note=note"];
    let more: Vec<&str> = ["--format", "json", "--list", &csv].into_iter().chain(columns).collect();
    let opened = ok(deployment.open("csv", &more));
    let told = json(&opened);
    let counts = column(&told["import"], "entries", "count");
    assert_eq!((&counts["read"], &counts["added"], &counts["rejected"]), (&json!(62), &json!(61), &json!(1)));
    assert_eq!(counts["wrong check digit, taken"], 1);
    assert_eq!(counts["tier or reference with the card number in it, withheld"], 1);
    assert_eq!(told["rejected"], json!([{"reason": "not 8 to 19 digits long", "count": 1, "lines": "62"}]));
    assert_eq!((&told["change"][0]["revision"], &told["change"][0]["written"]), (&json!(1), &json!("yes")));
    assert_eq!(leaks(opened.transcript().as_bytes(), &(0..60).collect::<Vec<_>>()), None);

    // The same cards as gzip and zstd from standard input and from a file.
    let plain = lines(0..60) + &card_number(1).replace('9', "8");
    ok(deployment.open("gzip", &["--list", "-"]).input(gzip(&plain)));
    let jsonl: String =
        plain.lines().map(|number| format!("{{\"card\":{{}},\"pan\":\"{number}\"}}\n")).collect();
    let zst = deployment.file("cards.jsonl.zst", zstd::encode_all(jsonl.as_bytes(), 3).unwrap());
    ok(deployment.open("zstd", &["--list", &zst, "--column", "pan"]));

    // And as fingerprints, where no key is at hand.
    let prints = ok(deployment.command(&["fingerprint", "-"]).input(plain));
    assert_eq!(leaks(prints.transcript().as_bytes(), &(0..60).collect::<Vec<_>>()), None);
    assert!(
        prints.stderr().iter().any(|line| line.starts_with("written") && line.ends_with(" 61")),
        "{}",
        prints.transcript()
    );
    let prints = deployment.file("prints.csv", prints.stdout().join("\n"));
    let keyless = ["incident", "open", "prints", "--list", &prints, "--kind", "fingerprint"];
    let keyless: Vec<&str> = keyless.into_iter().chain(crate::deployment::DETAILS).collect();
    ok(Program::with(&keyless).config(&deployment.config_with_keys("nowhere")));

    let cards = set(&deployment, "csv");
    assert_eq!(cards.len(), 61);
    for incident in ["gzip", "zstd", "prints"] {
        assert_eq!(set(&deployment, incident), cards, "{incident}");
    }
    let listed = deployment.json(&["incident", "list"]);
    let shown = column(&listed["incidents"], "incident", "cards");
    assert_eq!(Value::from_iter(shown), json!({"csv": 61, "gzip": 61, "zstd": 61, "prints": 61}));
}

#[test]
fn a_revision_adds_withdraws_and_is_undone_as_one() {
    let Some(deployment) = Deployment::new("revise") else { return };
    let end = deployment.list_end();
    let first = deployment.file("first", lines(0..40));
    let told = json(&ok(deployment.open("shop", &["--list", &first, "--dry-run", "--format", "json"])));
    assert_eq!(told["change"][0]["written"], "no: dry run");
    assert_eq!(column(&told["import"], "entries", "count")["added"], 40);
    assert_eq!(deployment.list_end(), end, "a dry run wrote something");
    let opened = ok(deployment.open("shop", &["--list", &first]));
    assert!(
        opened.stdout().contains(&"Revision 1 of incident shop is in force.".to_owned()),
        "{}",
        opened.transcript()
    );

    // Adds ten, withdraws fifteen of which five are not there, and says more of itself, all in one.
    let (more, fewer) =
        (deployment.file("more", lines(30..50)), deployment.file("fewer", lines((0..10).chain(100..105))));
    let revise = [
        "incident",
        "revise",
        "shop",
        "--add",
        &more,
        "--withdraw",
        &fewer,
        "--exposed-until",
        "2026-02-28",
        "--as",
        "Risk desk",
    ];
    let end = deployment.list_end();
    let dry: Vec<&str> = revise.iter().copied().chain(["--dry-run"]).collect();
    let planned = deployment.json(&dry);
    assert_eq!(deployment.list_end(), end, "a dry run wrote something");
    let done = deployment.json(&revise);
    for told in [&planned, &done] {
        let counts = column(&told["import"], "entries", "count");
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!((count("read"), count("added"), count("already there")), (35, 10, 10));
        assert_eq!((count("withdrawn"), count("not there to withdraw")), (10, 5));
        let change = column(&told["revision"], "field", "change");
        assert_eq!(change["Cards"], "10 added, 10 withdrawn");
        assert_eq!(change["Exposed until"], "14 days later");
        assert_eq!(told["change"][0]["by"], "Risk desk");
    }
    assert_eq!(planned["revision"], done["revision"]);
    let shown = deployment.shown("shop");
    assert_eq!(shown.len(), 40);

    // Replacing leaves what the list has; undoing it brings the others back.
    let all = deployment.file("all", lines(45..60));
    deployment.ok(&["incident", "revise", "shop", "--replace", &all]);
    assert_eq!(deployment.shown("shop").len(), 15);
    let end = deployment.list_end();
    let planned = deployment.json(&["incident", "revise", "shop", "--undo", "3", "--dry-run"]);
    assert_eq!(deployment.list_end(), end, "a dry run wrote something");
    let undone = deployment.json(&["incident", "revise", "shop", "--undo", "3"]);
    for told in [&planned, &undone] {
        let cards = &told["revision"][1];
        assert_eq!((&cards["before"], &cards["after"]), (&json!(15), &json!(40)), "{told}");
        assert_eq!(cards["change"], "35 added, 10 withdrawn");
    }
    assert_eq!(deployment.shown("shop"), shown);

    let told = deployment.json(&["incident", "show", "shop"]);
    let states: Vec<&Value> = told["revisions"].as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["done", "done", "undone"]);
    assert_eq!(column(&told["incident"], "field", "value")["Cards watched"], 40);
    assert_eq!(told["keys"][0]["cards"], 40);
    // The system's own word for the user: `USER`, which the test sets to anna, is anybody's to set.
    let user = uzers::get_current_username().unwrap();
    assert_eq!(told["revisions"][0]["by"].as_str().unwrap().split('@').next(), user.to_str());

    let end = deployment.list_end();
    deployment.ok(&["incident", "close", "shop", "--dry-run"]);
    assert_eq!(deployment.list_end(), end, "a dry run wrote something");
    deployment.ok(&["incident", "close", "shop"]);
    assert!(deployment.shown("shop").is_empty());
    assert_eq!(deployment.json(&["incident", "list", "--open"])["incidents"], json!([]));
    assert_eq!(deployment.json(&["incident", "list"])["incidents"][0]["state"], "closed");
    fails(deployment.command(&["incident", "revise", "shop", "--add", &more]), 65, &["closed"]);
}

#[test]
fn what_cannot_be_right_changes_nothing() {
    let Some(deployment) = Deployment::new("refused") else { return };
    let list = deployment.file("list", lines(0..30));
    ok(deployment.open("shop", &["--list", &list]));
    let end = deployment.list_end();
    let columns: String = (0..20).map(|n| format!("{},{},x\n", card_number(n), n)).collect();
    let columns = deployment.file("columns.csv", format!("pan,account,word\n{columns}"));
    let half = deployment.file("half", lines(0..9) + &"12\n".repeat(10));
    let (empty, header) = (deployment.file("empty", ""), deployment.file("header.csv", "pan\n"));
    let cut = deployment.file("cut.gz", &gzip(&lines(0..500))[..900]);
    let add = |more: &[&str]| {
        let arguments: Vec<&str> =
            ["incident", "revise", "shop"].into_iter().chain(more.iter().copied()).collect();
        deployment.command(&arguments)
    };
    let mut programs = Vec::new();
    for (invocation, code, words) in [
        (
            deployment.open("shop", &["--list", &list]),
            65,
            vec!["shop is there already", "incident revise shop"],
        ),
        (deployment.command(&["incident", "show", "chop"]), 65, vec!["no incident chop", "there are: shop"]),
        (deployment.command(&["incident", "close", "chop"]), 65, vec!["no incident chop", "there are: shop"]),
        (deployment.command(&["incident", "revise", "chop", "--undo", "1"]), 65, vec!["there are: shop"]),
        (add(&["--undo", "2"]), 65, vec!["no revision 2", "1 to 1"]),
        (add(&["--exposed-from", "2026-03-01"]), 65, vec!["exposure period ends before it begins"]),
        (
            add(&["--add", &columns, "--column", "account"]),
            65,
            vec!["20 of 20", "not 8 to 19 digits", "--column"],
        ),
        (add(&["--add", &columns, "--column", "word"]), 65, vec!["20 of 20", "not made of digits"]),
        (add(&["--add", &columns, "--column", "nr"]), 65, vec!["no column nr", "pan, account, word"]),
        (add(&["--replace", &half]), 65, vec!["10 of 19 entries"]),
        (add(&["--replace", &empty]), 65, vec!["empty"]),
        (add(&["--replace", &header]), 65, vec!["holds no entries"]),
        (add(&["--add", "no-such-file"]), 65, vec!["cannot open no-such-file"]),
        (add(&["--add", &cut]), 65, vec!["cut off"]),
        (add(&["--add", &list, "--kind", "fingerprint"]), 65, vec!["30 of 30", "fingerprint"]),
    ] {
        programs.push(fails(invocation, code, &words));
    }
    assert_eq!(deployment.list_end(), end, "a refused change wrote something");
    for program in &programs {
        assert_eq!(leaks(program.transcript().as_bytes(), &(0..500).collect::<Vec<_>>()), None);
    }
    // Cut off where nobody looked ahead: the claim dies, and says so.
    let long = gzip(&lines(0..20_000));
    let long = deployment.file("long.gz", &long[..long.len() - 100]);
    fails(add(&["--add", &long]), 65, &["cut off"]);
    assert_eq!(deployment.shown("shop").len(), 30);
    let told = deployment.json(&["incident", "show", "shop"]);
    assert_eq!(told["revisions"][1]["state"], "dead");
}

#[test]
fn another_key_of_the_same_name_is_told_before_anything_is_written() {
    let Some(deployment) = Deployment::new("keys") else { return };
    let list = deployment.file("list", lines(0..30));
    ok(deployment.open("shop", &["--list", &list]));
    let end = deployment.list_end();
    deployment.new_key("others", "k1");
    let other = |arguments: &[&str]| Program::with(arguments).config(&deployment.config_with_keys("others"));
    let open: Vec<&str> =
        ["incident", "open", "mall", "--list", &list].into_iter().chain(crate::deployment::DETAILS).collect();
    let words = ["key k1 is not the key that the cards of shop were written under", "check value"];
    fails(other(&open), 78, &words);
    fails(other(&["incident", "revise", "shop", "--withdraw", &list]), 78, &words);
    let prints = ok(other(&["fingerprint", &list]));
    let prints = deployment.file("prints.csv", prints.stdout().join("\n"));
    fails(deployment.open("mall", &["--list", &prints, "--kind", "fingerprint"]), 65, &words);
    fails(other(&["fingerprint", &list, "--kind", "fingerprint"]), 64, &["fingerprints already"]);
    fails(
        Program::with(&open).config(&deployment.config_with_keys("nowhere")),
        78,
        &["no keyring", "cardwatch key new"],
    );
    assert_eq!(deployment.list_end(), end);

    // Withdrawing would look for the cards under a key that is not here, and find none.
    deployment.new_key("newer", "k2");
    let newer = |arguments: &[&str]| Program::with(arguments).config(&deployment.config_with_keys("newer"));
    let words = ["listed under key k1, which is not here", "--replace"];
    fails(newer(&["incident", "revise", "shop", "--withdraw", &list]), 78, &words);
    assert_eq!(deployment.list_end(), end);

    // A new primary key: the same list moves its cards, and withdrawing finds them under either key.
    deployment.new_key("keys", "k2");
    let some = deployment.file("some", lines(0..10));
    deployment.ok(&["incident", "revise", "shop", "--add", &some]);
    let told = deployment.json(&["incident", "show", "shop"]);
    let by_key = column(&told["keys"], "key", "cards");
    assert_eq!((&by_key["k1"], &by_key["k2"]), (&json!(20), &json!(10)));
    deployment.ok(&["incident", "revise", "shop", "--withdraw", &list]);
    assert!(deployment.shown("shop").is_empty());
}

/// A list in a pipe: what the importing process has read so far is all there is.
struct Trickle {
    pipe: File,
}

impl Trickle {
    fn open(path: &str) -> Trickle {
        Trickle { pipe: File::options().write(true).open(path).unwrap() }
    }

    fn send(&mut self, cards: std::ops::Range<usize>) {
        self.pipe.write_all(lines(cards).as_bytes()).unwrap();
    }
}

/// Waits until cards of a claimed revision stand on the list.
fn await_cards(deployment: &Deployment, revision: i64) {
    wait::until("cards of the import", WITHIN, || {
        let records = deployment.kafka.read_stable(&deployment.topic("exposures"));
        let mut cards = records.iter().filter(|message| message.key_text().starts_with("card/"));
        cards
            .any(|message| message.json()["events"].as_array().unwrap().contains(&json!(revision)))
            .then_some(())
    });
}

#[test]
fn a_stopped_import_finds_that_another_took_over() {
    let Some(deployment) = Deployment::new("stopped") else { return };
    let seed = deployment.file("seed", lines(0..5));
    ok(deployment.open("shop", &["--list", &seed]));
    let pipe = deployment.pipe("slow");
    let slow = ["incident", "revise", "shop", "--replace", &pipe, "--as", "slow"];
    let mut slow = deployment.command(&slow).start();
    let mut list = Trickle::open(&pipe);
    list.send(1_000..3_500);
    await_cards(&deployment, 2);
    assert_eq!(deployment.shown("shop").len(), 5, "a claimed revision shows nothing");
    slow.signal(Signal::STOP);

    let other = deployment.file("other", lines(0..10));
    deployment.ok(&["incident", "revise", "shop", "--replace", &other, "--as", "Quick"]);
    let theirs = deployment.shown("shop");
    assert_eq!(theirs.len(), 10);
    slow.signal(Signal::CONT);
    list.send(3_500..4_000);
    drop(list);
    let ended = slow.await_end(COMMAND);
    said(&slow, ended, 69, &["took over", "revision 3 by Quick on ", "nothing of this change is visible"]);
    assert_eq!(deployment.shown("shop"), theirs);
    let told = deployment.json(&["incident", "show", "shop"]);
    let states: Vec<&Value> = told["revisions"].as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["done", "dead", "done"]);
}

#[test]
fn a_killed_import_leaves_nothing_and_the_next_one_succeeds() {
    let Some(deployment) = Deployment::new("killed") else { return };
    let pipe = deployment.pipe("slow");
    let mut slow = deployment.open("shop", &["--list", &pipe]).start();
    let mut list = Trickle::open(&pipe);
    list.send(0..3_000);
    await_cards(&deployment, 1);
    // A claimed revision whose list has come to a halt holds no transaction open.
    wait::until("nothing is open", WITHIN, || {
        let marks = deployment.kafka.watermarks(&deployment.topic("exposures"), 0);
        (marks.stable == marks.high).then_some(())
    });
    list.send(3_000..3_100);
    slow.kill();
    assert!(deployment.shown("shop").is_empty());
    let told = deployment.json(&["incident", "list"]);
    assert_eq!(
        (&told["incidents"][0]["revision"], &told["incidents"][0]["cards"]),
        (&Value::Null, &json!(0))
    );

    let again = deployment.file("again", lines(2_990..3_010));
    ok(deployment.open("shop", &["--list", &again]));
    assert_eq!(deployment.shown("shop").len(), 20);
    let told = deployment.json(&["incident", "show", "shop"]);
    let revisions = told["revisions"].as_array().unwrap();
    let states: Vec<_> =
        revisions.iter().map(|row| (row["revision"].as_u64(), row["state"].as_str())).collect();
    assert_eq!(states, [(Some(1), Some("dead")), (Some(2), Some("done"))]);
    // What the dead import wrote is not added to: its events are gone from the cards written since.
    let cards = deployment.kafka.read(&deployment.topic("exposures"), Isolation::Committed);
    let both = cards.iter().filter(|message| message.key_text().starts_with("card/"));
    assert!(both.into_iter().all(|message| message.json()["events"].as_array().unwrap().len() == 1));
}

#[test]
fn imports_at_once_leave_the_list_as_one_of_them_made_it() {
    let Some(deployment) = Deployment::new("at-once") else { return };
    let seed = deployment.file("seed", lines(0..5));
    ok(deployment.open("shop", &["--list", &seed]));
    // Lists of different lengths that share cards, each replacing all.
    let lists: Vec<String> =
        (0..3).map(|n| deployment.file(&format!("list-{n}"), lines(n * 500..n * 1_000 + 2_000))).collect();
    let mut running: Vec<Program> = lists
        .iter()
        .map(|list| deployment.command(&["incident", "revise", "shop", "--replace", list]).start())
        .collect();
    let ends: Vec<Ended> = running.iter_mut().map(|program| program.await_end(COMMAND)).collect();
    for (program, ended) in running.iter().zip(&ends) {
        if *ended != Ended::Code(0) {
            said(program, *ended, 69, &["took over"]);
        }
    }
    let told = deployment.json(&["incident", "show", "shop"]);
    let log = told["revisions"].as_array().unwrap();
    let last = log.iter().rfind(|row| row["state"] == "done").unwrap();
    let done = log.iter().filter(|row| row["state"] == "done").count();
    assert_eq!(done, 1 + ends.iter().filter(|ended| **ended == Ended::Code(0)).count(), "{told}");
    assert!(done >= 2, "one of them at least must come through");
    let shown = deployment.shown("shop");
    assert_eq!(Some(shown.len() as u64), last["cards"].as_u64());
    let made: Vec<bool> = (0..3)
        .map(|n| {
            let prints =
                ok(deployment.command(&["fingerprint", "-"]).input(lines(n * 500..n * 1_000 + 2_000)));
            let keys =
                prints.stdout().into_iter().skip(1).map(|line| line.split(',').next().unwrap().to_owned());
            let cards: std::collections::BTreeSet<String> =
                keys.map(|print| format!("card/k1/{print}/shop")).collect();
            cards == shown
        })
        .collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
}
