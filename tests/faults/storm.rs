use std::time::{Duration, Instant};

use crate::support::chaos::{Crew, kills};
use crate::support::load::{Load, Offered};
use crate::support::program::Invocation;
use crate::support::{Cluster, Deployment, Revision, shared_cluster, wait};
use crate::under_load::under_load;
use crate::{PATIENCE, alone};

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

/// Two processes and what happens to them.
struct Storm<'a> {
    deployment: &'a Deployment,
    cluster: &'a Cluster,
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

    /// Waits until a process has had so many partitions of each line.
    #[track_caller]
    fn await_flowing(&mut self, member: usize, sight: usize, score: usize) {
        self.crew.await_flowing(member, [sight, score], PATIENCE);
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
        let mut two = vec!["stop:sight/in-restore".to_owned()];
        two.extend(steps.map(|step| format!("stop:score/{step}")));
        let two: Vec<Invocation> = two.iter().map(|stop| self.process("two", stop)).collect();
        self.crew.hire_with(two, self.process("two", ""));
        self.crew.tend_until("eleven failpoints", PATIENCE * 2, |crew| crew.stopped.len() == 11);
        self.tell("eleven failpoints are through");
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
        self.crew.tend_until("the last failpoint", PATIENCE, |crew| crew.stopped.len() == 12);
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

    /// The broker that keeps the offsets of `score` dies while everybody is at work, and comes back.
    fn broker_restart(&mut self) {
        self.await_flowing(0, 1, 1);
        self.await_flowing(1, 1, 1);
        let broker = self.cluster.coordinator_of(&self.deployment.names.score);
        broker.kill();
        broker.restart();
        self.cluster.await_whole();
        self.crew.tend();
        self.tell("the broker is back");
    }

    fn rage(&mut self, revisions: &[Revision]) {
        let deployment = self.deployment;
        std::thread::scope(|scope| {
            let imported = scope.spawn(|| deployment.import(&revisions[1]));
            self.failpoints();
            assert_eq!(imported.join().unwrap(), 2);
            self.leave_and_join();
            let undone = scope.spawn(|| {
                let number = deployment.import(&revisions[2]);
                // Long enough to be seen by both: the undoing must take something back.
                wait::pause(Duration::from_secs(10));
                deployment.undo(number);
                number
            });
            self.random_kills();
            assert_eq!(undone.join().unwrap(), 3);
        });
        self.broker_restart();
        self.crew.suffer(&[], AT_LEAST.saturating_sub(self.start.elapsed()));
    }

    #[track_caller]
    fn drain(&mut self, offered: &Offered) {
        let (count, latest) = (offered.inputs.len(), offered.latest);
        self.tell(&format!("{count} transactions were offered, at worst {latest:?} late"));
        self.crew.drain(self.deployment, PATIENCE * 2);
        self.tell("everything is worked off");
    }
}

#[test]
fn nothing_is_lost_doubled_or_judged_otherwise() {
    let _turn = alone();
    let Some(cluster) = shared_cluster() else { return };
    let deployment = Deployment::new(cluster.kafka("storm"), LOAD.partitions, 3);
    let revisions = revisions();
    deployment.import(&revisions[0]);
    let mut storm = Storm { deployment: &deployment, cluster, crew: Crew::new(), start: wait::now() };
    let seen = under_load(&deployment, &LOAD, &mut storm, |storm| storm.rage(&revisions), Storm::drain);
    println!("{}", storm.crew.stopped.join("\n"));
    seen.judge(&deployment, &revisions);
}
