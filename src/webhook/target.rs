//! One endpoint as a place to post to: checked once, when the configuration is read.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::address::{Forbidden, Guard, NetworkError};
use super::tls::{self, SystemRoots, TlsError};
use super::url::{Host, Url, UrlError};
use crate::secret::Secret;

/// The time one exchange may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The bytes of an answer that are read before its connection is given up.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// What a timeout may be.
const TIMEOUTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_mins(2)];

/// An endpoint as it was configured. Files have been read: everything is handed in.
#[derive(Clone)]
pub struct Settings {
    /// Where to post. Not to be shown: the path of a chat's webhook is its password.
    pub url: String,
    /// Whether `http` is meant.
    pub allow_insecure: bool,
    /// Networks to let through besides the public internet.
    pub allow_networks: Vec<String>,
    /// The URL of a proxy, `http://HOST:PORT`.
    pub proxy: Option<String>,
    /// What the proxy asks for, `USER:PASSWORD`.
    pub proxy_credentials: Option<Secret>,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain (PEM).
    pub client_certificate: Option<Vec<u8>>,
    /// The key of that certificate (PEM).
    pub client_key: Option<Secret>,
    /// One deadline over the whole exchange: looking up, connecting, TLS, request, answer.
    pub timeout: Duration,
    /// What is read of an answer's body at most.
    pub max_response_bytes: usize,
}

impl Settings {
    /// Settings of `url` with the defaults.
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            allow_insecure: false,
            allow_networks: Vec::new(),
            proxy: None,
            proxy_credentials: None,
            ca: None,
            client_certificate: None,
            client_key: None,
            timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url.parse::<Url>())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an endpoint's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Problem {
    /// The setting, by the name of its field in [`Settings`].
    pub setting: &'static str,
    /// What is wrong, and what to write instead.
    pub fault: Fault,
}

/// What can be wrong with a setting. None repeats a URL or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says in its message what it is")]
pub enum Fault {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(
        "alerts would go over http, where others can read and change them: write https, or allow_insecure = true \
         if this network is yours alone"
    )]
    Insecure,
    #[error(
        "the URL names {1} ({0}), where requests must not go: if it is meant, write allow_networks = [\"{0}\"]"
    )]
    Address(IpAddr, Forbidden),
    #[error("behind a proxy `localhost` is the proxy's own machine: write the receiver's name")]
    Localhost,
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(
        "a proxy is written as http://HOST:PORT: the way to it is clear, what goes through it to https is not"
    )]
    Proxy,
    #[error("the proxy's credentials must be USER:PASSWORD on one line")]
    ProxyCredentials,
    #[error("without `proxy` there is nobody to show the proxy's credentials to")]
    NoProxy,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a client certificate and its key go together: set both, or neither")]
    HalfClient,
    #[error("over http no certificate is shown or checked: take it out, or write https")]
    NoTls,
    #[error("the timeout must be between 100 ms and 2 minutes")]
    Timeout,
}

/// A proxy that stands between.
pub(super) struct Proxy {
    pub(super) url: Url,
    pub(super) authorization: Option<HeaderValue>,
}

/// The far side of TLS.
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

/// What a request to the target begins with.
pub(super) struct Line {
    /// The path; the whole URL where a proxy reads it.
    pub(super) uri: Uri,
    pub(super) host: HeaderValue,
}

/// A place to post to. Its `Display` and `Debug` show scheme, host and port.
pub struct Target {
    pub(super) url: Url,
    pub(super) line: Line,
    pub(super) guard: Guard,
    pub(super) proxy: Option<Proxy>,
    pub(super) tls: Option<Tls>,
    pub(super) timeout: Duration,
    pub(super) max_response_bytes: u64,
}

impl Target {
    /// Checks `settings` as far as that goes without connecting.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(settings: &Settings, roots: &SystemRoots) -> Result<Target, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |setting, fault| problems.push(Problem { setting, fault });
        let url = settings.url.parse::<Url>().map_err(|error| wrong("url", error.into())).ok();
        let guard = Guard::new(settings.allow_networks.iter().map(String::as_str))
            .map_err(|error| wrong("allow_networks", error.into()))
            .ok();
        if url.as_ref().is_some_and(|url| !url.secure) && !settings.allow_insecure {
            wrong("url", Fault::Insecure);
        }
        if let (Some(Url { host: Host::Address(address), .. }), Some(guard)) = (&url, &guard)
            && let Err(why) = guard.check(*address)
        {
            wrong("url", Fault::Address(*address, why));
        }
        let proxy = proxy(settings, &mut wrong);
        // Behind a proxy nobody here sees the address that a name comes to.
        if proxy.is_some() && url.as_ref().is_some_and(|url| url.host.is_localhost()) {
            wrong("url", Fault::Localhost);
        }
        if !(TIMEOUTS[0]..=TIMEOUTS[1]).contains(&settings.timeout) {
            wrong("timeout", Fault::Timeout);
        }
        let tls = url.as_ref().and_then(|url| tls(url, settings, roots, &mut wrong));
        let line = url.as_ref().and_then(|url| line(url, proxy.is_some()));
        if url.is_some() && line.is_none() {
            wrong("url", UrlError::Text.into());
        }
        match (url, line, guard) {
            (Some(url), Some(line), Some(guard)) if problems.is_empty() => Ok(Target {
                url,
                line,
                guard,
                proxy,
                tls,
                timeout: settings.timeout,
                max_response_bytes: u64::try_from(settings.max_response_bytes).unwrap_or(u64::MAX),
            }),
            _ => Err(problems),
        }
    }

    /// The deadline over one exchange.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn line(url: &Url, proxied: bool) -> Option<Line> {
    let host = HeaderValue::from_str(&url.host_header()).ok()?;
    let uri = if proxied && !url.secure {
        let whole = Uri::builder().scheme("http").authority(url.host_header());
        whole.path_and_query(url.path.clone()).build().ok()?
    } else {
        Uri::from(url.path.clone())
    };
    Some(Line { uri, host })
}

fn proxy(settings: &Settings, wrong: &mut impl FnMut(&'static str, Fault)) -> Option<Proxy> {
    let Some(text) = &settings.proxy else {
        if settings.proxy_credentials.is_some() {
            wrong("proxy_credentials", Fault::NoProxy);
        }
        return None;
    };
    let authorization = settings.proxy_credentials.as_ref().and_then(|credentials| {
        let header = basic(credentials);
        if header.is_none() {
            wrong("proxy_credentials", Fault::ProxyCredentials);
        }
        header
    });
    match text.parse::<Url>() {
        Ok(url) if !url.secure && url.path == "/" => Some(Proxy { url, authorization }),
        Ok(_) => {
            wrong("proxy", Fault::Proxy);
            None
        }
        Err(error) => {
            wrong("proxy", error.into());
            None
        }
    }
}

/// Credentials as a proxy takes them (RFC 7617).
fn basic(credentials: &Secret) -> Option<HeaderValue> {
    let text = std::str::from_utf8(credentials.expose()).ok()?.trim_end_matches(['\r', '\n']);
    if !text.contains(':') || text.chars().any(char::is_control) {
        return None;
    }
    let encoded = data_encoding::BASE64.encode(text.as_bytes());
    let mut header = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

fn tls(
    url: &Url,
    settings: &Settings,
    roots: &SystemRoots,
    wrong: &mut impl FnMut(&'static str, Fault),
) -> Option<Tls> {
    let client = (settings.client_certificate.as_deref(), settings.client_key.as_ref());
    if !url.secure {
        for (setting, given) in [("ca", settings.ca.is_some()), ("client_certificate", client.0.is_some())] {
            if given {
                wrong(setting, Fault::NoTls);
            }
        }
        return None;
    }
    let pair = match client {
        (None, None) => None,
        (Some(chain), Some(key)) => Some((chain, key)),
        (Some(_), None) => return wrong_half("client_certificate", wrong),
        (None, Some(_)) => return wrong_half("client_key", wrong),
    };
    let name = match &url.host {
        Host::Address(address) => ServerName::IpAddress((*address).into()),
        Host::Name(_) => match ServerName::try_from(url.host.to_string()) {
            Ok(name) => name,
            Err(_) => {
                wrong("url", UrlError::Host.into());
                return None;
            }
        },
    };
    match tls::config(roots, settings.ca.as_deref(), pair) {
        Ok(config) => Some(Tls { connector: TlsConnector::from(Arc::clone(&config)), name }),
        Err(errors) => {
            for error in errors {
                let setting = match error {
                    TlsError::NoRoots | TlsError::NoAuthority | TlsError::Authority(_) => "ca",
                    TlsError::NoKey | TlsError::EncryptedKey | TlsError::OtherKey => "client_key",
                    TlsError::NoCertificate | TlsError::Certificate | TlsError::Pair(_) => {
                        "client_certificate"
                    }
                };
                wrong(setting, error.into());
            }
            None
        }
    }
}

fn wrong_half(setting: &'static str, wrong: &mut impl FnMut(&'static str, Fault)) -> Option<Tls> {
    wrong(setting, Fault::HalfClient);
    None
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.url)
    }
}

#[cfg(test)]
mod tests;
