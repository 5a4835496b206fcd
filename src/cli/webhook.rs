//! `cardwatch webhook test | list | pending | failed | replay | enable | disable | rotate`.

mod tables;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Args, DeliveriesArgs, ReplayArgs, RotateArgs, SwitchArgs, WebhookCommand};
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::app::settings::webhook_office;
use crate::app::webhooks::endpoints;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::domain::audit::{Act, Via};
use crate::domain::delivery::EndpointName;
use crate::files::private;
use crate::lines::audit::{Audit, Deed};
use crate::lines::notify::courier::try_once;
use crate::lines::notify::endpoint::{Endpoint, Endpoints};
use crate::lines::notify::office::{Entry, Office};
use crate::lines::start::Stopped;
use crate::notice::samples::test_alert;
use crate::notice::sign::{self, Scheme, Signer, SigningKey};
use crate::stop::exit;
use crate::webhook::resolve::SystemResolver;
use crate::webhook::slot::Slot;

use tables::{deliveries_table, endpoints_table};

/// The most bytes of a file of keys.
const SECRET_BYTES_MAX: usize = 8 * 1024;

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
        let alert = test_alert(self.clock.now(), rand::random());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let mut slot = Slot::new(Arc::clone(&endpoint.target), Arc::new(SystemResolver));
        let started = self.clock.instant();
        let tried = runtime.block_on(try_once(endpoint, &mut slot, &alert, self.clock.as_ref()));
        let took = self.clock.instant() - started;
        // A resolver that is still at work must not hold the answer back.
        runtime.shutdown_timeout(Duration::from_millis(100));
        let tried = tried.map_err(|reason| Stopped::new(exit::DATA, reason))?;
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
                    json!({
                        "endpoint": name, "target": target, "configured": target.is_some(),
                        "owed": standing.made_out + standing.in_ranges, "made_out": standing.made_out,
                        "in_ranges": standing.in_ranges, "failed": standing.failed, "oldest": standing.oldest,
                        "disabled": standing.state.disabled, "failing_since": standing.state.failing_since,
                        "generation": standing.state.generation,
                    })
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
            let shown: Vec<Value> = shown.iter().map(|entry| entry_json(entry)).collect();
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
        let office = self.office()?;
        let now = self.clock.now();
        let since = replay.since.map(|since| since.at(now));
        let until = replay.until.map(|until| until.at(now));
        let what = json!({"failed": replay.failed, "id": replay.id, "since": since, "until": until});
        let audit = self.audit(replay.claimed.as_deref());
        let by = audit.by().login();
        let begun = audit.begin(Deed::new(Act::Replay, format!("endpoint/{name}")).after(what))?;
        let asked = match (&replay.id, since) {
            (Some(id), _) => match office.replay_one(name, id, &by) {
                Ok(false) => Err(Stopped::new(
                    exit::DATA,
                    format!("there is no alert or failed delivery {id}: it may have expired, or never was"),
                )),
                Ok(true) => Ok(format!("{id} is told to {name} again.")),
                Err(stopped) => Err(stopped),
            },
            (None, Some(since)) => office.replay_time(name, since, until, &by).map(|count| {
                format!("Up to {count} alerts are told to {name} again, as far as it wants them.")
            }),
            (None, None) => office.replay_failed(name, &by).map(|count| match count {
                0 => format!("Nothing that was owed to {name} has failed for good."),
                1 => format!("1 delivery is tried at {name} again."),
                count => format!("{count} deliveries are tried at {name} again."),
            }),
        };
        let said = begun.end_with(asked)?;
        output.say(&said);
        Ok(())
    }

    fn switch(&self, switch: &SwitchArgs, on: bool, output: &Output) -> Result<(), Stopped> {
        let name = &self.endpoint(&switch.endpoint)?.name;
        let audit = self.audit(switch.claimed.as_deref());
        let by = audit.by().login();
        let deed = Deed::new(Act::EndpointChange, format!("endpoint/{name}")).after(json!({"enabled": on}));
        let begun = audit.begin(deed)?;
        let changed = begun.end_with(self.office()?.switch(name, on, &by))?;
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
        let refused =
            |error: &dyn std::fmt::Display| Stopped::new(exit::DATA, format!("{}: {error}", path.display()));
        let old = private::read(&path, SECRET_BYTES_MAX).map_err(|error| refused(&error))?;
        let text = std::str::from_utf8(old.expose()).map_err(|_| refused(&"it is not text"))?;
        let now = self.clock.now();
        let keep = i64::try_from(rotate.keep.as_millis()).unwrap_or(i64::MAX);
        let signer = Signer::parse(text).map_err(|error| refused(&error))?;
        let scheme = if signer.public_key().is_some() { Scheme::Asymmetric } else { Scheme::Symmetric };
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *seed).map_err(|error| Stopped::new(exit::INTERNAL, error.to_string()))?;
        let fresh = SigningKey::fresh(scheme, &seed);
        let until = now.plus_millis(keep);
        let text = sign::rotate(text, &fresh, now, until).map_err(|error| refused(&error))?;
        let signer = Signer::parse(&text).map_err(|error| refused(&error))?;
        let deed = Deed::new(Act::EndpointChange, format!("endpoint/{name}"))
            .after(json!({"generation": signer.generation(), "old_until": until}));
        let begun = self.audit(rotate.claimed.as_deref()).begin(deed)?;
        let written = private::replace(&path, text.as_bytes()).map_err(|error| refused(&error));
        let written = written.and_then(|()| self.office()?.rotated(name, signer.generation()));
        begun.end_with(written)?;
        output.say(&format!(
            "{name}: {} has a new key, generation {}. The old one signs beside it until {until}. Send SIGHUP to every \
             process that reads this file, and copy it to those that read another.",
            path.display(),
            signer.generation()
        ));
        match signer.public_key() {
            Some(public) => output.say(&format!("The receiver's key: {public}")),
            None => output.say("Give the first line of the file to the receiver, by a way that you would trust with a password."),
        }
        Ok(())
    }
}

fn entry_json(entry: &Entry) -> Value {
    let members: Vec<Value> = entry
        .owed
        .members
        .iter()
        .map(|member| json!({"id": member.id, "partition": entry.partition, "offset": member.offset}))
        .collect();
    json!({
        "endpoint": entry.endpoint, "webhook_id": entry.id, "stage": entry.owed.stage, "alerts": members,
        "attempts": entry.owed.attempts, "due": entry.owed.due, "since": entry.owed.since,
        "last_failure": entry.owed.last,
    })
}
