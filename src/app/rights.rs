//! The rights that the plan's lines need, asked for before anything starts. docs/kafka.md lists them; a test takes
//! each away in turn.

use super::plan::Plan;
use crate::kafka::probe::Probe;
use crate::kafka::rights::{Operation, Resource, Right};
use crate::lines::start::Stopped;
use crate::stop::exit;

/// What the lines of the plan do on the cluster, as far as a broker tells who may. Who may write transactions it tells
/// only whoever begins one, and each worker does that at the start.
fn needed(plan: &Plan) -> Vec<Right> {
    use Operation::{DescribeConfigs, Read, Write};
    let topics = &plan.topics;
    let of = |operation, names: &[&String]| -> Vec<Right> {
        let on = |name: &&String| Right { resource: Resource::Topic, name: (*name).clone(), operation };
        names.iter().map(on).collect()
    };
    // Who runs, what it reads, what it writes.
    let lines: [(bool, &[&String], &[&String]); 6] = [
        (plan.sight, &[&topics.input, &topics.control], &[&topics.sightings, &topics.control]),
        (
            plan.score,
            &[&topics.sightings, &topics.card_history, &topics.outcomes],
            // Records of cards that are due are removed by whoever keeps histories.
            &[&topics.card_history, &topics.alerts, &topics.exposures, &topics.outcomes],
        ),
        (
            plan.books,
            &[&topics.outcomes, &topics.alerts, &topics.card_history, &topics.sightings, &topics.control],
            &[&topics.outcomes, &topics.alerts, &topics.control],
        ),
        (
            plan.notify,
            &[&topics.alerts, &topics.deliveries, &topics.control],
            &[&topics.deliveries, &topics.control],
        ),
        (plan.audit.is_some(), &[&topics.audit], &[&topics.audit]),
        (true, &[&topics.exposures], &[&topics.dead_letters]),
    ];
    let mut rights = Vec::new();
    for (_, reads, writes) in lines.into_iter().filter(|(runs, ..)| *runs) {
        rights.extend(of(Read, reads));
        rights.extend(of(Write, writes));
        // How it is kept is looked at of every topic but the user's own.
        let own: Vec<&String> =
            reads.iter().chain(writes).copied().filter(|name| **name != topics.input).collect();
        rights.extend(of(DescribeConfigs, &own));
    }
    let groups =
        [("sight", plan.sight), ("score", plan.score), ("books", plan.books), ("notify", plan.notify)];
    let on_group = |line| Right { resource: Resource::Group, name: plan.group(line), operation: Read };
    rights.extend(groups.into_iter().filter(|(_, runs)| *runs).map(|(line, _)| on_group(line)));
    rights.sort();
    rights.dedup();
    rights
}

/// Checks that this user may do what the plan's lines do.
///
/// # Errors
/// Every right that is missing, by name; or that the cluster is not reached.
pub(super) fn check_at_start(plan: &Plan, probe: &Probe) -> Result<(), Stopped> {
    let missing = probe.missing(&needed(plan))?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Err(Stopped::new(
        exit::CONFIG,
        format!(
            "the brokers do not let this user do what cardwatch does; missing: {}; docs/kafka.md has the commands that \
             give them",
            missing.join("; ")
        ),
    ))
}
