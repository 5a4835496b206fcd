//! Where the user's records hold what: by JSON Pointer, so that no change upstream is needed.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::card::CardKind;
use crate::domain::time_form::TimeForm;

use super::codes::Codes;
use super::json::Tree;
use super::pointer::Pointer;

mod check;

pub use super::field::{AmountUnit, Class, Field, FieldSpec};

/// The largest value read, in bytes: Kafka's own default limit of a record.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// The most arrays and objects inside one another.
pub const DEPTH_MAX: usize = 64;
/// The most places where one field may be.
pub const POINTERS_MAX: usize = 4;
/// The most fields that may hold the card: number, funding number, token, account reference.
pub const CARD_FIELDS_MAX: usize = 4;
/// The most members of one object that may be looked for: a set of those seen fits 64 bits.
const MEMBERS_MAX: usize = 64;

/// A mapping as a user writes it. The default is the shape of cardwatch's own simulator, without references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSpec {
    /// Pointers to the card field: the first that holds something counts.
    pub card: Vec<String>,
    /// What the card field holds.
    pub card_kind: CardKind,
    /// For fingerprints: the pointer to the id of the key they were made with. `None` means the primary key.
    pub card_key: Option<String>,
    /// Further fields that may hold the card, by what they hold; never of the card field's own kind.
    pub other_cards: BTreeMap<CardKind, Vec<String>>,
    /// How the other fields are read; a field left out is never read.
    pub fields: BTreeMap<Field, FieldSpec>,
    /// Names of references (slugs) and the pointers to them.
    pub references: BTreeMap<String, Vec<String>>,
}

impl Default for MappingSpec {
    fn default() -> MappingSpec {
        let fields = Field::ALL.iter().map(|&field| (field, FieldSpec::at(field.default_pointer())));
        MappingSpec {
            card: vec!["/card".to_owned()],
            card_kind: CardKind::Number,
            card_key: None,
            other_cards: BTreeMap::new(),
            fields: fields.collect(),
            references: BTreeMap::new(),
        }
    }
}

/// What a mistake is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The card field.
    Card,
    /// The key id beside it.
    CardKey,
    /// A further card field.
    OtherCard(CardKind),
    /// A field.
    Field(Field),
    /// A reference.
    Reference(String),
    /// The references as a whole.
    References,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Card => f.write_str("card"),
            Entry::CardKey => f.write_str("card_key"),
            Entry::OtherCard(kind) => f.write_str(kind.as_str()),
            Entry::Field(field) => f.write_str(field.as_str()),
            Entry::Reference(name) => write!(f, "references.{name}"),
            Entry::References => f.write_str("references"),
        }
    }
}

/// A mistake in a mapping: about what, what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {message}; write {advice}")]
pub struct MappingError {
    /// About what.
    pub entry: Entry,
    /// What is wrong, as a phrase.
    pub message: String,
    /// What to write instead.
    pub advice: String,
}

/// A checked mapping, ready to read records.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) card_kind: CardKind,
    pub(super) has_card_key: bool,
    /// Whether the card is in one place, which is what scanning is made for.
    pub(super) has_one_card: bool,
    /// What a scan looks for: the card in slot 0, the key id in slot 1, other places behind them.
    pub(super) card_tree: Tree,
    /// Every card field with its slots in [`Mapping::card_tree`], the card field first.
    pub(super) card_fields: Vec<(CardKind, Vec<usize>)>,
    /// What decoding looks for; slots as in `fields` and `references`.
    pub(super) field_tree: Tree,
    pub(super) fields: BTreeMap<Field, FieldReader>,
    pub(super) references: BTreeMap<String, Vec<usize>>,
}

/// How one field is read.
#[derive(Debug, Clone)]
pub(super) struct FieldReader {
    /// Its places in [`Mapping::field_tree`], in order.
    pub(super) slots: Vec<usize>,
    pub(super) value: Option<String>,
    pub(super) unit: AmountUnit,
    pub(super) time: TimeForm,
    pub(super) codes: Codes,
    /// Whether every place is read and what says most counts.
    pub(super) reads_all: bool,
}

/// The slot of the card in [`Mapping::card_tree`].
pub(super) const CARD_SLOT: usize = 0;
/// The slot of the key id in [`Mapping::card_tree`].
pub(super) const CARD_KEY_SLOT: usize = 1;
/// The most slots of [`Mapping::card_tree`].
pub(super) const CARD_SLOTS_MAX: usize = CARD_FIELDS_MAX * POINTERS_MAX + 1;

/// The pointers of a specification, read.
struct Pointers<'s> {
    card: Vec<Pointer>,
    card_key: Option<Pointer>,
    other_cards: Vec<(CardKind, Vec<Pointer>)>,
    fields: Vec<(Field, Vec<Pointer>)>,
    references: Vec<(&'s String, Vec<Pointer>)>,
}

impl Mapping {
    /// Checks a mapping.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn new(spec: &MappingSpec) -> Result<Mapping, Vec<MappingError>> {
        let (pointers, mut errors) = check::pointers(spec);
        check::cards(spec, &pointers, &mut errors);
        check::fields(spec, &mut errors);
        check::references(spec, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mapping = Mapping::build(spec, &pointers);
        if mapping.card_tree.widest().max(mapping.field_tree.widest()) > MEMBERS_MAX {
            return Err(vec![MappingError {
                entry: Entry::References,
                message: format!("more than {MEMBERS_MAX} members of one object are mapped"),
                advice: "fewer places for each field".to_owned(),
            }]);
        }
        Ok(mapping)
    }

    fn build(spec: &MappingSpec, pointers: &Pointers<'_>) -> Mapping {
        let mut card_tree = Tree::default();
        let mut card_slots: Vec<usize> =
            pointers.card.first().iter().map(|first| card_tree.place(first)).collect();
        if let Some(card_key) = &pointers.card_key {
            card_tree.place(card_key);
        }
        card_slots.extend(pointers.card.iter().skip(1).map(|pointer| card_tree.place(pointer)));
        let mut card_fields = vec![(spec.card_kind, card_slots)];
        for (kind, places) in &pointers.other_cards {
            card_fields.push((*kind, places.iter().map(|pointer| card_tree.place(pointer)).collect()));
        }
        let mut field_tree = Tree::default();
        let mut fields = BTreeMap::new();
        for (field, places) in &pointers.fields {
            let Some(read) = spec.fields.get(field) else { continue };
            let reader = FieldReader {
                slots: places.iter().map(|pointer| field_tree.place(pointer)).collect(),
                value: read.value.clone(),
                unit: read.unit.unwrap_or_default(),
                time: read.time.clone().unwrap_or_default(),
                codes: Codes::new(*field, &read.values, read.preset, read.default.as_ref()),
                reads_all: *field == Field::Kind && read.preset.is_some(),
            };
            fields.insert(*field, reader);
        }
        let references = pointers.references.iter().map(|(name, places)| {
            ((*name).clone(), places.iter().map(|pointer| field_tree.place(pointer)).collect())
        });
        let references = references.collect();
        Mapping {
            card_kind: spec.card_kind,
            has_card_key: pointers.card_key.is_some(),
            has_one_card: card_fields.iter().map(|(_, slots)| slots.len()).sum::<usize>() == 1,
            card_tree,
            card_fields,
            field_tree,
            fields,
            references,
        }
    }

    /// What the card field holds.
    pub fn card_kind(&self) -> CardKind {
        self.card_kind
    }

    /// Whether the card is in one place only, so that [`Mapping::scan`] sees all there is.
    #[inline]
    pub fn has_one_card(&self) -> bool {
        self.has_one_card
    }

    /// What each card field holds, the card field first.
    pub fn card_kinds(&self) -> impl Iterator<Item = CardKind> {
        self.card_fields.iter().map(|(kind, _)| *kind)
    }

    /// Whether a field is mapped to some place.
    pub fn is_mapped(&self, field: Field) -> bool {
        self.fields.get(&field).is_some_and(|reader| !reader.slots.is_empty())
    }

    /// The fields that are mapped to some place, in order.
    pub fn mapped_fields(&self) -> impl Iterator<Item = Field> {
        self.fields.iter().filter(|(_, reader)| !reader.slots.is_empty()).map(|(field, _)| *field)
    }

    /// The unit that an amount is read in.
    pub fn unit_of(&self, field: Field) -> AmountUnit {
        self.fields.get(&field).map_or(AmountUnit::Major, |reader| reader.unit)
    }
}

#[cfg(test)]
mod tests;
