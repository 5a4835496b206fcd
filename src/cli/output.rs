//! What a command prints, and where.

use std::io::{IsTerminal, Write};

use super::args;
use crate::report::table::{Format, Look, Table};

/// Standard output in the form the user asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    look: Look,
}

impl Output {
    pub(super) fn new(format: args::Format) -> Output {
        let format = match format {
            args::Format::Text | args::Format::Md => Format::Text,
            args::Format::Json => Format::Json,
        };
        Output { look: Look::of_stdout(format) }
    }

    /// Whether results are JSON.
    pub(super) fn is_json(self) -> bool {
        self.look.format == Format::Json
    }

    /// Prints tables. A closed pipe is the reader's choice and no failure.
    pub(super) fn tables(self, tables: &[Table]) {
        let _ = Table::write_all(&mut std::io::stdout().lock(), self.look, tables);
    }

    /// Prints tables on standard error, where standard output carries something else.
    pub(super) fn tables_aside(self, tables: &[Table]) {
        let look = Look { terminal: std::io::stderr().is_terminal(), ..self.look };
        let _ = Table::write_all(&mut std::io::stderr().lock(), look, tables);
    }

    /// Prints something worth knowing, on standard error.
    pub(super) fn remark(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "cardwatch: note: {text}");
    }

    /// Prints a sentence for people; nothing where the output is JSON.
    pub(super) fn say(self, text: &str) {
        if !self.is_json() {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// Writes results by themselves. A closed pipe is the reader's choice and no failure.
    pub(super) fn write(self, write: impl FnOnce(&mut dyn Write, Look) -> std::io::Result<()>) {
        let _ = write(&mut std::io::stdout().lock(), self.look);
    }

    /// How many columns the terminal has, if results go to one.
    pub(super) fn columns(self) -> Option<u16> {
        let size = self.look.terminal.then(|| rustix::termios::tcgetwinsize(std::io::stdout()));
        Some(size?.map_or(80, |size| if size.ws_col == 0 { 80 } else { size.ws_col }))
    }

    /// Prints why the command failed, on standard error.
    pub(super) fn error(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "cardwatch: {text}");
    }
}
