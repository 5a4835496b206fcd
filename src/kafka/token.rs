//! The token that brokers are shown where they ask for one (SASL OAUTHBEARER).
//!
//! librdkafka asks for a token by an event in a client's queue, and a client that nobody polls (one that only
//! answers questions, one that waits for its turn) would never get any. So tokens are not asked for here but handed
//! out: each cluster has one thread that fetches a new token before the old one ends and gives it to every client
//! there is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use serde::Deserialize;

use super::native;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::secret::Secret;
use crate::stop::Stop;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How often the thread looks whether a new token is due.
const TURN: Duration = Duration::from_secs(1);
/// The longest wait before a source that failed is asked again.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Where tokens come from.
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// The token of this moment, a JSON Web Token.
    ///
    /// # Errors
    /// Why there is none, in words, without anything of the token.
    fn token(&self) -> Result<Secret, String>;
}

/// A token and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: Secret,
    pub(super) subject: String,
    pub(super) expires_at: Timestamp,
}

/// The claims that are looked at. Whether they are true is for the brokers to say.
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    sub: Option<String>,
}

impl Token {
    /// Reads when a token ends.
    fn read(text: Secret) -> Result<Token, String> {
        let parts: Vec<&[u8]> = text.expose().split(|byte| *byte == b'.').collect();
        let [_, claims, _] = parts[..] else {
            return Err("is no JSON Web Token of three parts with dots between them".to_owned());
        };
        let claims = data_encoding::BASE64URL_NOPAD.decode(claims).ok();
        let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        let Some(claims) = claims else {
            return Err(
                "is a JSON Web Token without `exp`, and when it ends must be known to renew it".to_owned()
            );
        };
        let expires_at = Timestamp((claims.exp * 1000.0) as i64);
        Ok(Token { expires_at, subject: claims.sub.unwrap_or_default(), text })
    }

    /// How long it is good for.
    fn left(&self, now: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.expires_at.millis() - now.millis()).unwrap_or(0))
    }

    /// How long until a new one is looked for: when a fifth of the time is left; and where the source still has the
    /// same then, when a fifth of that is.
    fn renewed_after(&self, now: Timestamp) -> Duration {
        (self.left(now) * 4 / 5).max(TURN)
    }
}

/// A client that shows tokens.
pub trait Bearer: Send + Sync {
    /// Takes the token that is shown from now on.
    ///
    /// # Errors
    /// Why the client does not take it.
    #[doc(hidden)]
    fn take(&self, token: &Handed<'_>) -> Result<(), String>;
}

/// A token on its way to a client.
#[derive(Debug)]
pub struct Handed<'a>(pub(super) &'a Token);

impl<C: ConsumerContext> Bearer for BaseConsumer<C> {
    fn take(&self, token: &Handed<'_>) -> Result<(), String> {
        native::set_token(self.client(), token.0)
    }
}

impl<C: ProducerContext> Bearer for BaseProducer<C> {
    fn take(&self, token: &Handed<'_>) -> Result<(), String> {
        native::set_token(self.client(), token.0)
    }
}

impl<C: ClientContext> Bearer for AdminClient<C> {
    fn take(&self, token: &Handed<'_>) -> Result<(), String> {
        native::set_token(self.inner(), token.0)
    }
}

/// The tokens of a cluster; clones are the same.
#[derive(Clone)]
pub struct Tokens {
    shared: Arc<Shared>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({:?})", self.shared.source)
    }
}

struct Shared {
    source: Box<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// When the next token is looked for.
    due: Option<Timestamp>,
    bearers: Vec<Weak<dyn Bearer>>,
    has_thread: bool,
}

impl Tokens {
    /// Tokens from `source`; the first is fetched when the first client is made.
    pub fn new(source: Box<dyn TokenSource>, clock: Arc<dyn Clock>) -> Tokens {
        Tokens { shared: Arc::new(Shared { source, clock, state: Mutex::default() }) }
    }

    /// Gives a client its token, and every later one as long as it lives.
    pub(super) fn enrol(&self, bearer: &Arc<dyn Bearer>) -> Result<(), String> {
        let shared = &self.shared;
        let mut state = shared.state();
        let now = shared.clock.now();
        let token = match state.token.clone().filter(|token| !token.left(now).is_zero()) {
            Some(token) => token,
            None => shared.fetch()?,
        };
        bearer.take(&Handed(&token))?;
        if state.token.as_ref() != Some(&token) {
            shared.note(&mut state, token);
        }
        state.bearers.retain(|bearer| bearer.strong_count() > 0);
        state.bearers.push(Arc::downgrade(bearer));
        if !state.has_thread {
            let shared = Arc::downgrade(shared);
            let thread = std::thread::Builder::new().name("kafka-tokens".to_owned());
            thread
                .spawn(move || renew(&shared))
                .map_err(|error| format!("no thread to renew tokens: {error}"))?;
            state.has_thread = true;
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good now.
    fn fetch(&self) -> Result<Token, String> {
        let source = &self.source;
        let token = Token::read(source.token()?).map_err(|wrong| format!("what {source:?} holds {wrong}"))?;
        match token.left(self.clock.now()).is_zero() {
            true => Err(format!("the token of {source:?} has expired at {}", token.expires_at)),
            false => Ok(token),
        }
    }

    fn note(&self, state: &mut State, token: Token) {
        let now = self.clock.now();
        let after = i64::try_from(token.renewed_after(now).as_millis()).unwrap_or(i64::MAX);
        state.due = Some(Timestamp(now.millis().saturating_add(after)));
        state.token = Some(token);
    }

    /// Looks for a new token where it is time, and hands it out; how it went, where it did.
    fn look(&self) -> Option<Result<(), String>> {
        let due = self.state().due;
        if due.is_none_or(|due| due > self.clock.now()) {
            return None;
        }
        // Without the lock: a command may take its time, and clients are made meanwhile.
        let token = match self.fetch() {
            Ok(token) => token,
            Err(reason) => return Some(Err(reason)),
        };
        let mut state = self.state();
        let is_new = state.token.as_ref() != Some(&token);
        self.note(&mut state, token.clone());
        let bearers = state.bearers.clone();
        drop(state);
        if is_new {
            // All get it, whatever one of them says.
            let mut taken = Ok(());
            for bearer in bearers.iter().filter_map(Weak::upgrade) {
                taken = taken.and(bearer.take(&Handed(&token)));
            }
            if taken.is_err() {
                return Some(taken);
            }
            tracing::debug!(expires_at = %token.expires_at, "brokers are shown a new token");
        }
        Some(Ok(()))
    }
}

/// Renews tokens as long as anybody holds them.
fn renew(tokens: &Weak<Shared>) {
    let stop = Stop::new();
    let mut backoff = Backoff::new(TURN, RETRY_MAX);
    let mut told = false;
    loop {
        let Some(shared) = tokens.upgrade() else { return };
        let looked = shared.look();
        drop(shared);
        let wait = match looked {
            Some(Err(reason)) => {
                if !told {
                    tracing::warn!(
                        reason,
                        "no new token for the brokers: connections end when the old one does"
                    );
                }
                told = true;
                backoff.next_wait()
            }
            Some(Ok(())) => {
                if told {
                    tracing::info!("there are tokens for the brokers again");
                }
                told = false;
                backoff.reset();
                TURN
            }
            None => TURN,
        };
        stop.wait(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// A token of these claims, unsigned.
    fn jwt(claims: &str) -> Secret {
        let encode = |json: &str| data_encoding::BASE64URL_NOPAD.encode(json.as_bytes());
        Secret::new(format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims)).into_bytes())
    }

    #[test]
    fn a_token_tells_when_it_ends_and_nothing_of_it_is_repeated() {
        let token = Token::read(jwt(r#"{"sub":"cardwatch","exp":1700000000.5}"#)).unwrap();
        assert_eq!((token.subject.as_str(), token.expires_at), ("cardwatch", Timestamp(1_700_000_000_500)));
        assert!(!format!("{token:?}").contains("eyJ"));
        for (text, want) in [
            (jwt(r#"{"sub":"hunter2"}"#), "without `exp`"),
            (jwt("hunter2"), "without `exp`"),
            (Secret::new(b"hunter2".to_vec()), "three parts"),
            (Secret::new(b"a.!.c".to_vec()), "without `exp`"),
        ] {
            let wrong = Token::read(text).unwrap_err();
            assert!(wrong.contains(want) && !wrong.contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn a_new_one_is_looked_for_when_a_fifth_is_left_and_more_often_towards_the_end() {
        let token = Token::read(jwt(r#"{"exp":100}"#)).unwrap();
        for (now_s, want_s) in [(0, 80), (80, 16), (96, 3), (100, 1), (200, 1)] {
            assert_eq!(token.renewed_after(Timestamp(now_s * 1000)).as_secs(), want_s, "{now_s}");
        }
    }

    #[derive(Debug)]
    struct Told(Mutex<Vec<Result<Secret, String>>>);

    impl TokenSource for Told {
        fn token(&self) -> Result<Secret, String> {
            self.0.lock().unwrap().remove(0)
        }
    }

    /// Keeps when the tokens it was given end.
    #[derive(Default)]
    struct Client(Mutex<Vec<i64>>);

    impl Bearer for Client {
        fn take(&self, token: &Handed<'_>) -> Result<(), String> {
            self.0.lock().unwrap().push(token.0.expires_at.millis());
            Ok(())
        }
    }

    #[test]
    fn every_client_gets_every_token_and_one_that_failed_to_come_is_asked_for_again() {
        let (first, second) = (jwt(r#"{"exp":100}"#), jwt(r#"{"exp":200}"#));
        let told = vec![
            Err("not yet".to_owned()),
            Ok(first.clone()),
            Ok(first),
            Err("away".to_owned()),
            Ok(second),
            Ok(jwt(r#"{"exp":200}"#)),
        ];
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        // No thread here: the test looks itself.
        let state = Mutex::new(State { has_thread: true, ..State::default() });
        let shared = Shared { source: Box::new(Told(Mutex::new(told))), clock: clock.clone(), state };
        let tokens = Tokens { shared: Arc::new(shared) };
        let (one, two) = (Arc::new(Client::default()), Arc::new(Client::default()));
        let enrol = |client: &Arc<Client>| tokens.enrol(&(client.clone() as Arc<dyn Bearer>));
        assert_eq!(enrol(&one), Err("not yet".to_owned()));
        enrol(&one).unwrap();
        enrol(&two).unwrap();
        assert_eq!(tokens.shared.look(), None);
        clock.set(Timestamp(80_000));
        assert_eq!(tokens.shared.look(), Some(Ok(())), "the same once more");
        clock.set(Timestamp(96_000));
        assert_eq!(tokens.shared.look(), Some(Err("away".to_owned())));
        drop(two);
        assert_eq!(tokens.shared.look(), Some(Ok(())));
        assert_eq!(*one.0.lock().unwrap(), [100_000, 200_000]);
        clock.set(Timestamp(200_000));
        let error = tokens.shared.look().unwrap().unwrap_err();
        assert!(error.contains("has expired at"), "{error}");
    }
}
