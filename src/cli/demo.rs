//! `cardwatch demo`: the whole service in one process, on a mock cluster and a simulated world.
//!
//! What runs is what `cardwatch run` runs; only the cluster is a mock and the transactions are simulated. At
//! the end everything on the topics is worked off before anything is counted, so the summary is exact.

mod clerk;
mod ground;
mod receiver;
mod results;
mod screen;
mod stream;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus::Registry;

use super::args::{Args, DemoArgs};
use super::output::Output;
use super::run::start_process;
use super::signals::{Signal, Signals};
use crate::app::Service;
use crate::clock::{Clock, SystemClock};
use crate::config::LogLevel;
use crate::domain::time::Timestamp;
use crate::health::Health;
use crate::http::{Server, Site};
use crate::lines::start::Stopped;
use crate::report::demo::write_book;
use crate::report::{DemoReport, LiveNumbers};
use crate::secret::Secret;
use crate::simulation::{World, WorldSpec};
use crate::stop::{Reason, Stop, exit};
use crate::telemetry::measure_process;
use clerk::{Clerk, Imported};
use ground::{Ground, fault, random};
use receiver::Receiver;
use results::Results;
use screen::Screen;
use stream::Stream;

/// How long the loop waits for an alert before it looks at everything else.
const TURN: Duration = Duration::from_millis(50);
/// How long joining the groups and reading the list may take.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long nothing may move once the last transaction is written.
const STALL: Duration = Duration::from_secs(30);
/// The shortest stream: on a busy machine the preparations may have taken most of the time.
const STREAM_MIN: Duration = Duration::from_secs(3);

pub(super) fn run(args: &Args, demo_args: &DemoArgs, output: &Output) -> Result<(), Stopped> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let started = clock.instant();
    let signals = Signals::listen()?;
    let seed = match demo_args.seed {
        Some(seed) => seed,
        None => getrandom::u32().map(u64::from).map_err(|error| fault("random numbers", &error))?,
    };
    let world = World::new(WorldSpec::demo(seed, clock.now())).map_err(|error| fault("the world", &error))?;
    let key = random()?;
    let receiver = Receiver::start(Secret::new(key.to_vec()), &clock)?;
    let mut ground = Ground::new(receiver.address(), &key)?;
    ground.settings.log.level = LogLevel::Error;
    start_process(&ground.settings, args.verbose)?;
    let (health, registry, http_stop) = (Health::new(Arc::clone(&clock)), Registry::new(), Stop::new());
    measure_process(&registry).map_err(|error| fault("metrics", &error))?;
    let server = serve(demo_args.http, &registry, &health, &http_stop)?;

    let mut screen = Screen::new(output);
    screen.introduce(world.spec(), demo_args.seconds, server.address(), receiver.address());
    let clerk = Arc::new(Clerk::new(&ground, &clock)?);
    let opened = clerk.open(&world)?;
    screen.opened(&opened);
    let stop = Stop::new();
    let service = Service::start(
        ground.plan.clone(),
        Arc::clone(&clock),
        stop.clone(),
        health.clone(),
        registry.clone(),
    )?;
    let mut show = Show {
        results: Results::new(&ground)?,
        world: Arc::new(world),
        clerk,
        clock: Arc::clone(&clock),
        registry,
        signals,
        stop,
        curtain: Stop::new(),
        screen,
        listed: opened.after.cards,
        revision: Revision::Ahead,
        misuse_told: false,
        receiver,
        webhook_told: false,
    };
    let outcome = show.wait_until_ready(&health).and_then(|()| {
        let length = Duration::from_secs(demo_args.seconds).saturating_sub(clock.instant() - started);
        show.play(&ground, length.max(STREAM_MIN))
    });
    let received = show.receiver.received();
    show.screen.finish();
    service.finish(clock.as_ref());
    show.receiver.end()?;
    http_stop.ask(Reason::Asked);
    server.join().map_err(|error| fault("the HTTP server", &error))?;
    let report = outcome?;
    output.say("");
    output.write(|out, look| report.write(out, look));
    output.say(&screen::told(&received));
    if !output.is_json() {
        match show.clerk.book(&ground)? {
            Some(book) => output.write(|out, look| write_book(&book, out, look)),
            None => output.say(
                "\nThe incident's books are not shown: the mock cluster no longer has every card's history.",
            ),
        }
    }
    output.say("\nNext: `cardwatch simulate --out world` writes such a world to files; README.md goes on with a real Kafka.");
    Ok(())
}

fn serve(address: SocketAddr, registry: &Registry, health: &Health, stop: &Stop) -> Result<Server, Stopped> {
    let site = Site { registry: registry.clone(), health: health.clone(), api: None };
    let opened = TcpListener::bind(address).and_then(|listener| Server::start(listener, site, stop.clone()));
    opened.map_err(|error| {
        Stopped::new(
            exit::UNAVAILABLE,
            format!("--http {address} cannot be opened: {error}; port 0 takes any that is free"),
        )
    })
}

/// Where the correction of the list stands.
enum Revision {
    Ahead,
    Running(JoinHandle<Result<Imported, Stopped>>),
    Done,
}

/// The running demonstration.
struct Show {
    world: Arc<World>,
    clerk: Arc<Clerk>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    signals: Signals,
    /// Asked by the service when it fails.
    stop: Stop,
    /// Ends the stream of transactions.
    curtain: Stop,
    results: Results,
    screen: Screen,
    /// Cards on the list.
    listed: u64,
    revision: Revision,
    /// Whether the screen has said that thieves begin.
    misuse_told: bool,
    /// Told of every alert.
    receiver: Receiver,
    /// Whether the screen has shown how.
    webhook_told: bool,
}

impl Show {
    fn wait_until_ready(&mut self, health: &Health) -> Result<(), Stopped> {
        let deadline = self.clock.instant() + READY_WITHIN;
        while !health.ready().ok {
            if self.clock.instant() > deadline {
                let report = health.ready();
                let waiting = report.checks.iter().filter(|check| !check.ok);
                let waiting: Vec<String> = waiting
                    .map(|check| format!("{}: {}", check.name, check.reason.as_deref().unwrap_or_default()))
                    .collect();
                let message = format!("not ready after {} s: {}", READY_WITHIN.as_secs(), waiting.join("; "));
                return Err(Stopped::new(exit::UNAVAILABLE, message));
            }
            self.stop.wait(TURN);
            self.check_service()?;
            if self.is_ended() {
                break;
            }
        }
        Ok(())
    }

    /// Lets the transactions flow for `length`, works everything off, and compares with the truth.
    fn play(&mut self, ground: &Ground, length: Duration) -> Result<DemoReport, Stopped> {
        let wall_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let pace = self.world.spec().pace(wall_ms);
        let stream = Stream::start(&self.world, pace, ground, &self.clock, &self.curtain)?;
        let started = self.clock.instant();
        let mut moved = Moved { at: started, state: [0; 5] };
        loop {
            self.check_service()?;
            self.is_ended();
            for alert in self.results.take(&self.world, TURN)? {
                self.screen.alert(&alert);
            }
            self.go_on_with_story(stream.flow.world_time())?;
            self.show_webhook();
            let numbers = self.numbers(&stream, self.clock.instant() - started, length);
            self.screen.numbers(&numbers);
            // In this order: what is sent last counts too.
            let is_over = stream.is_over();
            let sent = stream.flow.sent();
            if is_over && self.is_worked_off(sent)? {
                break;
            }
            moved.check(
                [
                    sent,
                    self.counted("sight"),
                    self.counted("score"),
                    numbers.alerts,
                    self.receiver.received().verified,
                ],
                self.clock.instant(),
            )?;
        }
        let (sent, misuse) = (stream.flow.sent(), stream.flow.misuse());
        stream.join()?;
        Ok(self.results.report(sent, self.listed, misuse))
    }

    /// Why the service stopped, if it did.
    fn check_service(&self) -> Result<(), Stopped> {
        match self.stop.reason() {
            Some(Reason::Failed { code, message }) => Err(Stopped::new(code, message)),
            _ => Ok(()),
        }
    }

    /// Whether somebody wants it to end early. If so, no more transactions are written.
    fn is_ended(&mut self) -> bool {
        if !self.screen.is_open() || self.signals.next() == Some(Signal::Stop) {
            self.curtain.ask(Reason::Asked);
        }
        self.curtain.is_asked()
    }

    /// Says when thieves begin, and corrects the list, on a thread of its own, when the world has come to
    /// that day.
    fn go_on_with_story(&mut self, world_time: Timestamp) -> Result<(), Stopped> {
        if !self.misuse_told && world_time >= self.world.spec().misuse_from() {
            self.screen.misuse_begins(self.world.spec().misuse_from_day);
            self.misuse_told = true;
        }
        self.revision = match std::mem::replace(&mut self.revision, Revision::Done) {
            Revision::Ahead if world_time >= self.world.revision().at => {
                let (clerk, world) = (Arc::clone(&self.clerk), Arc::clone(&self.world));
                Revision::Running(std::thread::spawn(move || clerk.revise(&world)))
            }
            Revision::Running(thread) if thread.is_finished() => {
                let revised = thread.join().map_err(|_| fault("the revision", &"its thread panicked"))??;
                self.listed = revised.after.cards;
                self.screen.revised(&revised, self.world.spec().revision_day);
                Revision::Done
            }
            revision => revision,
        };
        Ok(())
    }

    /// Shows, once, how an alert arrives at a receiver.
    fn show_webhook(&mut self) {
        if self.webhook_told {
            return;
        }
        if let Some(first) = self.receiver.received().first {
            self.screen.webhook(&first);
            self.webhook_told = true;
        }
    }

    fn numbers(&self, stream: &Stream, elapsed: Duration, total: Duration) -> LiveNumbers {
        let (sightings, alerts) = self.results.counts();
        let (transactions, exposed_cards) = (stream.flow.sent(), self.listed);
        LiveNumbers { elapsed, total, transactions, exposed_cards, sightings, alerts }
    }

    /// Whether `sight` has worked off all that was sent, `score` all sightings, the readers and the receiver all results.
    fn is_worked_off(&self, sent: u64) -> Result<bool, Stopped> {
        let done = matches!(self.revision, Revision::Done | Revision::Ahead)
            && self.counted("sight") == sent
            && self.counted("score") == self.results.counts().0
            && self.receiver.received().verified == self.results.counts().1;
        Ok(done && self.results.is_at_end()?)
    }

    /// Records that a line has worked off and committed.
    fn counted(&self, line: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "cardwatch_records_total");
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        let metric =
            metrics.iter().find(|metric| metric.get_label().iter().any(|label| label.value() == line));
        metric.map_or(0, |metric| metric.get_counter().get_value() as u64)
    }
}

/// When something last moved.
struct Moved {
    at: Instant,
    state: [u64; 5],
}

impl Moved {
    /// Fails when nothing has moved for too long.
    fn check(&mut self, state: [u64; 5], now: Instant) -> Result<(), Stopped> {
        if state != self.state {
            *self = Moved { at: now, state };
        }
        if now - self.at < STALL {
            return Ok(());
        }
        let [sent, sight, score, alerts, told] = state;
        let message = format!(
            "nothing has moved for {} s: {sent} transactions are written, sight is at {sight}, score at {score} \
             sightings, {alerts} alerts are read, {told} have arrived by webhook",
            STALL.as_secs()
        );
        Err(Stopped::new(exit::INTERNAL, message))
    }
}
