use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cardwatch::domain::delivery::Failure;
use cardwatch::secret::Secret;
use cardwatch::webhook::target::Settings;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Behaviour, Received, Receiver, read_request};
use crate::stage::{Told, answered, failed, plain, request, slot};

/// A proxy that takes every CONNECT to the one receiver, or answers it with a status of its own.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start(to: SocketAddr, refusal: Option<&'static str>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Received>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    let request = read_request(&mut stream, &mut buffer).await.unwrap().unwrap();
                    seen.lock().unwrap().push(request);
                    let answer = refusal.unwrap_or("HTTP/1.1 200 Connection established\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if refusal.is_none() {
                        let mut onward = TcpStream::connect(to).await.unwrap();
                        drop(copy_bidirectional(&mut stream, &mut onward).await);
                    }
                });
            }
        });
        Proxy { address, asked, task }
    }

    fn asked(&self) -> Vec<Received> {
        self.asked.lock().unwrap().clone()
    }
}

/// A receiver with TLS, and settings that reach it through a proxy at `127.0.0.1`.
async fn receiver() -> (Receiver, impl Fn(&Proxy) -> Settings) {
    let made = generate_simple_self_signed(vec!["receiver.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let receiver = Receiver::start(Behaviour::status(200), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let ca = made.cert.pem().into_bytes();
    let settings = move |proxy: &Proxy| Settings {
        ca: Some(ca.clone()),
        // By name: the proxy's own address is let through because it was configured.
        proxy: Some(format!("http://proxy.example:{}", proxy.address.port())),
        proxy_credentials: Some(Secret::new(b"me:SECRET".to_vec())),
        ..Settings::new("https://receiver.example:8443/SECRET")
    };
    (receiver, settings)
}

fn here() -> Arc<Told> {
    Told::new(&[&["127.0.0.1"]])
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_read() {
    let (receiver, settings) = receiver().await;
    let proxy = Proxy::start(receiver.address, None).await;
    let told = here();
    let mut slot = slot(&settings(&proxy), told.clone());
    for _ in 0..3 {
        assert_eq!(slot.post(request("a-1")).await, answered(200));
    }
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1, "the tunnel is kept");
    assert_eq!(asked[0].line, "CONNECT receiver.example:8443 HTTP/1.1");
    assert_eq!(asked[0].header("host"), Some("receiver.example:8443"));
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic bWU6U0VDUkVU"));
    assert_eq!(told.asked(), ["proxy.example"], "the receiver's name is the proxy's to look up");
    let received = receiver.received();
    assert_eq!((received.len(), received[0].line.as_str()), (3, "POST /SECRET HTTP/1.1"));
    assert_eq!(
        received[0].header("proxy-authorization"),
        None,
        "the receiver never learns the proxy's password"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_is_nobody_taking_the_connection() {
    let (receiver, settings) = receiver().await;
    for (answer, says) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "the proxy answered 407"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "the proxy answered 403"),
        ("nonsense\r\n\r\n", "the proxy: "),
        ("", "the proxy: "),
    ] {
        let proxy = Proxy::start(receiver.address, Some(answer)).await;
        let mut slot = slot(&settings(&proxy), here());
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Connect, says);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn http_is_handed_to_the_proxy_whole() {
    // To the proxy a request looks like one to itself, with the whole URL.
    let proxy = Receiver::start(Behaviour::status(202), None).await;
    let settings = Settings {
        proxy: Some(format!("http://{}", proxy.address)),
        proxy_credentials: Some(Secret::new(b"me:SECRET".to_vec())),
        ..plain(8080)
    };
    let mut slot = slot(&settings, here());
    assert_eq!(slot.post(request("a-1")).await, answered(202));
    let received = proxy.received().remove(0);
    assert_eq!(received.line, "POST http://receiver.example:8080/hook?key=SECRET HTTP/1.1");
    assert_eq!(received.header("host"), Some("receiver.example:8080"));
    assert_eq!(received.header("proxy-authorization"), Some("Basic bWU6U0VDUkVU"));
}
