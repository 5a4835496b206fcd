//! Delivering: who is told, under which id, and how telling can fail.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::card::is_slug;

/// The name of an endpoint, from the configuration: 1 to 40 of `a-z`, `0-9`, `-`, `_`. The only thing of an endpoint
/// that is a label, a key and a part of a message.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointName(Arc<str>);

/// A text is not the name of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of an endpoint: 1 to 40 of a-z, 0-9, - and _ are expected")]
pub struct EndpointNameError;

impl EndpointName {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointName {
    type Err = EndpointNameError;
    fn from_str(text: &str) -> Result<Self, EndpointNameError> {
        if is_slug(text, 40) { Ok(EndpointName(text.into())) } else { Err(EndpointNameError) }
    }
}

impl TryFrom<String> for EndpointName {
    type Error = EndpointNameError;
    fn try_from(text: String) -> Result<Self, EndpointNameError> {
        text.parse()
    }
}

impl From<EndpointName> for String {
    fn from(name: EndpointName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a delivery and the `webhook-id` of its requests: the same in every attempt, by whichever process. It
/// holds no `.`, which Standard Webhooks keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct DeliveryId(Arc<str>);

impl DeliveryId {
    /// The id of one revision of an alert: `alr_…-REVISION`.
    pub fn of_alert(alert: &Alert) -> DeliveryId {
        DeliveryId(format!("{}-{}", alert.id, alert.revision).into())
    }

    /// An id as it was written down.
    pub fn written(text: &str) -> DeliveryId {
        DeliveryId(text.into())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for DeliveryId {
    fn from(text: String) -> DeliveryId {
        DeliveryId(text.into())
    }
}

impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// What stood in `Retry-After`, cut to 64 characters.
    pub retry_after: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// No body could be made: a template of the user's own failed on this alert.
    Body,
    /// The host has no address.
    Resolve,
    /// It has an address that requests must not go to; the connection was not made.
    Forbidden,
    /// Nobody took the connection.
    Connect,
    /// No agreement on TLS: certificate, name, version.
    Tls,
    /// The deadline over the whole exchange passed.
    Timeout,
    /// The connection broke, or what came is not HTTP.
    Protocol,
    /// An answer that is not 2xx.
    Status(u16),
}

impl Failure {
    /// Every class, for labels.
    pub const CLASSES: [&'static str; 10] = [
        "body",
        "resolve",
        "forbidden",
        "connect",
        "tls",
        "timeout",
        "protocol",
        "redirect",
        "client_error",
        "server_error",
    ];

    /// The class of this failure, one of [`Failure::CLASSES`].
    pub fn class(self) -> &'static str {
        match self {
            Failure::Body => "body",
            Failure::Resolve => "resolve",
            Failure::Forbidden => "forbidden",
            Failure::Connect => "connect",
            Failure::Tls => "tls",
            Failure::Timeout => "timeout",
            Failure::Protocol | Failure::Status(..200) => "protocol",
            Failure::Status(200..400) => "redirect",
            Failure::Status(400..500) => "client_error",
            Failure::Status(_) => "server_error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Body => f.write_str("no body could be made"),
            Failure::Resolve => f.write_str("the host has no address"),
            Failure::Forbidden => f.write_str("the host has an address that requests must not go to"),
            Failure::Connect => f.write_str("nobody took the connection"),
            Failure::Tls => f.write_str("no agreement on TLS"),
            Failure::Timeout => f.write_str("the deadline passed"),
            Failure::Protocol => f.write_str("the connection broke"),
            Failure::Status(status) => write!(f, "the answer was {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_slug_of_at_most_forty_characters() {
        let longest = "a".repeat(40);
        for good in ["a", "issuer-1", "fraud_desk", longest.as_str()] {
            assert_eq!(good.parse::<EndpointName>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "Issuer", "a.b", "a/b", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<EndpointName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_failure_has_a_class_that_is_a_label() {
        let all = [
            Failure::Body,
            Failure::Resolve,
            Failure::Forbidden,
            Failure::Connect,
            Failure::Tls,
            Failure::Timeout,
            Failure::Protocol,
        ];
        let statuses = (0..=999).map(Failure::Status);
        for failure in all.into_iter().chain(statuses) {
            assert!(Failure::CLASSES.contains(&failure.class()), "{failure}");
        }
        assert_eq!(Failure::Status(302).class(), "redirect");
        assert_eq!(Failure::Status(410).class(), "client_error");
        assert_eq!(Failure::Status(503).class(), "server_error");
    }
}
