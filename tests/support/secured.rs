//! A broker as companies run it: listeners with TLS, with client certificates, and with SASL in four ways, and an
//! authorizer that lets nobody do what was not allowed. One boot serves all of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::broker::{Broker, BrokerOptions, Listener, own_broker};
use super::ports::free_port;
use super::program::write_private;

/// The user of every mechanism who may do everything.
pub const USER: &str = "all";
/// A user with a password who may do nothing that was not allowed.
pub const LIMITED: &str = "cardwatch";
/// The passwords of both.
pub const PASSWORD: &str = "s3cret-for-tests";

/// The broker, its authority and its ports.
#[derive(Debug)]
pub struct Secured {
    pub broker: Broker,
    home: TempDir,
    authority: Authority,
    ports: [u16; 3],
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// The secured broker that all tests of this binary share; `None` where no broker can run.
pub fn shared_secured() -> Option<&'static Secured> {
    static SHARED: OnceLock<Option<Secured>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    Authority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
}

impl Authority {
    /// A key and a certificate for `name`, as PEM; `hosts` are what it may be called by.
    fn sign(&self, name: &str, hosts: &[&str]) -> [String; 2] {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        [key.serialize_pem(), certificate.pem()]
    }
}

fn start() -> Option<Secured> {
    let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("target/ is writable");
    let authority = authority("tests");
    let write = |name: &str, text: &str| write_private(&home.path().join(name), text);
    write("ca.pem", &authority.0.pem());
    write("other-ca.pem", &self::authority("somebody else").0.pem());
    write("password", PASSWORD);
    write("wrong-password", "wr0ng-for-tests");
    let [key, certificate] = authority.sign("broker", &["127.0.0.1"]);
    write("broker.pem", &(key + &certificate));
    let ports = [0; 3].map(|_| free_port());
    let [tls, mutual, sasl] = ports;
    let listeners = vec![
        Listener { name: "TLS", protocol: "SSL", port: tls },
        Listener { name: "MUTUAL", protocol: "SSL", port: mutual },
        Listener { name: "SASL", protocol: "SASL_SSL", port: sasl },
    ];
    let properties = properties(home.path());
    let options = BrokerOptions { heap_mib: 320, properties, listeners, ..BrokerOptions::default() };
    let broker = own_broker("secured", options)?;
    let secured = Secured { broker, home, authority, ports };
    secured.make_users();
    Some(secured)
}

/// What makes it secure, beside the listeners.
fn properties(home: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| home.join(name).display().to_string();
    let login =
        |class: &str, options: &str| format!("org.apache.kafka.common.security.{class} required{options};");
    vec![
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", file("broker.pem")),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", file("ca.pem")),
        ("listener.name.mutual.ssl.client.auth", "required".to_owned()),
        ("ssl.principal.mapping.rules", "RULE:^CN=([^,]*).*$/$1/".to_owned()),
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned()),
        (
            "listener.name.sasl.plain.sasl.jaas.config",
            login("plain.PlainLoginModule", &format!(" user_{USER}=\"{PASSWORD}\"")),
        ),
        ("listener.name.sasl.scram-sha-256.sasl.jaas.config", login("scram.ScramLoginModule", "")),
        ("listener.name.sasl.scram-sha-512.sasl.jaas.config", login("scram.ScramLoginModule", "")),
        // Tokens without a signature, which the broker takes where nothing else is set up.
        (
            "listener.name.sasl.oauthbearer.sasl.jaas.config",
            login("oauthbearer.OAuthBearerLoginModule", " unsecuredLoginStringClaim_sub=\"broker\""),
        ),
        // A connection ends with the token that it was opened with, unless it shows a new one before.
        ("listener.name.sasl.oauthbearer.connections.max.reauth.ms", "3600000".to_owned()),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        // The plain listener is the harness's own.
        ("super.users", format!("User:ANONYMOUS;User:{USER}")),
    ]
}

impl Secured {
    /// A file that it made, as text.
    pub fn file(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// A further file, for its owner alone; its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        write_private(&self.home.path().join(name), text);
        self.file(name)
    }

    /// Where the listener with TLS alone is.
    pub fn tls(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where the one that asks for client certificates is.
    pub fn mutual(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    /// Where the one with SASL is.
    pub fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// Properties of a client that speaks TLS.
    pub fn with_tls(&self, protocol: &str, more: &[(&str, &str)]) -> String {
        let ca = self.file("ca.pem");
        let all = [("security.protocol", protocol), ("ssl.ca.location", &ca)];
        let lines = all.iter().chain(more).map(|(name, value)| format!("\"{name}\" = \"{value}\"\n"));
        format!("[kafka.properties]\n{}", lines.collect::<String>())
    }

    /// Properties of a client with a certificate of its own, for the user `name`.
    pub fn with_certificate(&self, name: &str) -> String {
        let [key, certificate] = self.authority.sign(name, &[]);
        let key = self.write(&format!("{name}.key"), &key);
        let certificate = self.write(&format!("{name}.crt"), &certificate);
        self.with_tls("ssl", &[("ssl.certificate.location", &certificate), ("ssl.key.location", &key)])
    }

    /// Properties of a client with a name and the password in the file `password`.
    pub fn with_password(&self, mechanism: &str, user: &str, password: &str) -> String {
        let (mechanism, user) = (("sasl.mechanism", mechanism), ("sasl.username", user));
        self.with_tls("sasl_ssl", &[mechanism, user, ("sasl.password_file", &self.file(password))])
    }

    /// Users with passwords live in the cluster's metadata and are made by Kafka's own tool.
    fn make_users(&self) {
        // One mechanism of a user at a time is all that Kafka takes.
        let users = [(USER, "SCRAM-SHA-256"), (USER, "SCRAM-SHA-512"), (LIMITED, "SCRAM-SHA-512")];
        let tools = users.map(|(user, mechanism)| {
            let secrets = format!("{mechanism}=[password={PASSWORD}]");
            Command::new("java")
                .args(["-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", self.broker.class_path()])
                .args(["kafka.admin.ConfigCommand", "--bootstrap-server", self.broker.bootstrap(), "--alter"])
                .args(["--add-config", &secrets, "--entity-type", "users", "--entity-name", user])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("java starts")
        });
        for tool in tools {
            let made = tool.wait_with_output().expect("java ends");
            let said =
                String::from_utf8_lossy(&made.stderr).into_owned() + &String::from_utf8_lossy(&made.stdout);
            assert!(made.status.success(), "{said}");
        }
    }
}
