//! Keys that come from elsewhere than the key directory: by the names that the user gives them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::reader::Reader;
use super::section::{Section, SectionDescription};
use super::shape::{Input, Shape, path};
use crate::domain::card::KeyId;

/// Keys in files of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyFiles(pub BTreeMap<KeyId, PathBuf>);

/// Keys from the standard output of a command: the program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyCommands(pub BTreeMap<KeyId, Vec<String>>);

const FILES: &str = "keys.files";
const COMMANDS: &str = "keys.commands";

impl Section for KeyFiles {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: FILES,
            doc: &[
                "Keys in files of their own, in place of KEYID.key in the key directory: a credential of systemd, a",
                "secret of Kubernetes. The name is the key's id. A file belongs to this user and is closed to all",
                "others, or belongs to root and is at most mode 0440 (0640 where this process is not root).",
            ],
            keys: Vec::new(),
            examples: &[r#"k1 = "/run/credentials/cardwatch.service/k1""#],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(KeyFiles(read(reader, FILES, &path())))
    }
}

impl Section for KeyCommands {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: COMMANDS,
            doc: &[
                "Keys from a command: the unwrap call of a tool for a key management service (KMS) or a hardware",
                "security module (HSM), which writes the key's 64 hexadecimal digits to standard output. The name is",
                "the key's id, the value a list: the program and its arguments. There is no shell.",
            ],
            keys: Vec::new(),
            examples: &[r#"k2 = ["/usr/local/bin/unwrap-key", "--wrapped", "/etc/cardwatch/k2.wrapped"]"#],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(KeyCommands(read(reader, COMMANDS, &command())))
    }
}

fn read<T>(reader: &mut Reader<'_>, section: &str, shape: &Shape<T>) -> BTreeMap<KeyId, T> {
    let mut keys = BTreeMap::new();
    for (name, (place, value)) in reader.map(section, shape, str::to_lowercase) {
        match name.parse::<KeyId>() {
            Ok(id) => {
                keys.insert(id, value);
            }
            Err(_) => {
                let message = "is not a key's id".to_owned();
                let advice = "1 to 32 of a-z, 0-9, \"-\" and \"_\"".to_owned();
                reader.mistake(place, &format!("{section}.{name}"), message, advice);
            }
        }
    }
    keys
}

/// A list of texts, the program first; in a variable, the same list as TOML.
pub(super) fn command() -> Shape<Vec<String>> {
    let allowed = "a list in which the program comes first, such as [\"/usr/local/bin/unwrap-key\", \"k2\"]";
    Shape {
        allowed: allowed.to_owned(),
        read: Box::new(|input| match input {
            Input::Value(value) => words(value),
            Input::Text(text) => match DeValue::parse(text) {
                Ok(value) => words(value.get_ref()),
                Err(_) => Err("is not a list".to_owned()),
            },
        }),
    }
}

/// The same, or an empty list for none.
pub(super) fn command_or_none() -> Shape<Vec<String>> {
    let some = command();
    let is_empty = |value: &DeValue<'_>| value.as_array().is_some_and(|array| array.is_empty());
    Shape {
        allowed: format!("{}, or [] for none", some.allowed),
        read: Box::new(move |input| match input {
            Input::Value(value) if is_empty(value) => Ok(Vec::new()),
            Input::Text(text) if DeValue::parse(text).is_ok_and(|value| is_empty(value.get_ref())) => {
                Ok(Vec::new())
            }
            _ => (some.read)(input),
        }),
    }
}

fn words(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let array = value.as_array().ok_or("is not a list")?;
    let words: Option<Vec<String>> =
        array.iter().map(|word| Some(word.get_ref().as_str()?.to_owned())).collect();
    let words = words.ok_or("holds something else than texts")?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err("names no program".to_owned()),
    }
}
