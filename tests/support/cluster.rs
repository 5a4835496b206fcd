//! Three Kafka brokers that hold everything three times, as production has them: any one of them may go.
//!
//! What is tried on brokers that end is tried here and never on a lone broker. While a lone broker stops and
//! starts its partitions have no leader, and Kafka 4.3 then takes them for deleted when a transaction ends: it
//! leaves their marks out and calls the transaction complete (KAFKA-20734). So offsets and records of a
//! transaction that is over stay held back, or aborted records come to be seen with a later commit.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::broker::{Broker, BrokerOptions, Seat, tail};
use super::kafka::{self, Kafka};
use super::{jars, wait};

const BROKERS: usize = 3;

/// How long the brokers may take to have found together again, on a busy machine.
const TOGETHER: Duration = Duration::from_secs(120);

/// Three brokers.
#[derive(Debug)]
pub struct Cluster {
    brokers: Vec<Broker>,
}

/// The cluster that all tests of this binary share, whole: a test that failed may have left a broker down.
/// `None` where no broker can run.
pub fn shared_cluster() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    static HEALING: Mutex<()> = Mutex::new(());
    let cluster = SHARED.get_or_init(start).as_ref()?;
    let _one_at_a_time = HEALING.lock().unwrap_or_else(PoisonError::into_inner);
    cluster.brokers.iter().filter(|broker| broker.has_ended()).for_each(Broker::spawn);
    cluster.await_whole();
    Some(cluster)
}

fn start() -> Option<Cluster> {
    let jars = jars::jars()?;
    let options = BrokerOptions { heap_mib: 320, ..BrokerOptions::default() };
    // A free port may be taken by somebody else before a broker binds it.
    for _ in 0..3 {
        let ports = Seat::free(BROKERS).ports;
        let seat = |number| Seat { number, ports: ports.clone() };
        let name = |number| format!("cluster-{}", number + 1);
        let prepare = |number| Broker::prepare(jars, &name(number), &options, &seat(number));
        let cluster = Cluster { brokers: (0..BROKERS).map(prepare).collect() };
        cluster.brokers.iter().for_each(Broker::spawn);
        let unready = cluster.brokers.iter().find(|broker| !broker.await_ready());
        match unready {
            None => return Some(cluster),
            Some(broker) => broker.assert_port_was_taken(),
        }
    }
    panic!("three times in a row the free ports were taken");
}

impl Cluster {
    /// The cluster as seen by one test, whose topics start with `area` and a number.
    pub fn kafka(&self, area: &str) -> Kafka {
        Kafka::new(&self.bootstrap(), &self.brokers[0].data(), area, 3)
    }

    /// The brokers, by number from 0.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The broker that keeps the offsets of `group`, as far as one is known to.
    pub fn coordinator_of(&self, group: &str) -> &Broker {
        let client: BaseConsumer = kafka::client(&self.bootstrap()).create().expect("a client");
        let leader = wait::until("the group has a coordinator", TOGETHER, || {
            let metadata = client.fetch_metadata(Some("__consumer_offsets"), Duration::from_secs(5)).ok()?;
            let partitions = metadata.topics().first()?.partitions();
            let count = i32::try_from(partitions.len()).ok().filter(|count| *count > 0)?;
            let number = (java_hash(group) & i32::MAX) % count;
            let leader = partitions.iter().find(|partition| partition.id() == number)?.leader();
            usize::try_from(leader).ok().filter(|leader| *leader > 0)
        });
        &self.brokers[leader - 1]
    }

    /// Waits until all brokers are there and each has all it should hold: then any one may go.
    #[track_caller]
    pub fn await_whole(&self) {
        let whole = wait::poll(TOGETHER, || {
            self.brokers.iter().all(|broker| sees_all_in_sync(broker.bootstrap())).then_some(())
        });
        let logs = || self.brokers.iter().map(|broker| tail(&broker.log_text())).collect::<Vec<_>>();
        assert!(whole.is_some(), "the brokers do not find together:\n{}", logs().join("\n\n"));
    }

    fn bootstrap(&self) -> String {
        self.brokers.iter().map(Broker::bootstrap).collect::<Vec<_>>().join(",")
    }
}

/// A client of its own each look, for the reason given at [`Broker::await_ready`].
fn sees_all_in_sync(bootstrap: &str) -> bool {
    let client: BaseConsumer = kafka::client(bootstrap).create().expect("a client");
    let Ok(metadata) = client.fetch_metadata(None, Duration::from_secs(2)) else { return false };
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let in_sync = partitions.map(|partition| partition.leader() > 0 && partition.isr().len() == BROKERS);
    metadata.brokers().len() == BROKERS && in_sync.into_iter().all(|is| is)
}

/// `String.hashCode`, by which Kafka picks the coordinator of a group.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
