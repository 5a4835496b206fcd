//! Lists of tables: `[[section.name]]`, the same few keys in each.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, nearest};
use super::reader::Reader;
use super::section::Source;
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

impl<'t> Row<'t> {
    /// The keys that are written in the table.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    fn find(&self, name: &str) -> Option<(Range<usize>, &Spanned<DeValue<'t>>)> {
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
        Some((key.span(), value))
    }
}

/// One table of a list as a source of keys, all of which have a default.
#[derive(Debug)]
pub(super) struct Cells<'r, 't> {
    pub(super) reader: &'r mut Reader<'t>,
    pub(super) row: &'r Row<'t>,
    /// The keys whose values could not be read.
    pub(super) faulty: BTreeSet<String>,
}

impl Source for Cells<'_, '_> {
    fn value<T>(&mut self, path: &str, default: &str, shape: &Shape<T>) -> Option<T> {
        let name = path.rsplit('.').next().unwrap_or(path);
        if self.row.find(name).is_some() {
            match self.reader.cell(self.row, name, shape) {
                Some(value) => return Some(value),
                None => self.faulty.insert(name.to_owned()),
            };
        }
        let default = DeValue::parse(default).ok()?;
        (shape.read)(&Input::Value(default.get_ref())).ok()
    }
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
        let Some((found, value)) = row.find(name) else {
            self.mistake(row.place.clone(), &key, "is missing".to_owned(), shape.allowed.clone());
            return None;
        };
        match (shape.read)(&Input::Value(value.get_ref())) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let place = self.line(found);
                self.mistake(place, &key, wrong, shape.allowed.clone());
                None
            }
        }
    }

    /// Where a key of a row is written; of one that is not, where the row begins.
    pub(super) fn cell_place(&self, row: &Row<'t>, name: &str) -> Place {
        row.find(name).map_or_else(|| row.place.clone(), |(key, _)| self.line(key))
    }

    /// Where line `line`, from 0, of a text stands that is the value of a key of a row.
    pub(super) fn text_place(&self, row: &Row<'t>, name: &str, line: usize) -> Place {
        match row.find(name).map(|(_, value)| self.text_line(value.span())) {
            Some(Place::Line(file, first)) => Place::Line(file, first + line),
            _ => self.cell_place(row, name),
        }
    }
}
