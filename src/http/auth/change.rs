//! Tokens that are to replace others, and what that changes for whom.

use std::collections::BTreeSet;
use std::fmt;

use super::{Entries, Entry, Role};
use crate::domain::delivery::EndpointName;

/// Tokens that were checked and are not in force yet.
pub struct NewTokens {
    pub(super) entries: Entries,
    pub(super) changes: Vec<TokenChange>,
}

impl NewTokens {
    /// What they change, token by token.
    pub fn changes(&self) -> &[TokenChange] {
        &self.changes
    }
}

impl fmt::Debug for NewTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewTokens({:?})", self.changes)
    }
}

/// What changes for the owner of a token. Tells nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChange {
    /// Its name.
    pub name: String,
    /// The role that it had; `None` where it is new.
    pub before: Option<Role>,
    /// The role that it gets; `None` where it is let in no more.
    pub after: Option<Role>,
    /// The endpoints that it was for, and those that it is for now.
    pub endpoints: [BTreeSet<EndpointName>; 2],
    /// Whether another token has its name now.
    pub is_replaced: bool,
}

impl TokenChange {
    pub(super) fn of(before: Option<&Entry>, after: Option<&Entry>) -> TokenChange {
        let name = before.or(after).map_or_else(String::new, |one| one.caller.name.clone());
        let role = |one: Option<&Entry>| one.map(|one| one.caller.role);
        let is_replaced = before.zip(after).is_some_and(|(before, after)| before.digest != after.digest);
        let endpoints = [before, after]
            .map(|one| one.map_or_else(BTreeSet::new, |one: &Entry| one.caller.endpoints.clone()));
        TokenChange { name, before: role(before), after: role(after), endpoints, is_replaced }
    }

    /// What happened, in the words of audit records.
    pub fn words(&self) -> Vec<&'static str> {
        match (self.before, self.after) {
            (None, _) => vec!["added"],
            (_, None) => vec!["removed"],
            (before, after) => {
                let words = [
                    ("role_changed", before != after),
                    ("endpoints_changed", self.endpoints[0] != self.endpoints[1]),
                    ("replaced", self.is_replaced),
                ];
                words.into_iter().filter(|(_, said)| *said).map(|(word, _)| word).collect()
            }
        }
    }
}
