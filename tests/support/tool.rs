//! Programs that a test looks at cardwatch with, and that a bare machine may lack.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a program of this name is on the path; `None`, after one plain line that says what is not
/// tested, where it is not.
///
/// With `CARDWATCH_REQUIRE_TOOLS=1` that is a panic: a build server must not pass by skipping.
pub fn tool(name: &str, untested: &str) -> Option<PathBuf> {
    let path = super::environment("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| runs(path));
    found.or_else(|| missing(&format!("{name} on the path"), untested))
}

/// Says in one plain line what is not tested because of what is not there, or panics, as [`tool`] does.
pub fn missing<T>(what: &str, untested: &str) -> Option<T> {
    let required = super::environment("CARDWATCH_REQUIRE_TOOLS").as_deref() == Some("1");
    assert!(!required, "no {what}, and CARDWATCH_REQUIRE_TOOLS=1");
    // Past libtest's capture, which would hide the line of a test that passes.
    let _ = writeln!(std::io::stderr(), "no {what}: {untested} was not tried");
    None
}

fn runs(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
