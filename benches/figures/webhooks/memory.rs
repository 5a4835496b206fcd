//! What a million alerts cost that an endpoint is owed and does not take.

use std::path::Path;
use std::time::Duration;

use super::receiver::{Receiver, webhook_id};
use super::{Endpoint, House};
use crate::stage::Instance;
use crate::support::receiver::Behaviour;
use crate::support::wait;
use crate::table::{Table, Target};

/// Alerts that are owed.
const ALERTS: u64 = 1_000_000;
/// How long it is looked at once all of them are.
const LOOK: Duration = Duration::from_secs(60);
/// How long taking them in may take.
const WITHIN: Duration = Duration::from_secs(300);
const MIB: f64 = 1024.0;

/// Measures it.
pub(crate) fn measure(binary: &Path, table: &mut Table) {
    let house = House::without_cards();
    let deployment = house.deploy();
    let receiver = Receiver::start(webhook_id);
    let endpoint = Endpoint { name: "good", url: receiver.url(), own: String::new() };
    let mut instance = deployment.start(binary, "one", "notify", &house.config(&deployment, &[endpoint]));
    super::await_line(&mut instance, "notify");
    wait::pause(Duration::from_secs(5));
    let nothing = resident_mib(&instance);
    drop(instance);

    let deployment = house.deploy();
    house.write_alerts(&deployment, ALERTS);
    let bad = house.misbehaving(Behaviour::Hang);
    let endpoint = Endpoint { name: "hangs", url: bad.1, own: String::new() };
    let start = wait::now();
    let mut instance = deployment.start(binary, "one", "notify", &house.config(&deployment, &[endpoint]));
    let mut samples = Vec::new();
    let mut next = Duration::ZERO;
    wait::until("a million alerts are owed", WITHIN, || {
        let owed = owed(&mut instance);
        if wait::now() - start >= next {
            samples.push((wait::now() - start, owed, resident_mib(&instance)));
            next += Duration::from_secs(2);
        }
        (owed == ALERTS).then_some(())
    });
    let taken = (wait::now() - start).as_secs_f64();
    let all = wait::now();
    while wait::now() - all < LOOK {
        wait::pause(Duration::from_secs(10));
        samples.push((wait::now() - start, owed(&mut instance), resident_mib(&instance)));
    }
    assert_eq!(owed(&mut instance), ALERTS, "nothing was taken and nothing is lost");
    let peak = instance.program.peak_memory_kib().expect("it is running") as f64 / MIB;
    let last = samples.last().map_or(0.0, |sample| sample.2);
    table.figure("webhook memory: nothing owed", nothing, "MiB", Target::None);
    table.figure("webhook memory: a million owed, after a minute", last, "MiB", Target::None);
    table.figure("webhook memory: a million owed, peak", peak, "MiB", Target::Below(200.0));
    let course = samples
        .iter()
        .map(|(at, owed, mib)| format!("{:.0} s: {owed} owed, {mib:.0} MiB", at.as_secs_f64()))
        .collect::<Vec<_>>()
        .join("; ");
    table.note(format!(
        "webhook memory: {ALERTS} alerts of {} bytes ({:.0} MiB) written to the topic before the start, an endpoint that \
         reads requests and says nothing; all were owed after {taken:.1} s; resident size of the process over time: {course}",
        super::alert_bytes(),
        (ALERTS * super::alert_bytes() as u64) as f64 / MIB / MIB,
    ));
}

fn owed(instance: &mut Instance) -> u64 {
    let metrics = instance.all_metrics().unwrap_or_default();
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("cardwatch_webhook_owed_alerts{endpoint=\"hangs\"} "));
    value.map_or(0, |value| value.parse::<f64>().expect("a number") as u64)
}

fn resident_mib(instance: &Instance) -> f64 {
    crate::process::resident_kib(instance.program.pid()) as f64 / MIB
}
