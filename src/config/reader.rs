//! Finds the value of each key, in the environment or in the file, and remembers every mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, nearest};
use super::section::Source;
use super::shape::{Input, Shape};
use crate::fault;

/// What every variable that sets a key begins with.
const VARIABLE_PREFIX: &str = "CARDWATCH_";

/// The name of the variable that sets the key at `path`.
pub(super) fn variable_name(path: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// Reads keys one by one; what nobody asked for is unknown.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    file: Option<(PathBuf, &'t str)>,
    table: DeTable<'t>,
    variables: BTreeMap<String, String>,
    /// Keys asked for, with their sections.
    keys: BTreeSet<String>,
    /// Sections whose keys the user names.
    maps: BTreeSet<String>,
    /// Lists of tables.
    lists: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    /// Reads the text of the file, if there is one. A text that is not TOML is a mistake for each place
    /// where it is not; what can be made sense of is still read.
    pub(super) fn new(
        file: Option<(&Path, &'t str)>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Reader<'t> {
        let variables = variables
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX) && !fault::is_variable(name))
            .collect();
        let mut reader = Reader {
            file: file.map(|(path, text)| (path.to_owned(), text)),
            table: DeTable::new(),
            variables,
            keys: BTreeSet::new(),
            maps: BTreeSet::new(),
            lists: BTreeSet::new(),
            problems: Vec::new(),
        };
        if let Some((_, text)) = file {
            let (table, errors) = DeTable::parse_recoverable(text);
            reader.table = table.into_inner();
            for error in errors {
                let place = reader.line(error.span().unwrap_or_default());
                reader.mistake(place, "", format!("not TOML: {}", error.message()), String::new());
            }
        }
        reader
    }

    /// The entries of the section at `path`, whose keys the user names. In a variable's name the key is
    /// in capitals; `name_of` turns it back.
    pub(super) fn map<T>(
        &mut self,
        path: &str,
        shape: &Shape<T>,
        name_of: impl Fn(&str) -> String,
    ) -> BTreeMap<String, (Place, T)> {
        self.maps.insert(path.to_owned());
        let mut found = Vec::new();
        if let Some((_, value)) = self.find(path)
            && let Some(table) = value.get_ref().as_table()
        {
            for (key, value) in table {
                let read = (shape.read)(&Input::Value(value.get_ref()));
                found.push((key.get_ref().to_string(), self.line(key.span()), read));
            }
        }
        let prefix = format!("{}__", variable_name(path));
        for (variable, text) in &self.variables {
            if let Some(rest) = variable.strip_prefix(&prefix) {
                let read = (shape.read)(&Input::Text(text));
                found.push((name_of(rest), Place::Variable(variable.clone()), read));
            }
        }
        let mut entries = BTreeMap::new();
        for (key, place, read) in found {
            match read {
                Ok(value) => {
                    entries.insert(key, (place, value));
                }
                Err(wrong) => self.mistake(place, &format!("{path}.{key}"), wrong, shape.allowed.clone()),
            }
        }
        entries
    }

    /// Adds a mistake at the key at `path`, which may or may not be written anywhere.
    pub(super) fn wrong(&mut self, path: &str, message: impl Into<String>, advice: impl Into<String>) {
        let place = self.place(path);
        self.mistake(place, path, message.into(), advice.into());
    }

    /// Adds a mistake at a place already known.
    pub(super) fn mistake(&mut self, place: Place, key: &str, message: String, advice: String) {
        self.problems.push(Problem { place, key: key.to_owned(), message, advice });
    }

    /// Where the key at `path` is written.
    fn place(&self, path: &str) -> Place {
        let variable = variable_name(path);
        if self.variables.contains_key(&variable) {
            return Place::Variable(variable);
        }
        match (self.find(path), &self.file) {
            (Some((span, _)), _) => self.line(span),
            (None, Some((file, _))) => Place::File(file.clone()),
            (None, None) => Place::Default,
        }
    }

    /// The key and value at `path`.
    fn find(&self, path: &str) -> Option<(Range<usize>, &Spanned<DeValue<'t>>)> {
        find_in(&self.table, path)
    }

    /// A copy of what stands at `path`, and where.
    pub(super) fn found(&self, path: &str) -> Option<(Range<usize>, DeValue<'t>)> {
        self.find(path).map(|(span, value)| (span, value.get_ref().clone()))
    }

    /// The list of tables at `path` is known.
    pub(super) fn know_list(&mut self, path: &str) {
        self.lists.insert(path.to_owned());
    }

    /// The line of a place in the file.
    pub(super) fn line(&self, span: Range<usize>) -> Place {
        match &self.file {
            None => Place::Default,
            Some((file, text)) => {
                let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
                Place::Line(file.clone(), 1 + before.iter().filter(|byte| **byte == b'\n').count())
            }
        }
    }

    /// The first line of a text in the file. One in three quotes may begin on the line after them.
    pub(super) fn text_line(&self, span: Range<usize>) -> Place {
        let opening = self.file.as_ref().and_then(|(_, text)| text.get(span.clone())).unwrap_or_default();
        let mut inner = ["\"\"\"", "'''"].iter().filter_map(|quotes| opening.strip_prefix(quotes));
        let is_below = inner.any(|rest| rest.starts_with(['\r', '\n']));
        match self.line(span) {
            Place::Line(file, line) => Place::Line(file, line + usize::from(is_below)),
            other => other,
        }
    }

    /// Every mistake, unknown keys and variables among them, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        let mut unknown = Vec::new();
        self.unknown_keys(&self.table, "", &mut unknown);
        self.unknown_variables(&mut unknown);
        self.problems.append(&mut unknown);
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }

    fn unknown_keys(&self, table: &DeTable<'t>, section: &str, problems: &mut Vec<Problem>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            if (self.keys.contains(&path) || self.lists.contains(&path)) && !name.contains('.') {
                continue;
            }
            let place = self.line(key.span());
            let is_section = self.sections().any(|section| section == path);
            let (message, advice) = match value.get_ref() {
                DeValue::Table(_) if self.maps.contains(&path) => continue,
                DeValue::Table(inner) if is_section => {
                    self.unknown_keys(inner, &path, problems);
                    continue;
                }
                _ if is_section => {
                    ("is a section, not a key".to_owned(), format!("[{path}] and its keys below"))
                }
                DeValue::Table(_) => ("unknown section".to_owned(), self.instead_of(section, name)),
                _ => ("unknown key".to_owned(), self.instead_of(section, name)),
            };
            problems.push(Problem { place, key: path, message, advice });
        }
    }

    /// What the unknown `name` in `section` was probably meant to be.
    fn instead_of(&self, section: &str, name: &str) -> String {
        let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
        let beside: BTreeSet<&str> = self
            .paths()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('.').next())
            .collect();
        if let Some(near) = nearest(name, beside.iter().copied()) {
            return format!("`{near}`");
        }
        let elsewhere: Vec<&str> = self
            .keys
            .iter()
            .filter_map(|key| key.rsplit_once('.'))
            .filter(|(_, leaf)| *leaf == name)
            .map(|(at, _)| at)
            .collect();
        match elsewhere.as_slice() {
            [] => format!("one of {}", beside.into_iter().collect::<Vec<_>>().join(", ")),
            sections => format!("it in [{}]", sections.join("] or [")),
        }
    }

    fn unknown_variables(&self, problems: &mut Vec<Problem>) {
        let names: Vec<String> = self.keys.iter().map(|key| variable_name(key)).collect();
        let maps: Vec<String> = self.maps.iter().map(|map| format!("{}__", variable_name(map))).collect();
        for variable in self.variables.keys() {
            if names.contains(variable) || maps.iter().any(|map| variable.starts_with(map)) {
                continue;
            }
            let advice = match nearest(variable, names.iter().map(String::as_str)) {
                Some(near) => near.to_owned(),
                None => "CARDWATCH_SECTION__KEY of a key in config/reference.toml".to_owned(),
            };
            problems.push(Problem {
                place: Place::Variable(variable.clone()),
                key: String::new(),
                message: "no such setting".to_owned(),
                advice,
            });
        }
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().chain(&self.maps).chain(&self.lists).map(String::as_str)
    }

    /// Every section: whatever stands before a dot in the name of a key or a map, and the maps.
    fn sections(&self) -> impl Iterator<Item = &str> {
        let before_dots = self.paths().flat_map(|path| path.match_indices('.').map(|(dot, _)| &path[..dot]));
        before_dots.chain(self.maps.iter().map(String::as_str))
    }
}

impl Source for Reader<'_> {
    /// From the environment, otherwise from the file.
    fn value<T>(&mut self, path: &str, default: &str, shape: &Shape<T>) -> Option<T> {
        self.keys.insert(path.to_owned());
        let read = match self.variables.get(&variable_name(path)) {
            Some(text) => Some((shape.read)(&Input::Text(text))),
            None => self.find(path).map(|(_, value)| (shape.read)(&Input::Value(value.get_ref()))),
        };
        match read {
            Some(Ok(value)) => return Some(value),
            Some(Err(wrong)) => self.wrong(path, wrong, shape.allowed.clone()),
            None => {}
        }
        let default = DeValue::parse(default).ok()?;
        (shape.read)(&Input::Value(default.get_ref())).ok()
    }
}

fn find_in<'r, 't>(table: &'r DeTable<'t>, path: &str) -> Option<(Range<usize>, &'r Spanned<DeValue<'t>>)> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    match rest {
        None => Some((key.span(), value)),
        Some(rest) => find_in(value.get_ref().as_table()?, rest),
    }
}
