//! The tokens of the HTTP side: a name, a role and a file each.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::reader::Reader;
use super::section::{Section, SectionDescription};
use super::shape::{Shape, choice, path, slug};
use crate::http::auth::Role;

/// The longest name of a token, in bytes.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// What its owner is called in audit records.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The file that holds it.
    pub file: PathBuf,
}

/// Who may use `/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpTokens(pub Vec<TokenSettings>);

const PATH: &str = "http.tokens";

/// The words of the roles.
pub(super) fn role() -> Shape<Role> {
    choice(&Role::ALL.map(|role| (role.as_str(), role)))
}

impl Section for HttpTokens {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "Who may use /v1: bearer tokens, one in a file each, made by `cardwatch token new`. The name stands",
                "in audit records. The role is \"read\", \"decide\" (and decide about alerts), \"import\" (and change",
                "incidents) or \"admin\" (all of it). A file is for its owner alone (0600, or 0640 owned by root);",
                "SIGHUP reads this table and the files anew, and each change is in the audit log. No variable sets these.",
            ],
            keys: Vec::new(),
            examples: &[
                "[[http.tokens]]",
                r#"name = "fraud-desk""#,
                r#"role = "decide""#,
                r#"file = "tokens/fraud-desk.token""#,
            ],
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut names = BTreeSet::new();
        for row in reader.rows(PATH, &["name", "role", "file"]) {
            let name = reader.cell(&row, "name", &slug(TOKEN_NAME_BYTES_MAX));
            let role = reader.cell(&row, "role", &role());
            let file = reader.cell(&row, "file", &path());
            let (Some(name), Some(role), Some(file)) = (name, role, file) else { continue };
            if !names.insert(name.clone()) {
                let message = "is the name of another token too".to_owned();
                reader.mistake(row.place, "http.tokens.name", message, "a name of its own".to_owned());
            }
            tokens.push(TokenSettings { name, role, file });
        }
        Some(HttpTokens(tokens))
    }
}
