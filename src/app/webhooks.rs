//! The endpoints of the configuration, with their files read.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::json;

use super::audit::all_or_none;
use crate::config::{BodyForm, Line, Problem, Settings, Webhook, Webhooks};
use crate::domain::audit::Act;
use crate::files::{bounded, private};
use crate::lines::audit::{Audit, Deed};
use crate::lines::notify::endpoint::{Endpoint, Endpoints};
use crate::notice::body::{Shape, Template};
use crate::notice::sign::Signer;
use crate::scoring::condition::nearest;
use crate::scoring::rules::RuleSet;
use crate::secret::Secret;
use crate::webhook::post::{Bytes, Request, RequestError};
use crate::webhook::target::{self, Target};
use crate::webhook::tls::SystemRoots;

/// The most bytes that are read of a file of keys, of a URL, of a header's value or of credentials.
const SECRET_BYTES_MAX: usize = 8 * 1024;
/// The most bytes of a template: more than one may have, so that the template itself says so.
const TEMPLATE_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of certificates or a key. What systems trust by default is a quarter of it.
const PEM_BYTES_MAX: usize = 1024 * 1024;
/// What a template makes where nothing else is said.
const CONTENT_TYPE: &str = "application/json";
/// Stands in for a URL that could not be read, so that the other settings are checked all the same.
const STAND_IN: &str = "https://receiver.invalid/";

/// Reads the files of every endpoint and checks everything that can be checked without asking anybody. `rules` are those
/// that judge; without them it is not looked whether a filter names one that there is not.
///
/// # Errors
/// Every mistake of every endpoint, with its place in the configuration.
pub fn endpoints(settings: &Settings, rules: Option<&RuleSet>) -> Result<Endpoints, Vec<Problem>> {
    of_webhooks(&settings.webhooks.0, rules)
}

/// The same of these alone.
pub(super) fn of_webhooks(webhooks: &[Webhook], rules: Option<&RuleSet>) -> Result<Endpoints, Vec<Problem>> {
    if webhooks.is_empty() {
        return Ok(Endpoints::default());
    }
    let roots = SystemRoots::load();
    let (mut endpoints, mut problems) = (Vec::new(), Vec::new());
    for webhook in webhooks {
        let mut building = Building { webhook, problems: Vec::new() };
        let endpoint = building.endpoint(&roots, rules);
        problems.append(&mut building.problems);
        endpoints.extend(endpoint.map(Arc::new));
    }
    if problems.is_empty() { Ok(Endpoints(endpoints)) } else { Err(problems) }
}

/// One endpoint as it comes about, and what is wrong with it.
struct Building<'a> {
    webhook: &'a Webhook,
    problems: Vec<Problem>,
}

impl Building<'_> {
    /// `None` where something is wrong that is among the problems, or was when the configuration was read.
    fn endpoint(&mut self, roots: &SystemRoots, rules: Option<&RuleSet>) -> Option<Endpoint> {
        let webhook = self.webhook;
        let keys = &webhook.keys;
        if let Some(rules) = rules {
            self.rules(rules);
        }
        let target = self.target(roots);
        let signer = match &keys.secret_file {
            Some(file) => self.signer(file).map(Some),
            None => Some(None),
        };
        let headers = self.headers();
        let shape = self.shape();
        Some(Endpoint {
            name: keys.name.clone()?,
            target: Arc::new(target?),
            signer: Arc::new(ArcSwap::from_pointee(signer?)),
            headers: headers?,
            filter: webhook.filter.clone(),
            shape: shape?,
            show: webhook.show(),
            link: keys.link.clone(),
            schedule: webhook.schedule.clone(),
            retry_after: webhook.retry_after(),
            batch: webhook.batch(),
            since: keys.since,
            concurrency: keys.concurrency,
            rate: keys.rate,
            disable_after: keys.disable_after,
            probe_every: keys.probe_every,
            heartbeat: keys.heartbeat,
        })
    }

    fn wrong(&mut self, key: &str, message: impl std::fmt::Display) {
        self.problems.push(self.webhook.problem(key, message.to_string(), ""));
    }

    fn rules(&mut self, rules: &RuleSet) {
        for (key, message) in unknown_rules(self.webhook, rules) {
            self.wrong(key, message);
        }
    }

    /// A secret from its file.
    fn secret(&mut self, key: &str, file: Option<&Path>) -> Option<Secret> {
        private::read(file?, SECRET_BYTES_MAX).map_err(|error| self.wrong(key, error)).ok()
    }

    fn pem(&mut self, key: &str, file: Option<&Path>) -> Option<Vec<u8>> {
        bounded::read(file?, PEM_BYTES_MAX).map_err(|error| self.wrong(key, error)).ok()
    }

    /// The text of a secret that was read.
    fn text(&mut self, key: &str, secret: &Secret) -> Option<String> {
        let text = std::str::from_utf8(secret.expose()).map(str::to_owned);
        text.map_err(|_| self.wrong(key, "the file is not a text")).ok()
    }

    /// The URL, and the key that says it.
    fn url(&mut self) -> (Option<String>, &'static str) {
        let keys = &self.webhook.keys;
        match (&keys.url, &keys.url_file) {
            (Some(url), _) => (self.text("url", url), "url"),
            (None, file) => {
                let secret = self.secret("url_file", file.as_deref());
                (secret.and_then(|secret| self.text("url_file", &secret)), "url_file")
            }
        }
    }

    fn target(&mut self, roots: &SystemRoots) -> Option<Target> {
        let keys = &self.webhook.keys;
        let before = self.problems.len();
        let (url, url_key) = self.url();
        let is_read = url.is_some();
        let ca = self.pem("ca_file", keys.ca_file.as_deref());
        let certificate = self.pem("client_cert_file", keys.client_cert_file.as_deref());
        let key = self.client_key();
        // One that cannot be read is mistake enough: that the other stands alone is none.
        let is_pair = keys.client_cert_file.is_some() && keys.client_key_file.is_some();
        let both = !is_pair || certificate.is_some() && key.is_some();
        let settings = target::Settings {
            allow_insecure: keys.allow_insecure,
            allow_networks: keys.allow_networks.clone(),
            proxy: keys.proxy.clone(),
            proxy_credentials: self.secret("proxy_credentials_file", keys.proxy_credentials_file.as_deref()),
            ca,
            client_certificate: certificate.filter(|_| both),
            client_key: key.filter(|_| both),
            timeout: keys.timeout,
            ..target::Settings::new(url.unwrap_or_else(|| STAND_IN.to_owned()))
        };
        match Target::new(&settings, roots) {
            Ok(target) if self.problems.len() == before && is_read => Some(target),
            Ok(_) => None,
            Err(problems) => {
                for problem in problems {
                    let key = match problem.setting {
                        "url" => url_key,
                        "proxy_credentials" => "proxy_credentials_file",
                        "ca" => "ca_file",
                        "client_certificate" => "client_cert_file",
                        "client_key" => "client_key_file",
                        other => other,
                    };
                    self.wrong(key, problem.fault);
                }
                None
            }
        }
    }

    fn client_key(&mut self) -> Option<Secret> {
        let file = self.webhook.keys.client_key_file.as_deref()?;
        private::read(file, PEM_BYTES_MAX).map_err(|error| self.wrong("client_key_file", error)).ok()
    }

    fn signer(&mut self, file: &Path) -> Option<Signer> {
        signer(file).map_err(|message| self.wrong("secret_file", message)).ok()
    }

    fn headers(&mut self) -> Option<Vec<(String, Secret)>> {
        let before = self.problems.len();
        let mut headers = Vec::new();
        for (name, file) in &self.webhook.keys.headers {
            if let Some(of) = ["webhook-", "cardwatch-"].iter().find(|of| starts_with(name, of)) {
                self.wrong(
                    "headers",
                    format!("`{name}` is none of yours: those that begin with {of} are cardwatch's"),
                );
                continue;
            }
            let Some(secret) = self.secret("headers", Some(file)) else { continue };
            let value = std::str::from_utf8(secret.expose()).unwrap_or("\u{1}");
            match Request::new(CONTENT_TYPE, [(name, value)], Bytes::new()) {
                Ok(_) => headers.push((name.clone(), secret)),
                Err(RequestError::Value(_)) => {
                    let file = file.display();
                    self.wrong(
                        "headers",
                        format!("the value of `{name}` in {file} must be one line of visible ASCII"),
                    );
                }
                Err(error) => self.wrong("headers", error),
            }
        }
        (self.problems.len() == before).then_some(headers)
    }

    fn shape(&mut self) -> Option<Shape> {
        match self.webhook.keys.body {
            BodyForm::Alert => Some(Shape::Alert),
            BodyForm::CloudEvents => Some(Shape::CloudEvents),
            BodyForm::Slack => Some(Shape::Slack),
            BodyForm::Alertmanager => Some(Shape::Alertmanager),
            BodyForm::Template => self.template().map(|template| Shape::Template(Box::new(template))),
        }
    }

    fn template(&mut self) -> Option<Template> {
        let keys = &self.webhook.keys;
        let file = keys.template_file.as_deref()?;
        let bytes = bounded::read(file, TEMPLATE_BYTES_MAX);
        let bytes = bytes.map_err(|error| self.wrong("template_file", error)).ok()?;
        let Ok(text) = String::from_utf8(bytes) else {
            self.wrong("template_file", format!("{} is not a text in UTF-8", file.display()));
            return None;
        };
        let content_type = keys.content_type.as_deref().unwrap_or(CONTENT_TYPE);
        let template = match Template::new(&text, content_type) {
            Ok(template) => template,
            Err(error) => {
                let place = error.line.map_or(String::new(), |line| format!(":{line}"));
                self.wrong("template_file", format!("{}{place}: {}", file.display(), error.message));
                return None;
            }
        };
        if self.webhook.batch().is_some() && !template.tells_every_alert() {
            let key = if keys.batch_max.is_some() { "batch_max" } else { "batch_wait" };
            let message = format!(
                "asks for batches, and {} tells the first alert of one alone: write {{% for alert in alerts %}} there, or \
                 leave batch_max and batch_wait out",
                file.display()
            );
            self.wrong(key, message);
        }
        Some(template)
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn signer(file: &Path) -> Result<Signer, String> {
    let secret = private::read(file, SECRET_BYTES_MAX).map_err(|error| error.to_string())?;
    let place = file.display();
    let text = std::str::from_utf8(secret.expose()).map_err(|_| format!("{place} is not a text in UTF-8"))?;
    Signer::parse(text).map_err(|error| format!("{place}:{}: {}", error.line, error.fault))
}

/// The rules that the filter of an endpoint names and that there are not: at which key, and in words.
fn unknown_rules(webhook: &Webhook, rules: &RuleSet) -> Vec<(&'static str, String)> {
    let known = || rules.rules().iter().map(|rule| rule.name());
    let named = webhook.filter.rules_named();
    let unknown = named.into_iter().filter(|name| known().all(|rule| rule != *name));
    let told = unknown.map(|name| {
        let key = if webhook.filter.rules.contains(name) { "rules" } else { "when" };
        (key, format!("there is no rule `{name}`{}", nearest(name, known())))
    });
    told.collect()
}

/// What filters name of rules that there are not, each with its place.
pub fn unknown_in_filters(webhooks: &Webhooks, rules: &RuleSet) -> Vec<Problem> {
    let of = |webhook: &Webhook| -> Vec<Problem> {
        let unknown = unknown_rules(webhook, rules).into_iter();
        unknown.map(|(key, message)| webhook.problem(key, message, "")).collect()
    };
    webhooks.0.iter().flat_map(of).collect()
}

/// What is allowed and should be known: sentences for `cardwatch check`, above all what leaves the house.
pub fn remarks(settings: &Settings, endpoints: &Endpoints) -> Vec<String> {
    let mut remarks = Vec::new();
    for webhook in &settings.webhooks.0 {
        let found = endpoints.0.iter().find(|endpoint| Some(&endpoint.name) == webhook.keys.name.as_ref());
        let Some(endpoint) = found else { continue };
        let mut remark = |text: String| remarks.push(format!("webhooks {}: {text}", endpoint.name));
        let target = endpoint.target.to_string();
        if let Some(what) = leaving(endpoint) {
            remark(format!("{what} leave the house, to {target}"));
        }
        if target.starts_with("http://") {
            remark(format!(
                "what is told to {target} goes over http: others on the way can read and change it"
            ));
        }
        if webhook.keys.url.is_some() && matches!(webhook.keys.body, BodyForm::Slack | BodyForm::Template) {
            remark(
                "the URL of a chat is its password, and stands in the configuration: give it a file of its own (url_file)"
                    .to_owned(),
            );
        }
        if webhook.keys.schedule.windows(2).any(|pair| pair[1] < pair[0]) {
            remark(
                "the pauses of its schedule grow shorter again: a receiver in trouble is asked more and more"
                    .to_owned(),
            );
        }
    }
    if !settings.webhooks.0.is_empty() && !settings.lines.enabled.contains(&Line::Notify) {
        remarks.push(
            "lines.enabled: has no \"notify\", so that this process tells none of the endpoints of [[webhooks]]".to_owned(),
        );
    }
    remarks
}

/// What of transactions an endpoint is told, as the subject of a sentence.
fn leaving(endpoint: &Endpoint) -> Option<String> {
    let shape = endpoint.shape.name();
    if !endpoint.shape.is_chat() {
        return Some(format!(
            "whole alerts (body = \"{shape}\"), with the transaction, its amount and merchant, the card's references and its \
             fingerprint,"
        ));
    }
    let switched_on: Vec<&str> = endpoint.show.switched_on().collect();
    if switched_on.is_empty() {
        return None;
    }
    Some(format!("of transactions (show): {},", switched_on.join(", ")))
}

/// Reads the files of keys of `webhooks` anew, and puts what signs in place of what signed. What that changes is written
/// down first. Gives how many endpoints sign otherwise than before. All of it is done, or nothing. Endpoints of
/// another name stay as they are: they come and go with a new start.
///
/// # Errors
/// What is wrong with each file, or why the change cannot be written down: the old keys stay.
pub fn reload_signers(
    endpoints: &Endpoints,
    webhooks: &Webhooks,
    audit: &Audit,
) -> Result<usize, Vec<String>> {
    let (mut new, mut faults) = (Vec::new(), Vec::new());
    for endpoint in &endpoints.0 {
        let found = webhooks.0.iter().find(|webhook| webhook.keys.name.as_ref() == Some(&endpoint.name));
        let Some(webhook) = found else { continue };
        let read = webhook.keys.secret_file.as_deref().map(signer).transpose();
        match read {
            Err(message) => faults.push(webhook.problem("secret_file", message, "").to_string()),
            Ok(signer) if signing(&signer) != signing(&endpoint.signer.load()) => {
                new.push((endpoint, signer))
            }
            Ok(_) => {}
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let deeds: Vec<Deed> = new.iter().map(|(endpoint, signer)| deed(endpoint, signer)).collect();
    let put = || new.into_iter().for_each(|(endpoint, signer)| endpoint.signer.store(Arc::new(signer)));
    all_or_none(audit, deeds, put).map_err(|message| vec![message])
}

/// The keys that sign, by their public names, each with its end.
fn signing(signer: &Option<Signer>) -> Vec<(String, Option<String>)> {
    let keys = signer.iter().flat_map(Signer::keys);
    keys.map(|(key, until)| (key.generation().to_owned(), until.map(|at| at.to_string()))).collect()
}

fn deed(endpoint: &Endpoint, signer: &Option<Signer>) -> Deed {
    let keys = |signer: &Option<Signer>| {
        let keys = signing(signer).into_iter();
        let keys: Vec<_> = keys.map(|(key, until)| json!({ "key": key, "until": until })).collect();
        json!({ "keys": keys })
    };
    Deed::new(Act::EndpointChange, format!("endpoint/{}", endpoint.name))
        .before(keys(&endpoint.signer.load()))
        .after(keys(signer))
}

#[cfg(test)]
mod tests;
