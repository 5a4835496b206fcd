//! `cardwatch completions` and `cardwatch man`: made of the command line's own words, so that they are never behind.

use std::io;
use std::path::Path;

use super::args::{self, CompletionsArgs, ManArgs};
use super::output::Output;
use crate::lines::start::Stopped;
use crate::stop::exit;

/// Completions for a shell, on standard output.
pub(super) fn completions(completions: &CompletionsArgs, output: &Output) {
    let mut command = args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command, name, &mut script);
    output.say(String::from_utf8_lossy(&script).trim_end());
}

/// A manual page for every command, in files.
pub(super) fn manual(man: &ManArgs, output: &Output) -> Result<(), Stopped> {
    let pages = write(&man.out).map_err(|error| {
        let place = man.out.display();
        Stopped::new(exit::UNAVAILABLE, format!("{place}: the manual cannot be written: {error}"))
    })?;
    output.say(&format!("{pages} pages in {}", man.out.display()));
    Ok(())
}

fn write(directory: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(directory)?;
    let mut command = args::command();
    // Gives every command the whole of its own name.
    command.build();
    let (mut pages, mut open) = (0, vec![command]);
    while let Some(command) = open.pop() {
        let page = clap_mangen::Man::new(command.clone());
        let mut text = Vec::new();
        page.render(&mut text)?;
        std::fs::write(directory.join(page.get_filename()), text)?;
        pages += 1;
        open.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
    }
    Ok(pages)
}
