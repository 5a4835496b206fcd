//! What lines know of an exchange: a request, and somebody who posts it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

pub use hyper::body::Bytes;

use crate::domain::delivery::{Answer, Failure};

/// An exchange under way.
pub type Posting<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'a>>;

/// Somebody who posts, one request at a time. [`Slot`](super::slot::Slot) does it for real; tests of lines bring
/// their own.
pub trait Post: fmt::Debug + Send {
    /// Posts `request` and tells what was answered, whatever the status.
    ///
    /// Dropping the future ends the exchange: the connection is closed, and the request may have arrived.
    ///
    /// # Errors
    /// Why there is no answer.
    fn post(&mut self, request: Request) -> Posting<'_>;

    /// Why the last post failed, in words for a person and never for a label: nothing of the answer, of the URL's
    /// path or of the request is in it.
    fn detail(&self) -> Option<&str> {
        None
    }
}

/// A request: headers and a body. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Request {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A header cannot be sent. Its value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No token of HTTP.
    #[error("`{0}` is not the name of a header")]
    Name(String),
    /// A header of the connection, or one that cardwatch sets.
    #[error("the header `{0}` is set by cardwatch itself")]
    Reserved(String),
    /// A control character, or one outside ASCII.
    #[error("the value of the header `{0}` must be visible ASCII")]
    Value(String),
}

/// Headers of the exchange itself.
const RESERVED: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::USER_AGENT,
    HeaderName::from_static("keep-alive"),
];

impl Request {
    /// A request with this body and these headers.
    ///
    /// # Errors
    /// The first header that cannot be sent.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(
        content_type: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: Bytes,
    ) -> Result<Request, RequestError> {
        let mut map = HeaderMap::new();
        map.insert(header::CONTENT_TYPE, value("content-type", content_type)?);
        for (name, text) in headers {
            let name = name.as_ref();
            let known: HeaderName =
                name.parse().map_err(|_| RequestError::Name(name.chars().take(64).collect()))?;
            if RESERVED.contains(&known) {
                return Err(RequestError::Reserved(name.to_owned()));
            }
            map.append(known, value(name, text.as_ref())?);
        }
        Ok(Request { headers: map, body })
    }

    /// The first header of this name, for whoever posts it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn value(name: &str, text: &str) -> Result<HeaderValue, RequestError> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let value = HeaderValue::from_str(text).ok().filter(|_| visible);
    value.ok_or_else(|| RequestError::Value(name.to_owned()))
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &str, value: &str) -> Result<Request, RequestError> {
        Request::new("application/json", [(name, value)], Bytes::new())
    }

    #[test]
    fn headers_are_checked_before_anything_is_sent() {
        assert!(request("webhook-id", "alr_1-1").is_ok());
        for name in ["", "a b", "a:b", "ä", "a\r\nb"] {
            assert!(matches!(request(name, "x"), Err(RequestError::Name(_))), "{name:?}");
        }
        for name in ["Host", "content-length", "Transfer-Encoding", "user-agent", "Expect"] {
            assert!(matches!(request(name, "x"), Err(RequestError::Reserved(_))), "{name:?}");
        }
        for value in ["a\r\nx: y", "a\0", "ä", "\t"] {
            let error = request("x-key", value).unwrap_err();
            assert_eq!(error, RequestError::Value("x-key".to_owned()));
        }
    }

    #[test]
    fn a_request_shows_neither_headers_nor_body() {
        let request =
            Request::new("text/plain", [("authorization", "SECRET")], Bytes::from("SECRET")).unwrap();
        assert_eq!(format!("{request:?}"), "Request(2 headers, 6 bytes)");
    }
}
