//! A receiver of webhooks that behaves as it is told: well, or in one of the ways that receivers misbehave.
//!
//! It speaks HTTP by hand, because most of what it does no server would. It lives on the runtime that started it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a receiver does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status, these headers and an empty body, and keeps the connection.
    Answer(u16, Vec<(&'static str, String)>),
    /// Answers 200 with a body of so many bytes.
    Body(usize),
    /// Answers 204 where the body holds this text, and with this status where it does not.
    Unless(&'static str, u16),
    /// Reads the request and says nothing.
    Hang,
    /// Says 200, and then the body a byte a second.
    Drip,
    /// Says its head a byte a second.
    DripHead,
    /// Says 200, and then a body without end.
    Endless,
    /// Closes the connection when it has the request.
    Close,
    /// Says half a head and closes.
    CloseInHead,
    /// Says 200 and half a body, and closes.
    CloseInBody,
    /// Answers 200 and closes without having said that it would.
    CloseAfter,
    /// Says what is not HTTP.
    Garbage,
    /// Says 100 and 103 before 200.
    Informational,
    /// Each of these, from request to request.
    Turns(Vec<Behaviour>),
    /// Answers 500 to one `webhook-id` in so many, always the same ones, and 200 to all others.
    Picky(u32),
    /// Answers 200 with one header of so many bytes.
    LargeHeader(usize),
    /// Answers 200 with so many headers.
    ManyHeaders(usize),
}

impl Behaviour {
    /// A plain answer.
    pub fn status(status: u16) -> Behaviour {
        Behaviour::Answer(status, Vec::new())
    }

    /// What becomes of this request, with so many before it.
    fn towards(&self, request: &Received, before: usize) -> Behaviour {
        match self {
            Behaviour::Turns(all) => all[before % all.len()].towards(request, before),
            Behaviour::Picky(one_in) => {
                let id = request.header("webhook-id").unwrap_or_default();
                let sum = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
                Behaviour::status(if sum.is_multiple_of(*one_in) { 500 } else { 200 })
            }
            Behaviour::Unless(text, status) => {
                let holds = request.body.windows(text.len()).any(|part| part == text.as_bytes());
                Behaviour::status(if holds { 204 } else { *status })
            }
            plain => plain.clone(),
        }
    }

    /// The status of the answer, where its whole head goes out at once: that is when an answer counts, whatever
    /// becomes of its body.
    fn answers(&self) -> Option<u16> {
        match self {
            Behaviour::Answer(status, _) => Some(*status),
            Behaviour::Body(_)
            | Behaviour::Drip
            | Behaviour::Endless
            | Behaviour::CloseInBody
            | Behaviour::CloseAfter
            | Behaviour::Informational => Some(200),
            _ => None,
        }
    }
}

/// Takes each request as it comes, with the status that will be answered, where the head of an answer will be whole.
pub type Sink = dyn Fn(Received, Option<u16>) + Send + Sync;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The first line, without its end.
    pub line: String,
    /// Names in small letters, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of its connection, from 0.
    pub connection: usize,
}

impl Received {
    /// The first header of this name (in small letters).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    /// Where requests go in place of `received`: of many, nobody wants to keep all.
    sink: Option<Box<Sink>>,
    requests: AtomicUsize,
    connections: Mutex<usize>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.behaviour)
    }
}

/// A listening receiver. Dropped, it stops, and its connections with it.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts one on loopback; with an acceptor it speaks TLS.
    pub async fn start(behaviour: Behaviour, tls: Option<TlsAcceptor>) -> Receiver {
        Receiver::made(behaviour, tls, None).await
    }

    /// Starts one on loopback that keeps nothing and hands every request on.
    pub async fn handing_on(behaviour: Behaviour, sink: Box<Sink>) -> Receiver {
        Receiver::made(behaviour, None, Some(sink)).await
    }

    async fn made(behaviour: Behaviour, tls: Option<TlsAcceptor>, sink: Option<Box<Sink>>) -> Receiver {
        let socket = TcpSocket::new_v4().unwrap();
        // A body without end is written into the kernel's buffer, as fast as that takes it: a large one would cost the
        // machine that is under test what in truth another machine pays.
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1_024).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            received: Mutex::default(),
            sink,
            requests: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), tls));
        Receiver { address, shared, task }
    }

    /// From the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Everything that came, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    // Ends its tasks when it is dropped.
    let mut tasks = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut connections = shared.connections.lock().unwrap();
            *connections += 1;
            *connections - 1
        };
        stream.set_nodelay(true).unwrap();
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        tasks.spawn(async move {
            match tls {
                None => drop(serve(stream, &shared, number).await),
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(serve(stream, &shared, number).await);
                    }
                }
            }
        });
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
    number: usize,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(mut request) = read_request(&mut stream, &mut buffer).await? {
        request.connection = number;
        let before = shared.requests.fetch_add(1, Ordering::Relaxed);
        let behaviour = shared.behaviour.lock().unwrap().towards(&request, before);
        match &shared.sink {
            Some(sink) => sink(request, behaviour.answers()),
            None => shared.received.lock().unwrap().push(request),
        }
        if behaviour == Behaviour::Hang {
            // Until the other side has enough of it: connections must not pile up here.
            while stream.read_buf(&mut buffer).await? > 0 {
                buffer.clear();
            }
            break;
        }
        if !behave(&mut stream, behaviour).await? {
            break;
        }
    }
    stream.shutdown().await
}

/// Reads one request; what is left in `buffer` belongs to the next.
pub async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Received>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).expect("a head in ASCII");
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut received = Received { line, headers, body: Vec::new(), connection: 0 };
    let length: usize = received.header("content-length").map_or(0, |text| text.parse().expect("a length"));
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    received.body = buffer.drain(..length).collect();
    Ok(Some(received))
}

/// Whether the connection goes on.
async fn behave(stream: &mut (impl AsyncWrite + Unpin), behaviour: Behaviour) -> std::io::Result<bool> {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (text, goes_on) = match behaviour {
        Behaviour::Unless(_, status) => (answer(status, &[]), true),
        Behaviour::Answer(status, headers) => (answer(status, &headers), true),
        Behaviour::Body(bytes) => {
            (format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes)), true)
        }
        Behaviour::Hang | Behaviour::Turns(_) | Behaviour::Picky(_) => std::future::pending().await,
        Behaviour::Drip => {
            stream.write_all(CHUNKED.as_bytes()).await?;
            return drip(stream, "1\r\nx\r\n".repeat(1_000).as_bytes(), 6).await;
        }
        Behaviour::DripHead => return drip(stream, OK.as_bytes(), 1).await,
        Behaviour::Endless => {
            stream.write_all(CHUNKED.as_bytes()).await?;
            let piece = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
            loop {
                stream.write_all(piece.as_bytes()).await?;
            }
        }
        Behaviour::Close => (String::new(), false),
        Behaviour::CloseInHead => ("HTTP/1.1 200 OK\r\ncontent-le".to_owned(), false),
        Behaviour::CloseInBody => ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned(), false),
        Behaviour::CloseAfter => (OK.to_owned(), false),
        Behaviour::Garbage => ("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), false),
        Behaviour::Informational => {
            (format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{OK}"), true)
        }
        Behaviour::LargeHeader(bytes) => (answer(200, &[("x-large", "x".repeat(bytes))]), true),
        Behaviour::ManyHeaders(count) => (answer(200, &vec![("x-many", "x".to_owned()); count]), true),
    };
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    Ok(goes_on)
}

fn answer(status: u16, headers: &[(&str, String)]) -> String {
    let mut text = format!("HTTP/1.1 {status} Said\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    // 204 and 304 have no body and no length.
    let end = if status == 204 || status == 304 { "\r\n" } else { "content-length: 0\r\n\r\n" };
    text + end
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), text: &[u8], bytes: usize) -> std::io::Result<bool> {
    for piece in text.chunks(bytes) {
        stream.write_all(piece).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(true)
}
