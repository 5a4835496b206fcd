//! What the HTTP side measures.

use prometheus::{IntCounterVec, Registry};

use super::{MetricsError, counters};

/// Why a request was refused: the codes of the problems that the token layer answers with.
const REFUSALS: [&str; 4] = ["no_tokens", "no_token", "unknown_token", "role"];

/// Requests that were refused.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    refused: IntCounterVec,
}

impl HttpMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// When they are declared already.
    pub fn new(registry: &Registry) -> Result<HttpMetrics, MetricsError> {
        let refused = counters(
            registry,
            "cardwatch_http_refused_total",
            "Requests refused for want of a token, a known one, or its role.",
            &["reason"],
        )?;
        for reason in REFUSALS {
            refused.with_label_values(&[reason]);
        }
        Ok(HttpMetrics { refused })
    }

    /// A request was refused. Other reasons than those declared are not counted.
    pub fn refused(&self, reason: &str) {
        if REFUSALS.contains(&reason) {
            self.refused.with_label_values(&[reason]).inc();
        }
    }
}
