//! `cardwatch alerts list | show | follow`.

use std::sync::Arc;
use std::time::Duration;

use super::args::{AlertsCommand, Args, FollowArgs, ListAlertsArgs, ShowAlertArgs};
use super::output::Output;
use super::settings;
use super::signals::{Signal, Signals};
use crate::app::settings::cluster;
use crate::clock::{Clock, SystemClock};
use crate::codec::wire;
use crate::config::Settings;
use crate::domain::alert::Alert;
use crate::domain::desk::{Order, Query, Summary};
use crate::domain::outcome::Subject;
use crate::domain::time::Timestamp;
use crate::kafka::client::Cluster;
use crate::kafka::probe::Probe;
use crate::lines::desk::{Begin, Desk, Followed, Resolved};
use crate::lines::start::Stopped;
use crate::report::alert::{alert_line, alert_tables, alerts_table};
use crate::report::table::Format;
use crate::stop::{Stop, exit};

/// Other alerts of a card that are shown beside one.
const OTHERS_MAX: usize = 20;
/// How long one look for new alerts waits.
const TURN: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Args, command: &AlertsCommand, output: &Output) -> Result<(), Stopped> {
    let shelf = Shelf::new(&settings(args)?)?;
    match command {
        AlertsCommand::List(list) => shelf.list(list, output),
        AlertsCommand::Show(show) => shelf.show(show, output),
        AlertsCommand::Follow(follow) => shelf.follow(follow, output),
    }
}

/// The alerts topic, for a command.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) cluster: Cluster,
    pub(super) clock: Arc<dyn Clock>,
    probe: Probe,
    group: String,
    topic: String,
    max: usize,
}

impl Shelf {
    pub(super) fn new(settings: &Settings) -> Result<Shelf, Stopped> {
        let cluster = cluster(settings);
        Ok(Shelf {
            probe: Probe::new(&cluster).map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?,
            cluster,
            clock: Arc::new(SystemClock),
            group: format!("{}-alerts", settings.instance.group_prefix),
            topic: settings.topics.alerts.clone(),
            max: settings.books.alerts_max,
        })
    }

    fn begin(&self, begin: Begin) -> Result<Followed, Stopped> {
        Followed::begin(&self.cluster, &self.probe, &self.group, &self.topic, begin)
    }

    /// All alerts, read as they are at this moment.
    pub(super) fn read(&self) -> Result<Desk, Stopped> {
        let desk = Desk::new(&self.cluster, &self.group, &self.topic, self.max, Arc::clone(&self.clock))?;
        let mut followed = self.begin(Begin::Start)?;
        followed.to_end(&self.probe, self.clock.as_ref(), &Stop::new(), |message| desk.apply(message))?;
        Ok(desk)
    }

    fn list(&self, list: &ListAlertsArgs, output: &Output) -> Result<(), Stopped> {
        let desk = self.read()?;
        let query = list.filter.query(self.clock.now());
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        let page = desk.list(&query, list.order, None, limit);
        if output.is_json() {
            output.write(|out, _| writeln!(out, "{}", serde_json::json!(page.items)));
            return Ok(());
        }
        if page.items.is_empty() {
            let none = if query == Query::default() { "there are no alerts yet" } else { "no alert matches" };
            output.remark(none);
            return Ok(());
        }
        output.tables(&[alerts_table("alerts", &page.items)]);
        if page.next.is_some() {
            output.say(&format!("\nThese are the first {limit}; --limit N shows more."));
        }
        Ok(())
    }

    fn show(&self, show: &ShowAlertArgs, output: &Output) -> Result<(), Stopped> {
        let desk = self.read()?;
        let subject = subject(&show.alert)?;
        let found = desk.resolve(&subject).map_err(|error| unavailable(&error))?;
        let Resolved::One(stored) = found else {
            let message = format!("there is no alert {}: it may have expired", show.alert);
            return Err(Stopped::new(exit::DATA, message));
        };
        let alert = &stored.alert;
        let others = others(&desk, alert);
        if output.is_json() {
            let shown = serde_json::json!({ "alert": alert, "other_alerts": others });
            output.write(|out, _| writeln!(out, "{shown}"));
        } else {
            output.tables(&alert_tables(alert, &others));
        }
        Ok(())
    }

    fn follow(&self, follow: &FollowArgs, output: &Output) -> Result<(), Stopped> {
        let query = follow.filter.query(self.clock.now());
        let begin = query.since.map_or(Begin::End, Begin::Time);
        let mut followed = self.begin(begin)?;
        let mut signals = Signals::listen()?;
        let mut closed = false;
        while !closed && signals.next() != Some(Signal::Stop) {
            followed.turn(TURN, |message| {
                if let Ok(alert) = wire::decode_alert(message.value().unwrap_or_default())
                    && Summary::of(&alert).is_some_and(|summary| query.fits(&summary))
                {
                    output.write(|out, look| {
                        let written = match look.format {
                            Format::Json => writeln!(out, "{}", serde_json::json!(alert)),
                            Format::Text => writeln!(out, "{}", alert_line(&alert)),
                        };
                        // A reader that has gone is the end.
                        closed |= written.and_then(|()| out.flush()).is_err();
                        Ok(())
                    });
                }
            })?;
            let past = |until: Timestamp| self.clock.now() > until;
            closed |= query.until.is_some_and(past);
        }
        Ok(())
    }
}

/// The other alerts of the card.
fn others(desk: &Desk, alert: &Alert) -> Vec<Summary> {
    let query = Query { card: Some(alert.card.fingerprint), ..Query::default() };
    let mut page = desk.list(&query, Order::Newest, None, OTHERS_MAX + 1).items;
    page.retain(|other| other.id.to_string() != alert.id);
    page.truncate(OTHERS_MAX);
    page
}

/// What an id on the command line means.
pub(super) fn subject(id: &str) -> Result<Subject, Stopped> {
    Subject::of_id(id).ok_or_else(|| {
        let message = "ALERT is not an alert's id (alr_ and 26 letters and digits) nor a sighting's (sgt_…); \
                       `cardwatch alerts list` shows them";
        Stopped::new(exit::USAGE, message)
    })
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> Stopped {
    Stopped::new(exit::UNAVAILABLE, error.to_string())
}
