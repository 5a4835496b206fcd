use std::time::Duration;

use crate::support::chaos::STOPPING;
use crate::support::check::{assert_none, compare_alerts, violations};
use crate::support::program::{Ended, Program};
use crate::support::{Deployment, Revision, shared_cluster, wait};
use crate::{PATIENCE, alone};

/// Twice what `figures -- takeover` holds it to: here others use the machine as well, the looks at the topics first of all.
const WITHIN: Duration = Duration::from_secs(50);

fn flowing(program: &Program) -> usize {
    program.told("partition flows")
}

#[test]
fn another_takes_over_from_one_that_never_comes_back() {
    let _turn = alone();
    let Some(cluster) = shared_cluster() else { return };
    // The time-outs are the real ones here, and the one that ends has a transaction open, its offsets in
    // it: what it wrote holds readers and offsets back until the cluster gives it up.
    let deployment = Deployment::new(cluster.kafka("takeover"), 4, 2);
    let revision = Revision::adding(0..10);
    deployment.import(&revision);
    let mut one = deployment.process("one", "sight,score", "").start();
    wait::until("one has all", PATIENCE, || (flowing(&one) == 6).then_some(()));
    let mut two = deployment.process("two", "sight,score", "stop:sight/after-send-offsets@5").start();
    wait::until("two has its share", PATIENCE, || (flowing(&two) >= 3).then_some(()));

    let mut inputs = Vec::new();
    let stopped = wait::poll(PATIENCE, || {
        inputs.extend(deployment.send(0..20));
        two.poll_end()
    });
    let start = wait::now();
    assert_eq!(stopped, Some(Ended::Signal(9)), "{}{}", one.transcript(), two.transcript());
    two.await_end(PATIENCE);
    assert!(two.transcript().contains(STOPPING), "{}", two.transcript());
    inputs.extend(deployment.send((0..20).cycle().take(200)));
    let through = wait::poll(PATIENCE, || {
        (deployment.sight_is_through() && deployment.score_is_through()).then(|| wait::now() - start)
    });
    let took = through.unwrap_or_else(|| panic!("one did not take over\n{}", one.transcript()));
    println!("took over within {:.1} s of the end, everything up to then worked off", took.as_secs_f64());
    assert!(took < WITHIN, "{took:?}\n{}", one.transcript());
    assert_eq!(one.terminate(PATIENCE), Ended::Code(0), "{}", one.transcript());

    let naive = deployment.naive();
    let run = deployment.observe(inputs, &[revision]);
    assert_none(&violations(&run, &naive));
    let alerts: Vec<_> = run.alerts.iter().map(|message| message.json()).collect();
    assert_none(&compare_alerts(&naive.alerts(&run.sightings), &alerts));
}
