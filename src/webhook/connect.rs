//! A connection to a target: looked up, judged, dialled, tunnelled, encrypted.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Method, Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::resolve::Resolve;
use super::target::{Proxy, Target};
use super::url::{Host, Url};
use crate::domain::delivery::Failure;
use crate::fault;

/// The head of an answer: what is more is not HTTP from a receiver of webhooks.
const MAX_HEAD: usize = 32 * 1024;
/// What a connection buffers at most, of an answer's body too.
const MAX_BUFFER: usize = 64 * 1024;
/// What the kernel holds of an answer that is not read yet; it takes twice as much, with what it keeps beside.
const RECEIVE_BUFFER: u32 = 32 * 1024;
/// Of the addresses of a name, as many are tried.
const MAX_TRIED: usize = 8;

/// A failure, and what there is to say about it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) detail: String,
}

impl Trouble {
    pub(super) fn new(failure: Failure, detail: impl Into<String>) -> Trouble {
        Trouble { failure, detail: detail.into() }
    }

    /// What went wrong in an exchange. A receiver that does not like our certificate says so after the handshake.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Trouble {
        let mut next = Some(error);
        let mut last = error;
        while let Some(at) = next {
            if let Some(tls) = as_tls(at) {
                return Trouble::new(Failure::Tls, tls.to_string());
            }
            last = at;
            next = at.source();
        }
        Trouble::new(Failure::Protocol, last.to_string())
    }
}

fn as_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| inner.downcast_ref()))
}

/// How far an exchange has come, for saying where its time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    LookUp,
    Connect,
    Proxy,
    Tls,
    Answer,
}

impl Stage {
    pub(super) fn text(self) -> &'static str {
        match self {
            Stage::LookUp => "looking the name up",
            Stage::Connect => "connecting",
            Stage::Proxy => "waiting for the proxy",
            Stage::Tls => "agreeing on TLS",
            Stage::Answer => "waiting for the answer",
        }
    }
}

/// A task that ends with whoever waits for it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection on which one request at a time can be sent. Dropped, it is closed.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    made: Instant,
    _driver: Driver,
}

/// Why a request has no answer.
pub(super) enum Unanswered {
    /// The connection was gone before any of the request was written: here it is again.
    Unsent(Box<hyper::Request<Full<Bytes>>>),
    /// The request may have arrived.
    Lost(Trouble),
}

impl Connection {
    /// Whether another request may be sent on it.
    pub(super) fn is_usable(&self, longest: Duration) -> bool {
        !self.sender.is_closed() && self.made.elapsed() < longest
    }

    pub(super) async fn send(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        if self.sender.ready().await.is_err() {
            return Err(Unanswered::Unsent(Box::new(request)));
        }
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Unanswered::Unsent(Box::new(request)),
            None => Unanswered::Lost(Trouble::of(error.error())),
        })
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Makes a connection to `target`, to an address that was looked at.
pub(super) async fn connect(
    target: &Target,
    resolve: &dyn Resolve,
    deadline: Instant,
    stage: &mut Stage,
) -> Result<Connection, Trouble> {
    let to = target.proxy.as_ref().map_or(&target.url, |proxy| &proxy.url);
    *stage = Stage::LookUp;
    let mut addresses = look_up(&to.host, resolve).await?;
    // The proxy's own address was written down by whoever runs cardwatch. What lies behind it the proxy looks up,
    // and must judge.
    if target.proxy.is_none() {
        target.guard.check_all(&addresses).map_err(|(address, why)| {
            Trouble::new(Failure::Forbidden, format!("{} is {address}, {why}", to.host))
        })?;
    }
    if fault::broken("address-looked-up-again") {
        addresses = look_up(&to.host, resolve).await?;
    }
    *stage = Stage::Connect;
    let stream = dial(&addresses, to.port, deadline).await?;
    let stream: Box<dyn Io> = match (&target.proxy, &target.tls) {
        (Some(proxy), Some(_)) => {
            *stage = Stage::Proxy;
            tunnel(stream, proxy, &target.url).await?
        }
        _ => Box::new(stream),
    };
    let stream: Box<dyn Io> = match &target.tls {
        None => stream,
        Some(tls) => {
            *stage = Stage::Tls;
            let encrypted = tls.connector.connect(tls.name.clone(), stream).await;
            Box::new(encrypted.map_err(|error| Trouble::new(Failure::Tls, error.to_string()))?)
        }
    };
    let shaken = builder().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| Trouble::of(&error))?;
    // What it fails with is told to whoever waits for an answer.
    let driver = Driver(tokio::spawn(async { drop(connection.await) }));
    Ok(Connection { sender, made: Instant::now(), _driver: driver })
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER);
    builder
}

async fn look_up(host: &Host, resolve: &dyn Resolve) -> Result<Vec<IpAddr>, Trouble> {
    let name = match host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    match resolve.resolve(name).await {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(Trouble::new(Failure::Resolve, format!("{host} has no address"))),
        Err(error) => Err(Trouble::new(Failure::Resolve, format!("{host}: {error}"))),
    }
}

/// Tries the addresses in turn. Each but the last has its share of the time that is left, so that one that
/// swallows packets does not stand before one that answers.
async fn dial(addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<TcpStream, Trouble> {
    let mut trouble = Trouble::new(Failure::Connect, "no address");
    let tried = addresses.len().min(MAX_TRIED);
    for (at, address) in addresses.iter().take(tried).enumerate() {
        let left = u32::try_from(tried - at).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let place = SocketAddr::new(*address, port);
        let detail = match timeout(share, open(place)).await {
            Ok(Ok(stream)) => {
                // A request is one write: there is nothing to wait for.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => format!("{place}: {error}"),
            Err(_) => format!("{place}: no answer in {} ms", share.as_millis()),
        };
        trouble = Trouble::new(Failure::Connect, detail);
    }
    Err(trouble)
}

/// A connection on which little can be under way towards us: what a receiver sends beyond what is read would cost
/// it and us memory and time, up to some megabytes for each answer without end.
async fn open(place: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if place.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A limit and no promise: whoever refuses it does without.
    drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
    socket.connect(place).await
}

/// Asks the proxy for a way through to `url`.
async fn tunnel(stream: TcpStream, proxy: &Proxy, url: &Url) -> Result<Box<dyn Io>, Trouble> {
    let refused = |detail: String| Trouble::new(Failure::Connect, detail);
    let to = Uri::builder().authority(url.authority()).build();
    let mut request = hyper::Request::builder()
        .method(Method::CONNECT)
        .uri(to.map_err(|error| refused(error.to_string()))?)
        .header(header::HOST, url.authority());
    if let Some(authorization) = &proxy.authorization {
        request = request.header(header::PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| refused(error.to_string()))?;
    let shaken = builder().handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| refused(format!("the proxy: {error}")))?;
    let driver = Driver(tokio::spawn(async { drop(connection.with_upgrades().await) }));
    let answer =
        sender.send_request(request).await.map_err(|error| refused(format!("the proxy: {error}")))?;
    if !answer.status().is_success() {
        return Err(refused(format!("the proxy answered {}", answer.status().as_u16())));
    }
    let through = hyper::upgrade::on(answer).await.map_err(|error| refused(format!("the proxy: {error}")))?;
    drop(driver);
    Ok(Box::new(TokioIo::new(through)))
}
