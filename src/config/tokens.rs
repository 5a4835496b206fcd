//! The tokens of the HTTP side: a name, a role and a file each.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::reader::Reader;
use super::section::{Section, SectionDescription};
use super::shape::{Shape, choice, list, path, slug, text_that};
use crate::domain::delivery::EndpointName;
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
    /// Of the role `receive`: the endpoints that it is for.
    pub endpoints: BTreeSet<EndpointName>,
}

/// Who may use `/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpTokens(pub Vec<TokenSettings>);

const PATH: &str = "http.tokens";

/// The words of the roles.
pub(super) fn role() -> Shape<Role> {
    choice(&Role::ALL.map(|role| (role.as_str(), role)))
}

fn endpoint() -> Shape<EndpointName> {
    text_that("names of endpoints: 1 to 40 of a-z, 0-9, - and _", "such a name", |text| text.parse().ok())
}

impl Section for HttpTokens {
    fn describe() -> SectionDescription {
        SectionDescription {
            path: PATH,
            doc: &[
                "Who may use /v1: bearer tokens, one in a file each, made by `cardwatch token new`. The name stands",
                "in audit records. The role is \"read\", \"decide\" (and decide about alerts), \"import\" (and change",
                "incidents), \"admin\" (all of it) or \"receive\": for a receiver of webhooks, who sees what those endpoints",
                "are told that the table names, as endpoints = [\"issuer\"], and nothing else. A file is for its owner alone",
                "(0600, or 0640 owned by root); SIGHUP reads this table and the files anew, and each change is in the audit",
                "log. No variable sets these.",
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
        for row in reader.rows(PATH, &["name", "role", "file", "endpoints"]) {
            let name = reader.cell(&row, "name", &slug(TOKEN_NAME_BYTES_MAX));
            let role = reader.cell(&row, "role", &role());
            let file = reader.cell(&row, "file", &path());
            let names_endpoints = row.names().any(|key| key == "endpoints");
            let endpoints = match names_endpoints {
                true => reader.cell(&row, "endpoints", &list(endpoint())),
                false => Some(Vec::new()),
            };
            let (Some(name), Some(role), Some(file), Some(endpoints)) = (name, role, file, endpoints) else {
                continue;
            };
            if (role == Role::Receive) == endpoints.is_empty() {
                let (message, advice) = match role {
                    Role::Receive => ("names none, and the role is \"receive\"", "endpoints = [\"issuer\"]"),
                    _ => ("is for the role \"receive\" alone", "no endpoints, or another role"),
                };
                let place = reader.cell_place(&row, "endpoints");
                reader.mistake(place, "http.tokens.endpoints", message.to_owned(), advice.to_owned());
            }
            if !names.insert(name.clone()) {
                let message = "is the name of another token too".to_owned();
                reader.mistake(row.place, "http.tokens.name", message, "a name of its own".to_owned());
            }
            tokens.push(TokenSettings { name, role, file, endpoints: endpoints.into_iter().collect() });
        }
        Some(HttpTokens(tokens))
    }
}
