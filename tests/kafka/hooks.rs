//! A deployment with endpoints to tell.

use std::collections::{BTreeMap, BTreeSet};

use cardwatch::notice::sign::{Scheme, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::deployment::{Deployment, WITHIN, json, lines, ok, transaction};
use crate::support::clock::MovedClock;
use crate::support::load::card_number;
use crate::support::receiver::{Behaviour, Received, Receiver};
use crate::support::{Program, wait};

/// A rule that raises an alert for every sighting.
const RULES: &str = "[[rule]]\nname = \"every\"\nwhen = \"true\"\nscore = 100\ntext = \"a sighting\"\n";

/// When deliveries are tried again here.
pub const SCHEDULE: &str =
    "schedule = [\"0s\", \"200ms\", \"500ms\", \"1s\", \"2s\", \"2s\", \"2s\", \"2s\"]\n";

/// A deployment with a list, a rule for every sighting and receivers on a runtime of their own.
#[derive(Debug)]
pub struct House {
    pub deployment: Deployment,
    runtime: tokio::runtime::Runtime,
    secret: String,
    sent: usize,
}

impl House {
    /// A house; `None` where there is no broker.
    pub fn new(area: &str) -> Option<House> {
        Some(House::on(Deployment::new(area)?))
    }

    /// The same on a deployment that is there.
    pub fn on(deployment: Deployment) -> House {
        let list = deployment.file("list", lines(0..100));
        ok(deployment.open("shop", &["--list", &list]));
        let secret = SigningKey::fresh(Scheme::Symmetric, &[7; 32]).to_string();
        deployment.private("hooks.secret", &secret);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        House { deployment, runtime, secret, sent: 0 }
    }

    /// A receiver, on loopback.
    pub fn receiver(&self, behaviour: Behaviour) -> Receiver {
        self.runtime.block_on(Receiver::start(behaviour, None))
    }

    /// The configuration with these endpoints; a schedule of tenths of seconds.
    pub fn config(&self, endpoints: &[(&str, &Receiver, &str)]) -> String {
        let rules = self.deployment.file("rules.toml", RULES);
        let mut more = format!("[alerts]\nrules = \"{rules}\"\n");
        more += &self.deployment.token("root", "admin", "root-0123456789abcdef0123456789abcdef");
        for (name, receiver, own) in endpoints {
            more += &format!(
                "[[webhooks]]\nname = \"{name}\"\nurl = \"http://{}/hook\"\nallow_insecure = true\n\
                 allow_networks = [\"127.0.0.0/8\"]\nsecret_file = \"{}\"\n{SCHEDULE}\
                 probe_every = \"1s\"\n{own}\n",
                receiver.address,
                self.deployment.path("hooks.secret").display(),
            );
        }
        more
    }

    /// The service with this configuration, ready.
    pub fn run(&self, more: &str) -> Program {
        self.deployment.run_with(more)
    }

    /// The service by a clock that is moved, ready.
    pub fn run_by_a_clock(&self, more: &str) -> (Program, MovedClock) {
        let clock = MovedClock::at(self.deployment.path("clock"));
        (self.deployment.run_with_faults(more, &clock.fault()), clock)
    }

    /// So many transactions on cards of their own: an alert each. Their alerts' ids, with those before.
    pub fn alerts(&mut self, count: usize) -> BTreeSet<String> {
        self.send(count);
        let records = self.deployment.await_records("alerts", self.sent);
        records.iter().map(|record| record.json()["id"].as_str().unwrap().to_owned()).collect()
    }

    /// So many transactions more, each of which becomes an alert if somebody is there to raise it.
    pub fn send(&mut self, count: usize) {
        let from = self.sent;
        self.sent += count;
        self.deployment.send((from..self.sent).map(|n| transaction(n, &card_number(n % 100))));
    }

    /// The command with the endpoints in its configuration.
    pub fn command(&self, more: &str, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> =
            ["--format", "json"].into_iter().chain(arguments.iter().copied()).collect();
        json(&ok(Program::with(&arguments).config(&(self.deployment.config() + more)).env("USER", "anna")))
    }

    /// Waits until the endpoint is owed so many alerts.
    pub fn await_owed(&self, more: &str, endpoint: &str, owed: u64) -> Value {
        wait::until("what is owed", WITHIN, || {
            let list = self.command(more, &["webhook", "list"]);
            let of = list.as_array().unwrap().iter().find(|row| row["endpoint"] == endpoint).cloned();
            of.filter(|row| row["owed"] == owed)
        })
    }

    /// Checks the signature of every request by the standard alone.
    pub fn verify(&self, received: &[Received]) {
        let encoded = self.secret.strip_prefix("whsec_").unwrap();
        let key = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap();
        for request in received {
            let (id, at) =
                (request.header("webhook-id").unwrap(), request.header("webhook-timestamp").unwrap());
            assert!(!id.contains('.'));
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(format!("{id}.{at}.").as_bytes());
            mac.update(&request.body);
            let wanted = format!("v1,{}", data_encoding::BASE64.encode(&mac.finalize().into_bytes()));
            let signatures: Vec<&str> = request.header("webhook-signature").unwrap().split(' ').collect();
            assert!(signatures.contains(&wanted.as_str()), "{signatures:?}");
        }
    }
}

/// How often each alert was told, by the id in its body.
pub fn told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for request in receiver.received() {
        let alert: Value = serde_json::from_slice(&request.body).unwrap();
        *told.entry(alert["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    told
}
