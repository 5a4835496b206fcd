//! `cardwatch token new`.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::{Args, TokenCommand};
use super::key::locally;
use super::output::Output;
use super::settings;
use crate::app::audit::audit;
use crate::clock::SystemClock;
use crate::domain::audit::{Act, Via};
use crate::files::tokens::create_token;
use crate::http::auth::Role;
use crate::lines::audit::Deed;
use crate::lines::start::Stopped;
use crate::report::table::Table;
use crate::stop::exit;

pub(super) fn run(args: &Args, command: &TokenCommand, output: &Output) -> Result<(), Stopped> {
    let settings = settings(args)?;
    let TokenCommand::New { name, role, file, by } = command;
    let file = file.clone().unwrap_or_else(|| PathBuf::from(format!("tokens/{name}.token")));
    let path = file.display().to_string();
    let audit = audit(&settings, Via::Cli, Arc::new(SystemClock)).claiming(by.as_deref());
    let deed = Deed::new(Act::TokenChange, format!("token/{name}"))
        .after(serde_json::json!({ "role": role.as_str(), "file": path }));
    locally(&audit, deed, *output, || {
        create_token(&file).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))
    })?;
    let mut table = Table::new("tokens", [("name", "Name"), ("role", "Role"), ("file", "File")]);
    table.row([name.as_str().into(), role.as_str().into(), path.as_str().into()]);
    output.tables(&[table]);
    let endpoints = if *role == Role::Receive { "endpoints = [\"NAME OF THE ENDPOINT\"]\n" } else { "" };
    output.say(&format!(
        "The token is in that file and nowhere else. To let it in, add this to the configuration and send the service SIGHUP, or start it:\n\n\
         [[http.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nfile = {path:?}\n{endpoints}\n\
         Its owner sends the header `Authorization: Bearer` with it; GET /v1/whoami tells whether it works."
    ));
    Ok(())
}
