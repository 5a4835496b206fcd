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
    let lines = [
        (
            plan.sight,
            vec![
                (&topics.input, Read),
                (&topics.sightings, Write),
                (&topics.control, Read),
                (&topics.control, Write),
            ],
        ),
        (
            plan.score,
            vec![
                (&topics.sightings, Read),
                (&topics.card_history, Read),
                (&topics.card_history, Write),
                (&topics.alerts, Write),
                // Records of cards that are due are removed by whoever keeps histories.
                (&topics.exposures, Write),
                (&topics.outcomes, Read),
                (&topics.outcomes, Write),
            ],
        ),
        (
            plan.books,
            vec![
                (&topics.outcomes, Read),
                (&topics.outcomes, Write),
                (&topics.alerts, Read),
                (&topics.alerts, Write),
                (&topics.card_history, Read),
                (&topics.sightings, Read),
                (&topics.control, Read),
                (&topics.control, Write),
            ],
        ),
        (
            plan.notify,
            vec![
                (&topics.alerts, Read),
                (&topics.deliveries, Read),
                (&topics.deliveries, Write),
                (&topics.control, Read),
                (&topics.control, Write),
            ],
        ),
        (plan.audit.is_some(), vec![(&topics.audit, Read), (&topics.audit, Write)]),
        (true, vec![(&topics.exposures, Read), (&topics.dead_letters, Write)]),
    ];
    let on_topic = |(name, operation): (&String, Operation)| Right {
        resource: Resource::Topic,
        name: name.clone(),
        operation,
    };
    let mut rights: Vec<Right> =
        lines.into_iter().filter(|(runs, _)| *runs).flat_map(|(_, rights)| rights).map(on_topic).collect();
    let own = rights.iter().map(|right| right.name.clone()).filter(|name| *name != topics.input);
    let settings: Vec<String> = own.collect();
    rights.extend(settings.iter().map(|name| on_topic((name, DescribeConfigs))));
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
