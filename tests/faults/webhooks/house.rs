//! A deployment whose `notify` tells receivers of the test, under a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cardwatch::notice::sign::{Scheme, SigningKey};
use serde_json::Value;
use tempfile::TempDir;

use super::endpoints::{Kind, RULES, TEMPLATE};
use crate::PATIENCE;
use crate::support::balance::{Endpoint, Ledger, Log, Said};
use crate::support::clock::MovedClock;
use crate::support::ports::free_port;
use crate::support::program::{Ended, Invocation, Program, get};
use crate::support::receiver::{Behaviour, Receiver};
use crate::support::{Cluster, Deployment, Isolation, Revision, wait};

/// Cards that are used; all of them are exposed.
pub(super) const CARDS: usize = 200;
/// Partitions of the input.
pub(super) const INPUT: i32 = 4;
/// Short, so that nobody waits ten seconds for the partitions of a process that was killed.
const SESSION: &str = "session:2000";

/// An endpoint and what came to its receiver.
pub(super) struct Hook {
    pub(super) kind: Kind,
    receiver: Receiver,
    log: Arc<Mutex<Log>>,
}

impl Hook {
    /// From the next request on.
    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.receiver.behave(behaviour);
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything but the processes.
pub(super) struct House {
    pub(super) deployment: Deployment,
    pub(super) hooks: Vec<Hook>,
    /// The port of each process that tells.
    ports: Vec<u16>,
    secret: String,
    home: TempDir,
    /// What every process that tells goes by.
    pub(super) clock: MovedClock,
    _runtime: tokio::runtime::Runtime,
}

impl House {
    /// A deployment with so many partitions of alerts, all cards on its list, and a receiver for each kind of endpoint.
    pub(super) fn new(cluster: &Cluster, area: &str, partitions: i32, kinds: Vec<Kind>) -> House {
        let deployment = Deployment::new(cluster.kafka(area), INPUT, partitions);
        // The judge asks what ever stood there.
        let kept = [("cleanup.policy", "compact"), ("min.compaction.lag.ms", "86400000")];
        deployment.kafka.create(&deployment.kafka.name("deliveries"), partitions, &kept);
        deployment.import(&Revision::adding(0..CARDS));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let hook = |kind: Kind| {
            let log = Arc::new(Mutex::new(Log::of(kind.form)));
            let into = Arc::clone(&log);
            let sink = Box::new(move |request: crate::support::receiver::Received, status| {
                let id = request.header("webhook-id").unwrap_or_default();
                into.lock().unwrap_or_else(PoisonError::into_inner).take(id, &request.body, status);
            });
            let receiver = runtime.block_on(Receiver::handing_on(kind.behaviour.clone(), sink));
            Hook { kind, receiver, log }
        };
        let hooks = kinds.into_iter().map(hook).collect();
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        House {
            deployment,
            hooks,
            ports: vec![free_port(), free_port()],
            secret: SigningKey::fresh(Scheme::Symmetric, &[7; 32]).to_string(),
            clock: MovedClock::at(home.path().join("clock")),
            home,
            _runtime: runtime,
        }
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.hooks.iter().map(|hook| hook.kind.endpoint).collect()
    }

    pub(super) fn hook(&self, name: &str) -> &Hook {
        self.hooks.iter().find(|hook| hook.kind.endpoint.name == name).expect("an endpoint of the test")
    }

    /// What is the same for every process and command.
    fn with(&self, arguments: &[&str], id: &str, faults: &str) -> Invocation {
        let mut config = self.deployment.config(id) + "[notify]\nworkers_max = 1\nroom = 500\n";
        for hook in &self.hooks {
            let (name, address, own) = (hook.kind.endpoint.name, hook.receiver.address, hook.kind.own);
            write!(
                config,
                "[[webhooks]]\nname = \"{name}\"\nurl = \"http://{address}/hook\"\nallow_insecure = true\n\
                 allow_networks = [\"127.0.0.0/8\"]\nsecret_file = \"hooks.secret\"\nrate = 10000\n{own}\n"
            )
            .unwrap();
        }
        Program::with(arguments)
            .config(&config)
            .file("hooks.secret", self.secret.as_str())
            .file("hook.jinja", TEMPLATE)
            .file("rules.toml", RULES)
            .env("CARDWATCH_ALERTS__RULES", "rules.toml")
            .env("CARDWATCH_AUDIT__FILE", &self.home.path().join("audit.jsonl").display().to_string())
            .env("CARDWATCH_FAULTS", faults)
            .env("USER", "anna")
    }

    /// What makes alerts of transactions: it runs undisturbed and by the real clock.
    pub(super) fn raises(&self) -> Invocation {
        self.with(&["run", "--lines", "sight,score,books"], "raises", SESSION)
    }

    /// The process of this number that tells endpoints, with further faults.
    pub(super) fn tells(&self, number: usize, faults: &str) -> Invocation {
        let faults = format!("{SESSION};{};{faults}", self.clock.fault());
        let id = format!("tells-{number}");
        let listen = format!("127.0.0.1:{}", self.ports[number]);
        self.with(&["run", "--lines", "notify"], &id, &faults).env("CARDWATCH_HTTP__LISTEN", &listen)
    }

    /// A command that must succeed, for its JSON where it prints any.
    #[track_caller]
    pub(super) fn command(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> =
            ["--format", "json", "webhook"].into_iter().chain(arguments.iter().copied()).collect();
        let faults = self.clock.fault();
        let (ended, program) = self.with(&arguments, "desk", &faults).run(PATIENCE);
        assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
        serde_json::from_str(&program.stdout().join("\n")).unwrap_or_default()
    }

    /// What is owed to each endpoint by the metrics of the first so many processes; `None` while one does not answer.
    pub(super) fn measured(&self, processes: usize) -> Option<BTreeMap<String, u64>> {
        const METRIC: &str = "cardwatch_webhook_owed_alerts{endpoint=\"";
        let mut measured = BTreeMap::new();
        for port in &self.ports[..processes] {
            let (_, page) =
                get(&format!("http://127.0.0.1:{port}/metrics")).filter(|(code, _)| *code == 200)?;
            for line in page.lines().filter_map(|line| line.strip_prefix(METRIC)) {
                let (name, value) = line.split_once("\"} ").expect("a sample");
                let value: f64 = value.parse().expect("a number");
                *measured.entry(name.to_owned()).or_default() += value as u64;
            }
        }
        Some(measured)
    }

    /// What is owed to each endpoint by `webhook list` and by the metrics, once both agree; or as it is when they never do,
    /// for the judge to say so.
    pub(super) fn compared(&self, processes: usize) -> BTreeMap<String, (u64, u64)> {
        let look = || {
            let list = self.command(&["list"]);
            let measured = wait::until("metrics", PATIENCE, || self.measured(processes));
            let both = rows(&list).map(|(name, row)| {
                let measured = measured.get(&name).copied().unwrap_or_default();
                (name, (count(row, "owed"), measured))
            });
            both.collect::<BTreeMap<_, _>>()
        };
        let agreed = wait::poll(PATIENCE, || {
            Some(look()).filter(|both| both.values().all(|(listed, measured)| listed == measured))
        });
        agreed.unwrap_or_else(look)
    }

    /// The ledger as its topic has it, once nobody writes to it.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        let topic = self.deployment.kafka.name("deliveries");
        self.deployment.kafka.fold(&topic, |record| ledger.take(record));
        ledger
    }

    /// Of how many endpoints and partitions it is written down since when they are told.
    pub(super) fn begun(&self) -> usize {
        let kafka = &self.deployment.kafka;
        let ledger = kafka.read(&kafka.name("deliveries"), Isolation::Committed);
        let begun = ledger.iter().filter(|record| record.key_text().starts_with("endpoint/"));
        begun.map(|record| (record.partition, record.key_text().to_owned())).collect::<BTreeSet<_>>().len()
    }

    /// What came to each receiver, taken out of the house.
    pub(super) fn logs(&self) -> BTreeMap<String, Log> {
        let take = |hook: &Hook| {
            let name = hook.kind.endpoint.name.to_owned();
            (name, std::mem::take(&mut *hook.log()))
        };
        self.hooks.iter().map(take).collect()
    }

    /// Puts back what [`House::logs`] took, to go on with.
    pub(super) fn put_back(&self, logs: BTreeMap<String, Log>) {
        for (name, log) in logs {
            *self.hook(&name).log() = log;
        }
    }
}

/// The rows of `webhook list`, by the endpoint's name.
pub(super) fn rows(list: &Value) -> impl Iterator<Item = (String, &Value)> {
    let rows = list.as_array().expect("rows").iter();
    rows.map(|row| (row["endpoint"].as_str().expect("a name").to_owned(), row))
}

fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().expect("a count")
}

/// What `list` says of each endpoint when nobody tells any more, beside what was [compared](House::compared) before.
pub(super) fn said(list: &Value, before: &BTreeMap<String, (u64, u64)>) -> BTreeMap<String, Said> {
    let said = rows(list).map(|(name, row)| {
        let said = Said { owed: count(row, "owed"), failed: count(row, "failed"), before: before[&name] };
        (name, said)
    });
    said.collect()
}
