use std::time::Duration;

use crate::support::chaos::Crew;
use crate::support::load::{Load, Offered};
use crate::support::{Cluster, Deployment, Revision, shared_cluster};
use crate::under_load::under_load;
use crate::{PATIENCE, alone};

const LOAD: Load = Load { seed: 7, rate: 300, seconds: 900, cards: 200, exposed_percent: 50, partitions: 3 };

/// Longer than a request, a record, a transaction and a session may take: every time-out strikes.
const LONG: Duration = Duration::from_secs(12);

/// Two processes at work on a cluster whose brokers come and go.
struct Scene<'a> {
    cluster: &'a Cluster,
    deployment: &'a Deployment,
    crew: Crew,
}

impl Scene<'_> {
    /// Waits until every partition of both lines has been committed further than it is now.
    #[track_caller]
    fn await_progress(&mut self, when: &str) {
        let names = &self.deployment.names;
        let committed = || {
            let sight = self.deployment.kafka.offsets(&names.sight, &names.input);
            sight.into_iter().chain(self.deployment.kafka.offsets(&names.score, &names.sightings))
        };
        let before: Vec<i64> = committed().map(|(_, next)| next).collect();
        let further = |_: &mut Crew| committed().zip(&before).all(|((_, next), before)| next > *before);
        self.crew.tend_until(&format!("work goes on {when}"), PATIENCE, further);
    }

    #[track_caller]
    fn drain(&mut self, _: &Offered) {
        self.crew.drain(self.deployment, PATIENCE);
    }
}

/// Has `happen` happen to the brokers while two processes work off a load.
fn at_work(area: &str, happen: impl FnOnce(&mut Scene<'_>)) {
    let _turn = alone();
    let Some(cluster) = shared_cluster() else { return };
    let deployment = Deployment::new(cluster.kafka(area), LOAD.partitions, 3);
    let revision = Revision::adding(LOAD.exposed());
    deployment.import(&revision);
    let mut scene = Scene { cluster, deployment: &deployment, crew: Crew::new() };
    for id in ["one", "two"] {
        scene.crew.hire(deployment.process(id, "sight,score", "session:3000"));
    }
    let happen = |scene: &mut Scene<'_>| {
        scene.await_progress("at first");
        happen(scene);
    };
    under_load(&deployment, &LOAD, &mut scene, happen, Scene::drain).judge(&deployment, &[revision]);
}

/// What an upgrade of the cluster looks like.
#[test]
fn brokers_that_restart_one_after_the_other_are_done_without() {
    at_work("restarted", |scene| {
        for broker in scene.cluster.brokers() {
            broker.terminate();
            broker.restart();
            scene.await_progress("after a restart");
            scene.cluster.await_whole();
        }
    });
}

/// The brokers that keep the offsets, each in the middle of commits: one stays away, one is back at once.
#[test]
fn brokers_that_are_killed_are_done_without() {
    at_work("killed", |scene| {
        let names = &scene.deployment.names;
        let broker = scene.cluster.coordinator_of(&names.score);
        broker.kill();
        scene.crew.suffer(&[], LONG);
        scene.await_progress("without the broker");
        broker.restart();
        scene.cluster.await_whole();

        let broker = scene.cluster.coordinator_of(&names.sight);
        broker.kill();
        broker.restart();
        scene.await_progress("after a broker was killed");
        scene.cluster.await_whole();
    });
}
