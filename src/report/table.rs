//! Tables: the same rows as text for people and as JSON for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde_json::Value;

use super::plain::{escaped, grouped, percent, plain};
use crate::domain::money::Currency;

/// What `--format` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How output is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Text or JSON.
    pub format: Format,
    /// Whether it goes to a terminal: lines are drawn and long cells wrapped. In a pipe neither is.
    pub terminal: bool,
}

impl Look {
    /// The look for standard output as it is connected now.
    pub fn of_stdout(format: Format) -> Look {
        Look { format, terminal: io::stdout().is_terminal() }
    }
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// Nothing: empty in text, `null` in JSON.
    #[default]
    Empty,
    /// Text. What a terminal would obey is taken out in text and kept (escaped) in JSON.
    Text(String),
    /// A fixed name: its word in JSON and its words for people.
    Named(&'static str, &'static str),
    /// A whole number, with commas in text.
    Count(u64),
    /// A number with one decimal place in text; all places in JSON.
    Number(Option<f64>),
    /// Minor units of a currency: major units with commas in text; in JSON the minor units as text, as in alerts.
    Amount(u64, Currency),
    /// A share of 1: a percentage in text, the share itself in JSON.
    Share(Option<f64>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Cell {
        Cell::Count(number)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Empty, Into::into)
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => plain(text),
            Cell::Named(_, title) => (*title).to_owned(),
            Cell::Count(number) => grouped(*number),
            Cell::Number(number) => number.map_or("–".to_owned(), |number| format!("{number:.1}")),
            Cell::Share(share) => percent(*share),
            Cell::Amount(minor, currency) => {
                let text = currency.major_text(*minor);
                let (whole, part) = text.split_at(text.find('.').unwrap_or(text.len()));
                whole.parse().map_or(text.clone(), |whole| grouped(whole) + part)
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Empty => Value::Null,
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Named(name, _) => Value::from(*name),
            Cell::Count(number) => Value::from(*number),
            Cell::Number(number) | Cell::Share(number) => Value::from(*number),
            Cell::Amount(minor, _) => Value::from(minor.to_string()),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Cell::Count(_) | Cell::Number(_) | Cell::Share(_) | Cell::Amount(..))
    }
}

/// A column: its name in JSON and its heading in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name in JSON.
    pub key: &'static str,
    /// The heading in text.
    pub title: &'static str,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The name in JSON, where a command prints several.
    pub key: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table with these columns, each a name in JSON and a heading in text.
    pub fn new<const N: usize>(key: &'static str, columns: [(&'static str, &'static str); N]) -> Table {
        let columns = columns.into_iter().map(|(key, title)| Column { key, title }).collect();
        Table { key, columns, rows: Vec::new() }
    }

    /// Adds a row. Cells beyond the columns are left out, missing ones are empty.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        let mut cells = Vec::from(cells);
        cells.resize(self.columns.len(), Cell::Empty);
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as JSON: an array of objects.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let fields = self.columns.iter().zip(row);
            Value::Object(fields.map(|(column, cell)| (column.key.to_owned(), cell.json())).collect())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    /// Several tables as JSON: one object with an array for each.
    pub fn object(tables: &[Table]) -> Value {
        Value::Object(tables.iter().map(|table| (table.key.to_owned(), table.json())).collect())
    }

    /// The rows as text, each line ended. Columns of numbers stand at the right.
    pub fn text(&self, terminal: bool) -> String {
        let mut table = comfy_table::Table::new();
        if terminal {
            table.load_style(presets::UTF8_FULL_CONDENSED.with_rounded_corners());
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.load_style(presets::NOTHING).force_no_tty();
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        let right: Vec<bool> = (0..self.columns.len()).map(|place| self.is_numeric(place)).collect();
        let titles = self.columns.iter().map(|column| column.title.to_owned());
        table.set_header(titles.zip(&right).map(|(title, right)| aligned(title, *right)));
        for row in &self.rows {
            table.add_row(row.iter().zip(&right).map(|(cell, right)| aligned(cell.text(), *right)));
        }
        if !terminal {
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }

    /// The rows as a table in Markdown, each line ended.
    pub fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| {
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule = |place| if self.is_numeric(place) { "---:" } else { "---" }.to_owned();
        let mut text = line(&mut self.columns.iter().map(|column| escaped(column.title)));
        text.push_str(&line(&mut (0..self.columns.len()).map(rule)));
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(|cell| escaped(&cell.text()))));
        }
        text
    }

    /// Whether a column holds numbers and nothing else.
    fn is_numeric(&self, place: usize) -> bool {
        let mut cells =
            self.rows.iter().filter_map(|row| row.get(place)).filter(|cell| **cell != Cell::Empty).peekable();
        cells.peek().is_some() && cells.all(Cell::is_number)
    }

    /// Writes the rows.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: &mut dyn Write, look: Look) -> io::Result<()> {
        match look.format {
            Format::Text => out.write_all(self.text(look.terminal).as_bytes()),
            Format::Json => writeln!(out, "{}", self.json()),
        }
    }

    /// Writes several tables: in text one below the other, those without rows left out; in JSON one object with an array for each.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_all(out: &mut dyn Write, look: Look, tables: &[Table]) -> io::Result<()> {
        match look.format {
            Format::Text => {
                let shown = tables.iter().filter(|table| !table.is_empty());
                let texts: Vec<String> = shown.map(|table| table.text(look.terminal)).collect();
                out.write_all(texts.join("\n").as_bytes())
            }
            Format::Json => writeln!(out, "{}", Table::object(tables)),
        }
    }
}

fn aligned(text: String, right: bool) -> comfy_table::Cell {
    let side = if right { CellAlignment::Right } else { CellAlignment::Left };
    comfy_table::Cell::new(text).set_alignment(side)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("cards", [("name", "Name"), ("cards", "Cards"), ("share", "Share")]);
        table.row(["first".into(), 29_773u64.into(), Cell::Share(Some(0.25))]);
        table.row(["evil\u{1b}[2J".into(), 7u64.into()]);
        table
    }

    #[test]
    fn a_pipe_gets_plain_lines_with_numbers_at_the_right() {
        assert_eq!(
            table().text(false),
            "Name       Cards   Share\nfirst     29,773  25.0 %\nevil�[2J       7\n"
        );
    }

    #[test]
    fn markdown_has_the_same_rows_and_nothing_in_them_is_obeyed() {
        let mut table = Table::new("money", [("name", "Name"), ("sum", "Sum")]);
        table.row(["a|b *c* <d>".into(), Cell::Amount(123_456_789, "USD".parse().unwrap())]);
        table.row(["e".into(), Cell::Amount(1_234, "JPY".parse().unwrap())]);
        assert_eq!(
            table.markdown(),
            "| Name | Sum |\n| --- | ---: |\n| a\\|b \\*c\\* \\<d\\> | 1,234,567.89 |\n| e | 1,234 |\n"
        );
        assert_eq!(table.json()[0]["sum"], "123456789");
    }

    #[test]
    fn a_column_of_numbers_and_words_stands_at_the_left() {
        let mut table = Table::new("sides", [("field", "Field"), ("before", "Before")]);
        table.row(["Revision".into(), 1u64.into()]);
        table.row(["Name".into(), "Shop".into()]);
        assert_eq!(table.text(false), "Field     Before\nRevision  1\nName      Shop\n");
    }

    #[test]
    fn a_terminal_gets_lines_drawn() {
        let text = table().text(true);
        assert!(text.starts_with('╭') && text.contains('│') && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn json_has_the_same_rows_with_bare_numbers() {
        let mut out = Vec::new();
        let look = Look { format: Format::Json, terminal: true };
        table().write(&mut out, look).unwrap();
        let json: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            json,
            serde_json::json!([
                {"name": "first", "cards": 29773, "share": 0.25},
                {"name": "evil\u{1b}[2J", "cards": 7, "share": null},
            ])
        );
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line for a program");
    }

    #[test]
    fn several_tables_are_one_object_in_json_and_stacked_in_text() {
        let empty = Table::new("none", [("a", "A")]);
        let (mut json, mut text) = (Vec::new(), Vec::new());
        let tables = [table(), empty];
        Table::write_all(&mut json, Look { format: Format::Json, terminal: false }, &tables).unwrap();
        Table::write_all(&mut text, Look::default(), &tables).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["none"], serde_json::json!([]));
        assert_eq!(json["cards"].as_array().unwrap().len(), 2);
        assert_eq!(String::from_utf8(text).unwrap(), table().text(false));
    }
}
