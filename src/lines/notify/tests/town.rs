//! The line, its couriers and receivers that misbehave, on one thread whose clock jumps to whatever is next. A line that
//! waited for a courier would stand still for ever here: the courier is on the same thread.
//!
//! There is no Kafka: a transaction is committed as soon as it is closed.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant as Wall};

use prometheus::Registry;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::codec::dead_letter::Payload;
use crate::domain::delivery::{Answer, EndpointName, Failure};
use crate::domain::time::Timestamp;
use crate::health::Health;
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::lines::control::Control;
use crate::lines::dead::Undertaker;
use crate::lines::mark::Mark;
use crate::lines::notify::board::Follower;
use crate::lines::notify::census::{self, Census};
use crate::lines::notify::courier::Couriers;
use crate::lines::notify::endpoint::{Endpoint, Endpoints, Since};
use crate::lines::notify::restore::Restorer;
use crate::lines::notify::sheets::{Sheet, Sheets, Shelf};
use crate::lines::notify::state::{Held, NotifyState};
use crate::lines::notify::{Bounds, Notify};
use crate::lines::pulse::Pulse;
use crate::lines::pump::Line;
use crate::metrics::{LoopFamilies, WebhookMetrics};
use crate::notice::body::{Shape, Show};
use crate::notice::filter::Filter;
use crate::notice::ledger::Ledger;
use crate::notice::samples::test_alert;
use crate::notice::schedule::{self, Schedule};
use crate::stop::Stop;
use crate::webhook::post::{Post, Posting, Request};
use crate::webhook::target::{Settings, Target};
use crate::webhook::tls::SystemRoots;

/// The partitions of the alerts.
pub(super) const PARTITIONS: i32 = 3;
/// The deadline of an exchange.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long the rest of an answer is waited for: what a slot does.
const DRAIN: Duration = Duration::from_secs(1);

/// How an endpoint takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Says 200 after so many milliseconds.
    Well(u64),
    /// Says nothing.
    Hangs,
    /// Says its head a byte a second, and so nothing before the deadline.
    DripsHead,
    /// Says 200 and drips its body: the connection is given up when it takes too long.
    DripsBody,
    /// Says 500 at once.
    Fails,
    /// Says 429 at once.
    TooMuch,
    /// Says 200, and a body without end until the cap is reached.
    Endless,
    /// Is not there.
    Refuses,
    /// Says 500 of the alert that came first, and 200 of any other.
    Picks,
    /// Is not there between these times, in milliseconds, and says 200 at any other.
    Away { from_ms: u64, to_ms: u64 },
}

/// An endpoint of the town.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resident {
    pub(super) behaviour: Behaviour,
    pub(super) concurrency: usize,
    pub(super) rate: u32,
}

/// A request as its receiver had it, in virtual time since the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) id: String,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    /// Whether it was taken.
    pub(super) taken: bool,
}

/// What came to each endpoint.
pub(super) type Log = Arc<Mutex<HashMap<String, Vec<Posted>>>>;

#[derive(Debug)]
struct Fake {
    name: String,
    behaviour: Behaviour,
    start: Instant,
    log: Log,
}

impl Post for Fake {
    fn post(&mut self, request: Request) -> Posting<'_> {
        Box::pin(async move {
            let id = request.header("webhook-id").unwrap_or_default().to_owned();
            let began = self.start.elapsed();
            let said = |status| Ok(Answer { status, retry_after: None });
            let (takes, end) = match self.behaviour {
                Behaviour::Well(millis) => (Duration::from_millis(millis), said(200)),
                Behaviour::Hangs | Behaviour::DripsHead => (DEADLINE, Err(Failure::Timeout)),
                Behaviour::DripsBody => (DRAIN, said(200)),
                Behaviour::Fails => (Duration::ZERO, said(500)),
                Behaviour::TooMuch => (Duration::ZERO, said(429)),
                Behaviour::Endless => (Duration::from_millis(20), said(200)),
                Behaviour::Refuses => (Duration::ZERO, Err(Failure::Connect)),
                Behaviour::Picks => {
                    let log = self.log.lock().unwrap();
                    let is_first =
                        log.get(&self.name).is_none_or(|posted| posted.is_empty() || posted[0].id == id);
                    (Duration::from_millis(2), said(if is_first { 500 } else { 200 }))
                }
                Behaviour::Away { from_ms, to_ms } => {
                    let away = Duration::from_millis(from_ms)..Duration::from_millis(to_ms);
                    let gone = away.contains(&began);
                    (Duration::from_millis(5), if gone { Err(Failure::Connect) } else { said(200) })
                }
            };
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let taken = end.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status));
            let posted = Posted { id, began, ended: self.start.elapsed(), taken };
            self.log.lock().unwrap().entry(self.name.clone()).or_default().push(posted);
            end
        })
    }
}

/// The clock of the town: of its runtime, also where it is asked from outside, where the clock of the machine would answer.
#[derive(Debug)]
struct Virtual(Handle);

impl Virtual {
    fn asked(&self) -> Wall {
        let _context = self.0.enter();
        Instant::now().into_std()
    }
}

/// An origin in the past of every test: where the clock begins is of no account.
const ORIGIN_MS: i64 = 1_700_000_000_000;

static ORIGIN: LazyLock<Wall> = LazyLock::new(|| crate::clock::SystemClock.instant());

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let since = self.asked().saturating_duration_since(*ORIGIN);
        Timestamp(ORIGIN_MS + i64::try_from(since.as_millis()).unwrap())
    }

    fn instant(&self) -> Wall {
        self.asked()
    }
}

/// A cluster that is not there; nothing asks it.
static NOWHERE: LazyLock<(Cluster, Probe)> = LazyLock::new(|| {
    let cluster = Cluster {
        tokens: None,
        bootstrap_servers: "127.0.0.1:1".to_owned(),
        client_id: "town".to_owned(),
        properties: Default::default(),
    };
    let probe = Probe::new(&cluster).unwrap();
    (cluster, probe)
});

/// A thread of its own for everything, with a clock that jumps.
pub(super) fn runtime() -> Runtime {
    LazyLock::force(&ORIGIN);
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// The line and its receivers.
pub(super) struct Town {
    pub(super) notify: Notify,
    pub(super) log: Log,
    pub(super) start: Instant,
    /// Takes what the line writes on the board.
    _follower: Follower,
}

impl Town {
    /// These endpoints, all of whom want everything. Asked within `runtime`.
    pub(super) fn new(runtime: &Runtime, residents: &[(String, Resident)], bounds: Bounds) -> Town {
        let _context = runtime.enter();
        let clock: Arc<dyn Clock> = Arc::new(Virtual(runtime.handle().clone()));
        let start = Instant::now();
        let log = Log::default();
        let endpoints =
            Endpoints(residents.iter().map(|(name, who)| Arc::new(endpoint(name, *who))).collect());
        let behaviours: HashMap<EndpointName, Behaviour> =
            residents.iter().map(|(name, who)| (name.parse().unwrap(), who.behaviour)).collect();
        let posts = {
            let log = Arc::clone(&log);
            move |endpoint: &Endpoint| {
                let (name, behaviour) = (endpoint.name.to_string(), behaviours[&endpoint.name]);
                Box::new(Fake { name, behaviour, start, log: Arc::clone(&log) }) as Box<dyn Post>
            }
        };
        let couriers = Arc::new(Couriers::start(runtime, &endpoints, bounds.window, &posts, &clock));
        let (notify, follower) = line(endpoints, couriers, bounds, &clock);
        Town { notify, log, start, _follower: follower }
    }

    /// An alert comes in.
    pub(super) fn alert(&mut self, partition: i32, offset: i64) {
        self.notify.begin_batch();
        let number = u64::try_from(offset * i64::from(PARTITIONS) + i64::from(partition)).unwrap();
        let alert = test_alert(Timestamp(ORIGIN_MS), number << 1);
        self.notify.owe(partition, Arc::new(Sheet { offset, alert, json: vec![b' '; 1_300] }));
    }

    /// A turn of the loop: what came in is committed, what is due is handed out.
    pub(super) fn turn(&mut self) {
        let changed = self.notify.tend();
        self.notify.state.closing = changed;
        self.notify.merge(Duration::ZERO);
        self.notify.beat(PARTITIONS.unsigned_abs() as usize, 0);
    }
}

fn endpoint(name: &str, who: Resident) -> Endpoint {
    let settings =
        Settings { allow_insecure: true, ..Settings::new("http://receiver.example/hook".to_owned()) };
    Endpoint {
        name: name.parse().unwrap(),
        target: Arc::new(Target::new(&settings, &SystemRoots::none()).unwrap()),
        signer: Arc::default(),
        headers: Vec::new(),
        filter: Filter::default(),
        shape: Shape::Alert,
        show: Show::default(),
        link: None,
        schedule: Schedule::default(),
        retry_after: schedule::Bounds::default(),
        batch: None,
        since: Since::Now,
        concurrency: who.concurrency,
        rate: who.rate,
        disable_after: Duration::from_secs(5 * 86_400),
        probe_every: Duration::from_secs(60),
        heartbeat: None,
    }
}

fn shelf(clock: &Arc<dyn Clock>) -> Shelf {
    let (cluster, probe) = NOWHERE.clone();
    let clock = Arc::clone(clock);
    Shelf { cluster, probe, group: "town".to_owned(), topic: "alerts".to_owned(), clock }
}

fn census() -> census::Source {
    let (cluster, probe) = NOWHERE.clone();
    let watched = || census::Watched { group: "town".to_owned(), topic: "input".to_owned() };
    census::Source { cluster, probe, sight: watched(), score: watched() }
}

fn restorer(endpoints: &Endpoints, clock: &Arc<dyn Clock>, stop: Stop) -> Restorer {
    let (cluster, probe) = NOWHERE.clone();
    Restorer {
        cluster,
        probe,
        group: "town".to_owned(),
        deliveries: "deliveries".to_owned(),
        alerts: "alerts".to_owned(),
        partitions: PARTITIONS,
        stall: Duration::from_secs(1),
        endpoints: endpoints.clone(),
        clock: Arc::clone(clock),
        stop,
    }
}

fn line(
    endpoints: Endpoints,
    couriers: Arc<Couriers>,
    bounds: Bounds,
    clock: &Arc<dyn Clock>,
) -> (Notify, Follower) {
    let (cluster, probe) = &*NOWHERE;
    let text = |text: &str| text.to_owned();
    let (registry, health, stop) = (Registry::new(), Health::new(Arc::clone(clock)), Stop::new());
    let names = endpoints.names();
    let labels: Vec<&str> = names.iter().map(EndpointName::as_str).collect();
    let metrics = WebhookMetrics::new(&registry, &labels, &Failure::CLASSES).unwrap();
    let loop_metrics = LoopFamilies::new(&registry).unwrap().of(Notify::NAME, &[]);
    let control =
        Control::new(cluster.clone(), probe.clone(), text("control"), text("town"), Arc::clone(clock));
    let ready = health.condition("webhooks", "");
    let follower =
        Follower::new(control, text("town"), names.clone(), ready, Arc::clone(clock), stop.clone());
    let undertaker = Undertaker::new(text("dead"), Payload::Omit, None, f64::INFINITY, loop_metrics.clone());
    let mut state = NotifyState::new(&bounds);
    for partition in 0..PARTITIONS {
        let mut ledger = Ledger::default();
        names.iter().for_each(|name| ledger.begin(name, 0, None));
        ledger.merge();
        let (mark, openings) = (Mark::default(), Default::default());
        let held =
            Held { ledger, epoch: 1, control: 0, stays_from: i64::MIN, mark, openings, unwritten: None };
        state.held.insert(partition, held);
    }
    let notify = Notify {
        name: text("notify-0"),
        census: Census::start(census()),
        alerts: text("alerts"),
        deliveries: text("deliveries"),
        shared: follower.shared(),
        couriers,
        settled: channel(),
        sheets: Sheets::start(shelf(clock)),
        restorer: restorer(&endpoints, clock, stop),
        undertaker,
        bounds,
        pulse: Pulse::new("town", &health, loop_metrics.clone(), Arc::clone(clock)),
        loop_metrics,
        metrics: names.into_iter().map(|name| (name.clone(), metrics.of(name.as_str()))).collect(),
        clock: Arc::clone(clock),
        endpoints,
        state,
    };
    (notify, follower)
}
