//! One Kafka broker: controller and broker in one JVM, on loopback, with its own data directory.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::{Pid, Signal, kill_process};

use super::jars::{self, Jars};
use super::kafka::{self, Kafka};
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
}

impl Default for BrokerOptions {
    fn default() -> BrokerOptions {
        BrokerOptions { heap_mib: 512, properties: Vec::new() }
    }
}

impl BrokerOptions {
    /// For a broker that is killed while transactions are open. Alone, it has partitions without a leader
    /// for seconds after its start, and a transaction that it ends as timed out in that time loses its
    /// markers for them ("likely deleted already and hence can be skipped" in its log): what was aborted
    /// becomes visible with the next commit, and offsets are held back for ever. Its clean-up therefore runs
    /// at the usual pace and not every second.
    pub fn to_be_killed() -> BrokerOptions {
        let pace = ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "30000".to_owned());
        BrokerOptions { properties: vec![pace], ..BrokerOptions::default() }
    }
}

/// A running (or just now killed) broker. Ends with this value, and at the latest with the process.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    bootstrap: String,
    heap_mib: u32,
    class_path: String,
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
    sweep();
    // A free port may be taken by somebody else before the broker binds it.
    for _ in 0..3 {
        let broker = Broker::prepare(jars, name, &options);
        broker.spawn();
        if broker.await_ready() {
            return Some(broker);
        }
        let log = broker.log_text();
        assert!(log.contains("Address already in use"), "the broker did not start:\n{}", tail(&log));
    }
    panic!("three times in a row the free ports were taken");
}

impl Broker {
    fn prepare(jars: &Jars, name: &str, options: &BrokerOptions) -> Broker {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("kafka-{}-{number}-{name}", std::process::id()));
        let data = directory.join("data");
        fs::create_dir_all(&data).expect("target/ is writable");
        for entry in fs::read_dir(&jars.formatted).expect("formatted before").flatten() {
            fs::copy(entry.path(), data.join(entry.file_name())).expect("target/ is writable");
        }
        let [port, controller_port] = free_ports();
        let properties = properties(port, controller_port, &data, options);
        fs::write(directory.join("server.properties"), properties).expect("target/ is writable");
        fs::write(directory.join("log4j2.properties"), LOGGING).expect("target/ is writable");
        Broker {
            directory,
            bootstrap: format!("127.0.0.1:{port}"),
            heap_mib: options.heap_mib,
            class_path: jars.class_path.clone(),
            child: Mutex::new(None),
        }
    }

    /// `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The broker as seen by one test, whose topics start with `area` and a number.
    pub fn kafka(&self, area: &str) -> Kafka {
        Kafka::new(&self.bootstrap, &self.data(), area)
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

    fn has_ended(&self) -> bool {
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

/// Two ports nobody listens on at this moment; both are held until both are known, so they differ.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound port").port())
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// server.properties. What differs from a production broker differs for speed alone: no wait before the
/// first rebalance, few internal partitions, time-outs and cleaning looked at every second.
fn properties(port: u16, controller_port: u16, data: &Path, options: &BrokerOptions) -> String {
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
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
