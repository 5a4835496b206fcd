//! What `/v1/webhooks` and `/v1/deliveries` are answered from, in whichever lines this process runs.

use std::sync::{Arc, Mutex};

use super::settings::webhook_office;
use super::webhooks::of_webhooks;
use crate::clock::Clock;
use crate::config::{Settings, Webhook};
use crate::domain::delivery::EndpointName;
use crate::lines::audit::Audit;
use crate::lines::notify::endpoint::{Endpoint, Endpoints};
use crate::lines::notify::service::{Listed, OpenOffice};
use crate::lines::notify::sheets::Shelf;
use crate::lines::start::Stopped;
use crate::stop::exit;
use crate::webhook::url::Url;

/// The office of the settings. `endpoints` are those that this process tells.
///
/// # Errors
/// When the Kafka client refuses its settings.
pub fn open_office(
    settings: &Settings,
    endpoints: &Endpoints,
    audit: &Audit,
    clock: &Arc<dyn Clock>,
) -> Result<OpenOffice, Stopped> {
    let office = webhook_office(settings, clock)?;
    let shelf = Shelf {
        cluster: office.snapshots.cluster.clone(),
        probe: office.probe.clone(),
        group: office.snapshots.group.clone(),
        topic: office.alerts.clone(),
        clock: Arc::clone(clock),
    };
    let webhooks = settings.webhooks.0.clone();
    Ok(OpenOffice {
        office,
        shelf,
        listed: webhooks.iter().filter_map(listed).collect(),
        endpoints: endpoints.clone(),
        opens: Box::new(move |name| open(&webhooks, name)),
        audit: audit.clone(),
        ledgers: Mutex::default(),
        turn: Mutex::new(()),
    })
}

/// An endpoint without its secrets. The host of a URL that comes from a file is one of them.
fn listed(webhook: &Webhook) -> Option<Listed> {
    let keys = &webhook.keys;
    let url = keys.url.as_ref().and_then(|url| std::str::from_utf8(url.expose()).ok()?.parse::<Url>().ok());
    Some(Listed {
        name: keys.name.clone()?,
        host: url.map(|url| url.host.to_string()),
        body: keys.body.as_str(),
        batches: webhook.batch().is_some(),
        filter: webhook.filter.clone(),
        secret_file: keys.secret_file.clone(),
    })
}

/// One endpoint with its files read.
fn open(webhooks: &[Webhook], name: &EndpointName) -> Result<Arc<Endpoint>, Stopped> {
    let one = webhooks.iter().filter(|webhook| webhook.keys.name.as_ref() == Some(name));
    let one: Vec<Webhook> = one.cloned().collect();
    let opened = of_webhooks(&one, None).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Stopped::new(exit::CONFIG, problems.join("\n"))
    })?;
    let missing = || Stopped::new(exit::CONFIG, format!("there is no endpoint {name} in the configuration"));
    opened.0.into_iter().next().ok_or_else(missing)
}
