//! Which place is taken for which field.

use std::collections::BTreeMap;

use super::evidence::{Evidence, Trait};
use super::names::{self, Role};
use crate::codec::mapping::{Class, Field};
use crate::domain::card::CardKind;

/// A place and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// JSON Pointers, the likeliest first.
    pub(super) pointers: Vec<String>,
    /// Further keys of its table, in TOML: `unit = "minor"`.
    pub(super) how: Vec<String>,
    /// Why, in words.
    pub(super) why: String,
    /// Whether somebody must look at it before it is used.
    pub(super) is_guess: bool,
}

/// The proposal.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    pub(super) card: Option<(CardKind, Choice)>,
    pub(super) other_cards: Vec<(CardKind, Choice)>,
    pub(super) fields: Vec<(Field, Choice)>,
    pub(super) account: Option<Choice>,
}

type Places = BTreeMap<String, Evidence>;

/// Chooses from what was seen of `records`.
pub(super) fn choose(places: &Places, records: u64) -> Proposal {
    let mut proposal = Proposal::default();
    let mut taken: Vec<String> = Vec::new();
    let told = |role: Role, one: Trait, what: &str, is_named: bool| {
        best(places, role, is_named, &[], |evidence| evidence.is(one)).map(|(pointer, evidence)| Choice {
            why: format!("{} of {records} records, {what} in {}", evidence.found, evidence.count(one)),
            ..plain(pointer)
        })
    };
    let named = |role: Role, taken: &[String]| {
        let fits = |evidence: &Evidence| evidence.is(Trait::Text) && !evidence.is(Trait::Luhn);
        best(places, role, true, taken, fits).map(|(pointer, evidence)| Choice {
            why: format!("{} of {records} records, by its name", evidence.found),
            ..plain(pointer)
        })
    };
    let funding = told(Role::Funding, Trait::Luhn, "the check digit right", true);
    let cards = [
        (CardKind::Number, card_number(places, records, funding.as_ref())),
        (CardKind::FundingNumber, funding),
        (CardKind::Fingerprint, told(Role::Fingerprint, Trait::Fingerprint, "64 hexadecimal digits", true)),
        (CardKind::Token, named(Role::Token, &[])),
        (CardKind::AccountReference, named(Role::AccountReference, &[])),
    ];
    for (kind, choice) in cards {
        let Some(choice) = choice else { continue };
        if choice.pointers.iter().any(|pointer| taken.contains(pointer)) {
            continue;
        }
        if kind != CardKind::AccountReference {
            taken.extend(choice.pointers.iter().cloned());
        }
        match (&proposal.card, kind) {
            (None, CardKind::FundingNumber) => proposal.card = Some((CardKind::Number, choice)),
            (None, _) => proposal.card = Some((kind, choice)),
            // A fingerprint stands in the card field or nowhere.
            (Some(_), CardKind::Fingerprint) => {}
            (Some(_), _) => proposal.other_cards.push((kind, choice)),
        }
    }
    for &field in Field::ALL {
        if let Some(choice) = choose_field(places, records, field, &taken) {
            proposal.fields.push((field, choice));
        }
    }
    drop_amounts_without_currency(&mut proposal);
    proposal.account = best(places, Role::Account, true, &taken, |evidence| evidence.found > 0).map(
        |(pointer, evidence)| Choice {
            why: format!("{} of {records} records, by its name", evidence.found),
            ..plain(pointer)
        },
    );
    proposal
}

/// A card number shows by its check digit, whatever it is called.
fn card_number(places: &Places, records: u64, funding: Option<&Choice>) -> Option<Choice> {
    let taken = funding.map(|choice| choice.pointers.clone()).unwrap_or_default();
    let (pointer, evidence) =
        best(places, Role::Card, false, &taken, |evidence| evidence.is(Trait::Luhn) && evidence.found > 1)?;
    let right = evidence.count(Trait::Luhn);
    Some(Choice {
        why: format!(
            "{} of {records} records, 12 to 19 digits with the check digit right in {right}",
            evidence.found
        ),
        is_guess: names::fit(Role::Card, pointer) == 0,
        ..plain(pointer)
    })
}

fn plain(pointer: &str) -> Choice {
    Choice { pointers: vec![pointer.to_owned()], how: Vec::new(), why: String::new(), is_guess: false }
}

/// The place that fits a role best by name, then by how often it is there, among those `fits` accepts.
fn best<'p>(
    places: &'p Places,
    role: Role,
    is_named: bool,
    taken: &[String],
    fits: impl Fn(&Evidence) -> bool,
) -> Option<(&'p String, &'p Evidence)> {
    let free = places.iter().filter(|(pointer, _)| !taken.contains(pointer));
    let scored = free.map(|(pointer, evidence)| (names::fit(role, pointer), pointer, evidence));
    scored
        .filter(|(fit, _, evidence)| evidence.found > 0 && (*fit > 0 || !is_named) && fits(evidence))
        .max_by_key(|(fit, pointer, evidence)| (*fit, evidence.found, std::cmp::Reverse(pointer.len())))
        .map(|(_, pointer, evidence)| (pointer, evidence))
}

fn choose_field(places: &Places, records: u64, field: Field, taken: &[String]) -> Option<Choice> {
    let role = Role::Field(field);
    let found = |pointer: &str, evidence: &Evidence, what: &str| Choice {
        why: format!("{} of {records} records, {what}", evidence.found),
        ..plain(pointer)
    };
    match field.class() {
        Class::Text => {
            let fits = |evidence: &Evidence| match field {
                Field::Id => evidence.is_distinct() && !evidence.is(Trait::Truth),
                Field::ResponseCode => !evidence.is(Trait::Truth),
                _ => evidence.is(Trait::Text),
            };
            let (pointer, evidence) = best(places, role, true, taken, fits)?;
            let what = if field == Field::Id { "nearly all different" } else { "by its name" };
            Some(found(pointer, evidence, what))
        }
        Class::Time => time(places, records, taken),
        Class::Amount => amount(places, records, role, taken),
        Class::Currency => {
            let fits = |it: &Evidence| it.is(Trait::CurrencyLetters) || it.is(Trait::CurrencyNumber);
            let (pointer, evidence) = best(places, role, true, taken, fits)?;
            Some(found(pointer, evidence, "a code of ISO 4217"))
        }
        Class::Country => {
            let (pointer, evidence) = best(places, role, true, taken, |it| it.is(Trait::Country))?;
            Some(found(pointer, evidence, "a code of ISO 3166-1"))
        }
        Class::Category => {
            let (pointer, evidence) = best(places, role, true, taken, |it| it.is(Trait::FourDigits))?;
            Some(found(pointer, evidence, "four digits"))
        }
        Class::Expiry => {
            let (pointer, evidence) = best(places, role, true, taken, |it| it.is(Trait::Expiry))?;
            Some(found(pointer, evidence, "a date of expiry"))
        }
        Class::Word(_) => coded(places, records, field, taken),
    }
}

fn time(places: &Places, records: u64, taken: &[String]) -> Option<Choice> {
    const UTC: &str = "timezone = \"UTC\"";
    let forms: [(Trait, &str, &[&str], bool); 6] = [
        (Trait::Rfc3339, "RFC 3339 with an offset", &[], false),
        (
            Trait::Compact,
            "YYYYMMDDhhmmss without an offset: say where",
            &["format = \"%Y%m%d%H%M%S\"", UTC],
            true,
        ),
        (Trait::EpochMicros, "microseconds since 1970", &["format = \"epoch_us\""], false),
        (Trait::EpochMillis, "milliseconds since 1970", &["format = \"epoch_ms\""], false),
        (Trait::EpochSeconds, "seconds since 1970", &["format = \"epoch_s\""], false),
        (Trait::Rfc3339Civil, "RFC 3339 without an offset: say where", &[UTC], true),
    ];
    let is_time = |it: &Evidence| forms.iter().any(|(one, ..)| it.is(*one));
    let role = Role::Field(Field::At);
    // Text that reads as a time is one whatever it is called; a number needs the name.
    let (pointer, evidence) = best(places, role, true, taken, is_time)
        .or_else(|| best(places, role, false, taken, |it| it.is(Trait::Rfc3339)))?;
    let (_, what, how, is_guess) = forms.into_iter().find(|(one, ..)| evidence.is(*one))?;
    Some(Choice {
        how: how.iter().map(|one| (*one).to_owned()).collect(),
        why: format!("{} of {records} records, {what}", evidence.found),
        is_guess,
        ..plain(pointer)
    })
}

fn amount(places: &Places, records: u64, role: Role, taken: &[String]) -> Option<Choice> {
    let is_amount = |it: &Evidence| it.is_nearly_all(it.count(Trait::Decimal) + it.count(Trait::Whole));
    let (pointer, evidence) = best(places, role, true, taken, is_amount)?;
    let (padded, decimal) = (evidence.is(Trait::Padded), evidence.count(Trait::Decimal));
    let (how, what, is_guess) = match () {
        () if padded => {
            (vec!["unit = \"minor\"".to_owned()], "12 digits with leading zeros".to_owned(), false)
        }
        () if decimal > 0 => (Vec::new(), format!("a decimal point in {decimal}"), false),
        () => (vec!["unit = \"minor\"".to_owned()], "whole numbers: minor units?".to_owned(), true),
    };
    Some(Choice {
        how,
        why: format!("{} of {records} records, {what}", evidence.found),
        is_guess,
        ..plain(pointer)
    })
}

fn coded(places: &Places, records: u64, field: Field, taken: &[String]) -> Option<Choice> {
    let role = Role::Field(field);
    let traits: &[Trait] = match field {
        Field::Kind => &[Trait::MessageType, Trait::ProcessingCode],
        Field::Outcome => &[Trait::ResponseCode],
        Field::Channel | Field::Credential => &[Trait::EntryMode],
        Field::Cvv | Field::Avs => &[Trait::Letter],
        Field::ThreeDs => &[Trait::Indicator],
        _ => &[],
    };
    // A response code is not called an outcome.
    let code_role = if field == Field::Outcome { Role::Field(Field::ResponseCode) } else { role };
    let mut pointers = Vec::new();
    let mut found = 0;
    for one in traits {
        if let Some((pointer, evidence)) = best(places, code_role, true, taken, |it| it.is(*one)) {
            pointers.push(pointer.clone());
            found = evidence.found.max(found);
        }
    }
    if !pointers.is_empty() {
        let why = format!("{found} of {records} records, codes of ISO 8583");
        return Some(Choice { pointers, how: vec!["preset = \"iso8583\"".to_owned()], why, is_guess: false });
    }
    let known = |evidence: &Evidence| -> Vec<(String, &'static str)> {
        let words = evidence.words.iter();
        let mut known: Vec<_> =
            words.filter_map(|word| Some((word.clone(), names::stands_for(field, word)?))).collect();
        known.sort();
        known
    };
    let fits = |it: &Evidence| it.worded * 2 > it.found && !known(it).is_empty();
    let (pointer, evidence) = best(places, role, true, taken, fits)?;
    let Class::Word(own) = field.class() else { return None };
    let table: Vec<String> = known(evidence)
        .into_iter()
        .filter(|(word, _)| !own.contains(&word.as_str()))
        .map(|(word, meaning)| format!("{} = \"{meaning}\"", super::text::quoted(&word)))
        .collect();
    let how =
        if table.is_empty() { Vec::new() } else { vec![format!("values = {{ {} }}", table.join(", "))] };
    let why = format!("{} of {records} records, known words in {}", evidence.found, evidence.worded);
    Some(Choice { how, why, is_guess: !evidence.is_nearly_all(evidence.worded), ..plain(pointer) })
}

/// An amount without its currency means nothing, and the mapping would be refused.
fn drop_amounts_without_currency(proposal: &mut Proposal) {
    for (amount, currency) in
        [(Field::Amount, Field::Currency), (Field::BillingAmount, Field::BillingCurrency)]
    {
        let has = |field: Field, fields: &[(Field, Choice)]| fields.iter().any(|(known, _)| *known == field);
        if !has(currency, &proposal.fields) || !has(amount, &proposal.fields) {
            let is_lone_amount = has(amount, &proposal.fields) && amount == Field::Amount;
            if !is_lone_amount {
                proposal.fields.retain(|(field, _)| *field != amount && *field != currency);
            }
        }
    }
}
