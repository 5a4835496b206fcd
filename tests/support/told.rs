//! What a receiver was told, kept small: of each `webhook-id` how often it came, how often it was taken, what was in it,
//! and whether that was always the same.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

/// The form of a body, as far as it says which alerts it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// An alert, or whatever has its `id` and `revision` at the top.
    #[default]
    Alert,
    /// A batch of alerts.
    Alerts,
    /// A CloudEvent.
    Event,
    /// A batch of them.
    Events,
    /// What Alertmanager sends.
    Notification,
}

/// What came under one id.
#[derive(Debug, Default)]
pub struct Told {
    /// Requests.
    pub requests: u32,
    /// Those that were answered with 2xx.
    pub taken: u32,
    /// Whether the bytes were not always the same.
    pub other_body: bool,
    /// Whether the alerts were not always the same.
    pub other_members: bool,
    body: u64,
    /// Empty where it is the alert of the same id, as it is nearly always.
    members: Vec<String>,
}

impl Told {
    /// The alerts in it, by the id that each has when it is delivered by itself.
    pub fn members<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let itself = self.members.is_empty().then_some(id);
        itself.into_iter().chain(self.members.iter().map(String::as_str))
    }
}

/// Everything that one receiver was told.
#[derive(Debug, Default)]
pub struct Log {
    form: Form,
    told: HashMap<Box<str>, Told>,
    unreadable: Vec<String>,
    /// Alerts that were taken, each once.
    pub delivered: u64,
    /// Requests by what was answered: a hundred of statuses, or 0 for no whole head of an answer.
    pub answers: BTreeMap<u16, u64>,
}

impl Log {
    /// Nothing yet; bodies have this form.
    pub fn of(form: Form) -> Log {
        Log { form, ..Log::default() }
    }

    /// A request with this id and body, and the status of its answer where the head of one went out.
    pub fn take(&mut self, id: &str, body: &[u8], status: Option<u16>) {
        *self.answers.entry(status.map_or(0, |status| status / 100 * 100)).or_default() += 1;
        let digest = digest(body);
        if self.told.get(id).is_none_or(|told| told.body != digest) {
            match self.form.members(body) {
                Ok(members) => self.other(id, digest, members),
                Err(error) => self.unreadable.push(format!("{id}: {error}")),
            }
        }
        let told = self.told.entry(id.into()).or_default();
        told.requests += 1;
        if status.is_some_and(|status| (200..300).contains(&status)) {
            told.taken += 1;
            if told.taken == 1 {
                self.delivered += told.members(id).count() as u64;
            }
        }
    }

    fn other(&mut self, id: &str, body: u64, members: Vec<String>) {
        let members = if members == [id] { Vec::new() } else { members };
        match self.told.get_mut(id) {
            None => drop(self.told.insert(id.into(), Told { body, members, ..Told::default() })),
            Some(told) => {
                told.other_body = true;
                told.other_members |= told.members != members;
            }
        }
    }

    /// How many deliveries came, each counted once.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What came, by id.
    pub fn told(&self) -> impl Iterator<Item = (&str, &Told)> {
        self.told.iter().map(|(id, told)| (&**id, told))
    }

    /// Bodies that do not read.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

#[derive(Deserialize)]
struct Alert {
    id: String,
    revision: u32,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Event {
    data: Alert,
}

#[derive(Deserialize)]
struct Notification {
    alerts: Vec<Notified>,
}

#[derive(Deserialize)]
struct Notified {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Form {
    /// The alerts of a body, each as `ID-REVISION`.
    fn members(self, body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
        let name = |alert: Alert| format!("{}-{}", alert.id, alert.revision);
        Ok(match self {
            Form::Alert => vec![name(serde_json::from_slice(body)?)],
            Form::Alerts => serde_json::from_slice::<Alerts>(body)?.alerts.into_iter().map(name).collect(),
            Form::Event => vec![name(serde_json::from_slice::<Event>(body)?.data)],
            Form::Events => {
                let events: Vec<Event> = serde_json::from_slice(body)?;
                events.into_iter().map(|event| name(event.data)).collect()
            }
            Form::Notification => {
                let alerts = serde_json::from_slice::<Notification>(body)?.alerts;
                let text = |map: &BTreeMap<String, String>, key| map.get(key).cloned().unwrap_or_default();
                let named = alerts.iter().map(|one| {
                    format!("{}-{}", text(&one.labels, "alert_id"), text(&one.annotations, "revision"))
                });
                named.collect()
            }
        })
    }
}
