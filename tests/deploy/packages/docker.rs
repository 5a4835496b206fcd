//! The Dockerfile: by hadolint's rules, and complete.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{is_pinned, python, read, root};

const DOCKERFILE: &str = "deploy/docker/Dockerfile";

/// What hadolint finds in a Dockerfile.
fn hadolint(python: &Path, dockerfile: &Path) -> String {
    let output = Command::new(python.with_file_name("hadolint")).arg("--no-color").arg(dockerfile).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfile_and_something_in_a_worse_one() {
    let Some(python) = python("the Dockerfile") else { return };
    assert_eq!(hadolint(&python, &root().join(DOCKERFILE)), "");
    let home = tempfile::tempdir().unwrap();
    let worse = home.path().join("Dockerfile");
    std::fs::write(&worse, read(DOCKERFILE).replace("EXPOSE 9600", "RUN cd /tmp && apt-get update")).unwrap();
    assert!(hadolint(&python, &worse).contains("DL3003"));
}

/// The instructions, each on a line of its own.
fn instructions() -> Vec<String> {
    let text: Vec<String> =
        read(DOCKERFILE).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    text.join("\n").replace("\\\n", " ").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn images_are_pinned_and_the_last_one_has_no_shell_and_no_root() {
    let instructions = instructions();
    let images: Vec<&str> = instructions
        .iter()
        .filter_map(|line| line.strip_prefix("ARG ")?.split_once("_IMAGE="))
        .map(|(_, image)| image)
        .collect();
    assert_eq!(images.len(), 3, "{images:?}");
    assert!(images.iter().all(|image| is_pinned(image)), "{images:?}");
    let stages: Vec<usize> =
        (0..instructions.len()).filter(|at| instructions[*at].starts_with("FROM ")).collect();
    // Nothing is taken from an image that is not among them.
    assert!(stages.iter().all(|at| instructions[*at].starts_with("FROM ${")), "{instructions:?}");
    let last = &instructions[*stages.last().unwrap()..];
    assert_eq!(last[0], "FROM ${RUNTIME_IMAGE} AS runtime");
    assert!(
        images.iter().any(|image| image.starts_with("gcr.io/distroless/cc-debian12:nonroot@")),
        "{images:?}"
    );
    for wanted in ["USER 65532:65532", "STOPSIGNAL SIGTERM", "ENTRYPOINT [\"/usr/local/bin/cardwatch\"]"] {
        assert!(last.iter().any(|line| line == wanted), "{wanted}: {last:?}");
    }
    let command = last.iter().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    super::parses(&command);
}

/// Files that the sources take in at compile time, tests aside.
fn taken_in(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            taken_in(&path, found);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for part in text.split("include_str!(\"").chain(text.split("include_bytes!(\"")).skip(1) {
                let Some((relative, _)) = part.split_once("\")") else { continue };
                let file = path.parent().unwrap().join(relative);
                if let Ok(file) = file.canonicalize() {
                    found.insert(
                        file.strip_prefix(root().canonicalize().unwrap()).unwrap().display().to_string(),
                    );
                }
            }
        }
    }
}

#[test]
fn the_build_is_given_what_it_needs_and_nothing_else() {
    let instructions = instructions();
    let copied: BTreeSet<String> = instructions
        .iter()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| {
            line.split(' ').take(line.split(' ').count() - 1).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let ignored = read("deploy/docker/Dockerfile.dockerignore");
    let given: BTreeSet<String> =
        ignored.lines().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect();
    assert!(ignored.lines().any(|line| line == "*"), "{ignored}");
    assert_eq!(copied, given);
    assert!(given.iter().all(|path| root().join(path).exists()), "{given:?}");

    let mut needed = BTreeSet::new();
    taken_in(&root().join("src"), &mut needed);
    assert!(needed.contains("config/rules.toml"), "{needed:?}");
    for file in needed {
        assert!(
            given.contains(file.split('/').next().unwrap()),
            "src/ takes in {file}, which the build is not given"
        );
    }
    // Cargo looks for every bench that Cargo.toml names, also where it builds none.
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    assert!(
        manifest["bench"].as_array().is_some_and(|benches| !benches.is_empty()) && given.contains("benches")
    );
}
