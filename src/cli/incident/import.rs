//! `cardwatch incident open` and `revise`: lists of cards become a revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::details::{opened, revised};
use super::entries::{List, Piece, REFUSED, stream};
use super::tally::Tallies;
use super::{Change, Desk, existing, settle, side, stopped, told};
use crate::cli::args::{CardKindArg, ChangeArgs, OpenArgs, ReviseArgs};
use crate::cli::lists::{Namer, check_share};
use crate::domain::audit::Act;
use crate::domain::card::{CardKind, KeyId};
use crate::domain::incident::{Details, IncidentId};
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::plan::{Action, CardWrite, ImportPlan, PlanTotals};
use crate::exposure::record::{IncidentRecord, Mark};
use crate::exposure::revision::{Finish, RevisionError};
use crate::lines::audit::{Begun, Deed};
use crate::lines::import::{ImportError, Known, Writer};
use crate::lines::start::Stopped;
use crate::report::revision::{RevisionSide, import_tables, revision_table};
use crate::stop::exit;

/// How long the writer waits for a card before it looks after its open transaction.
const WAIT: Duration = Duration::from_millis(200);

/// What happens to an incident that was not there.
const OPENED: &str = "opened";

/// `cardwatch incident open`.
pub(super) fn open(desk: &Desk<'_>, args: &OpenArgs) -> Result<(), Stopped> {
    let details = opened(&args.details)?;
    let mark = desk.mark(&args.change);
    // Details that no incident could have are a mistake of the command line, told before anything is read.
    IncidentRecord::new(args.incident.clone())
        .claim(details.clone(), mark.clone())
        .map_err(|error| Stopped::new(exit::USAGE, error.to_string()))?;
    let namer = Namer::new(args.form.kind, desk.settings)?;
    let list = List::open(0, "--list", Action::Add, &args.list, &args.form, &namer)?;
    let next = |known: &Known| match &known.incident {
        None => Ok((IncidentRecord::new(args.incident.clone()), details.clone())),
        Some(there) if there.in_force().is_some() => Err(Stopped::new(
            exit::DATA,
            format!(
                "incident {0} is there already: change it with `cardwatch incident revise {0}`, or choose another id",
                args.incident
            ),
        )),
        // Nothing came of it, or all was undone: its numbers go on.
        Some(there) => Ok((there.clone(), details.clone())),
    };
    let import = Import {
        id: &args.incident,
        what: OPENED,
        kind: args.form.kind,
        replace: false,
        change: &args.change,
        mark,
        namer,
        next: &next,
    };
    import.run(desk, vec![list])
}

/// `cardwatch incident revise` with lists or details.
pub(super) fn revise(desk: &Desk<'_>, args: &ReviseArgs) -> Result<(), Stopped> {
    let sources = [
        ("--add", Action::Add, &args.add),
        ("--withdraw", Action::Withdraw, &args.withdraw),
        ("--replace", Action::Add, &args.replace),
    ];
    let sources: Vec<_> = sources
        .into_iter()
        .filter_map(|(option, action, source)| Some((option, action, source.as_ref()?)))
        .collect();
    // A revision of the details alone needs no keys.
    let kind = if sources.is_empty() { CardKindArg::Fingerprint } else { args.form.kind };
    let namer = Namer::new(kind, desk.settings)?;
    let mut lists = Vec::new();
    for (number, (option, action, source)) in sources.into_iter().enumerate() {
        lists.push(List::open(number, option, action, source, &args.form, &namer)?);
    }
    let next = |known: &Known| {
        let incident = existing(known, &args.incident)?;
        let details = incident.details().ok_or_else(|| {
            Stopped::new(
                exit::DATA,
                format!(
                    "no revision of incident {0} is in force, so there is nothing to revise: begin it anew with \
                     `cardwatch incident open {0}`",
                    args.incident
                ),
            )
        })?;
        Ok((incident.clone(), revised(details, &args.details)))
    };
    let import = Import {
        id: &args.incident,
        what: "revised",
        kind,
        replace: args.replace.is_some(),
        change: &args.change,
        mark: desk.mark(&args.change),
        namer,
        next: &next,
    };
    import.run(desk, lists)
}

/// What the list says, and the incident and details to go on with.
type Next<'a> = dyn Fn(&Known) -> Result<(IncidentRecord, Details), Stopped> + 'a;

/// One change of an incident's cards and details.
struct Import<'a> {
    id: &'a IncidentId,
    what: &'static str,
    kind: CardKindArg,
    replace: bool,
    change: &'a ChangeArgs,
    mark: Mark,
    namer: Namer,
    next: &'a Next<'a>,
}

impl Import<'_> {
    fn run(&self, desk: &Desk<'_>, lists: Vec<List>) -> Result<(), Stopped> {
        let known = desk.known(self.id, self.change.dry_run, |known| self.fits(known, &lists))?;
        self.remark_kind(desk);
        let mut tallies = Tallies::of(&lists);
        let done = if self.change.dry_run {
            let pieces = stream(lists, self.namer.clone());
            self.dry(&known, &pieces, &mut tallies)
        } else {
            drop(known);
            self.write(desk, lists, &mut tallies)
        };
        tallies.bar.finish();
        let done = done.map_err(|error| stopped(&error))?;
        self.tell(desk, &done, &tallies);
        Ok(())
    }

    /// Whether the change can be made to what the list says now.
    fn fits(&self, known: &Known, lists: &[List]) -> Result<(), Stopped> {
        let refused = |error: RevisionError| Stopped::new(exit::DATA, error.to_string());
        let (mut incident, details) = (self.next)(known)?;
        incident.claim(details, self.mark.clone()).map_err(refused)?;
        for list in lists {
            self.check_list_keys(known, list.checks())?;
        }
        let Some(keyring) = self.namer.keyring() else { return Ok(()) };
        for key in keyring.keys() {
            known
                .check_key(key.id(), key.check_value())
                .map_err(|error| Stopped::new(exit::CONFIG, error.to_string()))?;
        }
        if !lists.iter().any(|list| list.option == "--withdraw") {
            return Ok(());
        }
        let lost: BTreeSet<&KeyId> = known
            .cards
            .values()
            .filter(|card| keyring.get(&card.key).is_none() && incident.shows(&card.record.events))
            .map(|card| &card.key)
            .collect();
        match lost.first() {
            None => Ok(()),
            Some(key) => Err(Stopped::new(
                exit::CONFIG,
                format!(
                    "cards of incident {} are listed under key {key}, which is not here, so those to be withdrawn \
                     could not be found among them; copy {key}.key into the key directory, or give the whole list \
                     anew with --replace",
                    self.id
                ),
            )),
        }
    }

    fn check_list_keys(&self, known: &Known, checks: &BTreeMap<KeyId, CheckValue>) -> Result<(), Stopped> {
        checks
            .iter()
            .try_for_each(|(key, check)| known.check_key(key, *check))
            .map_err(|error| Stopped::new(exit::DATA, error.to_string()))
    }

    fn write(&self, desk: &Desk<'_>, lists: Vec<List>, tallies: &mut Tallies) -> Result<Done, ImportError> {
        let (writer, mut known) = desk.list.take_over(self.id)?;
        self.fits(&known, &lists)?;
        let (mut incident, details) = (self.next)(&known)?;
        let before = side(known.incident.as_ref(), known.shown());
        let act = if self.what == OPENED { Act::Import } else { Act::Revision };
        let deed = Deed::new(act, format!("incident/{}", self.id)).before(told(&before));
        let mut begun = desk.audit.claiming(self.change.by.as_deref()).in_transaction(deed)?;
        let writing = Writing { writer, incident: &mut incident, details, before, begun: &mut begun };
        let written = self.write_revision(desk, &mut known, writing, lists, tallies);
        settle(begun, written)
    }

    fn write_revision(
        &self,
        desk: &Desk<'_>,
        known: &mut Known,
        writing: Writing<'_, '_>,
        lists: Vec<List>,
        tallies: &mut Tallies,
    ) -> Result<Done, ImportError> {
        let Writing { mut writer, incident, details, before, begun } = writing;
        let number = writer.claim(incident, details, self.mark.clone())?;
        let claimed = incident.clone();
        let mut plan = ImportPlan::new(&claimed, number, std::mem::take(&mut known.cards));
        let pieces = stream(lists, self.namer.clone());
        let written = self.copy(known, &pieces, &mut plan, &mut Sink::List(&mut writer), tallies);
        let totals = plan.totals();
        let finished = written.and_then(|()| {
            let finish = Finish {
                at: desk.clock.now(),
                counts: totals.counts,
                cards: Some(totals.cards),
                checks: self.checks(tallies),
            };
            begun.set_after(serde_json::json!({
                "revision": number,
                "cards": totals.cards.after,
                "details": claimed.revision(number).map(|revision| &revision.details),
                "counts": totals.counts,
            }));
            writer.attest(begun);
            writer.finish(incident, number, finish)
        });
        match finished {
            Ok(()) => Ok(Done::new(number, before, incident, totals)),
            Err(error @ (ImportError::TakenOver(_) | ImportError::Unknown(_))) => Err(error),
            Err(error) => {
                let mut given_up = claimed.clone();
                writer.abandon(&mut given_up);
                Err(error)
            }
        }
    }

    fn dry(
        &self,
        known: &Known,
        pieces: &Receiver<Piece>,
        tallies: &mut Tallies,
    ) -> Result<Done, ImportError> {
        let (mut incident, details) = (self.next)(known)?;
        let before = side(known.incident.as_ref(), known.shown());
        let number = incident.claim(details, self.mark.clone())?;
        let claimed = incident.clone();
        let mut plan = ImportPlan::new(&claimed, number, known.cards.clone());
        self.copy(known, pieces, &mut plan, &mut Sink::Nowhere, tallies)?;
        let totals = plan.totals();
        let finish = Finish {
            at: self.mark.at,
            counts: totals.counts,
            cards: Some(totals.cards),
            checks: self.checks(tallies),
        };
        incident.finish(number, finish)?;
        Ok(Done::new(number, before, &incident, totals))
    }

    fn copy(
        &self,
        known: &Known,
        pieces: &Receiver<Piece>,
        plan: &mut ImportPlan<'_>,
        sink: &mut Sink<'_, '_>,
        tallies: &mut Tallies,
    ) -> Result<(), ImportError> {
        let mut open = tallies.lists.len();
        while open > 0 {
            tallies.bar.show();
            match pieces.recv_timeout(WAIT) {
                Ok(Piece::Entry(list, entry)) => {
                    tallies.lists[list].read += 1;
                    tallies.note_key(entry.key());
                    for write in plan.entry(&entry.plan_entry()).1 {
                        sink.card(&write)?;
                    }
                }
                Ok(Piece::Rejected(list, rejection)) => {
                    let tally = &mut tallies.lists[list];
                    tally.read += 1;
                    tally.rejections.note(&rejection.reason.to_string(), rejection.line);
                    plan.rejected();
                }
                Ok(Piece::Over(list, counts, checks)) => {
                    self.check_list_keys(known, &checks)?;
                    let tally = &mut tallies.lists[list];
                    tally.counts = counts;
                    check_share(&tally.name, tally.read, &tally.rejections, REFUSED)?;
                    tallies.checks.extend(checks);
                    open -= 1;
                }
                Ok(Piece::Failed(stopped)) => return Err(stopped.into()),
                Err(RecvTimeoutError::Timeout) => sink.breathe()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Stopped::new(exit::INTERNAL, "the list's reader ended too early").into());
                }
            }
        }
        if self.replace {
            plan.withdraw_unnamed(|write| sink.card(&write))?;
        }
        Ok(())
    }

    /// The check values of the keys that cards were named by, as far as they are known.
    fn checks(&self, tallies: &Tallies) -> BTreeMap<KeyId, CheckValue> {
        let own = self.namer.primary().map(|(key, check)| (key.clone(), check));
        let told = tallies.checks.iter().map(|(key, check)| (key.clone(), *check));
        own.into_iter().chain(told).filter(|(key, _)| tallies.keys.contains(key)).collect()
    }

    /// A list of tokens never matches a stream of card numbers.
    fn remark_kind(&self, desk: &Desk<'_>) {
        let list = CardKind::from(self.kind);
        let spec = desk.settings.mapping_spec();
        let fields: Vec<CardKind> =
            std::iter::once(spec.card_kind).chain(spec.other_cards.into_keys()).collect();
        let matches = |field: &CardKind| {
            *field == list || (*field == CardKind::FundingNumber && list == CardKind::Number)
        };
        if self.namer.keyring().is_some()
            && !fields.contains(&CardKind::Fingerprint)
            && !fields.iter().any(matches)
        {
            let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
            desk.output.remark(&format!(
                "the list holds the kind {}, and the card fields of input.card hold {}: one never matches the other",
                list.as_str(),
                fields.join(" and ")
            ));
        }
    }

    fn tell(&self, desk: &Desk<'_>, done: &Done, tallies: &Tallies) {
        let (result, accepted) = (tallies.result(&done.totals), done.totals.counts.read);
        if result.wrong_check_digit * 2 > accepted {
            desk.output.remark(&format!(
                "{} of {accepted} card numbers have a wrong check digit: is this the column of the card number?",
                result.wrong_check_digit
            ));
        }
        let checks = self.checks(tallies);
        for key in tallies.keys.iter().filter(|key| !checks.contains_key(*key)) {
            desk.output.remark(&format!(
                "the list tells no check value of key {key}, so nobody can say whether it was made with the right one"
            ));
        }
        let report = Change {
            incident: self.id,
            what: self.what,
            revision: Some(done.number),
            mark: &self.mark,
            dry_run: self.change.dry_run,
        };
        let counts = &done.totals.counts;
        let mut tables = if tallies.lists.is_empty() { Vec::new() } else { import_tables(&result) };
        tables.push(revision_table(&done.before, &done.after, counts.added, counts.withdrawn));
        let id = self.id;
        desk.report(&report, tables, &format!("Revision {} of incident {id} is in force.", done.number));
    }
}

/// Where card records go.
/// A revision about to be written.
struct Writing<'w, 'l> {
    writer: Writer<'l>,
    incident: &'w mut IncidentRecord,
    details: Details,
    before: RevisionSide,
    begun: &'w mut Begun,
}

enum Sink<'w, 'l> {
    /// To the topic.
    List(&'w mut Writer<'l>),
    /// Nowhere: a dry run.
    Nowhere,
}

impl Sink<'_, '_> {
    fn card(&mut self, write: &CardWrite) -> Result<(), ImportError> {
        match self {
            Sink::List(writer) => writer.card(write),
            Sink::Nowhere => Ok(()),
        }
    }

    fn breathe(&mut self) -> Result<(), ImportError> {
        match self {
            Sink::List(writer) => writer.breathe(),
            Sink::Nowhere => Ok(()),
        }
    }
}

/// What came of an import.
struct Done {
    number: u32,
    before: RevisionSide,
    after: RevisionSide,
    totals: PlanTotals,
}

impl Done {
    fn new(number: u32, before: RevisionSide, incident: &IncidentRecord, totals: PlanTotals) -> Done {
        Done { number, before, after: side(Some(incident), totals.cards.after), totals }
    }
}
