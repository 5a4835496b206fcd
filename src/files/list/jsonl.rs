//! One JSON object a line. Empty lines are passed over.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::domain::card::CardKind;
use crate::files::input::{Input, LineText, Lines};
use crate::files::list::cells::{CARD, CHECK, Cells, EXPIRY, KEY, REFERENCES, Record, Records, TIER};
use crate::files::list::{Column, ListError, ListSpec, RECORD_BYTES_MAX, RejectReason, sniff};

pub(super) struct JsonRecords {
    lines: Lines,
    /// The slot of each wanted field. Several names for the card stand for the first that is there.
    fields: Vec<(Field, usize)>,
}

enum Field {
    Named(String),
    /// The card's field, by any usual name.
    UsualCard(CardKind),
}

impl Field {
    fn is(&self, name: &str) -> bool {
        match self {
            Field::Named(wanted) => wanted == name,
            Field::UsualCard(kind) => sniff::is_usual_name(name, *kind),
        }
    }
}

impl JsonRecords {
    pub(super) fn new(input: Input, spec: &ListSpec) -> JsonRecords {
        let named = |column: &Column| match column {
            Column::Name(name) => Field::Named(name.clone()),
            // A JSON object has no numbered places, but a field may well be called "1".
            Column::Number(number) => Field::Named(number.to_string()),
        };
        let mut fields = vec![(spec.card.as_ref().map_or(Field::UsualCard(spec.kind), named), CARD)];
        if spec.kind == CardKind::Fingerprint {
            let own = [("key", KEY), ("check", CHECK)];
            fields.extend(own.map(|(name, slot)| (Field::Named(name.to_owned()), slot)));
        }
        let optional = [(&spec.expiry, EXPIRY), (&spec.tier, TIER)];
        fields.extend(optional.iter().filter_map(|(column, slot)| Some((named(column.as_ref()?), *slot))));
        let references = spec.references.iter().enumerate();
        fields.extend(references.map(|(place, (_, column))| (named(column), REFERENCES + place)));
        JsonRecords { lines: Lines::new(input, RECORD_BYTES_MAX), fields }
    }
}

impl Records for JsonRecords {
    fn next(&mut self, cells: &mut Cells) -> Result<Option<Record>, ListError> {
        while let Some(line) = self.lines.next_line()? {
            let refused = match line.text {
                LineText::Whole(text) if text.trim_ascii().is_empty() => continue,
                LineText::Whole(text) => take(text, &self.fields, cells).err(),
                LineText::TooLong(_) => Some(RejectReason::TooLong),
            };
            return Ok(Some(Record { line: line.number, refused }));
        }
        Ok(None)
    }
}

fn take(line: &[u8], fields: &[(Field, usize)], cells: &mut Cells) -> Result<(), RejectReason> {
    let object: Object<'_> = serde_json::from_slice(line).map_err(|_| RejectReason::Json)?;
    for (field, slot) in fields {
        let mut values = object.0.iter().filter(|(name, _)| field.is(name));
        let Some((name, value)) = values.next() else { continue };
        if values.any(|(other, _)| other == name) {
            return Err(RejectReason::FieldTwice);
        }
        let raw = value.get();
        match raw.as_bytes() {
            [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => cells.put(*slot, inner)?,
            [b'"', ..] => {
                let text = serde_json::from_str::<String>(raw).map_err(|_| RejectReason::Json)?;
                cells.put(*slot, Zeroizing::new(text).as_bytes())?;
            }
            [b'0'..=b'9' | b'-', ..] => cells.put(*slot, raw.as_bytes())?,
            b"null" => {}
            _ => return Err(RejectReason::FieldType),
        }
    }
    Ok(())
}

/// The fields of an object, borrowed from its line.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
