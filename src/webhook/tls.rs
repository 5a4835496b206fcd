//! TLS to endpoints: rustls with ring, versions 1.2 and 1.3, the name always checked.

use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::secret::Secret;

/// The certificate authorities that this system trusts, read once and shared by every target.
#[derive(Clone)]
pub struct SystemRoots(Arc<RootCertStore>);

impl SystemRoots {
    /// Reads them, from where the system or `SSL_CERT_FILE` and `SSL_CERT_DIR` keep them. What cannot be read is
    /// passed over; with none at all a target that needs them says so.
    pub fn load() -> SystemRoots {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        SystemRoots(Arc::new(store))
    }

    /// None: every target must bring its own.
    pub fn none() -> SystemRoots {
        SystemRoots(Arc::new(RootCertStore::empty()))
    }
}

impl std::fmt::Debug for SystemRoots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemRoots({})", self.0.len())
    }
}

/// What is wrong with the material for TLS. None repeats any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says in its message what it is")]
pub enum TlsError {
    #[error("the system has no certificate authorities: install ca-certificates, or set `ca_file`")]
    NoRoots,
    #[error("the file of certificate authorities has no certificate: PEM with BEGIN CERTIFICATE is expected")]
    NoAuthority,
    #[error(
        "certificate {0} of the file of certificate authorities cannot be read: PEM of X.509 is expected"
    )]
    Authority(usize),
    #[error("the client certificate's file has no certificate: PEM with BEGIN CERTIFICATE is expected")]
    NoCertificate,
    #[error("the client certificate's file cannot be read: PEM of X.509 is expected")]
    Certificate,
    #[error("the client key's file has no key: PEM with BEGIN PRIVATE KEY is expected")]
    NoKey,
    #[error("the client key is encrypted: decrypt it (`openssl pkey -in KEY -out PLAIN`) and guard the file")]
    EncryptedKey,
    #[error("the client key is not that of the client certificate")]
    OtherKey,
    #[error("the client certificate and its key cannot be used: {0}")]
    Pair(String),
}

/// A configuration that trusts the authorities of `ca` *instead of* the system's, and shows `client` to whoever
/// asks for it.
pub(super) fn config(
    system: &SystemRoots,
    ca: Option<&[u8]>,
    client: Option<(&[u8], &Secret)>,
) -> Result<Arc<ClientConfig>, Vec<TlsError>> {
    let (roots, client) = (roots(system, ca), client.map(|(chain, key)| pair(chain, key)).transpose());
    let (roots, client) = match (roots, client) {
        (Ok(roots), Ok(client)) => (roots, client),
        (roots, client) => return Err(roots.err().into_iter().chain(client.err()).collect()),
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| vec![TlsError::Pair(error.to_string())])?
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| vec![unfit(&error)])?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unfit(error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::OtherKey,
        other => TlsError::Pair(other.to_string()),
    }
}

fn roots(system: &SystemRoots, ca: Option<&[u8]>) -> Result<Arc<RootCertStore>, TlsError> {
    let Some(ca) = ca else {
        return if system.0.is_empty() { Err(TlsError::NoRoots) } else { Ok(Arc::clone(&system.0)) };
    };
    let mut store = RootCertStore::empty();
    for (at, certificate) in CertificateDer::pem_slice_iter(ca).enumerate() {
        let added = certificate.ok().is_some_and(|certificate| store.add(certificate).is_ok());
        if !added {
            return Err(TlsError::Authority(at + 1));
        }
    }
    if store.is_empty() { Err(TlsError::NoAuthority) } else { Ok(Arc::new(store)) }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pair(chain: &[u8], key: &Secret) -> Result<Pair, TlsError> {
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|_| TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = key.expose();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        let encrypted = [&b"ENCRYPTED"[..], b"Proc-Type: 4"].iter().any(|mark| contains(key, mark));
        if encrypted { TlsError::EncryptedKey } else { TlsError::NoKey }
    })?;
    Ok((chain, key))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
