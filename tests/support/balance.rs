//! Judges from outside what endpoints were told: the alerts as committed, the ledger as its topic has it, what each
//! receiver was asked, and what the program says of itself, and whether all of that balances.
//!
//! Pure, and naive: which alerts an endpoint wants is the test's own predicate, and the forms of ledger and bodies are
//! read as they are published, by nothing of the program's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use super::ledger::Ledger;
pub use super::told::{Form, Log};

use super::records::Message;

/// An endpoint as the test has it.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Its name.
    pub name: &'static str,
    /// Whether it took everything it was told, so that it must have been told of everything by now.
    pub healthy: bool,
    /// Whether it asks for batches.
    pub batches: bool,
    /// Whether it wants an alert.
    pub wants: fn(&Value) -> bool,
}

/// The revisions of alerts that are committed, and who wants each.
#[derive(Debug, Default)]
pub struct Alerts {
    by_place: BTreeMap<(i32, i64), (String, u32)>,
}

impl Alerts {
    /// Takes a record of the topic in; the id of the revision, as a delivery of it has it.
    pub fn take(&mut self, message: &Message, endpoints: &[Endpoint]) -> String {
        let alert = message.json();
        let id = format!("{}-{}", alert["id"].as_str().unwrap_or_default(), alert["revision"]);
        let bits = (0..).zip(endpoints).filter(|(_, endpoint)| (endpoint.wants)(&alert));
        let wanted = bits.fold(0, |bits, (place, _): (u32, _)| bits | 1 << place);
        self.by_place.insert((message.partition, message.offset), (id.clone(), wanted));
        id
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// What the endpoint at this place wants.
    pub fn wanted(&self, place: usize) -> impl Iterator<Item = ((i32, i64), &str)> {
        let wants = move |(_, (_, wanted)): &(&(i32, i64), &(String, u32))| wanted >> place & 1 == 1;
        self.by_place.iter().filter(wants).map(|(at, (id, _))| (*at, id.as_str()))
    }
}

/// What the program says of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    /// Alerts owed, by `webhook list` when all is quiet.
    pub owed: u64,
    /// Deliveries that failed for good, by `webhook list` when all is quiet.
    pub failed: u64,
    /// Alerts owed, by `webhook list` and by the metrics of all processes together, at one moment while there were any.
    pub before: (u64, u64),
}

/// Everything that was seen when all was quiet.
#[derive(Debug, Default)]
pub struct Run {
    pub endpoints: Vec<Endpoint>,
    pub alerts: Alerts,
    pub ledger: Ledger,
    /// By the endpoint's name.
    pub logs: BTreeMap<String, Log>,
    /// By the endpoint's name; endpoints that are not in it said nothing.
    pub said: BTreeMap<String, Said>,
}

/// What can be wrong. A test of a broken build names the one it expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A record or a request that cannot be read as what it should be.
    Unreadable,
    /// A healthy endpoint was not told of an alert that it wants.
    Missing,
    /// An endpoint was told of what it does not want, or of what is no committed alert.
    Unwanted,
    /// One id, and other alerts under it.
    OtherMembers,
    /// One id, and other bytes under it.
    OtherBody,
    /// One alert in two batches.
    BatchFormedAnew,
    /// Wanted, not delivered and not in the ledger.
    Lost,
    /// Told under an id that the ledger never held.
    Unwritten,
    /// Delivered, and still in the ledger when all is quiet.
    OwedThoughTaken,
    /// Sums that differ.
    Unbalanced,
}

/// One thing that is wrong, in words.
pub type Violation = super::check::Violation<Rule>;

/// How it stands with one endpoint. The last four count alerts, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    pub endpoint: String,
    /// Requests under an id that was taken before.
    pub again: u64,
    pub wanted: u64,
    pub delivered: u64,
    pub owed: u64,
    pub failed: u64,
}

/// How it stands with each endpoint, and all that is wrong.
pub fn judge(run: &Run) -> (Vec<Sums>, Vec<Violation>) {
    let mut found: Vec<Violation> = run.ledger.unreadable().map(|text| at(Rule::Unreadable, text)).collect();
    let sums = (0..run.endpoints.len()).map(|place| endpoint(run, place, &mut found)).collect();
    found.sort();
    (sums, found)
}

/// Panics with what is wrong, if anything is.
#[track_caller]
pub fn assert_balanced(found: &[Violation]) {
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), texts.join("\n"));
}

fn at(rule: Rule, text: impl Into<String>) -> Violation {
    Violation { rule, text: text.into() }
}

/// The violations of one endpoint, one for each rule with the first ids that break it.
struct Finding<'a> {
    name: &'a str,
    found: &'a mut Vec<Violation>,
}

impl Finding<'_> {
    fn ids<'b>(&mut self, rule: Rule, ids: impl IntoIterator<Item = &'b str>) {
        let ids: Vec<&str> = ids.into_iter().collect();
        if let Some(first) = ids.get(..ids.len().min(3)).filter(|first| !first.is_empty()) {
            let text = format!("{}: {}, the first: {}", self.name, ids.len(), first.join(", "));
            self.found.push(at(rule, text));
        }
    }
}

fn endpoint(run: &Run, place: usize, found: &mut Vec<Violation>) -> Sums {
    let Endpoint { name, healthy, batches, .. } = run.endpoints[place];
    let wanted: BTreeSet<&str> = run.alerts.wanted(place).map(|(_, id)| id).collect();
    let none = Log::default();
    let log = run.logs.get(name).unwrap_or(&none);
    let mut finding = Finding { name, found };

    let delivered: BTreeSet<&str> =
        log.told().filter(|(_, told)| told.taken > 0).flat_map(|(id, told)| told.members(id)).collect();
    let in_range = |at| run.ledger.ranges(name).any(|range| range.holds(at));
    let ranged: BTreeSet<&str> =
        run.alerts.wanted(place).filter(|(at, _)| in_range(*at)).map(|(_, id)| id).collect();
    let made_out: BTreeSet<&str> = run.ledger.members(name, false).collect();
    let owed: BTreeSet<&str> = made_out.union(&ranged).copied().collect();
    let failed: BTreeSet<&str> = run.ledger.members(name, true).collect();

    told(log, &run.ledger, batches, &mut finding);
    let all_told = log.told().flat_map(|(id, told)| told.members(id));
    finding.ids(Rule::Unwanted, all_told.filter(|id| !wanted.contains(id)));
    let known = |id: &&str| delivered.contains(id) || owed.contains(id) || failed.contains(id);
    finding.ids(Rule::Lost, wanted.iter().copied().filter(|id| !known(id)));
    if healthy {
        finding.ids(Rule::Missing, wanted.difference(&delivered).copied());
    }
    finding.ids(Rule::OwedThoughTaken, delivered.iter().copied().filter(|id| owed.contains(id)));
    finding.ids(Rule::OwedThoughTaken, delivered.iter().copied().filter(|id| failed.contains(id)));

    let count = |ids: &BTreeSet<&str>| ids.len() as u64;
    let sums = Sums {
        endpoint: name.to_owned(),
        again: log.told().map(|(_, told)| u64::from(told.taken.saturating_sub(1))).sum(),
        wanted: count(&wanted),
        delivered: count(&delivered),
        owed: count(&owed),
        failed: count(&failed),
    };
    balance(run, &sums, &made_out, &ranged, found);
    sums
}

/// Whether the sums are the same wherever they are taken.
fn balance(
    run: &Run,
    sums: &Sums,
    made_out: &BTreeSet<&str>,
    ranged: &BTreeSet<&str>,
    found: &mut Vec<Violation>,
) {
    let name = sums.endpoint.as_str();
    let mut differ = |what: &str, one: u64, other: u64| {
        if one != other {
            found.push(at(Rule::Unbalanced, format!("{name}: {what}: {one} and {other}")));
        }
    };
    differ(
        "wanted, and delivered, owed and failed together",
        sums.wanted,
        sums.delivered + sums.owed + sums.failed,
    );
    differ("owed, and made out and in ranges", sums.owed, (made_out.len() + ranged.len()) as u64);
    let counted = run.ledger.ranges(name).map(|range| range.count).sum();
    differ("in ranges, and as the ranges count", ranged.len() as u64, counted);
    let Some(said) = run.said.get(name) else { return };
    differ("owed, and by `webhook list`", sums.owed, said.owed);
    differ("owed before, by `webhook list` and by the metrics", said.before.0, said.before.1);
    differ("failed deliveries, and by `webhook list`", run.ledger.failed_deliveries(name), said.failed);
}

/// Whether every id is one delivery for ever.
fn told(log: &Log, ledger: &Ledger, batches: bool, finding: &mut Finding<'_>) {
    finding.ids(Rule::Unreadable, log.unreadable());
    let of = |wrong: fn(&super::told::Told) -> bool| {
        log.told().filter(move |(_, told)| wrong(told)).map(|(id, _)| id)
    };
    finding.ids(Rule::OtherBody, of(|told| told.other_body));
    finding.ids(Rule::OtherMembers, of(|told| told.other_members));
    let name = finding.name;
    finding.ids(Rule::OtherMembers, ledger.changed(name));
    finding.ids(Rule::Unwritten, log.told().map(|(id, _)| id).filter(|id| !ledger.held(name, id)));
    // What the ledger says is in a delivery is what was told under its id.
    let differs = |(id, told): &(&str, &super::told::Told)| {
        ledger.owed(name, id).is_some_and(|members| !members.eq(told.members(id)))
    };
    finding.ids(Rule::OtherMembers, log.told().filter(differs).map(|(id, _)| id));
    if !batches {
        let itself = |(id, told): &(&str, &super::told::Told)| told.members(id).eq([*id]);
        finding.ids(Rule::OtherMembers, log.told().filter(|one| !itself(one)).map(|(id, _)| id));
        return;
    }
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let of_log = log.told().flat_map(|(id, told)| told.members(id).map(move |member| (member, id)));
    for (member, id) in of_log.chain(ledger.batches(name)) {
        homes.entry(member).or_default().insert(id);
    }
    let two = homes.iter().filter(|(_, ids)| ids.len() > 1).map(|(member, _)| *member);
    finding.ids(Rule::BatchFormedAnew, two);
}
