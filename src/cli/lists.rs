//! Lists of cards as commands read them: opened, fingerprinted, and refused where they are no lists of cards.

use super::args::{CardKindArg, ListArgs, ListFormat, Source};
use super::keyring;
use crate::config::Settings;
use crate::domain::card::{CardKind, Fingerprint, KeyId};
use crate::exposure::fingerprint::{CheckValue, Fingerprinter, Keyring, Namespace};
use crate::exposure::plan::CardName;
use crate::files::input::{FileError, Input};
use crate::files::list::{Column, ListCard, ListError, ListReader, ListSpec};
use crate::lines::start::Stopped;
use crate::report::revision::Rejections;
use crate::stop::exit;

/// Entries that are looked at before anything is written, so that a wrong column is told at once.
pub(super) const SAMPLE: usize = 1_000;

/// Opens a list.
///
/// # Errors
/// When it cannot be opened, or has not the columns that `form` names.
pub(super) fn open(source: &Source, form: &ListArgs) -> Result<ListReader, Stopped> {
    let input = input(source).map_err(|error| stopped(&error.into()))?;
    ListReader::new(input, &spec(form)).map_err(|error| stopped(&error))
}

/// Opens a file or standard input.
pub(super) fn input(source: &Source) -> Result<Input, FileError> {
    match source {
        Source::Stdin => Input::stdin(),
        Source::File(path) => Input::open(path),
    }
}

/// A list that cannot be read, as an end of the command.
pub(super) fn stopped(error: &ListError) -> Stopped {
    Stopped::new(exit::DATA, error.to_string())
}

fn spec(form: &ListArgs) -> ListSpec {
    let column = |text: &String| text.parse::<Column>().unwrap_or_else(|never| match never {});
    let mut spec = ListSpec::new(form.kind.into());
    spec.format = form.list_format.map(|format| match format {
        ListFormat::Csv => crate::files::list::ListFormat::Csv,
        ListFormat::Lines => crate::files::list::ListFormat::Lines,
        ListFormat::Jsonl => crate::files::list::ListFormat::Jsonl,
    });
    spec.card = form.column.as_ref().map(column);
    spec.expiry = form.expiry_column.as_ref().map(column);
    spec.tier = form.tier_column.as_ref().map(column);
    let references = form.references.iter();
    spec.references = references.map(|one| (one.name.clone(), column(&one.column))).collect();
    spec.key = form.key.clone();
    spec
}

/// Gives cards their names. Opens the keys only where a list holds something to be fingerprinted.
#[derive(Debug, Clone)]
pub(super) struct Namer {
    keys: Option<(Keyring, Fingerprinter)>,
    namespace: Namespace,
}

impl Namer {
    /// A namer for lists of a kind.
    ///
    /// # Errors
    /// When keys are needed and cannot be opened.
    pub(super) fn new(kind: CardKindArg, settings: &Settings) -> Result<Namer, Stopped> {
        let kind = CardKind::from(kind);
        let keys = match kind {
            CardKind::Fingerprint => None,
            _ => {
                let keyring = keyring(settings)?;
                let fingerprinter = Fingerprinter::new(&keyring);
                Some((keyring, fingerprinter))
            }
        };
        Ok(Namer { keys, namespace: Namespace::of(kind).unwrap_or_default() })
    }

    /// The keys, if any were opened.
    pub(super) fn keyring(&self) -> Option<&Keyring> {
        self.keys.as_ref().map(|(keyring, _)| keyring)
    }

    /// Id and check value of the key that cards are written under, if this namer makes the fingerprints.
    pub(super) fn primary(&self) -> Option<(&KeyId, CheckValue)> {
        self.keyring().map(|keyring| (keyring.primary().id(), keyring.primary().check_value()))
    }

    /// The card's name to write, and its names under the other active keys.
    pub(super) fn names(&self, card: &ListCard) -> Result<(CardName, Vec<CardName>), Stopped> {
        if let ListCard::Fingerprint(fingerprint, key) = card {
            return Ok((CardName { key: key.clone(), fingerprint: *fingerprint }, Vec::new()));
        }
        let fault = || Stopped::new(exit::INTERNAL, "a card came that no key was opened for");
        let (_, fingerprinter) = self.keys.as_ref().ok_or_else(fault)?;
        let mut names = (0..fingerprinter.key_count()).map(|index| {
            let key = fingerprinter.key_id(index).clone();
            Some(CardName { key, fingerprint: self.fingerprint(fingerprinter, index, card)? })
        });
        let first = names.next().flatten().ok_or_else(fault)?;
        Ok((first, names.flatten().collect()))
    }

    fn fingerprint(
        &self,
        fingerprinter: &Fingerprinter,
        key_index: usize,
        card: &ListCard,
    ) -> Option<Fingerprint> {
        match card {
            ListCard::Number(number) => Some(fingerprinter.of_number(key_index, number)),
            // The reader has looked at the length already.
            ListCard::Token(token) => fingerprinter.of_token(key_index, &self.namespace, token.expose()).ok(),
            ListCard::Fingerprint(fingerprint, _) => Some(*fingerprint),
        }
    }
}

/// Refuses a list that holds no cards, or mostly something else: a wrong column, or the wrong file. `effect` says
/// what has become of it.
///
/// # Errors
/// When nothing, everything or more than half of `read` entries was rejected.
pub(super) fn check_share(
    name: &str,
    read: u64,
    rejections: &Rejections,
    effect: &str,
) -> Result<(), Stopped> {
    let rejected = rejections.total();
    if read > 0 && rejected * 2 <= read {
        return Ok(());
    }
    if read == 0 {
        return Err(Stopped::new(exit::DATA, format!("{name} holds no entries; {effect}")));
    }
    let commonest = rejections.commonest().unwrap_or_default();
    Err(Stopped::new(
        exit::DATA,
        format!(
            "{name}: {rejected} of {read} entries cannot be used, most often because: {commonest}; {effect}. Look at --column, --kind and --list-format, or mend the list"
        ),
    ))
}
