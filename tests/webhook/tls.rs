use std::sync::Arc;

use cardwatch::domain::delivery::Failure;
use cardwatch::secret::Secret;
use cardwatch::webhook::target::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Behaviour, Receiver};
use crate::stage::{Told, answered, failed, request, slot};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` by `authority`: chain and key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn signed(authority: &Authority, name: &str, until_year: i32) -> Signed {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    Signed { certificate: params.signed_by(&key, authority).unwrap(), key }
}

fn acceptor(server: &Signed, clients: Option<&Authority>, protocols: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(server.key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![server.certificate.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn settings(receiver: &Receiver, authority: &Authority) -> Settings {
    Settings {
        allow_networks: vec!["127.0.0.1".to_owned()],
        ca: Some(authority.pem().into_bytes()),
        ..Settings::new(format!("https://receiver.example:{}/SECRET", receiver.address.port()))
    }
}

fn here() -> Arc<Told> {
    Told::new(&[&["127.0.0.1"]])
}

#[tokio::test]
async fn a_certificate_of_the_right_authority_and_name_is_taken() {
    let ca = authority("one");
    let tls = acceptor(&signed(&ca, "receiver.example", 2100), None, &[b"h2", b"http/1.1"]);
    let receiver = Receiver::start(Behaviour::status(200), Some(tls)).await;
    let mut slot = slot(&settings(&receiver, &ca), here());
    for _ in 0..3 {
        assert_eq!(slot.post(request("a-1")).await, answered(200));
    }
    assert_eq!(receiver.connections(), 1);
    // With the final dot, of which certificates know nothing.
    let dotted = Settings {
        url: format!("https://receiver.example.:{}/", receiver.address.port()),
        ..settings(&receiver, &ca)
    };
    assert_eq!(crate::stage::slot(&dotted, here()).post(request("a-1")).await, answered(200));
}

#[tokio::test]
async fn an_address_is_checked_as_a_name_is() {
    let ca = authority("one");
    let receiver =
        Receiver::start(Behaviour::status(200), Some(acceptor(&signed(&ca, "127.0.0.1", 2100), None, &[])))
            .await;
    let by_address = Settings { url: format!("https://{}/", receiver.address), ..settings(&receiver, &ca) };
    assert_eq!(slot(&by_address, here()).post(request("a-1")).await, answered(200));
    let mut by_name = slot(&settings(&receiver, &ca), here());
    let result = by_name.post(request("a-1")).await;
    failed(&by_name, &result, Failure::Tls, "not valid for name");
}

#[tokio::test]
async fn any_other_certificate_is_not_and_nothing_is_sent() {
    let (ca, other) = (authority("one"), authority("two"));
    for (server, says) in [
        (signed(&other, "receiver.example", 2100), "UnknownIssuer"),
        (signed(&ca, "other.example", 2100), "not valid for name"),
        (signed(&ca, "receiver.example", 2021), "expired"),
    ] {
        let receiver = Receiver::start(Behaviour::status(200), Some(acceptor(&server, None, &[]))).await;
        let mut slot = slot(&settings(&receiver, &ca), here());
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Tls, says);
        assert_eq!(receiver.received(), []);
    }
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_not_spoken_to() {
    let ca = authority("one");
    let receiver = Receiver::start(Behaviour::Garbage, None).await;
    let quick = Settings { timeout: std::time::Duration::from_millis(300), ..settings(&receiver, &ca) };
    let result = slot(&quick, here()).post(request("a-1")).await;
    assert!(matches!(result, Err(Failure::Tls | Failure::Timeout)), "{result:?}");
    assert_eq!(receiver.received(), []);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_whoever_asks() {
    let (ca, clients) = (authority("one"), authority("two"));
    let tls = acceptor(&signed(&ca, "receiver.example", 2100), Some(&clients), &[]);
    let receiver = Receiver::start(Behaviour::status(200), Some(tls)).await;
    let client = |authority: &Authority| {
        let client = signed(authority, "cardwatch.example", 2100);
        Settings {
            client_certificate: Some(client.certificate.pem().into_bytes()),
            client_key: Some(Secret::new(client.key.serialize_pem().into_bytes())),
            ..settings(&receiver, &ca)
        }
    };
    assert_eq!(slot(&client(&clients), here()).post(request("a-1")).await, answered(200));
    for refused in [settings(&receiver, &ca), client(&ca)] {
        let mut slot = slot(&refused, here());
        let result = slot.post(request("a-1")).await;
        failed(&slot, &result, Failure::Tls, "");
    }
    assert_eq!(receiver.received().len(), 1);
}
