//! What is wrong with a mapping: every mistake, with what to write instead.

use super::{
    CARD_FIELDS_MAX, Class, Entry, Field, FieldSpec, MappingError, MappingSpec, POINTERS_MAX, Pointer,
    Pointers,
};
use crate::domain::card::{CardKind, is_slug};
use crate::domain::country;
use crate::domain::incident::{REFERENCE_NAME_BYTES_MAX, REFERENCES_MAX};
use crate::domain::money::Currency;

/// What a pointer looks like, for advice.
const POINTER: &str = "a JSON Pointer such as \"/merchant/id\"";

fn error(entry: Entry, message: impl Into<String>, advice: impl Into<String>) -> MappingError {
    MappingError { entry, message: message.into(), advice: advice.into() }
}

/// Reads every pointer. One that does not read is left out, and named.
pub(super) fn pointers(spec: &MappingSpec) -> (Pointers<'_>, Vec<MappingError>) {
    let mut errors = Vec::new();
    let mut read = |entry: Entry, texts: &[String]| -> Vec<Pointer> {
        let mut pointers: Vec<Pointer> = Vec::new();
        for text in texts {
            match text.parse::<Pointer>() {
                Err(problem) => {
                    errors.push(error(entry.clone(), format!("has a JSON Pointer that {problem}"), POINTER));
                }
                Ok(pointer) if pointers.contains(&pointer) => {
                    errors.push(error(entry.clone(), "names one place twice", "each place once"));
                }
                Ok(pointer) => pointers.push(pointer),
            }
        }
        if texts.len() > POINTERS_MAX {
            let message = format!("names more than {POINTERS_MAX} places");
            errors.push(error(entry, message, format!("{POINTERS_MAX} at most")));
        }
        pointers
    };
    let pointers = Pointers {
        card: read(Entry::Card, &spec.card),
        card_key: read(Entry::CardKey, spec.card_key.as_slice()).pop(),
        other_cards: (spec.other_cards.iter())
            .map(|(&kind, texts)| (kind, read(Entry::OtherCard(kind), texts)))
            .collect(),
        fields: (spec.fields.iter())
            .map(|(&field, how)| (field, read(Entry::Field(field), &how.pointers)))
            .collect(),
        references: (spec.references.iter())
            .map(|(name, texts)| (name, read(Entry::Reference(name.clone()), texts)))
            .collect(),
    };
    (pointers, errors)
}

/// The card fields among themselves, and what else would read them.
pub(super) fn cards(spec: &MappingSpec, pointers: &Pointers<'_>, errors: &mut Vec<MappingError>) {
    if spec.card.is_empty() {
        errors.push(error(Entry::Card, "is nowhere", POINTER));
    }
    if spec.card_key.is_some() && spec.card_kind != CardKind::Fingerprint {
        let message = format!("has no meaning beside a card field of kind \"{}\"", spec.card_kind.as_str());
        errors.push(error(Entry::CardKey, message, "\"\", or kind = \"fingerprint\""));
    }
    let others = spec.other_cards.keys();
    if others.clone().any(|kind| *kind == spec.card_kind) || others.count() >= CARD_FIELDS_MAX {
        let entry = Entry::OtherCard(spec.card_kind);
        let message = "is what the card field holds already";
        errors.push(error(entry, message, "the place in the list of input.card.field, and \"\" here"));
    }
    let mut taken: Vec<&Pointer> = pointers.card.iter().collect();
    let places = pointers.other_cards.iter().map(|(kind, places)| (Entry::OtherCard(*kind), places));
    for (entry, places) in places {
        for place in places {
            if taken.contains(&place) {
                errors.push(error(entry.clone(), "is where another card field is", "a place of its own"));
            }
            taken.push(place);
        }
    }
    // An account reference leads to no card number and is what people look up; the others are withheld.
    let is_shown = |kind: CardKind| kind == CardKind::AccountReference;
    let of_card = if is_shown(spec.card_kind) { &[][..] } else { &pointers.card };
    let others = pointers.other_cards.iter().filter(|(kind, _)| !is_shown(*kind));
    let secret: Vec<&Pointer> = of_card.iter().chain(others.flat_map(|(_, places)| places)).collect();
    let key = pointers.card_key.iter().map(|place| (Entry::CardKey, place));
    let fields = pointers.fields.iter();
    let fields = fields.flat_map(|(field, places)| places.iter().map(|place| (Entry::Field(*field), place)));
    let references = pointers
        .references
        .iter()
        .flat_map(|(name, places)| places.iter().map(|place| (Entry::Reference((*name).clone()), place)));
    for (entry, place) in key.chain(fields).chain(references) {
        if secret.contains(&place) {
            let message = "is the card's own field, which no output may repeat";
            errors.push(error(entry, message, "another field, or \"\" for none"));
        }
    }
}

/// What is said about each field beside its places.
pub(super) fn fields(spec: &MappingSpec, errors: &mut Vec<MappingError>) {
    for (&field, how) in &spec.fields {
        let mut wrong = |message: String, advice: String| {
            errors.push(error(Entry::Field(field), message, advice));
        };
        if how.pointers.is_empty() && how.value.is_none() {
            wrong("has neither a field nor a value".to_owned(), format!("{POINTER}, or value = \"…\""));
        }
        let class = field.class();
        for (key, is_there, fits, only) in [
            ("unit", how.unit.is_some(), class == Class::Amount, "amounts have a unit"),
            ("format", how.time.is_some(), class == Class::Time, "at has a format and a timezone"),
            ("values", !how.values.is_empty(), class.is_coded(), "coded fields have values"),
            ("default", how.default.is_some(), class.is_coded(), "coded fields have a default"),
            (
                "preset",
                how.preset.is_some(),
                how.preset.is_some_and(|preset| preset.has(field)),
                "kind, outcome, channel, credential, cvv, avs and three_ds have presets",
            ),
            (
                "value",
                how.value.is_some(),
                class.takes_constant(field),
                "what differs from record to record has none",
            ),
        ] {
            if is_there && !fits {
                wrong(
                    format!("has a {key}, and only {only}").replace("only what", "what"),
                    format!("it without {key}"),
                );
            }
        }
        words(field, how, &mut wrong);
    }
    for (amount, currency) in
        [(Field::Amount, Field::Currency), (Field::BillingAmount, Field::BillingCurrency)]
    {
        if spec.fields.contains_key(&amount) && !spec.fields.contains_key(&currency) {
            let message =
                format!("is unmapped, and without it {amount} means nothing", amount = amount.as_str());
            let advice = format!(
                "where the currency is, {{ value = \"…\" }} if there is only one, or {} = \"\" as well",
                amount.as_str()
            );
            errors.push(error(Entry::Field(currency), message, advice));
        }
    }
}

/// Whether what a table or a constant gives is what the field holds.
fn words(field: Field, how: &FieldSpec, wrong: &mut impl FnMut(String, String)) {
    let class = field.class();
    let (is_one, what): (fn(Class, &str) -> bool, String) = match class {
        Class::Word(words) => (is_word, format!("one of {}", quoted(words))),
        Class::Currency => (is_currency, "an ISO 4217 code such as \"JPY\"".to_owned()),
        Class::Country => (is_country, "an ISO 3166-1 code such as \"JP\"".to_owned()),
        Class::Category => (is_category, "four digits".to_owned()),
        _ => return,
    };
    for (code, word) in &how.values {
        if !is_one(class, word) {
            wrong(format!("gives the code {code:?} a value that it cannot have"), what.clone());
        }
    }
    for (key, word) in [("default", &how.default), ("value", &how.value)] {
        if word.as_ref().is_some_and(|word| !is_one(class, word)) {
            wrong(format!("has a {key} that it cannot have"), what.clone());
        }
    }
}

fn is_word(class: Class, word: &str) -> bool {
    matches!(class, Class::Word(words) if words.contains(&word))
}

fn is_currency(_: Class, word: &str) -> bool {
    word.parse::<Currency>().is_ok()
}

fn is_country(_: Class, word: &str) -> bool {
    country::alpha2(word).is_some()
}

fn is_category(_: Class, word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit())
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// Names and number of references.
pub(super) fn references(spec: &MappingSpec, errors: &mut Vec<MappingError>) {
    for (name, places) in &spec.references {
        let entry = || Entry::Reference(name.clone());
        if !is_slug(name, REFERENCE_NAME_BYTES_MAX) {
            let advice = "a name of 1 to 32 of a-z, 0-9, \"-\" and \"_\"";
            errors.push(error(entry(), "is not a reference's name", advice));
        }
        if places.is_empty() {
            errors.push(error(entry(), "is nowhere", POINTER));
        }
    }
    if spec.references.len() > REFERENCES_MAX {
        errors.push(error(Entry::References, "names more than eight references", "eight at most"));
    }
}
