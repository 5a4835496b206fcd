//! How the value of a mapped field may be written: a place, several, a constant, or a table with what is to be
//! known for reading it.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::problem::nearest;
use super::shape::{Input, Shape, shape};
use crate::codec::codes::Preset;
use crate::codec::field::{AmountUnit, Class, Field, FieldSpec};
use crate::domain::time_form::{FORMATS, TimeForm, TimeFormError};

const PLACES: &str = "a JSON Pointer such as \"/merchant/id\", or a list of them, of which the first that holds something counts";

/// One or more places of a record.
pub(super) fn places() -> Shape<Vec<String>> {
    shape(PLACES, |input| with_value(input, read_places))
}

/// One or more places of a record, or none.
pub(super) fn places_or_none() -> Shape<Vec<String>> {
    shape(format!("{PLACES}; \"\" for none"), |input| match input.text() {
        Some("") => Ok(Vec::new()),
        _ => with_value(input, read_places),
    })
}

/// How a field is read; `None` says that the stream does not have it.
pub(super) fn source(field: Field) -> Shape<Option<FieldSpec>> {
    let class = field.class();
    let mut table = vec!["field"];
    if class.takes_constant(field) {
        table.push("value");
    }
    table.extend(own_keys(class));
    if Preset::Iso8583.has(field) {
        table.push("preset");
    }
    let table = table.join(", ");
    let table =
        if table == "field" { String::new() } else { format!("; or a table of {table} (docs/mapping.md)") };
    shape(format!("{PLACES}{table}; \"\" for none"), move |input| match input.text() {
        Some("") => Ok(None),
        _ => with_value(input, read_source).map(Some),
    })
}

fn own_keys(class: Class) -> &'static [&'static str] {
    match class {
        Class::Time => &["format", "timezone"],
        Class::Amount => &["unit"],
        Class::Currency | Class::Country | Class::Word(_) => &["values", "default"],
        Class::Text | Class::Category | Class::Expiry => &[],
    }
}

/// Reads a value of the file, or the text of a variable, which may be a list or a table in TOML.
fn with_value<T>(input: &Input<'_>, read: impl Fn(&DeValue<'_>) -> Result<T, String>) -> Result<T, String> {
    match input {
        Input::Value(value) => read(value),
        Input::Text(text) if text.starts_with(['[', '{']) => match DeValue::parse(text) {
            Ok(value) => read(value.get_ref()),
            Err(_) => Err("is not a list or table of TOML".to_owned()),
        },
        Input::Text(text) => read(&DeValue::String((*text).into())),
    }
}

fn read_places(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let place = |value: &DeValue<'_>| -> Result<String, String> {
        let text = value.as_str().ok_or("is not a JSON Pointer")?;
        let escapes_good = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escapes_good {
            Ok(text.to_owned())
        } else {
            Err("is not a JSON Pointer".to_owned())
        }
    };
    match value {
        DeValue::Array(array) if array.is_empty() => Err("is an empty list".to_owned()),
        DeValue::Array(array) => array.iter().map(|entry| place(entry.get_ref())).collect(),
        value => Ok(vec![place(value)?]),
    }
}

fn read_source(value: &DeValue<'_>) -> Result<FieldSpec, String> {
    match value {
        DeValue::Table(table) => read_table(table),
        value => Ok(FieldSpec { pointers: read_places(value)?, ..FieldSpec::default() }),
    }
}

const TABLE_KEYS: [&str; 8] = ["field", "value", "unit", "format", "timezone", "preset", "values", "default"];

fn read_table(table: &DeTable<'_>) -> Result<FieldSpec, String> {
    let mut how = FieldSpec::default();
    let mut mistakes = Vec::new();
    let (mut format, mut zone) = (None, None);
    for (key, value) in table {
        let value = value.get_ref();
        let read = match key.get_ref().as_ref() {
            "field" => read_places(value).map(|pointers| how.pointers = pointers),
            "value" => text(value).map(|text| how.value = Some(text)),
            "unit" => unit(value).map(|unit| how.unit = Some(unit)),
            "format" => text(value).map(|text| format = Some(text)),
            "timezone" => text(value).map(|text| zone = Some(text)),
            "preset" => preset(value).map(|preset| how.preset = Some(preset)),
            "values" => values(value).map(|values| how.values = values),
            "default" => text(value).map(|text| how.default = Some(text)),
            other => {
                mistakes.push(unknown(other));
                continue;
            }
        };
        if let Err(message) = read {
            mistakes.push(format!("has a {} that {message}", key.get_ref()));
        }
    }
    if format.is_some() || zone.is_some() {
        match TimeForm::new(format.as_deref().unwrap_or("rfc3339"), zone.as_deref()) {
            Ok(form) => how.time = Some(form),
            Err(error) => mistakes.push(of_time(error)),
        }
    }
    if how.pointers.is_empty() && how.value.is_none() && mistakes.is_empty() {
        mistakes.push("has neither field nor value".to_owned());
    }
    if mistakes.is_empty() { Ok(how) } else { Err(mistakes.join(", and ")) }
}

fn unknown(key: &str) -> String {
    match nearest(key, TABLE_KEYS.into_iter()) {
        Some(near) => format!("has an unknown key (`{near}` is meant?)"),
        None => format!("has a key that is none of {}", TABLE_KEYS.join(", ")),
    }
}

fn of_time(error: TimeFormError) -> String {
    match error {
        TimeFormError::NoZone => {
            format!("{error}: add timezone = \"Asia/Tokyo\", or wherever they are taken; \"UTC\" if they are")
        }
        TimeFormError::Format | TimeFormError::Pattern => format!("{error} (format is one of {FORMATS})"),
        error => error.to_string(),
    }
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "is not a text in quotes".to_owned())
}

fn unit(value: &DeValue<'_>) -> Result<AmountUnit, String> {
    match value.as_str() {
        Some("major") => Ok(AmountUnit::Major),
        Some("minor") => Ok(AmountUnit::Minor),
        _ => Err("is neither \"major\" (12.50) nor \"minor\" (1250)".to_owned()),
    }
}

fn preset(value: &DeValue<'_>) -> Result<Preset, String> {
    value.as_str().and_then(Preset::from_word).ok_or_else(|| "is not \"iso8583\"".to_owned())
}

fn values(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
    let wrong = || "is not a table of codes and words, such as { \"81\" = \"ecom\" }".to_owned();
    let table = value.as_table().ok_or_else(wrong)?;
    let entries = table.iter().map(|(code, word)| {
        let word = word.get_ref().as_str().ok_or_else(wrong)?;
        Ok((code.get_ref().to_string(), word.to_owned()))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: Field, toml: &str) -> Result<Option<FieldSpec>, String> {
        let value = DeValue::parse(toml).unwrap();
        (source(field).read)(&Input::Value(value.get_ref()))
    }

    #[test]
    fn a_field_is_a_place_several_a_constant_or_a_table() {
        let at = |places: &[&str]| FieldSpec {
            pointers: places.iter().map(|place| (*place).to_owned()).collect(),
            ..FieldSpec::default()
        };
        assert_eq!(read(Field::Id, r#""/a/b""#), Ok(Some(at(&["/a/b"]))));
        assert_eq!(read(Field::Id, r#"["/a", "/b/0"]"#), Ok(Some(at(&["/a", "/b/0"]))));
        assert_eq!(read(Field::Id, r#""""#), Ok(None));
        let constant = read(Field::Channel, r#"{ value = "ecom" }"#).unwrap().unwrap();
        assert_eq!((constant.value.as_deref(), constant.pointers.len()), (Some("ecom"), 0));
        let full = r#"{ field = "/c", values = { "81" = "ecom" }, default = "pos", preset = "iso8583" }"#;
        let full = read(Field::Channel, full).unwrap().unwrap();
        assert_eq!((full.values["81"].as_str(), full.default.as_deref()), ("ecom", Some("pos")));
        assert_eq!(full.preset, Some(Preset::Iso8583));
        let time = r#"{ field = "/t", format = "%Y%m%d%H%M%S", timezone = "Asia/Tokyo" }"#;
        let form = TimeForm::new("%Y%m%d%H%M%S", Some("Asia/Tokyo")).unwrap();
        assert_eq!(read(Field::At, time).unwrap().unwrap().time, Some(form));
        // The same in a variable.
        for (text, want) in [("/a", at(&["/a"])), ("[\"/a\", \"/b\"]", at(&["/a", "/b"]))] {
            assert_eq!((source(Field::Id).read)(&Input::Text(text)), Ok(Some(want)));
        }
        assert!((source(Field::Id).read)(&Input::Text("{ field = ")).is_err());
    }

    #[test]
    fn every_mistake_in_a_table_is_named_and_no_value_repeated() {
        for (field, toml, words) in [
            (
                Field::At,
                r#"{ field = "/t", format = "%Y%m%d%H%M%S" }"#,
                &["without an offset", "timezone"][..],
            ),
            (Field::At, r#"{ field = "/t", format = "yyyyMMdd" }"#, &["no format", "epoch_ms"]),
            (Field::At, r#"{ field = "/t", timezone = "Mars" }"#, &["IANA"]),
            (Field::At, r#"{ fields = "/t" }"#, &["`field` is meant?"]),
            (Field::Amount, r#"{ field = "/a", unit = "cents" }"#, &["has a unit that is neither \"major\""]),
            (
                Field::Channel,
                r#"{ field = "a", values = 5 }"#,
                &["field that is not a JSON Pointer", "values that"],
            ),
            (Field::Channel, r#"{ field = "/a", preset = "visa" }"#, &["is not \"iso8583\""]),
            (Field::Channel, "{}", &["neither field nor value"]),
            (Field::Channel, "[]", &["an empty list"]),
            (Field::Channel, "5", &["is not a JSON Pointer"]),
        ] {
            let message = read(field, toml).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{toml}: {message}");
            assert!(!message.contains("visa") && !message.contains("Mars") && !message.contains("cents"));
        }
    }
}
