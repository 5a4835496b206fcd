//! The link of a chat message: to the alert in the reader's own system.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::alert::Alert;

/// What RFC 3986 calls unreserved stays as it is, everything else is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address with `{alert}` for the alert's id and `{incident}` for that of its first incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pieces: Vec<Piece>,
    origin: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Alert,
    Incident,
}

/// The longest link, in bytes.
const LINK_BYTES_MAX: usize = 1000;

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Longer than 1,000 bytes.
    #[error("a link has at most {LINK_BYTES_MAX} bytes")]
    Length,
    /// Not http or https, or no host.
    #[error("a link begins with https:// or http:// and a host")]
    Scheme,
    /// Another placeholder.
    #[error("`{{{0}}}` is no placeholder of a link: there are {{alert}} and {{incident}}")]
    Placeholder(String),
    /// A brace that opens or closes nothing, a space, or a character that no address has.
    #[error("a link holds no spaces, quotes, angle brackets, control characters or lone braces")]
    Character,
}

impl Link {
    /// Reads a link.
    ///
    /// # Errors
    /// [`LinkError`] when it is none.
    pub fn parse(text: &str) -> Result<Link, LinkError> {
        if text.len() > LINK_BYTES_MAX {
            return Err(LinkError::Length);
        }
        let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or(LinkError::Scheme)?;
        let host = text[scheme.len()..].split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() || host.contains(['{', '@']) {
            return Err(LinkError::Scheme);
        }
        let forbidden =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '|' | '\\');
        if text.contains(forbidden) {
            return Err(LinkError::Character);
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after.split_once('}').ok_or(LinkError::Character)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name {
                "alert" => Piece::Alert,
                "incident" => Piece::Incident,
                other => return Err(LinkError::Placeholder(other.to_owned())),
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let lone = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
        if pieces.iter().any(lone) {
            return Err(LinkError::Character);
        }
        Ok(Link { pieces, origin: format!("{scheme}{host}") })
    }

    /// Scheme and host.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address for an alert, its values percent-encoded.
    pub fn of(&self, alert: &Alert) -> String {
        let incident = alert.incidents.first().map_or("", |incident| incident.id.as_str());
        let mut address = String::new();
        for piece in &self.pieces {
            let value = match piece {
                Piece::Text(text) => {
                    address.push_str(text);
                    continue;
                }
                Piece::Alert => alert.id.as_str(),
                Piece::Incident => incident,
            };
            // Writing to a text cannot fail.
            let _ = write!(address, "{}", utf8_percent_encode(value, ENCODED));
        }
        address
    }
}
