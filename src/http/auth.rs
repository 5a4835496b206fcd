//! Who asks: named bearer tokens (RFC 6750), each with a role.
//!
//! The layer stands before every route but `/metrics` and `/health`, and before paths that do not exist. A
//! handler takes the [`Caller`]; a route that needs more than `read` says so with [`needs`]:
//!
//! ```text
//! Router::new().route("/v1/outcomes", needs(Role::Decide, post(put_outcome)))
//! ```
//!
//! A route that forgot to say so still changes nothing for a token of the role `read`: the layer refuses it
//! every method but GET and HEAD. A token of the role `receive` belongs to somebody outside: the layer lets it to the
//! few paths of [`RECEIVES`] and to nothing else, whatever routes there are.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::problem::Problem;
use crate::domain::delivery::EndpointName;
use crate::metrics::HttpMetrics;
use crate::secret::Secret;

mod change;

pub use change::{NewTokens, TokenChange};

/// The shortest token, in characters. 32 random hexadecimal digits are 128 bits.
const TOKEN_CHARS_MIN: usize = 32;
/// The longest, in characters: what fits into a header everywhere.
const TOKEN_CHARS_MAX: usize = 512;
/// Different characters in a token at least: of 32 random hexadecimal digits fewer than these are one in 25
/// million, of a sentence or a repeated word they are common.
const DISTINCT_MIN: usize = 8;

/// What a token may do.
///
/// `read` is below all: whoever changes something must see what. `decide` and `import` stand beside each
/// other, because who works alerts is another person than who says which cards leaked, and neither should be
/// able to undo what the other is held to account for. `admin` may do all of it, and what is nobody else's. `receive`
/// stands apart: it is for the receiver of webhooks, who sees what its own endpoints are told and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees incidents, alerts and deliveries.
    Read,
    /// And decides about alerts.
    Decide,
    /// Or opens, revises and closes incidents.
    Import,
    /// Everything.
    Admin,
    /// Sees what the endpoints are told that the token names.
    Receive,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Read, Role::Decide, Role::Import, Role::Admin, Role::Receive];

    /// The word in configuration, answers and audit records.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Decide => "decide",
            Role::Import => "import",
            Role::Admin => "admin",
            Role::Receive => "receive",
        }
    }

    /// The role of a word.
    pub fn from_word(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether a token of this role may do what needs `needed`.
    pub fn includes(self, needed: Role) -> bool {
        self == needed || self == Role::Admin || needed == Role::Read && self != Role::Receive
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who asks. Handlers take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Of the role `receive`: the endpoints that it is for.
    pub endpoints: BTreeSet<EndpointName>,
}

impl Caller {
    /// Refuses where the token is for other endpoints. Whether there is such an endpoint is not told by it.
    ///
    /// # Errors
    /// 403.
    pub fn must_see(&self, endpoint: &EndpointName) -> Result<(), Problem> {
        if self.role.includes(Role::Read) || self.endpoints.contains(endpoint) {
            return Ok(());
        }
        let detail = format!("token {} is not for this endpoint; use a token that is", self.name);
        Err(Problem::new(StatusCode::FORBIDDEN, "endpoint", detail)
            .challenging("Bearer error=\"insufficient_scope\""))
    }

    /// Refuses where the role does not include `needed`.
    ///
    /// # Errors
    /// 403.
    pub fn must(&self, needed: Role) -> Result<(), Problem> {
        if self.role.includes(needed) {
            return Ok(());
        }
        let detail = format!(
            "token {} has the role {}, and this needs {needed}; use a token with that role",
            self.name, self.role
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "role", detail)
            .challenging(format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        // Only a route outside the layer has none, and such a route has no caller to ask for.
        parts.extensions.get::<Caller>().cloned().ok_or_else(no_token)
    }
}

/// Why a token is refused before anybody uses it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It could be guessed.
    #[error(
        "token {0} is too easy to guess: 32 random characters at least; make one with `cardwatch token new`"
    )]
    Weak(String),
    /// It would not pass through a header.
    #[error(
        "token {0} holds what a bearer token may not: only letters, digits and - . _ ~ + / =, 512 at most; make one \
         with `cardwatch token new`"
    )]
    Letters(String),
    /// Two names, one token: nobody could tell who it was.
    #[error("tokens {0} and {1} are the same: make one of them anew with `cardwatch token new`")]
    Same(String, String),
    /// The system's generator failed.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

struct Entry {
    caller: Caller,
    digest: [u8; 32],
}

type Entries = Vec<Entry>;

/// The tokens that are let in. Cheap to clone: all clones are one.
///
/// What is kept and compared is HMAC-SHA-256 of a token under a key that this process made for itself: equal
/// length, constant time, and of no use to whoever reads the memory.
#[derive(Clone)]
pub struct Tokens {
    mac: Hmac<Sha256>,
    entries: Arc<ArcSwap<Entries>>,
}

impl Tokens {
    /// Takes tokens over.
    ///
    /// # Errors
    /// When one is weak, is no bearer token, or is there twice.
    pub fn new(tokens: Vec<(Caller, Secret)>) -> Result<Tokens, TokenError> {
        // As long as a block of the hash: that length HMAC takes as it is.
        let mut key = zeroize::Zeroizing::new([0u8; 64]);
        getrandom::fill(&mut *key).map_err(TokenError::Random)?;
        let mac = <Hmac<Sha256> as KeyInit>::new(&(*key).into());
        let entries = entries(&mac, tokens)?;
        Ok(Tokens { mac, entries: Arc::new(ArcSwap::from_pointee(entries)) })
    }

    /// Checks tokens that are to replace them all. Nobody is let in by them before [`Tokens::put`].
    ///
    /// # Errors
    /// As [`Tokens::new`].
    pub fn prepare(&self, tokens: Vec<(Caller, Secret)>) -> Result<NewTokens, TokenError> {
        let entries = entries(&self.mac, tokens)?;
        let old = self.entries.load();
        let find = |entries: &Entries, name: &str| entries.iter().position(|one| one.caller.name == name);
        let removed = old.iter().filter(|one| find(&entries, &one.caller.name).is_none());
        let mut changes: Vec<TokenChange> = removed.map(|one| TokenChange::of(Some(one), None)).collect();
        changes.extend(entries.iter().map(|one| {
            let before = find(&old, &one.caller.name).and_then(|at| old.get(at));
            TokenChange::of(before, Some(one))
        }));
        changes.retain(|change| !change.words().is_empty());
        Ok(NewTokens { entries, changes })
    }

    /// Replaces them all, for every clone.
    pub fn put(&self, new: NewTokens) {
        self.entries.store(Arc::new(new.entries));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.load().is_empty()
    }

    /// Whose token this is. Every one is compared, in constant time each.
    fn find(&self, presented: &[u8]) -> Option<Caller> {
        let entries = self.entries.load();
        let mut found = None;
        for entry in entries.iter() {
            let mut mac = self.mac.clone();
            mac.update(presented);
            if mac.verify(&entry.digest.into()).is_ok() {
                found = Some(entry.caller.clone());
            }
        }
        found
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        if self.is_empty() {
            let detail = "no tokens are configured, so nobody can be let in; name some under [[http.tokens]]";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_tokens", detail).challenging(CHALLENGE));
        }
        let presented = bearer(headers).ok_or_else(no_token)?;
        self.find(presented).ok_or_else(|| {
            let detail = "this token is not known here; ask for one, or see whether it was replaced";
            Problem::new(StatusCode::UNAUTHORIZED, "unknown_token", detail)
                .challenging(format!("{CHALLENGE}, error=\"invalid_token\""))
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.load();
        f.debug_set().entries(entries.iter().map(|entry| &entry.caller)).finish()
    }
}

const CHALLENGE: &str = "Bearer realm=\"cardwatch\"";

fn no_token() -> Problem {
    let detail = "this needs a token: send the header `Authorization: Bearer TOKEN`";
    Problem::new(StatusCode::UNAUTHORIZED, "no_token", detail).challenging(CHALLENGE)
}

fn entries(mac: &Hmac<Sha256>, tokens: Vec<(Caller, Secret)>) -> Result<Entries, TokenError> {
    let mut entries: Entries = Vec::new();
    for (caller, token) in tokens {
        check(&caller.name, token.expose())?;
        let mut mac = mac.clone();
        mac.update(token.expose());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        if let Some(other) = entries.iter().find(|entry| entry.digest == digest) {
            return Err(TokenError::Same(other.caller.name.clone(), caller.name));
        }
        entries.push(Entry { caller, digest });
    }
    Ok(entries)
}

fn check(name: &str, token: &[u8]) -> Result<(), TokenError> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if !token.iter().all(good) || token.len() > TOKEN_CHARS_MAX {
        return Err(TokenError::Letters(name.to_owned()));
    }
    let mut distinct = token.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let count = distinct.len();
    zeroize::Zeroize::zeroize(&mut distinct);
    if token.len() < TOKEN_CHARS_MIN || count < DISTINCT_MIN {
        return Err(TokenError::Weak(name.to_owned()));
    }
    Ok(())
}

/// The token of the one `Authorization` header. Two of them are none: who reads which would be anybody's guess.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// All that a token of the role `receive` is let to, by GET.
const RECEIVES: [&str; 3] = ["/v1/deliveries", "/v1/whoami", "/v1/openapi.json"];

/// What the layer works with.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) tokens: Tokens,
    pub(super) metrics: HttpMetrics,
}

/// The layer: a known token, or 401. Who asks goes along with the request.
pub(super) async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let let_in = gate.tokens.caller(request.headers()).and_then(|caller| {
        // A token that only reads changes nothing, whatever the route says.
        let changes = !safe && caller.role == Role::Read;
        let outside = caller.role == Role::Receive && !(safe && RECEIVES.contains(&request.uri().path()));
        match (outside, changes) {
            (true, _) => caller.must(Role::Read).map(|()| caller),
            (_, true) => caller.must(Role::Decide).map(|()| caller),
            _ => Ok(caller),
        }
    });
    match let_in {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            let response = next.run(request).await;
            if response.status() == StatusCode::FORBIDDEN {
                gate.metrics.refused("role");
            }
            response
        }
        Err(problem) => {
            gate.metrics.refused(problem.code());
            problem.into_response()
        }
    }
}

/// Lets only callers through whose role includes `role`; others are answered 403.
pub fn needs<S>(role: Role, methods: MethodRouter<S, Infallible>) -> MethodRouter<S, Infallible>
where
    S: Clone + Send + Sync + 'static,
{
    methods.route_layer(from_fn_with_state(role, enforce))
}

async fn enforce(State(role): State<Role>, caller: Caller, request: Request, next: Next) -> Response {
    match caller.must(role) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
