//! Moving to another cluster by the commands of docs/howto/backup.md, each as it stands there.

use std::collections::BTreeMap;
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use tempfile::TempDir;

use crate::page::{self, bare, below, indented};
use crate::support::deployment::RULES;
use crate::support::load::{Planned, card_number};
use crate::support::program::{Ended, Invocation, write_private};
use crate::support::tool::tool;
use crate::support::{BrokerOptions, Isolation, Kafka, Outgoing, Program, own_broker, shared_kafka, wait};

const WITHIN: Duration = Duration::from_secs(90);
/// Cards on the list, and how often each is used before the change and after it.
const CARDS: usize = 6;
const USES: u64 = 4;

/// Two clusters with topics of the same names, and the directory that commands are typed in.
struct Move {
    old: Kafka,
    new: Kafka,
    home: TempDir,
}

impl Move {
    fn configure(&self, name: &str, kafka: &Kafka, start: &str) {
        let prefix = self.old.prefix();
        let config = format!(
            "[kafka]\nbootstrap_servers = \"{}\"\n[topics]\nprefix = \"{prefix}\"\nreplication_factor = 1\npartitions = 2\n\
             [input]\ntopic = \"{prefix}transactions\"\nstart = \"{start}\"\n[instance]\nid = \"{name}\"\n\
             transactional_prefix = \"{prefix}tx\"\ngroup_prefix = \"{prefix}group\"\n[http]\nlisten = \"\"\n\
             [alerts]\nthreshold = 50\nrules = \"rules.toml\"\n",
            kafka.bootstrap()
        );
        write_private(&self.home.path().join(format!("{name}.toml")), config);
    }

    /// A command, as somebody types it in that directory.
    fn typed(&self, command: &str) -> Invocation {
        let command =
            command.replacen("cardwatch ", concat!("exec '", env!("CARGO_BIN_EXE_cardwatch"), "' "), 1);
        let script = format!("cd '{}' && {command}", self.home.path().display());
        Program::other("bash", &["-c", &script])
    }

    fn types(&self, command: &str) -> String {
        let (ended, program) = self.typed(command).run(WITHIN);
        assert_eq!(ended, Ended::Code(0), "{command}\n{}", program.transcript());
        program.transcript()
    }

    fn service(&self, name: &str) -> Program {
        let mut program = self.typed(&format!("cardwatch run --config {name}.toml")).start();
        program.await_line("cardwatch runs", WITHIN);
        program
    }

    /// Upstream writes the uses from number `first` on, card after card, to these clusters.
    fn write(&self, clusters: &[&Kafka], first: u64) {
        let now = SystemClock.now().millis();
        let uses = (first..first + USES).flat_map(|turn| (0..CARDS).map(move |card| (turn, card)));
        let records: Vec<Outgoing> = uses
            .map(|(turn, card)| {
                let number = turn * CARDS as u64 + card as u64;
                let (at, amount, merchant) = (Duration::ZERO, 1_250, 7);
                let partition = i32::try_from(card % 2).unwrap();
                let planned = Planned { at, number, card, partition, amount, merchant };
                let to = Outgoing::to(&self.old.name("transactions"));
                to.partition(partition).timestamp(now).value(planned.json(now))
            })
            .collect();
        clusters.iter().for_each(|kafka| drop(kafka.produce(&records)));
    }

    /// The ids of alerts by the transaction they are about, when the alert on the last use is there.
    fn alerts(&self, kafka: &Kafka, uses: u64) -> BTreeMap<String, String> {
        let last: Vec<String> =
            (0..CARDS as u64).map(|card| format!("tx-{}", (uses - 1) * CARDS as u64 + card)).collect();
        wait::until("the last use of each card raises an alert", WITHIN, || {
            let read = kafka.read(&self.old.name("alerts"), Isolation::Committed);
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let alerts: BTreeMap<String, String> = read
                .iter()
                .map(|message| message.json())
                .map(|alert| (text(&alert["transaction"]["id"]), text(&alert["id"])))
                .collect();
            last.iter().all(|id| alerts.contains_key(id)).then_some(alerts)
        })
    }
}

#[test]
fn a_service_that_is_moved_by_the_page_raises_what_the_old_one_does_under_ids_of_its_own() {
    let Some(old) = shared_kafka("moving") else { return };
    let Some(broker) = own_broker("moving", BrokerOptions::default()) else { return };
    if tool("bash", "the page on moving").is_none() {
        return;
    }
    let commands = indented(&below(&page::text("docs/howto/backup.md"), "## Move to another cluster"));
    let moving = Move {
        old,
        new: broker.kafka("moving"),
        home: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
    };
    write_private(&moving.home.path().join("rules.toml"), RULES);
    let cards = (0..CARDS).map(|card| format!("{}\n", card_number(card)));
    write_private(
        &moving.home.path().join("cards.csv"),
        format!("card_number\n{}", cards.collect::<String>()),
    );
    for kafka in [&moving.old, &moving.new] {
        kafka.create(&moving.old.name("transactions"), 2, &[]);
    }

    // The old service, as it came to be: by the same commands.
    moving.configure("old", &moving.old, "earliest");
    moving.types("cardwatch topics --create --config old.toml");
    moving.types("cardwatch key new k1 --config old.toml");
    let open = commands.iter().find(|command| command.starts_with("cardwatch incident open")).unwrap();
    moving.types(&open.replace("new.toml", "old.toml"));
    let mut before = moving.service("old");
    moving.write(&[&moving.old], 0);
    moving.alerts(&moving.old, USES);

    moving.configure("new", &moving.new, &SystemClock.now().to_string());
    let mut after = None;
    for command in &commands {
        let command = bare(command);
        if command.starts_with("cardwatch check --sample") {
            moving.write(&[&moving.old, &moving.new], USES);
        }
        if command == "cardwatch run --config new.toml" {
            after = Some(moving.service("new"));
        } else {
            moving.types(&command);
        }
    }
    let (there, here) = (moving.alerts(&moving.old, 2 * USES), moving.alerts(&moving.new, 2 * USES));
    // What was used before the change is not known here: the third use since is the first that looks odd.
    let odd = (USES + 2) * CARDS as u64..2 * USES * CARDS as u64;
    let odd: Vec<String> = odd.map(|number| format!("tx-{number}")).collect();
    let raised: Vec<&String> = here.keys().collect();
    assert_eq!(raised, odd.iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    for (transaction, id) in &here {
        assert!(
            there.get(transaction).is_some_and(|other| other != id),
            "{transaction}: {id} beside {there:?}"
        );
    }
    let shown = moving.types("cardwatch incident show shop-2026 --config new.toml");
    assert!(shown.contains(&CARDS.to_string()), "{shown}");
    let report = std::fs::read_to_string(moving.home.path().join("shop-2026.md")).unwrap();
    assert!(report.contains("Shop KK"), "{report}");
    for program in [Some(&mut before), after.as_mut()].into_iter().flatten() {
        assert_eq!(program.terminate(WITHIN), Ended::Code(0), "{}", program.transcript());
    }
}
