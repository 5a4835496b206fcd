//! The demonstration's own receiver of webhooks: what somebody who is told of alerts would write, on loopback.
//!
//! It knows of cardwatch only what docs/webhooks.md says and the key that both share, and takes no request whose
//! signature does not fit.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::ground::fault;
use crate::clock::Clock;
use crate::http::Server;
use crate::lines::start::Stopped;
use crate::secret::Secret;
use crate::stop::{Reason, Stop};

/// How far a request's time may be from the receiver's, in seconds.
const TOLERANCE_S: i64 = 300;
/// How the signatures under a shared key begin.
const SCHEME: &str = "v1,";

/// What came of the requests so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Received {
    /// Distinct ids with a signature that fits.
    pub(super) verified: u64,
    /// Requests whose id had come before.
    pub(super) again: u64,
    /// Requests that were refused.
    pub(super) refused: u64,
    /// The headers of the first request that was taken.
    pub(super) first: Option<Vec<(String, String)>>,
}

struct Desk {
    key: Secret,
    clock: Arc<dyn Clock>,
    book: Mutex<(Received, BTreeSet<String>)>,
}

/// The running receiver.
pub(super) struct Receiver {
    server: Server,
    desk: Arc<Desk>,
    stop: Stop,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({})", self.server.address())
    }
}

impl Receiver {
    /// Starts it on any free port of loopback; requests are signed with `key`.
    pub(super) fn start(key: Secret, clock: &Arc<dyn Clock>) -> Result<Receiver, Stopped> {
        let desk = Arc::new(Desk { key, clock: Arc::clone(clock), book: Mutex::default() });
        let router = Router::new().route("/alerts", post(take)).with_state(Arc::clone(&desk));
        let stop = Stop::new();
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| fault("the receiver", &error))?;
        let server = Server::open(listener, router, stop.clone());
        let server = server.map_err(|error| fault("the receiver", &error))?;
        Ok(Receiver { server, desk, stop })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(super) fn received(&self) -> Received {
        self.desk.book.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(super) fn end(self) -> Result<(), Stopped> {
        self.stop.ask(Reason::Asked);
        self.server.join().map_err(|error| fault("the receiver", &error))
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let now = desk.clock.now().millis().div_euclid(1_000);
    let id = verified(desk.key.expose(), &headers, &body, now);
    let mut book = desk.book.lock().unwrap_or_else(PoisonError::into_inner);
    let (received, known) = &mut *book;
    let Some(id) = id else {
        received.refused += 1;
        return StatusCode::UNAUTHORIZED;
    };
    match known.insert(id.to_owned()) {
        true => received.verified += 1,
        // Told again, and answered as before: that is what the id is for.
        false => received.again += 1,
    }
    received.first.get_or_insert_with(|| shown(&headers));
    StatusCode::NO_CONTENT
}

/// The id of a request whose signature fits and whose time is near `now`, in seconds.
fn verified<'a>(key: &[u8], headers: &'a HeaderMap, body: &[u8], now: i64) -> Option<&'a str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
    if (at.parse::<i64>().ok()? - now).abs() > TOLERANCE_S {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    let fits = |signature: &str| {
        let given = signature.strip_prefix(SCHEME).map(|text| data_encoding::BASE64.decode(text.as_bytes()));
        // In constant time: how much of a guess is right must not show.
        given.is_some_and(|given| given.is_ok_and(|given| mac.clone().verify_slice(&given).is_ok()))
    };
    header("webhook-signature")?.split(' ').any(fits).then_some(id)
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let ours = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("webhook-") || name.as_str().starts_with("cardwatch-"));
    ours.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answer of the Standard Webhooks specification.
    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap());
        headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    #[test]
    fn only_a_signature_of_the_shared_key_over_id_time_and_body_is_taken() {
        let key = data_encoding::BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let right = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let beside_others = headers("v1a,AAAA v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let wrong = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=");
        let other_scheme = headers("v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let now = 1_614_265_330;
        assert_eq!(verified(&key, &right, body, now + 300), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        assert!(verified(&key, &beside_others, body, now).is_some());
        for (case, headers, body, now) in [
            ("another signature", &wrong, body.as_slice(), now),
            ("another scheme", &other_scheme, body, now),
            ("another body", &right, b"{}", now),
            ("too late", &right, body, now + 301),
            ("too early", &right, body, now - 301),
            ("no headers", &HeaderMap::new(), body, now),
        ] {
            assert_eq!(verified(&key, headers, body, now), None, "{case}");
        }
    }
}
