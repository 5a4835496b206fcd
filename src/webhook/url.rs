//! An endpoint's URL, taken apart. A chat's webhook has its secret in the path, so nothing here repeats a URL:
//! what is shown is scheme, host and port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Uri;
use hyper::http::uri::{PathAndQuery, Scheme};

/// The longest URL that is taken.
pub const LONGEST: usize = 2048;

/// A host as the URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in small letters, as it is looked up: with the final dot if the URL has one.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// The name without its final dot, which neither TLS nor `Host` knows.
    pub fn plain_name(&self) -> Option<&str> {
        match self {
            Host::Name(name) => Some(name.strip_suffix('.').unwrap_or(name)),
            Host::Address(_) => None,
        }
    }

    /// Whether the name means this machine wherever it is looked up (RFC 6761).
    pub fn is_localhost(&self) -> bool {
        self.plain_name().is_some_and(|name| name == "localhost" || name.ends_with(".localhost"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(_) => f.write_str(self.plain_name().unwrap_or_default()),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A URL of `http` or `https`. Its `Display` and `Debug` show scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub secure: bool,
    /// Where to.
    pub host: Host,
    /// The port, the scheme's own if the URL names none.
    pub port: u16,
    /// The rest. Not to be shown.
    pub path: PathAndQuery,
}

/// What is wrong with a URL, and what to write instead. None repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says in its message what it is")]
pub enum UrlError {
    #[error("the URL is empty: write one such as https://hooks.example.com/cardwatch")]
    Empty,
    #[error("the URL is longer than {LONGEST} characters")]
    Long,
    #[error(
        "the URL has a space, a control character or a letter outside ASCII: write it percent-encoded, and the \
         host in its xn-- form"
    )]
    Characters,
    #[error("the URL does not begin with https:// or http://")]
    Scheme,
    #[error(
        "the URL holds a user name or a password: take it out; a receiver knows cardwatch by its signature or by \
         a client certificate"
    )]
    Credentials,
    #[error("the URL has a fragment, which is never sent: take out what begins with #")]
    Fragment,
    #[error("the URL names no host, or one that cannot be one: write a name such as hooks.example.com")]
    Host,
    #[error(
        "the host looks like a number: write an IPv4 address as four decimal numbers, such as 203.0.113.9"
    )]
    Number,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("the URL cannot be read: write one such as https://hooks.example.com/cardwatch")]
    Text,
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > LONGEST {
            return Err(UrlError::Long);
        }
        // `\` is a `/` to some readers and not to others.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(UrlError::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| wrong_part(authority))?;
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = host(uri.host().unwrap_or_default())?;
        let port = match port_text(authority) {
            None => Some(if secure { 443 } else { 80 }),
            Some(text) => text.parse().ok().filter(|port| *port != 0),
        };
        let rest = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        // A query may stand right behind the host; in a request a path stands before it.
        let path = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let path = path.parse().map_err(|_| UrlError::Text)?;
        Ok(Url { secure, host, port: port.ok_or(UrlError::Port)?, path })
    }
}

/// What stands behind the colon of the port.
fn port_text(authority: &str) -> Option<&str> {
    let behind_address = authority.rfind(']').map_or(authority, |at| &authority[at..]);
    behind_address.split_once(':').map(|(_, port)| port)
}

/// The part that made a URL unreadable, as far as that can be told.
fn wrong_part(authority: &str) -> UrlError {
    let port = port_text(authority);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        UrlError::Port
    } else if authority.is_empty() || port.is_some() && authority.starts_with(':') {
        UrlError::Host
    } else {
        UrlError::Text
    }
}

fn host(text: &str) -> Result<Host, UrlError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        // With a zone (`%eth0`) it is no address: such a one is link-local and this machine's business.
        return inner
            .parse::<Ipv6Addr>()
            .map(|address| Host::Address(address.into()))
            .map_err(|_| UrlError::Host);
    }
    let name = text.to_ascii_lowercase();
    let plain = name.strip_suffix('.').unwrap_or(&name);
    if plain.is_empty() || plain.len() > 253 {
        return Err(UrlError::Host);
    }
    let last = plain.rsplit('.').next().unwrap_or_default();
    // A resolver reads `127.1`, `2130706433` and `0x7f.1` as addresses, and no top-level domain looks like that.
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if number && !last.is_empty() {
        return plain
            .parse::<Ipv4Addr>()
            .map(|address| Host::Address(address.into()))
            .map_err(|_| UrlError::Number);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if plain.split('.').all(label) { Ok(Host::Name(name)) } else { Err(UrlError::Host) }
}

impl Url {
    /// Host and port, as `CONNECT` names them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Host, and the port unless it is the scheme's own, as `Host` names them.
    pub fn host_header(&self) -> String {
        let own = if self.secure { 443 } else { 80 };
        if self.port == own { self.host.to_string() } else { self.authority() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.secure { "https" } else { "http" }, self.host, self.port)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests;
