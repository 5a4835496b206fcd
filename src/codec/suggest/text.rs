//! The proposal as TOML to paste.

use std::fmt::Write as _;

use super::choose::{Choice, Proposal};
use crate::codec::mapping::Field;
use crate::domain::card::CardKind;

/// The column that evidence starts in, where the line before it is short enough.
const EVIDENCE_AT: usize = 58;

/// Writes the proposal. `about` says what was looked at.
pub(super) fn write(proposal: &Proposal, about: &str) -> String {
    let mut text = format!(
        "# A mapping proposed from {about}, by names and shapes of values.\n\
         # Look at each line, at those with CHECK above all; then `cardwatch check --sample 1000`.\n"
    );
    match &proposal.card {
        None => text.push_str("\n# CHECK: nothing looks like a card number, token or fingerprint.\n[input.card]\nfield = \"/card\"\n"),
        Some((kind, choice)) => {
            text.push_str("\n[input.card]\n");
            line(&mut text, "field", &value(choice), choice);
            let _ = writeln!(text, "kind = \"{}\"", kind.as_str());
            for (kind, choice) in &proposal.other_cards {
                line(&mut text, kind.as_str(), &value(choice), choice);
            }
            if *kind == CardKind::Fingerprint {
                text.push_str("# CHECK: key_field, where the id of the key is, if it is in the record.\n");
            }
        }
    }
    text.push_str("\n[mapping]\n");
    let found = |field: Field| proposal.fields.iter().find(|(known, _)| *known == field);
    for &field in Field::ALL {
        match (found(field), field) {
            (Some((_, choice)), _) => line(&mut text, field.as_str(), &value(choice), choice),
            (None, Field::Currency) if found(Field::Amount).is_some() => {
                text.push_str("currency = { value = \"XXX\" }  # CHECK: no currency was found; write the only one there is\n");
            }
            (None, _) => {
                let _ = writeln!(text, "{} = \"\"", field.as_str());
            }
        }
    }
    if let Some(choice) = &proposal.account {
        text.push_str("\n[mapping.references]\n");
        line(&mut text, "account", &value(choice), choice);
    }
    text
}

fn line(text: &mut String, key: &str, value: &str, choice: &Choice) {
    let start = format!("{key} = {value}");
    let check = if choice.is_guess { "CHECK: " } else { "" };
    let _ = writeln!(text, "{start:<EVIDENCE_AT$}  # {check}{}", choice.why);
}

fn value(choice: &Choice) -> String {
    let places: Vec<String> = choice.pointers.iter().map(|pointer| quoted(pointer)).collect();
    let places = match places.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    if choice.how.is_empty() { places } else { format!("{{ field = {places}, {} }}", choice.how.join(", ")) }
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(char);
            }
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
