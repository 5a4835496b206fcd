//! Lists of tables: `[[section.name]]`, the same few keys in each.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problem::{Place, nearest};
use super::reader::Reader;
use super::shape::{Input, Shape};

/// One table of a list.
#[derive(Debug)]
pub(super) struct Row<'t> {
    /// The path of the list.
    path: &'static str,
    /// Where the table begins.
    pub(super) place: Place,
    table: DeTable<'t>,
}

impl<'t> Reader<'t> {
    /// The tables of the list at `path`, whose keys are `names`. No variable sets any of them.
    pub(super) fn rows(&mut self, path: &'static str, names: &[&'static str]) -> Vec<Row<'t>> {
        self.know_list(path);
        let Some((span, value)) = self.found(path) else { return Vec::new() };
        let not_tables = |reader: &mut Reader<'t>, span: Range<usize>| {
            let place = reader.line(span);
            reader.mistake(
                place,
                path,
                "is not a list of tables".to_owned(),
                format!("[[{path}]] and its keys below"),
            );
        };
        let DeValue::Array(array) = value else {
            not_tables(self, span);
            return Vec::new();
        };
        let mut rows = Vec::new();
        for entry in array.iter() {
            let DeValue::Table(table) = entry.get_ref() else {
                not_tables(self, entry.span());
                continue;
            };
            for (key, _) in table {
                let name = key.get_ref().as_ref();
                if !names.contains(&name) {
                    let place = self.line(key.span());
                    let advice = nearest(name, names.iter().copied())
                        .map_or_else(|| format!("one of {}", names.join(", ")), |near| format!("`{near}`"));
                    self.mistake(place, &format!("{path}.{name}"), "unknown key".to_owned(), advice);
                }
            }
            rows.push(Row { path, place: self.line(entry.span()), table: table.clone() });
        }
        rows
    }

    /// The value of a key in a row; a row without it is a mistake.
    pub(super) fn cell<T>(&mut self, row: &Row<'t>, name: &str, shape: &Shape<T>) -> Option<T> {
        let key = format!("{}.{name}", row.path);
        let Some((found, value)) = row.table.iter().find(|(key, _)| key.get_ref().as_ref() == name) else {
            self.mistake(row.place.clone(), &key, "is missing".to_owned(), shape.allowed.clone());
            return None;
        };
        match (shape.read)(&Input::Value(value.get_ref())) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let place = self.line(found.span());
                self.mistake(place, &key, wrong, shape.allowed.clone());
                None
            }
        }
    }
}
