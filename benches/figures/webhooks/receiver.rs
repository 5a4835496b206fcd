//! A receiver that is not what limits anybody: a kept connection costs it one read, one look and one write a request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::support::wait;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// What a request is known by: a part of its head or of its body.
pub(crate) type Key = fn(&[u8], &[u8]) -> String;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// When its first byte was read.
    pub(crate) at: Instant,
    /// What it is known by.
    pub(crate) key: String,
}

/// What came, and over how many connections.
#[derive(Debug, Default)]
struct Seen {
    arrivals: Mutex<Vec<Arrival>>,
    connections: AtomicUsize,
}

/// Answers 200 to everything, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    // Ends the tasks when it is dropped.
    _runtime: Runtime,
}

impl Receiver {
    pub(crate) fn start(key: Key) -> Receiver {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, key, &shared).await });
            }
        });
        Receiver { address, seen, _runtime: runtime }
    }

    /// What came so far, in order.
    pub(crate) fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.seen.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Where to post.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

/// Serves a connection until it breaks.
async fn serve(mut stream: TcpStream, key: Key, seen: &Seen) {
    stream.set_nodelay(true).expect("a socket of our own");
    let mut buffer = Vec::with_capacity(64 * 1024);
    while exchange(&mut stream, &mut buffer, key, seen).await.is_some() {}
}

async fn exchange(stream: &mut TcpStream, buffer: &mut Vec<u8>, key: Key, seen: &Seen) -> Option<()> {
    let mut first = None;
    let head = loop {
        if let Some(end) = memmem::find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer).await?;
        first.get_or_insert_with(wait::now);
    };
    let length: usize = header(&buffer[..head], b"content-length: ").parse().expect("a length");
    while buffer.len() < head + length {
        more(stream, buffer).await?;
    }
    let key = key(&buffer[..head], &buffer[head..head + length]);
    buffer.drain(..head + length);
    let at = first.expect("a request begins with the connection or after the answer before it");
    seen.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at, key });
    stream.write_all(ANSWER).await.ok()
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0).then_some(())
}

/// The value of a header, as a client writes it: name in small letters, one space.
pub(crate) fn header(head: &[u8], name: &[u8]) -> String {
    let start = memmem::find(head, name).map_or(head.len(), |at| at + name.len());
    let value = &head[start..];
    let end = memmem::find(value, b"\r\n").unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Known by its `webhook-id`.
pub(crate) fn webhook_id(head: &[u8], _: &[u8]) -> String {
    header(head, b"webhook-id: ")
}
