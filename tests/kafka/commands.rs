//! Commands and the service, on a real broker: what each says when something is wrong, and with which code it ends.

use std::time::Duration;

use serde_json::Value;

use crate::deployment::{
    COMMAND, DRAIN, Deployment, INPUT_PARTITIONS, WITHIN, fails, leaks, lines, ok, said, transaction,
};
use crate::support::load::card_number;
use crate::support::ports::free_port;
use crate::support::program::Ended;
use crate::support::{Isolation, Outgoing, Program, wait};

#[test]
fn topics_are_made_checked_and_missed() {
    let Some(deployment) = Deployment::bare("topics") else { return };
    let input = deployment.topic("transactions");
    let missing = format!("topic {input} does not exist");
    fails(deployment.command(&["run"]), 78, &[&missing, "cardwatch topics --create"]);
    fails(deployment.command(&["topics"]), 78, &[&missing, "--create"]);
    let list = deployment.file("list", lines(0..3));
    fails(deployment.open("shop", &["--list", &list]), 78, &["exposures does not exist", "--create"]);
    // The input is the user's own and is never made.
    fails(deployment.command(&["topics", "--create"]), 78, &[&missing]);
    assert_eq!(deployment.kafka.partitions(&deployment.topic("exposures")), 1);
    deployment.kafka.create(&input, INPUT_PARTITIONS, &[]);
    let told = deployment.json(&["topics"]);
    let states: Vec<&str> = told
        .as_array()
        .or(told["topics"].as_array())
        .unwrap()
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["as it must be"; 10]);
    deployment.ok(&["topics", "--create"]);

    // Wrong partition counts: histories lie by partition, and the list is one.
    deployment.kafka.grow(&deployment.topic("card-history"), 3);
    let wrong = ["card-history has 3 partitions, needs 2"];
    fails(deployment.command(&["run"]), 78, &wrong);
    fails(deployment.command(&["topics"]), 78, &wrong);
    deployment.kafka.grow(&deployment.topic("exposures"), 2);
    let wrong = ["exposures has 2 partitions", "1"];
    fails(deployment.command(&["run"]), 78, &wrong);
    fails(deployment.open("shop", &["--list", &list]), 78, &wrong);
}

#[test]
fn an_unreachable_cluster_is_named() {
    let Some(deployment) = Deployment::bare("unreachable") else { return };
    let nobody = format!("127.0.0.1:{}", free_port());
    let list = deployment.file("list", lines(0..3));
    let away = |arguments: &[&str]| {
        deployment.command(arguments).env("CARDWATCH_KAFKA__BOOTSTRAP_SERVERS", &nobody).start()
    };
    let open: Vec<&str> =
        ["incident", "open", "shop", "--list", &list].into_iter().chain(crate::deployment::DETAILS).collect();
    // All at once: each waits ten seconds for an answer.
    let mut running = [away(&["run"]), away(&["topics"]), away(&open), away(&["incident", "list"])];
    for program in &mut running {
        let ended = program.await_end(COMMAND);
        said(program, ended, 69, &[&nobody, "kafka.bootstrap_servers"]);
    }
}

#[test]
fn a_configuration_is_refused_with_its_line() {
    let Some(deployment) = Deployment::bare("config") else { return };
    let config = deployment.config() + "listne = 5\n[sights]\nworkers = 2\n";
    for command in ["run", "topics", "check"] {
        let refused = Program::with(&[command]).config(&config).run(COMMAND);
        let (ended, program) = refused;
        assert_eq!(ended, Ended::Code(78), "{}", program.transcript());
        let told = program.transcript();
        let line = config.lines().position(|line| line.starts_with("listne")).unwrap() + 1;
        assert!(told.contains(&format!("cardwatch.toml:{line}")) && told.contains("listne"), "{told}");
        assert!(
            told.contains("listen") && told.contains("sights"),
            "every mistake, and what was meant: {told}"
        );
    }
}

#[test]
fn keys_that_do_not_fit_the_list_stop_the_service() {
    let Some(deployment) = Deployment::new("key-fit") else { return };
    let list = deployment.file("list", lines(0..7));
    ok(deployment.open("shop", &["--list", &list]));
    deployment.new_key("other", "k1");
    deployment.new_key("newer", "k2");
    let run = |directory: &str| Program::with(&["run"]).config(&deployment.config_with_keys(directory));
    fails(
        run("other"),
        78,
        &["key k1 here is not the key k1 that incident shop was made with", "bring the right key file"],
    );
    fails(run("newer"), 78, &["7 cards on the list were made with key k1, which is not here", "k1.key"]);
    fails(run("nowhere"), 78, &["no keyring", "cardwatch key new"]);

    // What needs no key runs without one.
    let score = Program::with(&["run", "--lines", "score"]).config(&deployment.config_with_keys("nowhere"));
    let mut score = score.start();
    score.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    assert_eq!(score.terminate(DRAIN), Ended::Code(0));

    // A list under another key that comes while it runs: not ready, and it says why.
    let mut program = deployment.run();
    let prints = ok(Program::with(&["fingerprint", &list]).config(&deployment.config_with_keys("newer")));
    let prints = deployment.file("prints.csv", prints.stdout().join("\n"));
    ok(deployment.open("mall", &["--list", &prints, "--kind", "fingerprint"]));
    let told = program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 503);
    assert!(told.contains("7 cards on the list were made with key k2, which is not here"), "{told}");
    deployment.ok(&["incident", "close", "mall"]);
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));

    // Something else wrote to the list.
    deployment
        .kafka
        .produce(&[Outgoing::to(&deployment.topic("exposures")).key("incident/hall").value("{\"schema\":")]);
    let words = ["exposures", "does not read at offset", "incident/hall", "JSON that ends too early"];
    fails(deployment.command(&["run"]), 65, &words);
    fails(
        deployment.command(&["incident", "list"]),
        65,
        &["offset", "incident/hall", "JSON that ends too early"],
    );
}

#[test]
fn a_half_written_list_shows_nothing() {
    let Some(deployment) = Deployment::new("half") else { return };
    let pipe = deployment.pipe("slow");
    let mut import = deployment.open("shop", &["--list", &pipe]).start();
    let mut list = std::fs::File::options().write(true).open(&pipe).unwrap();
    std::io::Write::write_all(&mut list, lines(0..2_000).as_bytes()).unwrap();
    wait::until("cards", WITHIN, || {
        (deployment.kafka.read_stable(&deployment.topic("exposures")).len() > 100).then_some(())
    });
    import.kill();
    drop(list);
    deployment.send((0..20).map(|n| transaction(n, &card_number(n))));
    let mut program = deployment.run();
    deployment.await_offset("sight", "transactions", 20);
    assert!(deployment.committed("sightings").is_empty());
    let metrics = program.await_http(&deployment.url("metrics"), WITHIN, |status, _| status == 200);
    assert!(metrics.contains("\ncardwatch_exposed_cards 0\n"), "{metrics}");
    // The next import is seen by the service as it runs.
    let again = deployment.file("again", lines(0..10));
    ok(deployment.open("shop", &["--list", &again]));
    program.await_http(&deployment.url("metrics"), WITHIN, |_, text| {
        text.contains("\ncardwatch_exposed_cards 10\n")
    });
    deployment.send((0..20).map(|n| transaction(20 + n, &card_number(n))));
    deployment.await_offset("sight", "transactions", 40);
    let sightings = deployment.await_records("sightings", 10);
    assert_eq!(sightings.len(), 10);
    assert!(
        sightings.iter().all(|one| one.json()["incidents"][0]["revision"] == 2),
        "{:?}",
        sightings[0].text()
    );
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

#[test]
fn a_twin_takes_over_and_is_named() {
    let Some(deployment) = Deployment::new("twin") else { return };
    let mut first = deployment.run();
    // Ready is ready as a whole: with every line that it runs, not with the first that was started.
    for line in ["sight", "score", "books"] {
        let flows = format!("partition flows line=\"{line}\"");
        first.await_line(&flows, WITHIN);
    }
    let config = deployment.config().replace(&format!("127.0.0.1:{}", deployment.http), "");
    let mut twin = Program::with(&["run"]).config(&config).start();
    // Of the one partition of outcomes it gets nothing.
    for line in ["sight", "score"] {
        twin.await_line(&format!("partition flows line=\"{line}\""), WITHIN);
    }
    // The first one learns of it when it next commits.
    for n in 0..100 {
        if first.poll_end().is_some() {
            break;
        }
        // One of the partitions is still its own.
        let topic = deployment.topic("transactions");
        let record =
            |partition| Outgoing::to(&topic).partition(partition).value(transaction(n, &card_number(n)));
        deployment.kafka.produce(&[record(0), record(1)]);
        wait::pause(Duration::from_millis(100));
    }
    let ended = first.await_end(WITHIN);
    said(&first, ended, 78, &["same instance id", "took over", "instance.id"]);
    assert_eq!(twin.terminate(DRAIN), Ended::Code(0), "{}", twin.transcript());
}

#[test]
fn a_lost_range_stops_the_line_until_somebody_answers_for_it() {
    let Some(deployment) = Deployment::new("lost") else { return };
    let list = deployment.file("list", lines(0..1));
    ok(deployment.open("shop", &["--list", &list]));
    deployment.send((0..10).map(|n| transaction(n, &card_number(0))));
    let mut program = deployment.run();
    deployment.await_offset("sight", "transactions", 10);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    deployment.send((10..30).map(|n| transaction(n, &card_number(0))));
    deployment.kafka.expire(&deployment.topic("transactions"), 0, 25);
    let range = format!("15 records of {}/0 are lost: offsets 10 to 24", deployment.topic("transactions"));
    fails(deployment.command(&["run"]), 65, &[&range, "expired", "--accept-gap"]);
    assert_eq!(deployment.committed("sightings").len(), 10);

    let accepted = ["run", "--accept-gap", "anna, ticket 7"];
    let mut program = deployment.command(&accepted).start();
    deployment.await_offset("sight", "transactions", 30);
    let line = program.await_line("accepted", WITHIN);
    assert!(line.contains("anna, ticket 7") && line.contains("10") && line.contains("24"), "{line}");
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    assert_eq!(deployment.await_records("sightings", 15).len(), 15);
    let committed =
        &deployment.kafka.committed(&deployment.group("sight"), &deployment.topic("transactions"))[0];
    assert!(
        committed.metadata.contains("gap=10-24") && committed.metadata.contains("anna"),
        "{}",
        committed.metadata
    );

    // The topic deleted and made again. Kafka forgets the group's offsets with it, but not those that a process
    // commits afterwards: they mean other records.
    let input = deployment.topic("transactions");
    deployment.kafka.delete(&input);
    deployment.kafka.create(&input, INPUT_PARTITIONS, &[]);
    deployment.send((30..80).map(|n| transaction(n, &card_number(0))));
    deployment.kafka.commit(&deployment.group("sight"), &input, 0, 30, &committed.metadata);
    fails(deployment.command(&["run"]), 78, &["was deleted and made again", "--accept-gap"]);
    assert_eq!(deployment.committed("sightings").len(), 15);
    let mut program = deployment.command(&accepted).start();
    assert_eq!(deployment.await_records("sightings", 65).len(), 65);

    // And under its feet.
    program.await_http(&deployment.url("health/ready"), WITHIN, |status, _| status == 200);
    deployment.kafka.delete(&input);
    let ended = program.await_end(WITHIN);
    said(&program, ended, 78, &[&input, "was deleted"]);
    // Where no offset is left, it is still known that the group had read another topic of this name.
    deployment.kafka.create(&input, INPUT_PARTITIONS, &[]);
    deployment.send((80..85).map(|n| transaction(n, &card_number(0))));
    fails(deployment.command(&["run"]), 78, &["was deleted and made again", "--accept-gap"]);
    let mut program = deployment.command(&accepted).start();
    assert_eq!(deployment.await_records("sightings", 70).len(), 70);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
}

/// A transaction of exactly so many bytes.
fn padded(number: usize, card: &str, bytes: usize) -> String {
    let json = transaction(number, card);
    let shell = json.trim_end_matches('}').to_owned() + r#","merchant":{"name":""}}"#;
    shell.replace(r#""name":"""#, &format!(r#""name":"{}""#, "x".repeat(bytes - shell.len())))
}

#[test]
fn a_record_of_the_largest_size_passes_and_one_byte_more_is_a_dead_letter() {
    const LARGEST: usize = 1024 * 1024;
    let Some(deployment) = Deployment::new("largest") else { return };
    let list = deployment.file("list", lines(0..5));
    ok(deployment.open("shop", &["--list", &list]));
    deployment.kafka.set(&deployment.topic("transactions"), &[("max.message.bytes", "4000000")]);
    let good = padded(0, &card_number(0), LARGEST);
    assert_eq!(good.len(), LARGEST);
    let bad = padded(1, "no card", LARGEST);
    let over = padded(2, &card_number(1), LARGEST + 1);
    deployment.send([good, bad, over, "x".repeat(3_000_000), transaction(4, &card_number(2))]);
    // With the originals kept: a letter with so large a value would be refused by the broker.
    let config = deployment.config() + "[dead_letters]\npayload = \"original\"\n";
    let mut program = Program::with(&["run"]).config(&config).start();
    let sightings = deployment.await_records("sightings", 2);
    let letters = deployment.await_records("dead-letters", 3);
    deployment.await_offset("sight", "transactions", 5);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());
    let ids: Vec<Value> = sightings.iter().map(|one| one.json()["transaction"]["id"].clone()).collect();
    assert!(ids.contains(&Value::from("t0")) && ids.contains(&Value::from("t4")), "{ids:?}");
    let reasons: Vec<_> = letters.iter().map(|letter| format!("{:?}", letter.headers)).collect();
    for (reason, size) in
        [("card_not_a_number", LARGEST), ("too_large", LARGEST + 1), ("too_large", 3_000_000)]
    {
        let there = letters.iter().any(|letter| {
            let has = |text: &str| letter.headers.iter().any(|(_, value)| value == text.as_bytes());
            has(reason) && has(&size.to_string())
        });
        assert!(there, "{reason} {size}: {reasons:?}");
    }
    assert!(letters.iter().all(|letter| letter.value.as_ref().is_none_or(|value| value.len() < LARGEST)));
}

/// Every mapped field, and every other place, holds a card number.
fn canaries(number: usize, card: &str, canary: usize) -> String {
    let text = card_number(canary);
    let spaced = format!("{} {} {} {}", &text[..4], &text[4..8], &text[8..12], &text[12..]);
    format!(
        r#"{{"id":"t{number}-{text}","at":"{text}","card":"{card}","kind":"{text}","outcome":"{spaced}","response_code":"{text}","amount":"{text}","currency":"{text}","billing_amount":{text},"billing_currency":"{text}","merchant":{{"id":"{text}","name":"Shop {spaced}","mcc":"{text}","country":"{text}","place":"{text}"}},"channel":"{text}","initiation":"{text}","credential":"{text}","cvv":"{text}","avs":"{text}","three_ds":"{text}","expiry":"{text}","account":"ref-{text}","email":"{text}@example.com","{text}":"{text}"}}"#
    )
}

#[test]
fn no_card_number_comes_out_anywhere() {
    let Some(deployment) = Deployment::new("canary") else { return };
    let cards: Vec<usize> = (500..520).collect();
    let list = deployment.file(
        "list.csv",
        cards.iter().map(|card| format!("{0},account {0}\n", card_number(*card))).collect::<String>(),
    );
    let opened = ok(deployment.open("shop", &["--list", &list, "--column", "1", "--reference", "account=2"]));
    let rules = deployment.file(
        "rules.toml",
        "[[rule]]\nname = \"every\"\nwhen = \"true\"\nscore = 100\ntext = \"every sighting\"\n",
    );
    let config = deployment.config()
        + &format!(
            "[alerts]\nrules = \"{rules}\"\n[mapping.references]\naccount = \"/account\"\nmail = \"/email\"\n[log]\nlevel = \"debug\"\n"
        );
    let topic = deployment.topic("transactions");
    let record = |value: String, canary: usize| {
        let number = card_number(canary);
        let traced = format!("00-{number}{number}-{number}-01");
        Outgoing::to(&topic)
            .partition(0)
            .value(value)
            .key(number.clone())
            .header("card", number.clone())
            .header(&number, "x")
            .header("traceparent", traced)
    };
    let mut records = Vec::new();
    for (number, &card) in cards.iter().enumerate() {
        let text = card_number(card);
        records.push(record(canaries(number, &text, card), card));
        // Bad ones: a card field of the wrong kind, a number cut off, a record cut off, no JSON, too large.
        records.push(record(canaries(number, &format!("{text}x"), card), card));
        records.push(record(canaries(number, &text.repeat(2), card), card));
        let whole = canaries(number, &text, card);
        records.push(record(whole[..whole.len() - 9].to_owned(), card));
        records.push(record(text.clone() + ",", card));
    }
    let huge = card_number(500) + " ";
    records.push(record(format!("{}{}", canaries(0, &card_number(500), 500), huge.repeat(40_000)), 500));
    let huge = card_number(501) + " ";
    records.push(record(padded(9, &card_number(501), 900_000).replace("xxxxxxxxxxxxxxxxx", &huge), 501));
    // Readable and not exposed, so that the share of unreadable ones stops nothing.
    deployment.kafka.produce(&records);

    let mut program =
        Program::with(&["run", "-vv"]).config(&(config + "[dead_letters]\nstop_at = 1.0\n")).start();
    deployment.await_offset("sight", "transactions", records.len() as i64);
    let sightings = deployment.await_records("sightings", cards.len() + 1);
    let alerts = deployment.await_records("alerts", cards.len() + 1);
    let letters = deployment.committed("dead-letters");
    assert_eq!((sightings.len(), alerts.len(), letters.len()), (21, 21, 81));
    let withheld = sightings
        .iter()
        .filter(|one| one.json()["withheld"].as_array().is_some_and(|fields| !fields.is_empty()))
        .count();
    assert!(withheld >= 20, "{}", sightings[0].text());
    let mut seen: Vec<u8> = opened.transcript().into_bytes();
    for page in ["metrics", "health/ready", "health/live"] {
        seen.extend(program.await_http(&deployment.url(page), WITHIN, |_, _| true).into_bytes());
        seen.push(b'\n');
    }
    assert_eq!(program.terminate(DRAIN), Ended::Code(0));
    seen.extend(program.transcript().into_bytes());
    for name in
        ["exposures", "sightings", "card-history", "alerts", "deliveries", "audit", "control", "dead-letters"]
    {
        // Of open and aborted transactions too.
        for message in deployment.kafka.read(&deployment.topic(name), Isolation::Uncommitted) {
            seen.extend(message.key.unwrap_or_default());
            seen.push(b'\n');
            seen.extend(message.value.unwrap_or_default());
            for (name, value) in message.headers {
                seen.extend([b"\n", name.as_bytes(), b"\n", value.as_slice()].concat());
            }
            seen.push(b'\n');
        }
    }
    for line in seen.split(|byte| *byte == b'\n') {
        let leaked = leaks(line, &cards);
        assert_eq!(leaked, None, "{}", String::from_utf8_lossy(line));
    }
}
