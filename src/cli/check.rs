//! `cardwatch check`: every mistake of the configuration at once, without touching the cluster; and, when asked, how
//! the reader's own records read.

mod sample;

use super::args::{Args, CheckArgs};
use super::guard;
use super::output::Output;
use crate::app::{settings as build, tokens, webhooks};
use crate::config::{Line, Problem, Settings, environment};
use crate::domain::card::KeyId;
use crate::files::keys::{KeyDirectory, KeySource, KeysError};
use crate::judge::Judge;
use crate::kafka::built;
use crate::lines::start::Stopped;
use crate::report::table::{Cell, Table};
use crate::stop::exit;

pub(super) fn run(args: &Args, check: &CheckArgs, output: &Output) -> Result<(), Stopped> {
    let wants_records = check.sample.is_some() || check.suggest;
    if !wants_records && (check.from.is_some() || check.start.is_some()) {
        let message = "--from and --start say where records are; add --sample N or --suggest";
        return Err(Stopped::new(exit::USAGE, message));
    }
    let settings = match Settings::examine(args.config.as_deref(), environment()) {
        (Some(settings), problems) if problems.is_empty() => settings,
        (settings, mut problems) => {
            // What the files of endpoints hold is looked at all the same: only of the rules is nothing known.
            let more = settings.and_then(|settings| webhooks::endpoints(&settings, None).err());
            problems.extend(more.into_iter().flatten());
            return report(output, &lines(problems), &[]);
        }
    };
    if check.suggest {
        // What is there already may be anything: the mapping is what is looked for.
        guard(args, &settings)?;
        return sample::suggest(&settings, check, output);
    }
    let mut problems = Vec::new();
    let judge = build::judge(&settings);
    for part in [build::mapping(&settings).map(drop), judge.as_ref().map(drop).map_err(Clone::clone)] {
        if let Err(stopped) = part {
            problems.extend(stopped.message.lines().map(str::to_owned));
        }
    }
    if let Err(faults) = tokens::load(&settings.http_tokens) {
        problems.extend(faults);
    }
    if let Err(reason) = built::try_out(&build::cluster(&settings)) {
        problems.push(format!("kafka.properties: the Kafka client refuses them: {reason}"));
    }
    let mut remarks = settings.remarks();
    match webhooks::endpoints(&settings, judge.as_ref().ok().map(Judge::rules)) {
        Ok(endpoints) => remarks.extend(webhooks::remarks(&settings, &endpoints)),
        Err(faults) => problems.extend(lines(faults)),
    }
    if settings.lines.enabled.contains(&Line::Sight) {
        let directory = build::key_directory(&settings);
        match directory.load() {
            Ok(keyring) => remarks.extend(keyring.ids().iter().filter_map(|id| storage(&directory, id))),
            // A configuration is often checked before its first key is made.
            Err(error @ KeysError::NoKeyring { .. }) => remarks.push(format!("keys.directory: {error}")),
            Err(error) => problems.push(format!("keys.directory: {error}")),
        }
    }
    if check.sample.is_none() || !problems.is_empty() {
        return report(output, &problems, &remarks);
    }
    guard(args, &settings)?;
    output.say("the configuration is right");
    remarks.iter().for_each(|text| output.say(&format!("remark: {text}")));
    sample::run(&settings, check, output, findings(&problems, &remarks))
}

/// Mistakes of the configuration in words, in the order of the file.
fn lines(mut problems: Vec<Problem>) -> Vec<String> {
    problems.sort();
    problems.iter().map(ToString::to_string).collect()
}

/// What an assessor will say of where a key is stored.
fn storage(directory: &KeyDirectory, id: &KeyId) -> Option<String> {
    let source = directory.source(id);
    let how = match source {
        KeySource::Command(_) => return None,
        KeySource::Directory(_) => format!(
            "key {id} is a clear file ({source}), which alone does not meet PCI DSS 3.6.1.2: a key is stored \
             encrypted under a key-encrypting key that is kept apart from it, in a secure cryptographic device, \
             or in key shares. Have a KMS or HSM unwrap it (keys.commands.{id})"
        ),
        KeySource::File(_) => format!(
            "key {id} comes from a file ({source}), which meets PCI DSS 3.6.1.2 only as far as what puts it there \
             does: store it encrypted, such as by LoadCredentialEncrypted of systemd or a KMS provider of \
             Kubernetes, or have a KMS or HSM unwrap it (keys.commands.{id})"
        ),
    };
    Some(format!("keys: {how}; docs/keys.md says how"))
}

fn findings(problems: &[String], remarks: &[String]) -> Table {
    let mut table = Table::new("findings", [("kind", "Kind"), ("text", "What and where")]);
    problems.iter().for_each(|text| table.row([Cell::from("mistake"), Cell::from(text.as_str())]));
    remarks.iter().for_each(|text| table.row([Cell::from("remark"), Cell::from(text.as_str())]));
    table
}

fn report(output: &Output, problems: &[String], remarks: &[String]) -> Result<(), Stopped> {
    if output.is_json() {
        output.tables(&[findings(problems, remarks)]);
    } else {
        problems.iter().for_each(|text| output.say(text));
        remarks.iter().for_each(|text| output.say(&format!("remark: {text}")));
    }
    match problems.len() {
        0 => {
            output.say("the configuration is right");
            Ok(())
        }
        1 => Err(Stopped::new(exit::CONFIG, "the configuration has 1 mistake")),
        count => Err(Stopped::new(exit::CONFIG, format!("the configuration has {count} mistakes"))),
    }
}
