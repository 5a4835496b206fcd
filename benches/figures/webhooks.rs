//! Telling endpoints: how many a second, how soon, beside endpoints that misbehave, and with a million alerts owed.

mod isolation;
mod latency;
mod memory;
mod receiver;
mod throughput;

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cardwatch::clock::{Clock, SystemClock};
use cardwatch::codec::wire;
use cardwatch::domain::alert::{AlertKind, Reason, Severity};
use cardwatch::domain::delivery::DeliveryId;
use cardwatch::domain::time::Timestamp;
use cardwatch::domain::transaction::Merchant;
use cardwatch::notice::samples::test_alert;
use cardwatch::notice::sign::{Scheme, SigningKey};
use cardwatch::simulation::Load;
use rdkafka::producer::Producer;
use tokio::runtime::{Builder, Runtime};

use crate::Scale;
use crate::feed;
use crate::stage::{Deployment, Instance, PARTITIONS, Stage};
use crate::support::receiver::{Behaviour, Receiver as Misbehaving};
use crate::support::wait;
use crate::table::Table;

/// The parts, as the command line names them.
pub(crate) const PARTS: [&str; 4] =
    ["webhook-throughput", "webhook-latency", "webhook-isolation", "webhook-memory"];

/// Measures the parts that are wanted.
pub(crate) fn measure(wanted: impl Fn(&str) -> bool, binary: &Path, scale: Scale, table: &mut Table) {
    if wanted(PARTS[0]) {
        throughput::measure(binary, scale.rounds, table);
    }
    if wanted(PARTS[1]) {
        latency::measure(binary, scale.seconds, table);
    }
    if wanted(PARTS[2]) {
        isolation::measure(binary, table);
    }
    if wanted(PARTS[3]) {
        memory::measure(binary, table);
    }
}

/// An endpoint to be configured.
struct Endpoint {
    name: &'static str,
    url: String,
    /// Further keys.
    own: String,
}

/// A broker, and receivers that misbehave on a runtime of their own.
struct House {
    stage: Stage,
    runtime: Runtime,
}

impl House {
    /// With the exposed cards of `load` on a list.
    fn new(load: &Load) -> House {
        House::on(Stage::new(Vec::new()), load)
    }

    fn on(mut stage: Stage, load: &Load) -> House {
        stage.expose(load);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        House { stage, runtime }
    }

    /// For figures without transactions.
    fn without_cards() -> House {
        House::new(&feed::load(1, 0.0))
    }

    /// The same, with a broker that is soon as fast as it will be.
    fn brief() -> House {
        House::on(Stage::brief(), &feed::load(1, 0.0))
    }

    /// A deployment without transactions.
    fn deploy(&self) -> Deployment<'_> {
        let input = self.stage.kafka().name("transactions");
        self.deploy_on(&input)
    }

    fn deploy_on(&self, input: &str) -> Deployment<'_> {
        let deployment = self.stage.deploy(input);
        let deliveries = deployment.topic("deliveries");
        deployment.kafka.create(&deliveries, PARTITIONS, &[("cleanup.policy", "compact")]);
        deployment
    }

    /// A file beside the keys.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        self.stage.file(name, text)
    }

    /// These endpoints, told of everything there is. Their rate is above what any figure needs.
    fn config(&self, deployment: &Deployment<'_>, endpoints: &[Endpoint]) -> String {
        let secret = deployment.file("hooks.secret", &SigningKey::fresh(Scheme::Symmetric, &[7; 32]));
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a file of ours");
        let endpoint = |endpoint: &Endpoint| {
            format!(
                "[[webhooks]]\nname = \"{}\"\nurl = \"{}\"\nallow_insecure = true\nallow_networks = [\"127.0.0.0/8\"]\n\
                 secret_file = \"{}\"\nsince = \"2020-01-01T00:00:00Z\"\nrate = 100000\n{}",
                endpoint.name,
                endpoint.url,
                secret.display(),
                endpoint.own,
            )
        };
        endpoints.iter().map(endpoint).collect()
    }

    fn misbehaving(&self, behaviour: Behaviour) -> (Misbehaving, String) {
        let receiver = self.runtime.block_on(Misbehaving::start(behaviour, None));
        let url = format!("http://{}/hook", receiver.address);
        (receiver, url)
    }

    /// So many alerts onto the topic, as fast as the broker takes them.
    fn write_alerts(&self, deployment: &Deployment<'_>, count: u64) {
        let (producer, topic) = (feed::producer(&deployment.kafka, "20"), deployment.topic("alerts"));
        let now = now_ms();
        for number in 0..count {
            let json = alert(number, now).1;
            let partition = (number % u64::from(PARTITIONS.unsigned_abs())) as i32;
            feed::send(&producer, feed::record(&topic, partition, json.as_bytes(), now));
            if number % 1_000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_secs(60)).expect("everything is acknowledged");
    }
}

fn now_ms() -> i64 {
    SystemClock.now().millis()
}

/// The delivery id and the JSON of one alert, as large as alerts are.
fn alert(number: u64, at: i64) -> (String, String) {
    // The id is a function of the source, which is not what `at` says.
    let mut alert = test_alert(Timestamp(1_528_177_215_000), number << 1);
    alert.raised_at = Timestamp(at);
    alert.kind = AlertKind::Live;
    alert.severity = Severity::High;
    alert.score = 85;
    let reason = |rule: &str, score, text: &str| Reason {
        rule: rule.to_owned(),
        score,
        text: text.to_owned(),
        facts: BTreeMap::new(),
    };
    alert.reasons = vec![
        reason("card-testing", 45, "4 uses under 5.00 USD in 20 minutes"),
        reason("amount", 40, "6 times the card's mean"),
    ];
    alert.transaction.id = Some(format!("tx-{number}"));
    alert.transaction.merchant = Merchant {
        id: Some("m-1".to_owned()),
        name: Some("Books and More".to_owned()),
        mcc: Some("5942".to_owned()),
        country: Some("JP".to_owned()),
        place: Some("Tokyo".to_owned()),
    };
    let json = wire::encode_alert(&alert).expect("an alert");
    (DeliveryId::of_alert(&alert).to_string(), String::from_utf8(json).expect("JSON"))
}

fn alert_bytes() -> usize {
    alert(123_456, now_ms()).1.len()
}

/// The delivery ids of so many alerts.
fn ids(count: u64) -> HashSet<String> {
    (0..count).map(|number| alert(number, 0).0).collect()
}

/// Waits until all partitions of a line flow.
fn await_line(instance: &mut Instance, line: &str) {
    let wanted = u64::from(PARTITIONS.unsigned_abs());
    wait::until("all partitions flow", Duration::from_secs(60), || {
        let owned = instance.metric("cardwatch_partitions_owned", line)?;
        let held = instance.metric("cardwatch_partitions_held", line)?;
        (owned == wanted && held == 0).then_some(())
    });
}
