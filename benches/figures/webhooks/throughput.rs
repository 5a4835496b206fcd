//! Deliveries a second, beside a load tool that posts the same body to the same receiver.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::receiver::{Receiver, webhook_id};
use super::{Endpoint, House, ids};
use crate::process::cpu;
use crate::support::{environment, wait};
use crate::table::{Table, Target, median};

/// Alerts on the topic when `notify` starts.
pub(crate) const ALERTS: u64 = 50_000;
/// Requests under way at once, of cardwatch and of the load tool.
const CONCURRENCY: usize = 16;
/// How long a round may take.
const WITHIN: Duration = Duration::from_secs(300);

/// A round's rates, and CPU time of cardwatch a delivery.
#[derive(Debug)]
struct Round {
    cardwatch: f64,
    cpu_us: f64,
    tool: Option<f64>,
}

/// Measures it.
pub(crate) fn measure(binary: &Path, rounds: usize, table: &mut Table) {
    let house = House::brief();
    let tool = oha();
    // The broker's first is the slowest.
    let warm_up = round(&house, binary, None);
    eprintln!("webhook throughput, not counted: {warm_up:?}");
    let rounds: Vec<Round> = (1..=rounds)
        .map(|number| {
            let round = round(&house, binary, tool.as_deref());
            eprintln!("webhook throughput, round {number}: {round:?}");
            round
        })
        .collect();
    let of = |field: fn(&Round) -> f64| median(rounds.iter().map(field));
    let rate = of(|round| round.cardwatch);
    table.figure("webhooks: deliveries/s", rate, "", Target::AtLeast(2_000.0));
    if tool.is_some() {
        let tool = of(|round| round.tool.expect("measured each round"));
        table.beside("webhooks: deliveries/s beside oha", rate, tool, Target::AtLeast(0.2));
    }
    table.figure("webhooks: CPU per delivery", of(|round| round.cpu_us), "µs", Target::None);
    table.note(format!(
        "webhook throughput: {ALERTS} alerts of {} bytes on {} partitions when notify starts, one endpoint with rate 100000 \
         and concurrency {CONCURRENCY} (the defaults, 100 and 4, are for receivers that are not ours), else default settings; from the first byte of the first request to that of the last, medians of {} rounds after one that is not counted, beside \
         a broker that compiles quickly rather than well, for its compiler would be a good part of the load in rounds so short; every alert arrived, signed, over at most {CONCURRENCY} kept connections{}",
        super::alert_bytes(),
        crate::stage::PARTITIONS,
        rounds.len(),
        if tool.is_some() {
            "; oha posts the same body with the same headers to the same receiver over as many connections in each round"
        } else {
            "; oha was not found beside it (`cargo install --locked oha --root target/tools`)"
        },
    ));
}

fn round(house: &House, binary: &Path, tool: Option<&Path>) -> Round {
    let deployment = house.deploy();
    house.write_alerts(&deployment, ALERTS);
    let receiver = Receiver::start(webhook_id);
    let endpoint =
        Endpoint { name: "good", url: receiver.url(), own: format!("concurrency = {CONCURRENCY}\n") };
    let more = house.config(&deployment, &[endpoint]);
    let mut instance = deployment.start(binary, "one", "notify", &more);
    wait::until("every alert is told", WITHIN, || {
        assert!(instance.program.poll_end().is_none(), "{}", instance.program.transcript());
        (receiver.arrivals().len() as u64 >= ALERTS).then_some(())
    });
    let spent = cpu(instance.program.pid());
    drop(instance);
    let connections = receiver.connections();
    assert!(connections <= CONCURRENCY, "{connections} connections");
    let (first, last) = {
        let arrivals = receiver.arrivals();
        let told: HashSet<&str> = arrivals.iter().map(|arrival| arrival.key.as_str()).collect();
        let wanted = ids(ALERTS);
        assert!(wanted.iter().all(|id| told.contains(id.as_str())) && told.len() == wanted.len());
        (arrivals.iter().map(|one| one.at).min(), arrivals.iter().map(|one| one.at).max())
    };
    let took = last.expect("arrived") - first.expect("arrived");
    Round {
        cardwatch: (ALERTS - 1) as f64 / took.as_secs_f64(),
        cpu_us: spent.as_secs_f64() * 1e6 / ALERTS as f64,
        tool: tool.map(|tool| post(tool, house, &receiver)),
    }
}

/// Requests a second of the load tool.
fn post(tool: &Path, house: &House, receiver: &Receiver) -> f64 {
    let alert = super::alert(0, 0);
    let body = house.file("body.json", &alert.1);
    let signature = format!("webhook-signature: v1,{}", "A".repeat(44));
    let id = format!("webhook-id: {}", alert.0);
    let output = Command::new(tool)
        .args(["--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json"])
        .args(["-n", &(4 * ALERTS).to_string(), "-c", &CONCURRENCY.to_string()])
        .args([
            "-H",
            &id,
            "-H",
            &signature,
            "-H",
            "webhook-timestamp: 1700000000",
            "-H",
            "cardwatch-attempt: 1",
        ])
        .args(["-H", "cardwatch-raised-at: 2026-04-01T00:00:00Z"])
        .arg("-D")
        .arg(&body)
        .arg(receiver.url())
        .output()
        .expect("oha runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let all = 4 * ALERTS;
    assert_eq!(report["statusCodeDistribution"]["200"], all, "{report}");
    report["summary"]["requestsPerSec"].as_f64().expect("a rate")
}

/// Where oha is: on the path, or where `cargo install --root target/tools` puts it.
fn oha() -> Option<PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools").join("bin");
    std::env::split_paths(&path)
        .chain([own])
        .map(|directory| directory.join("oha"))
        .find(|path| path.is_file())
}
