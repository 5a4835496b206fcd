//! A Kafka broker: controller and broker in one JVM, on loopback, with its own data directory. Alone, or one of
//! the three of a [`super::cluster`].

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::{Pid, Signal, kill_process};

use super::jars::{self, Jars};
use super::kafka::{self, Kafka};
use super::ports::free_port;
use super::{reaper, wait};

/// How long a broker may take to answer after its start. A boot takes about 4 s, a restart after
/// `kill -9` about 10 s (its earlier self must first time out at the controller); the rest is for a busy
/// machine.
const BOOT: Duration = Duration::from_secs(120);

/// What a test may want different from the ordinary broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Heap of the JVM in MiB.
    pub heap_mib: u32,
    /// Lines appended to server.properties; the last of a name wins.
    pub properties: Vec<(&'static str, String)>,
    /// Listeners beside the plain one.
    pub listeners: Vec<Listener>,
    /// Whether the JVM compiles it well rather than quickly. It takes minutes for that, and on two cores one of them.
    pub compiled_well: bool,
}

/// A further listener of a broker, on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// Its name in server.properties.
    pub name: &'static str,
    /// Its security protocol.
    pub protocol: &'static str,
    /// Where it listens.
    pub port: u16,
}

impl Default for BrokerOptions {
    fn default() -> BrokerOptions {
        BrokerOptions { heap_mib: 512, properties: Vec::new(), listeners: Vec::new(), compiled_well: false }
    }
}

/// Which of a cluster's brokers one is, and where all of them listen.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// Which, from 0.
    pub(super) number: usize,
    /// Port and controller port of each.
    pub(super) ports: Vec<[u16; 2]>,
}

impl Seat {
    /// Ports for `brokers` brokers, seen by the first of them.
    pub(super) fn free(brokers: usize) -> Seat {
        Seat { number: 0, ports: (0..brokers).map(|_| [free_port(), free_port()]).collect() }
    }

    /// The id of the broker, in Kafka's words.
    fn node(&self) -> usize {
        self.number + 1
    }

    /// How many of the brokers hold each record, and how many of those must have it before it counts.
    fn replicas(&self) -> [usize; 2] {
        let replicas = self.ports.len().min(3);
        [replicas, replicas.div_ceil(2)]
    }

    fn voters(&self) -> String {
        let one = |(node, [_, controller]): (usize, &[u16; 2])| format!("{node}@127.0.0.1:{controller}");
        (1..).zip(&self.ports).map(one).collect::<Vec<_>>().join(",")
    }
}

/// A running (or just now killed) broker. Ends with this value, and at the latest with the process.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    bootstrap: String,
    heap_mib: u32,
    class_path: String,
    compiled_well: bool,
    child: Mutex<Option<Child>>,
}

/// The broker that all tests of this binary share, seen by one test: topics of `area` do not meet those of
/// other tests. `None` where no broker can run; the test then returns.
pub fn shared_kafka(area: &str) -> Option<Kafka> {
    static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
    let broker = SHARED.get_or_init(|| own_broker("shared", BrokerOptions::default())).as_ref()?;
    Some(broker.kafka(area))
}

/// A broker of one's own, to kill and restart. `None` where no broker can run.
pub fn own_broker(name: &str, options: BrokerOptions) -> Option<Broker> {
    let jars = jars::jars()?;
    // A free port may be taken by somebody else before the broker binds it.
    for _ in 0..3 {
        let broker = Broker::prepare(jars, name, &options, &Seat::free(1));
        broker.spawn();
        if broker.await_ready() {
            return Some(broker);
        }
        broker.assert_port_was_taken();
    }
    panic!("three times in a row the free ports were taken");
}

impl Broker {
    pub(super) fn prepare(jars: &Jars, name: &str, options: &BrokerOptions, seat: &Seat) -> Broker {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("kafka-{}-{number}-{name}", std::process::id()));
        let data = directory.join("data");
        fs::create_dir_all(&data).expect("target/ is writable");
        jars.copy_formatted(&data, seat.node());
        let [port, _] = seat.ports[seat.number];
        let properties = properties(seat, &data, options);
        fs::write(directory.join("server.properties"), properties).expect("target/ is writable");
        fs::write(directory.join("log4j2.properties"), LOGGING).expect("target/ is writable");
        Broker {
            directory,
            bootstrap: format!("127.0.0.1:{port}"),
            heap_mib: options.heap_mib,
            class_path: jars.class_path.clone(),
            compiled_well: options.compiled_well,
            child: Mutex::new(None),
        }
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The broker as seen by one test, whose topics start with `area` and a number.
    pub fn kafka(&self, area: &str) -> Kafka {
        Kafka::new(&self.bootstrap, &self.data(), area, 1)
    }

    /// What Kafka's own tools are run with.
    pub fn class_path(&self) -> &str {
        &self.class_path
    }

    /// The directory that holds the segment files.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Everything the broker logged, over all its starts.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Ends the broker as a power cut would.
    pub fn kill(&self) {
        self.end(Signal::KILL, Duration::from_secs(10));
    }

    /// Ends the broker in order (SIGTERM).
    pub fn terminate(&self) {
        self.end(Signal::TERM, Duration::from_secs(60));
    }

    /// Stops the broker's clock: it holds its connections and answers nothing (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Undoes [`Broker::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts an ended broker again, on the same ports and data, and waits until it answers.
    pub fn restart(&self) {
        self.spawn();
        assert!(self.await_ready(), "the broker did not come back:\n{}", tail(&self.log_text()));
    }

    /// As [`Broker::restart`], without waiting: for tests of what clients do meanwhile.
    pub fn spawn(&self) {
        let mut child = self.child();
        assert!(child.is_none(), "the broker is already running");
        let log = OpenOptions::new().create(true).append(true).open(self.directory.join("log"));
        let log: File = log.expect("target/ is writable");
        let spawned = Command::new("java")
            .arg(format!("-Xmx{}m", self.heap_mib))
            .arg("-XX:+UseSerialGC")
            .args((!self.compiled_well).then_some("-XX:TieredStopAtLevel=1"))
            .arg(format!("-Dlog4j2.configurationFile={}/log4j2.properties", self.directory.display()))
            .args(["-cp", &self.class_path, "kafka.Kafka"])
            .arg(self.directory.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be doubled"))
            .stderr(log)
            .spawn()
            .expect("java starts");
        reaper::watch(&spawned);
        *child = Some(spawned);
    }

    /// For a broker that ended while starting: its port was taken by somebody else, or this is a failure.
    #[track_caller]
    pub(super) fn assert_port_was_taken(&self) {
        let log = self.log_text();
        assert!(log.contains("Address already in use"), "the broker did not start:\n{}", tail(&log));
    }

    /// Waits until metadata is answered and the broker has registered; false when the JVM ended instead.
    pub fn await_ready(&self) -> bool {
        // Its own client each look: librdkafka backs off after refused connections, which would cost a
        // second after the broker is long up.
        wait::until("the broker answers", BOOT, || {
            if self.has_ended() {
                return Some(false);
            }
            let client: BaseConsumer = kafka::client(&self.bootstrap).create().expect("a client");
            let metadata = client.fetch_metadata(None, Duration::from_millis(500)).ok()?;
            (!metadata.brokers().is_empty()).then_some(true)
        })
    }

    /// Whether the JVM is not running.
    pub(super) fn has_ended(&self) -> bool {
        let mut slot = self.child();
        let Some(child) = slot.as_mut() else { return true };
        let ended = child.try_wait().expect("a child can be waited for").is_some();
        if ended {
            reaper::done(child);
            *slot = None;
        }
        ended
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = self.child().as_ref() {
            kill_process(Pid::from_child(child), signal).expect("the broker is running");
        }
    }

    fn end(&self, signal: Signal, within: Duration) {
        self.signal(signal);
        wait::until("the broker ends", within, || self.has_ended().then_some(()));
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = self.child().as_mut() {
            let _ = child.kill();
            let _ = child.wait();
            reaper::done(child);
        }
        // The log stays for whoever looks into a failure; the data may be large, and stays until the next
        // run when a test has failed.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(self.data());
        }
    }
}

/// Deletes what earlier runs left: their data at once, their logs after a day.
fn sweep() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let entries = fs::read_dir(env!("CARGO_TARGET_TMPDIR")).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix("kafka-").and_then(|rest| rest.split('-').next());
            let Some(pid) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
            if Path::new(&format!("/proc/{pid}")).exists() {
                continue;
            }
            let _ = fs::remove_dir_all(entry.path().join("data"));
            let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > Duration::from_secs(86_400)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
}

pub(super) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// server.properties. What differs from a production broker differs for speed alone: no wait before the
/// first rebalance, few internal partitions, time-outs and cleaning looked at every second.
fn properties(seat: &Seat, data: &Path, options: &BrokerOptions) -> String {
    let [port, controller_port] = seat.ports[seat.number];
    let [replicas, in_sync] = seat.replicas();
    let more = |one: fn(&Listener) -> String| options.listeners.iter().map(one).collect::<String>();
    let further = more(|listener| format!(",{}://127.0.0.1:{}", listener.name, listener.port));
    let protocols = more(|listener| format!(",{}:{}", listener.name, listener.protocol));
    let mut text = format!(
        "process.roles=broker,controller
node.id={}
controller.quorum.voters={}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{further}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{further}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={}
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=8388608
log.segment.delete.delay.ms=100
",
        seat.node(),
        seat.voters(),
        data.display()
    );
    for (name, value) in &options.properties {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

const LOGGING: &str = "status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c{1})%n%ex
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";
