//! Why brokers do not let this process in: what the client reports, and what to do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What brokers refused last. The client tells the same refusal once in half a minute, so once is enough to know.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    reason: Option<String>,
    /// Connections could not be made at all.
    unconnected: bool,
    /// There is no connection.
    down: bool,
}

impl Refusals {
    /// Notes an error of the client, if it is a refusal.
    pub(super) fn note(&mut self, code: RDKafkaErrorCode, reason: &str) {
        if is_refusal(code, reason) {
            self.reason = Some(reason.to_owned());
        }
        match code {
            RDKafkaErrorCode::AllBrokersDown => self.down = true,
            _ => self.unconnected = true,
        }
    }

    /// Whether connections are accepted and then closed without a word, as a listener with TLS does to a client without;
    /// and as a proxy does whose broker is away.
    pub(super) fn closed_at_once(&self) -> bool {
        self.down && !self.unconnected
    }

    /// The reason, and what to do.
    pub(super) fn told(&self) -> Option<String> {
        self.reason.as_deref().map(|reason| format!("{}; {}", brief(reason), advice(reason)))
    }
}

/// Whether trying again cannot help. Of a connection that ends only the client's guess tells why.
fn is_refusal(code: RDKafkaErrorCode, reason: &str) -> bool {
    match code {
        RDKafkaErrorCode::SSL
        | RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism => true,
        RDKafkaErrorCode::BrokerTransportFailure => {
            ["SSL alert", "security.protocol", "listener?"].iter().any(|part| reason.contains(part))
        }
        _ => false,
    }
}

/// The reason on one line, without where in OpenSSL it arose.
fn brief(reason: &str) -> String {
    let words = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    // "... (after 5ms in state SSL_HANDSHAKE, 3 identical error(s) suppressed)" says nothing to who reads it.
    words.split(" (after ").next().unwrap_or(&words).trim_end_matches([':', ' ']).to_owned()
}

/// What to do, by the client's words.
fn advice(reason: &str) -> &'static str {
    let has = |part: &str| reason.contains(part);
    if has("certificate verify failed") || has("could not be verified") {
        "either the authority that signed the broker's certificate is not in ssl.ca.location, or the certificate does \
         not name the host by which kafka.bootstrap_servers or the broker's advertised.listeners call it"
    } else if has("certificate required")
        || has("bad certificate")
        || has("unknown ca")
        || has("certificate unknown")
    {
        "the broker wants a client certificate that its own authority signed: set ssl.certificate.location and \
         ssl.key.location"
    } else if has("mechanism handshake failed") || has("Unsupported SASL mechanism") {
        "set sasl.mechanism to one that the listener offers"
    } else if has("wrong version number") || has("security.protocol") || has("listener?") {
        "security.protocol is not that of the listener: look at the port in kafka.bootstrap_servers"
    } else if has("SASL") || has("uthentication") {
        "look at the user and the password or token, and at the listener that kafka.bootstrap_servers names"
    } else {
        "compare security.protocol and the ssl properties with the listener's"
    }
}

/// The same error without the value that was refused: it may be a secret.
pub(super) fn without_value(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(_, _, name, _) => {
            KafkaError::ClientCreation(format!("property {name} has a value that the client does not take"))
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_failure_and_says_what_to_do() {
        for (code, reason, want) in [
            (
                RDKafkaErrorCode::SSL,
                "ssl://b:1/1: SSL handshake failed: certificate verify failed: (after 5ms)",
                "ssl.ca.location",
            ),
            (
                RDKafkaErrorCode::BrokerTransportFailure,
                "ssl://b:1/1: Receive failed: tlsv13 alert certificate required: SSL alert number 116",
                "client certificate",
            ),
            (
                RDKafkaErrorCode::Authentication,
                "sasl_ssl://b:1/1: SASL authentication error: invalid credentials (after 3ms in state AUTH_REQ)",
                "password or token",
            ),
            (
                RDKafkaErrorCode::BrokerTransportFailure,
                "b:1: Disconnected: might be caused by incorrect security.protocol configuration",
                "that of the listener",
            ),
        ] {
            let mut refusals = Refusals::default();
            refusals.note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
            assert!(refusals.closed_at_once());
            refusals.note(RDKafkaErrorCode::BrokerTransportFailure, "Connect failed: Connection refused");
            assert!(refusals.told().is_none() && !refusals.closed_at_once());
            refusals.note(code, reason);
            refusals.note(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
            let told = refusals.told().unwrap();
            assert!(told.contains(want) && !told.contains("(after"), "{told}");
        }
    }

    #[test]
    fn a_value_that_is_refused_is_not_repeated() {
        let mut config = rdkafka::ClientConfig::new();
        let error =
            config.set("linger.ms", "hunter2").create::<rdkafka::producer::BaseProducer>().err().unwrap();
        let told = without_value(error).to_string();
        assert!(told.contains("linger.ms") && !told.contains("hunter2"), "{told}");
    }
}
