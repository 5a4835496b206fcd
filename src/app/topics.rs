//! Which topics the service needs, and whether they are there.

use super::plan::{Names, Plan, TopicCheck};
use crate::kafka::probe::Probe;
use crate::kafka::topics::{Checked, Role, Topics, TopicsError, Wanted};
use crate::lines::start::{CLUSTER, Stopped};
use crate::stop::exit;

/// The topics that must exist. `partitions` is the number of the sightings', histories', alerts'
/// and deliveries'.
pub fn wanted(names: &Names, partitions: Option<i32>) -> Vec<Wanted> {
    let want = |role, name: &str, partitions| Wanted { role, name: name.to_owned(), partitions };
    vec![
        want(Role::Input, &names.input, None),
        want(Role::Exposures, &names.exposures, Some(1)),
        want(Role::Sightings, &names.sightings, partitions),
        want(Role::CardHistory, &names.card_history, partitions),
        want(Role::Alerts, &names.alerts, partitions),
        want(Role::Audit, &names.audit, Some(1)),
        // In one partition they have one order, and one worker at a time writes revisions.
        want(Role::Outcomes, &names.outcomes, Some(1)),
        want(Role::Deliveries, &names.deliveries, partitions),
        want(Role::Control, &names.control, Some(1)),
        want(Role::DeadLetters, &names.dead_letters, None),
    ]
}

/// The number of partitions of the sightings topic as it is; histories and alerts must have as many.
///
/// # Errors
/// When the cluster does not answer or the topic does not exist.
pub fn sightings_partitions(names: &Names, probe: &Probe) -> Result<i32, Stopped> {
    match probe.partitions(&names.sightings) {
        Ok(Some(partitions)) => Ok(partitions),
        Ok(None) => Err(Stopped::new(
            exit::CONFIG,
            format!("topic {} does not exist; make it with `cardwatch topics --create`", names.sightings),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Checks what the plan's lines need before anything starts, and tells how long alerts stay on their topic, in
/// milliseconds: `None` for ever, or where nobody tells.
///
/// # Errors
/// Every fault at once, with the command that makes it right.
pub(super) fn check_at_start(plan: &Plan, probe: &Probe) -> Result<Option<i64>, Stopped> {
    if plan.topic_check == TopicCheck::Skip {
        return Ok(None);
    }
    super::rights::check_at_start(plan, probe)?;
    let topics = Topics::new(&plan.cluster, probe.clone()).map_err(|error| stopped(&error))?;
    let partitions = probe.partitions(&plan.topics.sightings)?;
    let needed = wanted(&plan.topics, partitions).into_iter().filter(|wanted| match wanted.role {
        Role::Input => plan.sight,
        // Where cards are recognised it says which, where histories are kept it says for how long.
        Role::Exposures => true,
        Role::CardHistory => plan.score || plan.books,
        Role::Alerts => plan.score || plan.books || plan.notify,
        Role::Deliveries => plan.notify,
        Role::Outcomes => plan.books,
        Role::Control => plan.sight || plan.books || plan.notify,
        Role::Sightings | Role::Audit | Role::DeadLetters => true,
    });
    let needed: Vec<Wanted> = needed.collect();
    let checked = topics.check(&needed).map_err(|error| stopped(&error))?;
    let faults = faults(&checked);
    if faults.is_empty() {
        // No reason not to watch: what is kept too long can be mended while cards are recognised.
        remarks(&checked).iter().for_each(|remark| tracing::warn!(remark, "deleted cards stay on disk"));
        let alerts = checked.iter().find(|checked| checked.wanted.role == Role::Alerts);
        let found = alerts.and_then(|checked| checked.found.as_ref()?.settings.as_ref());
        let retention_ms = found.and_then(|settings| settings.get("retention.ms")?.parse().ok());
        return Ok(retention_ms.filter(|ms| *ms > 0));
    }
    let advice =
        "`cardwatch topics` shows all of them, `cardwatch topics --create` makes those that are missing";
    Err(Stopped::new(exit::CONFIG, format!("{}; {advice}", faults.join("; "))))
}

/// What is wrong with the topics, in words.
pub fn faults(checked: &[Checked]) -> Vec<String> {
    let faulty = checked.iter().filter(|checked| !checked.faults.is_empty());
    faulty.map(|checked| format!("topic {} {}", checked.wanted.name, checked.faults.join(" and "))).collect()
}

/// What is allowed and keeps cards on disk without end, in words.
pub fn remarks(checked: &[Checked]) -> Vec<String> {
    let remark = |checked: &Checked| checked.wanted.remark(checked.found.as_ref()?);
    checked.iter().filter_map(remark).collect()
}

/// A failure to look at topics, as an end of the start.
pub fn stopped(error: &TopicsError) -> Stopped {
    match error {
        TopicsError::Ask(error) => error.clone().into(),
        error => {
            Stopped::new(exit::UNAVAILABLE, format!("the topics could not be looked at: {error}; {CLUSTER}"))
        }
    }
}
