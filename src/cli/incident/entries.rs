//! The entries of one or two lists, read and fingerprinted on a thread of their own, so that a list that comes
//! slowly never holds a transaction open.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::cli::args::{ListArgs, Source};
use crate::cli::lists::{self, Namer, SAMPLE, check_share};
use crate::domain::card::KeyId;
use crate::domain::expiry::ExpiryDate;
use crate::domain::incident::References;
use crate::exposure::fingerprint::CheckValue;
use crate::exposure::plan::{Action, CardName, PlanEntry};
use crate::files::input::Progress;
use crate::files::list::{ListCounts, ListEntry, ListItem, ListReader, Rejection};
use crate::lines::start::Stopped;
use crate::report::revision::Rejections;

/// Entries that may wait between the thread that reads and the one that writes.
const WAITING_MAX: usize = 4_096;

/// What has become of a list that was refused.
pub(super) const REFUSED: &str = "nothing was changed";

/// An entry, fingerprinted.
#[derive(Debug)]
pub(super) struct Entry {
    action: Action,
    name: CardName,
    others: Vec<CardName>,
    expiry: Option<ExpiryDate>,
    tier: Option<String>,
    references: References,
}

impl Entry {
    fn new(action: Action, entry: ListEntry, namer: &Namer) -> Result<Entry, Stopped> {
        let (name, others) = namer.names(&entry.card)?;
        let ListEntry { expiry, tier, references, .. } = entry;
        Ok(Entry { action, name, others, expiry, tier, references })
    }

    /// As the plan takes it.
    pub(super) fn plan_entry(&self) -> PlanEntry<'_> {
        PlanEntry {
            action: self.action,
            name: self.name.clone(),
            others: &self.others,
            expiry: self.expiry,
            tier: self.tier.clone(),
            references: self.references.clone(),
        }
    }

    /// The key that the card is written under.
    pub(super) fn key(&self) -> &KeyId {
        &self.name.key
    }
}

/// What comes from the lists, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// A card of the list of that number.
    Entry(usize, Box<Entry>),
    /// An entry of the list of that number that cannot be used.
    Rejected(usize, Rejection),
    /// The list of that number is at its end, with the check values that it told.
    Over(usize, ListCounts, BTreeMap<KeyId, CheckValue>),
    /// A list cannot be read on.
    Failed(Stopped),
}

/// One list on the command line.
#[derive(Debug)]
pub(super) struct List {
    /// The option that named it.
    pub(super) option: &'static str,
    action: Action,
    reader: ListReader,
    ahead: VecDeque<Piece>,
    is_over: bool,
}

impl List {
    /// Opens a list and reads ahead. `option` is what named it on the command line.
    ///
    /// # Errors
    /// When it cannot be read, or is no list of cards as far as can be seen.
    pub(super) fn open(
        number: usize,
        option: &'static str,
        action: Action,
        source: &Source,
        form: &ListArgs,
        namer: &Namer,
    ) -> Result<List, Stopped> {
        let reader = lists::open(source, form)?;
        let mut list = List { option, action, reader, ahead: VecDeque::new(), is_over: false };
        let (mut read, mut rejections) = (0, Rejections::default());
        while !list.is_over && list.ahead.len() < SAMPLE {
            match list.read(number, namer) {
                Piece::Failed(stopped) => return Err(stopped),
                piece => {
                    if let Piece::Rejected(_, rejection) = &piece {
                        rejections.note(&rejection.reason.to_string(), rejection.line);
                    }
                    read += u64::from(!matches!(piece, Piece::Over(..)));
                    list.ahead.push_back(piece);
                }
            }
        }
        check_share(list.reader.name(), read, &rejections, REFUSED)?;
        Ok(list)
    }

    /// What to call the list in messages.
    pub(super) fn name(&self) -> &str {
        self.reader.name()
    }

    /// How far reading has come.
    pub(super) fn progress(&self) -> Arc<Progress> {
        self.reader.progress()
    }

    /// The check values that the list has told of in what was read ahead.
    pub(super) fn checks(&self) -> &BTreeMap<KeyId, CheckValue> {
        self.reader.checks()
    }

    fn read(&mut self, number: usize, namer: &Namer) -> Piece {
        let piece = match self.reader.next() {
            None => Piece::Over(number, self.reader.counts(), self.reader.checks().clone()),
            Some(Err(error)) => Piece::Failed(lists::stopped(&error)),
            Some(Ok(ListItem::Rejected(rejection))) => Piece::Rejected(number, rejection),
            Some(Ok(ListItem::Entry(entry))) => match Entry::new(self.action, *entry, namer) {
                Ok(entry) => Piece::Entry(number, Box::new(entry)),
                Err(stopped) => Piece::Failed(stopped),
            },
        };
        self.is_over = matches!(piece, Piece::Over(..) | Piece::Failed(_));
        piece
    }
}

/// Reads the lists on a thread of their own. The thread is left alone when the receiver goes: it may be waiting
/// for a pipe that nobody writes to.
pub(super) fn stream(lists: Vec<List>, namer: Namer) -> Receiver<Piece> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    std::thread::spawn(move || {
        for (number, list) in lists.into_iter().enumerate() {
            if !feed(number, list, &namer, &sender) {
                return;
            }
        }
    });
    receiver
}

fn feed(number: usize, mut list: List, namer: &Namer, sender: &SyncSender<Piece>) -> bool {
    while let Some(piece) = list.ahead.pop_front() {
        if sender.send(piece).is_err() {
            return false;
        }
    }
    while !list.is_over {
        let piece = list.read(number, namer);
        let failed = matches!(piece, Piece::Failed(_));
        if sender.send(piece).is_err() || failed {
            return false;
        }
    }
    true
}
