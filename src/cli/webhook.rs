//! `cardwatch webhook test | list | pending | failed | replay | enable | disable | rotate`.

mod tables;

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::{Args, DeliveriesArgs, ReplayArgs, RotateArgs, SwitchArgs, WebhookCommand};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::app::settings::webhook_office;
use crate::app::webhooks::endpoints;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::domain::audit::Via;
use crate::domain::delivery::EndpointName;
use crate::domain::reconcile::Again;
use crate::lines::audit::Audit;
use crate::lines::notify::acts::{self, Asked, Rotated};
use crate::lines::notify::endpoint::{Endpoint, Endpoints};
use crate::lines::notify::office::{Entry, Office};
use crate::lines::start::Stopped;
use crate::stop::exit;

use tables::{deliveries_table, endpoints_table};

pub(super) fn run(args: &Args, command: &WebhookCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let endpoints = endpoints(&settings, None).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Stopped::new(exit::CONFIG, problems.join("\n"))
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let desk = Desk { settings, endpoints, clock };
    match command {
        WebhookCommand::Test(test) => desk.test(&test.endpoint, output),
        WebhookCommand::List => desk.list(output),
        WebhookCommand::Pending(which) => desk.deliveries(which, true, output),
        WebhookCommand::Failed(which) => desk.deliveries(which, false, output),
        WebhookCommand::Replay(replay) => desk.replay(replay, output),
        WebhookCommand::Enable(switch) => desk.switch(switch, true, output),
        WebhookCommand::Disable(switch) => desk.switch(switch, false, output),
        WebhookCommand::Rotate(rotate) => desk.rotate(rotate, output),
    }
}

struct Desk {
    settings: Settings,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
}

impl Desk {
    fn office(&self) -> Result<Office, Stopped> {
        webhook_office(&self.settings, &self.clock)
    }

    fn audit(&self, claimed: Option<&str>) -> Audit {
        audit(&self.settings, Via::Cli, Arc::clone(&self.clock)).claiming(claimed)
    }

    /// The endpoint of a name; a misspelt one is a mistake of whoever wrote it.
    fn endpoint(&self, name: &EndpointName) -> Result<&Arc<Endpoint>, Stopped> {
        self.endpoints.0.iter().find(|endpoint| endpoint.name == *name).ok_or_else(|| {
            let names = self.endpoints.names();
            let names: Vec<&str> = names.iter().map(EndpointName::as_str).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Stopped::new(
                exit::USAGE,
                format!("there is no endpoint {name} in the configuration; there are: {there}"),
            )
        })
    }

    fn test(&self, name: &EndpointName, output: &Output) -> Result<(), Stopped> {
        let endpoint = self.endpoint(name)?;
        let (tried, took) = acts::test(endpoint, self.clock.as_ref())?;
        if output.is_json() {
            let failure = tried.outcome.as_ref().err().map(|failure| failure.class());
            let shown = json!({
                "endpoint": name, "webhook_id": tried.id, "status": tried.outcome.as_ref().ok(),
                "failure": failure, "detail": tried.detail, "took_ms": took.as_millis() as u64,
            });
            output.write(|out, _| writeln!(out, "{shown}"));
        }
        let where_to = endpoint.target.to_string();
        match tried.outcome {
            Ok(status) if (200..300).contains(&status) => {
                output.say(&format!(
                    "{name} ({where_to}) answered {status} after {} ms to {}.",
                    took.as_millis(),
                    tried.id
                ));
                Ok(())
            }
            Ok(status) => Err(Stopped::new(
                exit::UNAVAILABLE,
                format!("{name} ({where_to}) answered {status}: only 2xx means that it was taken"),
            )),
            Err(failure) => {
                let detail = tried.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
                Err(Stopped::new(exit::UNAVAILABLE, format!("{name} ({where_to}): {failure}{detail}")))
            }
        }
    }

    fn list(&self, output: &Output) -> Result<(), Stopped> {
        let standings = self.office()?.read()?.standings();
        let mut names = self.endpoints.names();
        names.extend(standings.keys().filter(|name| !self.endpoints.names().contains(name)).cloned());
        let rows: Vec<_> = names
            .iter()
            .map(|name| {
                let endpoint = self.endpoints.0.iter().find(|endpoint| endpoint.name == *name);
                let target = endpoint.map(|endpoint| endpoint.target.to_string());
                (name.clone(), target, standings.get(name).cloned().unwrap_or_default())
            })
            .collect();
        if output.is_json() {
            let shown: Vec<Value> = rows
                .iter()
                .map(|(name, target, standing)| {
                    let mut row = standing.json(name, target.is_some());
                    row["target"] = json!(target);
                    row
                })
                .collect();
            output.write(|out, _| writeln!(out, "{}", json!(shown)));
            return Ok(());
        }
        if rows.is_empty() {
            output.remark("there are no endpoints; docs/webhooks.md has how to write one");
            return Ok(());
        }
        output.tables(&[endpoints_table(&rows, self.clock.now())]);
        Ok(())
    }

    fn deliveries(&self, which: &DeliveriesArgs, pending: bool, output: &Output) -> Result<(), Stopped> {
        if let Some(name) = &which.endpoint {
            self.endpoint(name)?;
        }
        let ledgers = self.office()?.read()?;
        let name = which.endpoint.as_ref();
        let all = if pending { ledgers.pending(name) } else { ledgers.failed(name) };
        let limit = usize::try_from(which.limit).unwrap_or(usize::MAX);
        let shown: Vec<&Entry> = all.iter().copied().take(limit).collect();
        if output.is_json() {
            let shown: Vec<Value> = shown.iter().map(|entry| entry.json()).collect();
            output.write(|out, _| writeln!(out, "{}", json!(shown)));
            return Ok(());
        }
        if shown.is_empty() {
            output.remark(if pending { "no delivery waits" } else { "no delivery has failed for good" });
        } else {
            output.tables(&[deliveries_table(&shown)]);
        }
        if all.len() > limit {
            output.say(&format!("\nThese are {limit} of {}; --limit N shows more.", all.len()));
        }
        let standings = ledgers.standings();
        let in_ranges: u64 = standings
            .iter()
            .filter(|(of, _)| name.is_none_or(|name| name == *of))
            .map(|(_, standing)| standing.in_ranges)
            .sum();
        if pending && in_ranges > 0 {
            output
                .say(&format!("\nBeside these up to {in_ranges} alerts are owed that are not made out yet."));
        }
        Ok(())
    }

    fn replay(&self, replay: &ReplayArgs, output: &Output) -> Result<(), Stopped> {
        let name = &self.endpoint(&replay.endpoint)?.name;
        let now = self.clock.now();
        let again = match (&replay.id, replay.since) {
            (Some(id), _) => Again::One(id.clone()),
            (None, Some(since)) => {
                Again::Written { since: since.at(now), until: replay.until.map(|until| until.at(now)) }
            }
            (None, None) => Again::Failed,
        };
        let audit = self.audit(replay.claimed.as_deref());
        let id = replay.id.as_deref().unwrap_or_default();
        output.say(&match self.office()?.replay(name, &again, &audit)? {
            Asked::NoSuchAlert => {
                return Err(Stopped::new(
                    exit::DATA,
                    format!("there is no alert or failed delivery {id}: it may have expired, or never was"),
                ));
            }
            Asked::One => format!("{id} is told to {name} again."),
            Asked::Alerts(count) => {
                format!("Up to {count} alerts are told to {name} again, as far as it wants them.")
            }
            Asked::Deliveries(0) => format!("Nothing that was owed to {name} has failed for good."),
            Asked::Deliveries(1) => format!("1 delivery is tried at {name} again."),
            Asked::Deliveries(count) => format!("{count} deliveries are tried at {name} again."),
        });
        Ok(())
    }

    fn switch(&self, switch: &SwitchArgs, on: bool, output: &Output) -> Result<(), Stopped> {
        let name = &self.endpoint(&switch.endpoint)?.name;
        let audit = self.audit(switch.claimed.as_deref());
        let changed = self.office()?.set_enabled(name, on, &audit)?;
        output.say(&match (changed, on) {
            (true, true) => format!("{name} is told again, beginning with what is owed to it."),
            (true, false) => format!("{name} is told nothing from now on; what becomes owed to it is kept."),
            (false, true) => format!("{name} is not disabled: nothing was changed."),
            (false, false) => format!("{name} is disabled already: nothing was changed."),
        });
        Ok(())
    }

    fn rotate(&self, rotate: &RotateArgs, output: &Output) -> Result<(), Stopped> {
        let endpoint = self.endpoint(&rotate.endpoint)?;
        let name = &endpoint.name;
        let of = self.settings.webhooks.0.iter().find(|webhook| webhook.keys.name.as_ref() == Some(name));
        let path = of.and_then(|webhook| webhook.keys.secret_file.clone()).ok_or_else(|| {
            Stopped::new(
                exit::USAGE,
                format!("{name} has no secret_file: nothing signs, and nothing is to be replaced"),
            )
        })?;
        let audit = self.audit(rotate.claimed.as_deref());
        let Rotated { generation, until, public_key, .. } =
            self.office()?.rotate(name, &path, rotate.keep, &audit)?;
        output.say(&format!(
            "{name}: {} has a new key, generation {generation}. The old one signs beside it until {until}. Processes \
             that read this file sign with both from now on; copy it to those that read another.",
            path.display()
        ));
        match public_key {
            Some(public) => output.say(&format!("The receiver's key: {public}")),
            None => output.say("Give the first line of the file to the receiver, by a way that you would trust with a password."),
        }
        Ok(())
    }
}
