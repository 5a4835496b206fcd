use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::check::{assert_none, compare_alerts, violations};
use crate::support::load::Load;
use crate::support::program::Ended;
use crate::support::{BrokerOptions, Deployment, Revision, own_broker, wait};
use crate::{PATIENCE, long_run, turn};

const LOAD: Load = Load { seed: 7, rate: 300, seconds: 900, cards: 200, exposed_percent: 50, partitions: 2 };

/// Longer away than a request, a record and a session may take: every time-out of the clients strikes.
#[test]
fn a_broker_that_was_away_long_is_waited_for() {
    away_for(Duration::from_secs(12));
}

#[test]
fn a_broker_that_restarts_is_waited_for() {
    away_for(Duration::ZERO);
}

fn away_for(away: Duration) {
    if !long_run() {
        println!("a broker away for {away:?} was not tried: CARDWATCH_LONG=1 does it");
        return;
    }
    let _turn = turn();
    let Some(broker) = own_broker("restart", BrokerOptions::default()) else { return };
    let deployment = Deployment::new(broker.kafka("restart"), LOAD.partitions, 2);
    let revision = Revision::adding(LOAD.exposed());
    deployment.import(&revision);
    let over = AtomicBool::new(false);
    let mut program = deployment.process("one", "sight,score", "session:3000").start();
    let mut two = deployment.process("two", "sight,score", "session:3000").start();
    let offered = std::thread::scope(|scope| {
        let offered = scope.spawn(|| {
            let producer = deployment.kafka.producer();
            LOAD.offer_while(&producer, &deployment.names.input, || !over.load(Ordering::Relaxed))
        });
        wait::until("work has begun", PATIENCE, || {
            (deployment.kafka.committed(&deployment.names.score, &deployment.names.sightings).iter())
                .all(|one| one.offset.is_some_and(|next| next > 100))
                .then_some(())
        });
        two.await_line("partition flows", PATIENCE);
        broker.terminate();
        wait::pause(away);
        broker.restart();
        over.store(true, Ordering::Relaxed);
        offered.join().unwrap()
    });
    let through = wait::poll(PATIENCE, || {
        assert_eq!(program.poll_end(), None, "{}", program.transcript());
        assert_eq!(two.poll_end(), None, "{}", two.transcript());
        (deployment.sight_is_through() && deployment.score_is_through()).then_some(())
    });
    assert!(through.is_some(), "not worked off\n{}{}", program.transcript(), two.transcript());
    assert_eq!(two.terminate(PATIENCE), Ended::Code(0), "{}", two.transcript());
    assert_eq!(program.terminate(PATIENCE), Ended::Code(0), "{}", program.transcript());

    let naive = deployment.naive();
    let run = deployment.observe(offered.inputs, &[revision]);
    assert_none(&violations(&run, &naive));
    let alerts: Vec<_> = run.alerts.iter().map(|message| message.json()).collect();
    assert_none(&compare_alerts(&naive.alerts(&run.sightings), &alerts));
}
