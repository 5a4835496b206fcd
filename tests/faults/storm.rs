use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::support::chaos::{Crew, kills};
use crate::support::check::{assert_none, compare_alerts, compare_readers, violations};
use crate::support::load::{Load, Offered};
use crate::support::program::{Ended, Invocation};
use crate::support::{Broker, BrokerOptions, Deployment, Isolation, Message, Revision, own_broker, wait};
use crate::{PATIENCE, long_run, turn};

/// Short, so that ten kills fit into a minute.
const SESSION: &str = "session:3000";
const LINES: &str = "sight,score";
/// Where the random kills come from.
const SEED: u64 = 20_260_725;
/// The load lasts at least so long, whatever is through before.
const AT_LEAST: Duration = Duration::from_secs(60);

/// A quarter of the cards is exposed from the start; see [`revisions`].
const LOAD: Load =
    Load { seed: SEED, rate: 400, seconds: 900, cards: 400, exposed_percent: 25, partitions: 4 };

/// What stands on the list first, what a finished revision changes, and what one changes that is undone.
fn revisions() -> Vec<Revision> {
    let exposed: Vec<usize> = LOAD.exposed().collect();
    let spared = (0..LOAD.cards).filter(|card| !LOAD.is_exposed(*card));
    let spared: Vec<usize> = spared.collect();
    vec![
        Revision::adding(exposed.iter().copied()),
        Revision { added: spared[..40].to_vec(), withdrawn: exposed[..20].to_vec() },
        Revision { added: spared[40..80].to_vec(), withdrawn: exposed[20..40].to_vec() },
    ]
}

/// Threads that go on until they are told to end, or until the test fails.
struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads what the lines write, as somebody downstream would, until told to end.
fn follow<'scope>(
    scope: &'scope Scope<'scope, '_>,
    deployment: &'scope Deployment,
    ended: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, BTreeMap<String, Vec<Message>>> {
    scope.spawn(move || {
        let topics = [&deployment.names.sightings, &deployment.names.history, &deployment.names.alerts];
        let mut readers = topics.map(|topic| deployment.kafka.reader(topic, Isolation::Committed));
        while !ended.load(Ordering::Relaxed) {
            readers.iter_mut().for_each(|reader| reader.turn(Duration::from_millis(50)));
        }
        topics.map(String::clone).into_iter().zip(readers.map(|reader| reader.messages)).collect()
    })
}

fn offer<'scope>(
    scope: &'scope Scope<'scope, '_>,
    deployment: &'scope Deployment,
    over: &'scope AtomicBool,
) -> ScopedJoinHandle<'scope, Offered> {
    scope.spawn(move || {
        let producer = deployment.kafka.producer();
        LOAD.offer_while(&producer, &deployment.names.input, || !over.load(Ordering::Relaxed))
    })
}

/// Two processes and what happens to them.
struct Storm<'a> {
    deployment: &'a Deployment,
    broker: &'a Broker,
    crew: Crew,
    start: Instant,
}

impl Storm<'_> {
    fn process(&self, id: &str, stop: &str) -> Invocation {
        self.deployment.process(id, LINES, &format!("{SESSION};{stop}"))
    }

    fn tell(&self, what: &str) {
        let (seconds, killed) = (self.start.elapsed().as_secs_f64(), self.crew.killed);
        println!("{seconds:6.1} s: {what} (failpoints {}, kills {killed})", self.crew.stopped.len());
    }

    fn flowing(&mut self, member: usize, line: &str) -> usize {
        let Some(program) = self.crew.program(member) else { return 0 };
        let wanted = format!("line=\"{line}\"");
        let is = |text: &&String| text.contains("partition flows") && text.contains(&wanted);
        program.stderr().iter().filter(is).count()
    }

    /// Waits until a process has had so many partitions of each line.
    #[track_caller]
    fn await_flowing(&mut self, member: usize, sight: usize, score: usize) {
        let start = wait::now();
        while self.flowing(member, "sight") < sight || self.flowing(member, "score") < score {
            self.crew.tend();
            assert!(wait::now() - start < PATIENCE, "process {member} does not get its partitions");
            wait::pause(Duration::from_millis(20));
        }
    }

    /// One process alone; another joins it, and it stops while it gives partitions up. Then a stop at each
    /// further step, those of `sight` in the one and those of `score` in the other.
    fn failpoints(&mut self) {
        let steps = ["after-produce@3", "after-send-offsets@3", "after-end-txn@3", "after-commit@3"];
        let mut one = vec!["stop:sight/in-revoke".to_owned(), "stop:score/in-restore".to_owned()];
        one.extend(steps.map(|step| format!("stop:sight/{step}")));
        let one: Vec<Invocation> = one.iter().map(|stop| self.process("one", stop)).collect();
        self.crew.hire_with(one, self.process("one", ""));
        self.await_flowing(0, 4, 3);
        let two = steps.map(|step| self.process("two", &format!("stop:score/{step}")));
        self.crew.hire_with(two, self.process("two", ""));
        self.crew.tend_until("ten failpoints", PATIENCE * 2, |crew| crew.stopped.len() == 10);
        self.tell("ten failpoints are through");
    }

    /// The second process leaves in order and joins again; the first stops while it gives partitions up.
    fn leave_and_join(&mut self) {
        self.await_flowing(0, 1, 1);
        self.await_flowing(1, 1, 1);
        self.crew.send_away(1, PATIENCE);
        self.crew.replace(0, self.process("one", "stop:score/in-revoke"));
        self.crew.kill(0, Duration::ZERO);
        self.crew.tend();
        self.await_flowing(0, 4, 3);
        self.crew.bring_back(1);
        self.crew.tend_until("the last failpoint", PATIENCE, |crew| crew.stopped.len() == 11);
        self.await_flowing(0, 1, 1);
        self.tell("left and joined");
    }

    fn random_kills(&mut self) {
        let over = Duration::from_secs(35);
        let (before, schedule) = (self.crew.killed, kills(SEED, 10, 2, over, Duration::from_secs(3)));
        self.crew.suffer(&schedule, over);
        assert_eq!(self.crew.killed - before, 10);
        self.tell("ten random kills are through");
    }

    /// The broker ends while everybody is at work, and comes back. In order: a lone broker that is killed may
    /// skip the marks of transactions it ends before its partitions have a leader (Kafka's, not ours to mend).
    fn broker_restart(&mut self) {
        self.await_flowing(0, 1, 1);
        self.await_flowing(1, 1, 1);
        self.broker.terminate();
        self.broker.spawn();
        assert!(self.broker.await_ready(), "{}", self.broker.log_text());
        self.crew.tend();
        self.tell("the broker is back");
    }

    #[track_caller]
    fn drain(&mut self) {
        let deployment = self.deployment;
        let through = |_: &mut Crew| deployment.sight_is_through() && deployment.score_is_through();
        self.crew.tend_until("everything is worked off", PATIENCE * 2, through);
        self.tell("everything is worked off");
        assert_eq!(self.crew.dismiss(Duration::from_secs(30)), [Ended::Code(0); 2]);
    }
}

#[test]
fn nothing_is_lost_doubled_or_judged_otherwise() {
    let _turn = turn();
    let Some(broker) = own_broker("storm", BrokerOptions::default()) else { return };
    let deployment = Deployment::new(broker.kafka("storm"), LOAD.partitions, 3);
    let revisions = revisions();
    deployment.import(&revisions[0]);
    let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let (offered, during) = std::thread::scope(|scope| {
        let _enders = (Ender(&over), Ender(&ended));
        let start = wait::now();
        let mut storm = Storm { deployment: &deployment, broker: &broker, crew: Crew::new(), start };
        let followed = follow(scope, &deployment, &ended);
        let offered = offer(scope, &deployment, &over);
        let imported = scope.spawn(|| deployment.import(&revisions[1]));
        storm.failpoints();
        assert_eq!(imported.join().unwrap(), 2);
        storm.leave_and_join();
        let imported = scope.spawn(|| {
            let number = deployment.import(&revisions[2]);
            // Long enough to be seen by both: the undoing must take something back.
            wait::pause(Duration::from_secs(10));
            deployment.undo(number);
            number
        });
        storm.random_kills();
        assert_eq!(imported.join().unwrap(), 3);
        if long_run() {
            storm.broker_restart();
        } else {
            println!("the broker was not restarted in this storm: CARDWATCH_LONG=1 does it");
        }
        storm.crew.suffer(&[], AT_LEAST.saturating_sub(start.elapsed()));
        over.store(true, Ordering::Relaxed);
        let offered = offered.join().unwrap();
        storm.tell(&format!(
            "{} transactions were offered, at worst {:?} late",
            offered.inputs.len(),
            offered.latest
        ));
        storm.drain();
        println!("{}", storm.crew.stopped.join("\n"));
        // What the reader has not seen yet it may see now; the comparison is of what it saw before.
        ended.store(true, Ordering::Relaxed);
        (offered, followed.join().unwrap())
    });
    judge(&deployment, &revisions, offered, &during);
}

fn judge(
    deployment: &Deployment,
    revisions: &[Revision],
    offered: Offered,
    during: &BTreeMap<String, Vec<Message>>,
) {
    let transactions = offered.inputs.len();
    let naive = deployment.naive();
    let run = deployment.observe(offered.inputs, revisions);
    let alerts: Vec<_> = run.alerts.iter().map(|message| message.json()).collect();
    println!("{transactions} transactions, {} sightings, {} alerts", run.sightings.len(), alerts.len());
    assert!(run.sightings.len() > transactions / 5, "too few cards were exposed to show anything");
    assert!(!alerts.is_empty(), "without an alert nothing is shown of alerts");
    assert_none(&violations(&run, &naive));
    assert_none(&compare_alerts(&naive.alerts(&run.sightings), &alerts));
    for (topic, after) in [&run.sightings, &run.history, &run.alerts].map(|after| (&after[0].topic, after)) {
        let seen = &during[topic];
        assert!(
            seen.len() > after.len() / 2,
            "the reader saw {} of {} records of {topic}",
            seen.len(),
            after.len()
        );
        assert_none(&compare_readers(seen, after, topic == &deployment.names.history));
    }
}
