//! What the client library in this binary can do, by its own word.

use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaConfRes;

use super::client::Cluster;
use super::refusal::without_value;

/// The SASL mechanisms that cardwatch speaks where TLS is built in.
pub const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// How to come by a binary with TLS.
pub const NO_TLS: &str = "this binary was built without TLS and SASL (--no-default-features)";

/// What librdkafka was built with, such as `ssl` and `sasl_scram`.
pub fn features() -> Vec<String> {
    let native = ClientConfig::new().create_native_config();
    let features = native.and_then(|config| config.get("builtin.features")).unwrap_or_default();
    features.split(',').map(str::trim).filter(|feature| !feature.is_empty()).map(str::to_owned).collect()
}

/// Whether it speaks TLS.
pub fn speaks_tls() -> bool {
    features().iter().any(|feature| feature == "ssl")
}

/// The version of librdkafka.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// The libraries that Kafka is spoken with, for `--version`: a line each.
pub fn libraries() -> String {
    let librdkafka = format!("librdkafka {} ({})", librdkafka_version(), features().join(", "));
    #[cfg(feature = "tls")]
    let openssl = super::native::openssl_version();
    #[cfg(not(feature = "tls"))]
    let openssl: Option<String> = None;
    match openssl {
        Some(openssl) => format!("{librdkafka}\n{openssl}"),
        None => format!("{librdkafka}\nno OpenSSL: no TLS and no SASL to Kafka"),
    }
}

/// Why the client does not take a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It knows no such property.
    Unknown,
    /// It is known and not built in.
    NotBuiltIn,
    /// The value is none of those it takes.
    Value,
}

/// Whether the client takes this property with this value. Says nothing of the value.
///
/// # Errors
/// Why not.
pub fn check(name: &str, value: &str) -> Result<(), Refused> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, words, ..))
            if words.contains("not available at build time")
                || words.contains("not supported in this build") =>
        {
            Err(Refused::NotBuiltIn)
        }
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Err(Refused::Unknown),
        Err(_) => Err(Refused::Value),
    }
}

/// Whether the properties fit each other and the files they name hold what they should: a client is made that knows
/// no broker, and so speaks to nobody.
///
/// # Errors
/// What the client says, without any value that may be a secret.
pub fn try_out(cluster: &Cluster) -> Result<(), String> {
    let nowhere = Cluster { bootstrap_servers: String::new(), tokens: None, ..cluster.clone() };
    let mut config = nowhere.producer("try-out");
    config.remove("bootstrap.servers");
    match BaseProducer::from_config(&config).map_err(without_value) {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientCreation(reason)) => {
            Err(reason.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_said_and_held_to() {
        assert_eq!(speaks_tls(), cfg!(feature = "tls"), "{:?}", features());
        assert_eq!(libraries().contains("OpenSSL 3"), cfg!(feature = "tls"), "{}", libraries());
        let tls = if cfg!(feature = "tls") { Ok(()) } else { Err(Refused::NotBuiltIn) };
        for (name, value, want) in [
            ("client.rack", "a", Ok(())),
            ("linger.ms", "x", Err(Refused::Value)),
            ("no.such.property", "x", Err(Refused::Unknown)),
            ("security.protocol", "sasl_ssl", tls),
            ("ssl.ca.location", "ca.pem", tls),
            ("sasl.oauthbearer.method", "oidc", Err(Refused::NotBuiltIn)),
        ] {
            assert_eq!(check(name, value), want, "{name}");
        }
    }

    #[test]
    fn properties_are_tried_out_together_without_a_broker() {
        let cluster = |properties: &[(&str, &str)]| {
            let owned = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Cluster {
                bootstrap_servers: "nowhere:1".to_owned(),
                properties: owned.collect(),
                ..Cluster::default()
            }
        };
        assert_eq!(try_out(&cluster(&[])), Ok(()));
        if !cfg!(feature = "tls") {
            return;
        }
        let secured = [("security.protocol", "ssl"), ("ssl.ca.location", "no/such/ca.pem")];
        let wrong = try_out(&cluster(&secured)).unwrap_err();
        assert!(wrong.contains("ssl.ca.location"), "{wrong}");
    }
}
