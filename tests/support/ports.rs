//! Ports that are kept for whoever is to listen on them.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpSocket;

/// A loopback port that nobody listens on. It stays this process's: whoever asks for it by its number can
/// listen there, and nobody is given it who asks for any.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().expect("a socket");
    // As every server sets it. Two that do share a port as long as one of them alone listens.
    socket.set_reuseaddr(true).expect("a reusable address");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port");
    let port = socket.local_addr().expect("a bound port").port();
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    port
}
