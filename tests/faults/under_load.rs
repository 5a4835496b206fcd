use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crate::support::check::{assert_none, compare_alerts, compare_readers, violations};
use crate::support::load::{Load, Offered};
use crate::support::{Deployment, Isolation, Message, Revision};

/// What was offered, and what somebody downstream saw of it while it happened.
pub(crate) struct Seen {
    offered: Offered,
    during: BTreeMap<String, Vec<Message>>,
}

/// Threads that go on until they are told to end, or until the test fails.
struct Ender<'a>(&'a AtomicBool);

impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Offers `load` while `happen` goes on, then has `drain` wait until it is worked off.
pub(crate) fn under_load<S>(
    deployment: &Deployment,
    load: &Load,
    stage: &mut S,
    happen: impl FnOnce(&mut S),
    drain: impl FnOnce(&mut S, &Offered),
) -> Seen {
    let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _enders = (Ender(&over), Ender(&ended));
        let followed = follow(scope, deployment, &ended);
        let offered = scope.spawn(|| {
            let producer = deployment.kafka.producer();
            load.offer_while(&producer, &deployment.names.input, || !over.load(Ordering::Relaxed))
        });
        happen(stage);
        over.store(true, Ordering::Relaxed);
        let offered = offered.join().unwrap();
        drain(stage, &offered);
        // What the reader has not seen yet it may see now; the comparison is of what it saw before.
        ended.store(true, Ordering::Relaxed);
        Seen { offered, during: followed.join().unwrap() }
    })
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

impl Seen {
    /// Holds everything that was written against what was offered, and both readers against each other.
    pub(crate) fn judge(self, deployment: &Deployment, revisions: &[Revision]) {
        let transactions = self.offered.inputs.len();
        let naive = deployment.naive();
        let run = deployment.observe(self.offered.inputs, revisions);
        let alerts: Vec<_> = run.alerts.iter().map(|message| message.json()).collect();
        println!("{transactions} transactions, {} sightings, {} alerts", run.sightings.len(), alerts.len());
        assert!(run.sightings.len() > transactions / 5, "too few cards were exposed to show anything");
        assert!(!alerts.is_empty(), "without an alert nothing is shown of alerts");
        assert_none(&violations(&run, &naive));
        assert_none(&compare_alerts(&naive.alerts(&run.sightings), &alerts));
        for (topic, after) in
            [&run.sightings, &run.history, &run.alerts].map(|after| (&after[0].topic, after))
        {
            let seen = &self.during[topic];
            assert!(
                seen.len() > after.len() / 2,
                "the reader saw {} of {} records of {topic}",
                seen.len(),
                after.len()
            );
            assert_none(&compare_readers(seen, after, topic == &deployment.names.history));
        }
    }
}
