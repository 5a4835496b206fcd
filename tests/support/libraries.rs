//! The standard's own published libraries, in two other languages, installed once under `target/libraries`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tool::{missing, tool};

/// What is installed; changed, it is installed anew. `cryptography` is there because the library knows HMAC alone.
const PYTHON: [&str; 2] = ["standardwebhooks==1.1.0", "cryptography==50.0.2"];
const NODE: [&str; 1] = ["standardwebhooks@1.1.1"];

/// The interpreter of an environment with the Python libraries; `None`, after one plain line that says so, on a machine
/// without Python or the registry.
pub fn python(untested: &str) -> Option<PathBuf> {
    python_with("python", &PYTHON, untested)
}

/// The same with libraries of a test's own, in an environment called `name`.
pub fn python_with(name: &str, libraries: &[&str], untested: &str) -> Option<PathBuf> {
    let python = tool("python3", untested)?;
    let home = home(name);
    let binary = |name: &str| home.join("venv/bin").join(name);
    let installed = once(&home, &libraries.join("\n"), |log| {
        succeeds(Command::new(&python).args(["-m", "venv", "--clear"]).arg(home.join("venv")), log)
            && succeeds(
                Command::new(binary("pip"))
                    .args(["install", "--quiet", "--disable-pip-version-check"])
                    .args(libraries),
                log,
            )
    });
    installed.then(|| binary("python")).or_else(|| missing(&format!("{} from PyPI", libraries[0]), untested))
}

/// `node`, and the directory of its libraries for `NODE_PATH`; `None` as of [`python`].
pub fn node(untested: &str) -> Option<(PathBuf, PathBuf)> {
    node_with("node", &NODE, untested)
}

/// The same with libraries of a test's own, in a directory called `name`.
pub fn node_with(name: &str, libraries: &[&str], untested: &str) -> Option<(PathBuf, PathBuf)> {
    let (node, npm) = (tool("node", untested)?, tool("npm", untested)?);
    let home = home(name);
    let installed = once(&home, &libraries.join("\n"), |log| {
        let _ = fs::remove_dir_all(home.join("node_modules"));
        let mut install = Command::new(&npm);
        install.args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        succeeds(install.arg(&home).args(libraries), log)
    });
    let found = installed.then(|| (node, home.join("node_modules")));
    found.or_else(|| missing(&format!("{} from npm", libraries[0]), untested))
}

/// Beside cargo's own directories: `cargo clean` takes it away with the rest.
fn home(language: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("libraries").join(language)
}

/// Installs unless that was done before; the first does, others wait for it.
fn once(home: &Path, what: &str, install: impl FnOnce(&Path) -> bool) -> bool {
    fs::create_dir_all(home).expect("target/ is writable");
    let lock = File::create(home.join("lock")).expect("target/ is writable");
    lock.lock().expect("a file can be locked");
    let marker = home.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == what) {
        return true;
    }
    let done = install(&home.join("install.log"));
    if done {
        fs::write(&marker, what).expect("target/ is writable");
    }
    done
}

fn succeeds(command: &mut Command, log: &Path) -> bool {
    let out = File::options().create(true).append(true).open(log).expect("target/ is writable");
    let both = out.try_clone().expect("a file handle can be doubled");
    command.stdin(Stdio::null()).stdout(out).stderr(both).status().is_ok_and(|status| status.success())
}
