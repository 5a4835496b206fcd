//! Twenty endpoints, a third of them misbehaving, while the processes that tell them are killed ten times and their clock
//! runs through hours of the schedule. Afterwards everything is counted.
//!
//! `CARDWATCH_WEBHOOK_ALERTS=50000 cargo test --test faults every_endpoint -- --nocapture` is the long run.

mod endpoints;
mod house;

/// Builds broken on purpose, and that the same judge catches them.
mod caught;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::balance::{Alerts, Log, Run, Sums, assert_balanced, judge};
use crate::support::chaos::{Crew, Kill, kills};
use crate::support::load::Load;
use crate::support::program::Program;
use crate::support::receiver::Behaviour;
use crate::support::{Isolation, Outgoing, Producer, Reader, environment, shared_cluster, wait};
use crate::{PATIENCE, alone};

use endpoints::twenty;
use house::{CARDS, House, INPUT, rows, said};

/// Where all randomness comes from.
const SEED: u64 = 20_261_127;
/// Processes that tell.
const PROCESSES: usize = 2;
/// Kills while alerts come, and while what is owed is made up for.
const KILLS: [u32; 2] = [7, 3];
/// One alert in so many is decided, which makes a revision.
const DECIDED: usize = 100;
/// What the clock is moved by each second, while alerts come and afterwards.
const STEP: Duration = Duration::from_secs(10 * 60);
const LONG_STEP: Duration = Duration::from_secs(2 * 3600);

/// How many alerts the transactions of the load make.
fn load() -> Load {
    let alerts: u32 = environment("CARDWATCH_WEBHOOK_ALERTS").map_or(5_000, |text| text.parse().unwrap());
    let seconds = if alerts > 5_000 { 200 } else { 25 };
    Load {
        seed: SEED,
        rate: alerts / seconds,
        seconds,
        cards: CARDS,
        exposed_percent: 100,
        partitions: INPUT,
    }
}

/// What happens while it happens.
struct Trial<'a> {
    house: &'a House,
    crew: Crew,
    raises: Program,
    start: Instant,
    alerts: Alerts,
    reader: Reader,
    outcomes: Producer,
    decided: usize,
    moved: Instant,
    patience: Duration,
}

impl<'a> Trial<'a> {
    fn new(house: &'a House, load: &Load) -> Trial<'a> {
        let kafka = &house.deployment.kafka;
        let mut crew = Crew::new();
        for number in 0..PROCESSES {
            crew.hire(house.tells(number, ""));
        }
        let mut trial = Trial {
            house,
            crew,
            raises: house.raises().start(),
            start: wait::now(),
            alerts: Alerts::default(),
            reader: kafka.reader(&house.deployment.names.alerts, Isolation::Committed),
            outcomes: kafka.producer(),
            decided: 0,
            moved: wait::now(),
            patience: PATIENCE * 2 + Duration::from_millis(20 * load.count()),
        };
        // Endpoints are told from the first start on, which must not be after the first alert.
        trial.until("all partitions are told of", |trial| {
            let flows = (0..PROCESSES).map(|number| trial.crew.flowing(number, "notify"));
            flows.sum::<usize>() >= 3
        });
        // Where that stands it holds; before, somebody who takes a partition over begins with what comes then.
        trial.until("everybody is told of everything", |trial| trial.house.begun() == 3 * twenty().len());
        trial
    }

    fn tell(&self, what: &str) {
        let (seconds, hours) =
            (self.start.elapsed().as_secs_f64(), self.house.clock.ahead().as_secs() / 3600);
        println!(
            "{seconds:6.1} s, clock {hours} h ahead: {what} ({} alerts, {} kills)",
            self.alerts.len(),
            self.crew.killed
        );
    }

    /// A turn: whoever was killed comes back, alerts are noted, and one in some is decided.
    fn tend(&mut self) {
        self.crew.tend();
        assert_eq!(self.raises.poll_end(), None, "{}", self.raises.transcript());
        self.reader.turn(Duration::from_millis(10));
        let endpoints = self.house.endpoints();
        for message in std::mem::take(&mut self.reader.messages) {
            let id = self.alerts.take(&message, &endpoints);
            if let Some(alert) = id.strip_suffix("-1")
                && self.alerts.len().is_multiple_of(DECIDED)
            {
                let value = json!({"alert": alert, "verdict": "genuine"}).to_string();
                let topic = self.house.deployment.kafka.name("outcomes");
                self.outcomes.send(&Outgoing::to(&topic).key(alert).value(value));
                self.decided += 1;
            }
        }
        self.outcomes.poll();
    }

    /// Moves the clock, once a second.
    fn tick(&mut self, step: Duration) {
        if self.moved.elapsed() >= Duration::from_secs(1) {
            self.moved = wait::now();
            self.house.clock.forward(step);
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = wait::now() + self.patience;
        while !done(self) {
            self.tend();
            if wait::now() >= deadline {
                let (delivered, list) = (self.delivered(), self.house.command(&["list"]));
                panic!("{what}: not within {:?}: {delivered:?}\n{list}", self.patience);
            }
        }
    }

    /// Carries out a schedule while the clock runs, and goes on until `done`.
    #[track_caller]
    fn suffer(&mut self, what: &str, schedule: &[Kill], step: Duration, mut done: impl FnMut(&Self) -> bool) {
        let start = wait::now();
        let mut due = schedule.iter().peekable();
        let mut looked = wait::now();
        self.until(what, |trial| {
            trial.tick(step);
            let since = start.elapsed();
            while let Some(kill) =
                due.next_if(|kill| kill.at <= since && trial.crew.program(kill.target).is_some())
            {
                trial.crew.kill(kill.target, kill.away);
            }
            if due.peek().is_some() || looked.elapsed() < Duration::from_millis(200) {
                return false;
            }
            looked = wait::now();
            done(trial)
        });
        self.tell(what);
    }

    /// Of each endpoint, what it wants and has.
    fn delivered(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let hooks = self.house.hooks.iter().enumerate();
        let counts = hooks.map(|(place, hook)| {
            let wanted = self.alerts.wanted(place).count() as u64;
            (hook.kind.endpoint.name, (wanted, hook.log().delivered))
        });
        counts.collect()
    }

    /// Whether these endpoints have everything, and by the metrics nothing is owed to them.
    fn have_all(&self, names: &[&str]) -> bool {
        let all = self.delivered();
        let all_there = names.iter().all(|name| all[name].1 >= all[name].0);
        let owed = || self.house.measured(PROCESSES);
        all_there && owed().is_some_and(|owed| names.iter().all(|name| owed[*name] == 0))
    }

    /// Whether `picky` was told of everything it wants, and nothing that it took is owed to it any more. What it refuses
    /// need not have failed for good: nothing does while an endpoint takes nothing else.
    fn is_through(&self, picky: &str) -> bool {
        let (wanted, delivered) = self.delivered()[picky];
        self.house.hook(picky).log().len() as u64 == wanted
            && self.house.measured(PROCESSES).is_some_and(|owed| owed[picky] + delivered <= wanted)
    }

    /// Everybody stops, and what stands there is judged. `healed`: every endpoint must have everything by now.
    #[track_caller]
    fn judge(&mut self, healed: bool) -> (Vec<Sums>, BTreeMap<String, Log>, Value) {
        let before = self.house.compared(PROCESSES);
        (0..PROCESSES).for_each(|number| self.crew.send_away(number, PATIENCE));
        // Not before: what is refused fails for good whenever its turn comes.
        let list = self.house.command(&["list"]);
        let said = said(&list, &before);
        let mut endpoints = self.house.endpoints();
        endpoints.iter_mut().for_each(|endpoint| endpoint.healthy |= healed);
        let alerts = std::mem::take(&mut self.alerts);
        let run = Run { endpoints, alerts, ledger: self.house.ledger(), logs: self.house.logs(), said };
        let (sums, found) = judge(&run);
        assert_balanced(&found);
        self.alerts = run.alerts;
        (sums, run.logs, list)
    }
}

/// Alerts come, at an even pace, while processes are killed and the clock runs; then what can be told is told.
fn storm(trial: &mut Trial<'_>, load: &Load) {
    let over = Duration::from_secs(load.seconds.into());
    let schedule = kills(SEED, KILLS[0], PROCESSES, over, Duration::from_secs(2));
    let house = trial.house;
    let deployment = &house.deployment;
    let offered = std::thread::scope(|scope| {
        let offered =
            scope.spawn(|| load.offer(&deployment.kafka.producer(), &deployment.names.input).inputs.len());
        trial.suffer("the alerts are offered", &schedule, STEP, |_| offered.is_finished());
        offered.join().unwrap()
    });
    trial.suffer("every alert is there", &[], STEP, |trial| trial.alerts.len() == offered + trial.decided);
    let kinds = twenty();
    let healthy = kinds.iter().map(|kind| &kind.endpoint).filter(|endpoint| endpoint.healthy);
    // Beside them the two that take what they are told, if with trouble: what is judged must be at rest.
    let told: Vec<&str> = healthy.map(|endpoint| endpoint.name).chain(["endless"]).collect();
    trial.suffer("those that take anything have everything", &[], STEP, |trial| {
        trial.have_all(&told) && trial.is_through("picky")
    });
}

/// All are well again, and what is owed to them reaches them, kills or not.
fn mended(trial: &mut Trial<'_>) {
    let house = trial.house;
    let well = |hook: &&house::Hook| !hook.kind.endpoint.healthy && hook.kind.endpoint.name != "picky";
    house.hooks.iter().filter(well).for_each(|hook| hook.behave(Behaviour::status(200)));
    (0..PROCESSES).for_each(|number| trial.crew.bring_back(number));
    for name in ["hangs", "gone"] {
        house.command(&["enable", name]);
    }
    let schedule = kills(SEED + 1, KILLS[1], PROCESSES, Duration::from_secs(9), Duration::from_secs(1));
    let all: Vec<&str> = house.hooks.iter().map(|hook| hook.kind.endpoint.name).collect();
    let mended: Vec<&str> = all.iter().copied().filter(|name| *name != "picky").collect();
    trial.suffer("those that were mended have everything", &schedule, LONG_STEP, |trial| {
        trial.have_all(&mended)
    });
    house.hook("picky").behave(Behaviour::status(200));
    // More than once if need be: a refusal from before may fail for good after the first time. What was put off for a day,
    // because the endpoint took nothing else, has its turn by then.
    trial.suffer("what had failed is told on request", &[], LONG_STEP, |trial| {
        let (done, name) = (trial.have_all(&all), "picky");
        if !done && rows(&house.command(&["list"])).any(|(of, row)| of == name && row["failed"] != 0) {
            house.command(&["replay", name, "--failed"]);
        }
        done
    });
}

#[test]
fn every_endpoint_hears_of_every_alert_and_the_counts_balance() {
    let _turn = alone();
    let Some(cluster) = shared_cluster() else { return };
    let load = load();
    let house = House::new(cluster, "balance", 3, twenty());
    let mut trial = Trial::new(&house, &load);
    trial.tell("everybody is there");
    storm(&mut trial, &load);
    let (before, logs, list) = trial.judge(false);
    trial.tell("the counts balance");
    for (name, why) in [("hangs", "failing"), ("gone", "gone")] {
        let row = list.as_array().unwrap().iter().find(|row| row["endpoint"] == name).unwrap();
        assert_eq!(row["disabled"]["why"], why, "{row}");
    }
    // While an endpoint takes nothing at all nothing fails for good, however often those that ask are started anew.
    let failed: Vec<&str> =
        before.iter().filter(|sums| sums.failed > 0).map(|sums| sums.endpoint.as_str()).collect();
    assert_eq!(failed, ["picky"], "{before:?}");
    house.put_back(logs);
    mended(&mut trial);
    let (after, logs, list) = trial.judge(true);
    trial.tell("everything was delivered");
    let in_trouble = |row: &&Value| !row["failing_since"].is_null() || !row["disabled"].is_null();
    assert_eq!(
        list.as_array().unwrap().iter().find(in_trouble),
        None,
        "not well, though it takes everything"
    );
    assert_eq!(trial.crew.killed, KILLS.iter().sum::<u32>());
    assert!(after.iter().all(|sums| sums.delivered == sums.wanted), "{after:?}");
    assert!(after.iter().any(|sums| sums.again > 0), "ten kills, and no duplicate: they showed nothing");
    print(&trial, &before, &after, &logs);
}

/// The result as a table, for the documentation.
fn print(trial: &Trial<'_>, before: &[Sums], after: &[Sums], logs: &BTreeMap<String, Log>) {
    let columns = [
        "endpoint", "2xx", "3xx", "4xx", "5xx", "none", "again", "wanted", "taken", "owed", "failed",
        "finally",
    ];
    let row = |cells: Vec<String>| {
        let (name, numbers) = cells.split_first().unwrap();
        let numbers: String = numbers.iter().map(|cell| format!("{cell:>10}")).collect();
        println!("{name:<14}{numbers}");
    };
    row(columns.map(str::to_owned).to_vec());
    let mut total = [0_u64; 11];
    for (before, after) in before.iter().zip(after) {
        let answers = &logs[&before.endpoint].answers;
        let answered = |status: u16| answers.get(&status).copied().unwrap_or_default();
        let requests = [200, 300, 400, 500, 0].map(answered);
        let sums =
            [after.again, before.wanted, before.delivered, before.owed, before.failed, after.delivered];
        let numbers: Vec<u64> = requests.into_iter().chain(sums).collect();
        total.iter_mut().zip(&numbers).for_each(|(total, number)| *total += number);
        let cells = numbers.iter().map(u64::to_string);
        row(std::iter::once(before.endpoint.clone()).chain(cells).collect());
    }
    row(std::iter::once("together".to_owned()).chain(total.iter().map(u64::to_string)).collect());
    println!(
        "{} alerts ({} of them decided once more), {} endpoints, {} kills, the clock moved by {} hours, {:.0} seconds",
        trial.alerts.len(),
        trial.decided,
        before.len(),
        trial.crew.killed,
        trial.house.clock.ahead().as_secs() / 3600,
        trial.start.elapsed().as_secs_f64()
    );
}
