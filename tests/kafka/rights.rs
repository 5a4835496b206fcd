//! The rights that commands need, by docs/kafka.md: with these each works, and without them it says what is missing.

use crate::deployment::{DETAILS, DRAIN, Deployment, fails, lines, ok, transaction};
use crate::hooks::House;
use crate::secured::{at, documented};
use crate::support::Outgoing;
use crate::support::acls::{self, Acl};
use crate::support::load::card_number;
use crate::support::program::Ended;
use crate::support::receiver::Behaviour;
use crate::support::secured::shared_secured;

fn on_topic(principal: &str, name: String, prefixed: bool, operation: &str) -> Acl {
    let (principal, operation) = (format!("User:{principal}"), operation.to_owned());
    Acl { principal, resource: "topic", name, prefixed, operation }
}

#[test]
fn commands_work_with_the_rights_of_the_service() {
    let Some(secured) = shared_secured() else { return };
    let mut house = House::on(Deployment::on(secured.broker.kafka("command-rights")));
    let receiver = house.receiver(Behaviour::status(204));
    let endpoints = house.config(&[("issuer", &receiver, "")]);
    let mut program = house.run(&endpoints);
    let alert = house.alerts(1).pop_first().unwrap();
    let input = house.deployment.topic("transactions");
    house.deployment.kafka.produce(&[Outgoing::to(&input).value("no transaction")]);
    house.deployment.await_records("dead-letters", 1);
    assert_eq!(program.terminate(DRAIN), Ended::Code(0), "{}", program.transcript());

    // Nobody has read these: there is something to skip.
    house.deployment.send((50..60).map(|number| transaction(number, &card_number(number))));

    acls::allow(secured.broker.bootstrap(), &documented(&house.deployment, "operator"));
    let own = endpoints + &secured.with_certificate("operator");
    let command = |arguments: &[&str]| at(&house.deployment, &secured.mutual(), &own, arguments);
    let list = house.deployment.file("second", lines(3..5));
    let open: Vec<&str> =
        ["incident", "open", "second", "--list", &list].into_iter().chain(DETAILS).collect();
    ok(command(&open));
    let number = lines(0..1);
    for arguments in [
        &["topics"][..],
        &["check", "--sample", "10"],
        &["incident", "list"],
        &["incident", "report", "shop"],
        &["incident", "close", "second"],
        &["alerts", "list"],
        &["alerts", "show", &alert],
        &["outcome", &alert, "genuine"],
        &["webhook", "list"],
        &["webhook", "pending", "issuer"],
        &["webhook", "disable", "issuer"],
        &["webhook", "enable", "issuer"],
        &["webhook", "replay", "issuer", "--id", &alert],
        &["audit", "list"],
        &["sweep"],
        &["skip-to", "--topic", &input, "--partition", "0", "--offset", "3", "--reason", "a test"],
    ] {
        let done = ok(command(arguments));
        let said = done.transcript().to_lowercase();
        assert!(!said.contains("authorization"), "{arguments:?}: {said}");
    }
    ok(command(&["card", "show"]).input(number.as_str()));
    ok(command(&["card", "forget", "--yes"]).input(number.as_str()));

    // Letters may hold what nobody should see: whoever reads them is given that apart.
    let letters = house.deployment.topic("dead-letters");
    fails(command(&["dead-letters", "list"]), 78, &[&format!("Read on topic {letters}")]);
    acls::allow(secured.broker.bootstrap(), &[on_topic("operator", letters, false, "Read")]);
    ok(command(&["dead-letters", "list"]));
}

#[test]
fn an_administrator_makes_the_topics_and_a_player_writes_the_input_with_what_is_listed() {
    let Some(secured) = shared_secured() else { return };
    let deployment = Deployment::bare_on(secured.broker.kafka("other-rights"));
    let input = deployment.topic("transactions");
    deployment.kafka.create(&input, 2, &[]);
    let prefix = deployment.kafka.prefix().to_owned();
    let own = ["administrator", "player"].map(|name| secured.with_certificate(name));
    let [administrator, player] = own;
    let create = |more: &str| at(&deployment, &secured.mutual(), more, &["topics", "--create"]);

    fails(create(&administrator), 78, &["Describe on topic", "docs/kafka.md"]);
    let all = ["Create", "Describe", "DescribeConfigs"];
    let may = |operation| on_topic("administrator", prefix.clone(), true, operation);
    acls::allow(secured.broker.bootstrap(), &all.map(may));
    ok(create(&administrator));
    ok(create(&administrator));

    let play = |more: &str| {
        let arguments = ["simulate", "--kafka", "--cards", "50", "--days", "1"];
        at(&deployment, &secured.mutual(), more, &arguments)
    };
    fails(play(&player), 78, &[&format!("Describe on topic {input}"), "docs/kafka.md"]);
    acls::allow(secured.broker.bootstrap(), &[on_topic("player", input.clone(), false, "Write")]);
    ok(play(&player));
}
