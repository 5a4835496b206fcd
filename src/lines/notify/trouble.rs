//! What attempts say of an endpoint as a whole: that it fails, that it is back, that it is told nothing any more.

use std::collections::HashSet;

use super::Notify;
use super::courier::{End, Settled};
use super::endpoint::Endpoint;
use crate::domain::delivery::{EndpointName, Failure};
use crate::domain::time::Timestamp;
use crate::notice::control::{Disabled, Why};

/// How long an endpoint must have failed before that is written down, in milliseconds.
const FAILING_NOTED_MS: i64 = 60_000;

impl Notify {
    /// Endpoints that are told nothing at present.
    pub(super) fn disabled(&self) -> HashSet<EndpointName> {
        let seen = self.shared.seen();
        let names = self.endpoints.0.iter().map(|endpoint| &endpoint.name);
        names.filter(|name| seen.board.is_disabled(name)).cloned().collect()
    }

    /// What an attempt says of the endpoint as a whole.
    pub(super) fn judge_endpoint(&mut self, settled: &Settled) {
        let Some(endpoint) = self.endpoint(&settled.endpoint) else { return };
        let Some(metrics) = self.metrics.get(&endpoint.name) else { return };
        let missed = match settled.end {
            End::Taken => None,
            End::Missed(missed) => Some(missed),
            // Nobody was asked.
            End::Expired => return,
        };
        metrics.attempt(missed.map(|missed| missed.failure.class()));
        let Some(raised_at) = settled.raised_at else {
            // Whoever takes heartbeats need not take alerts, or the other way round.
            if missed.is_some_and(|missed| missed.failure == Failure::Status(410)) {
                self.disable(&endpoint, Why::Gone);
            }
            return;
        };
        let standing = self.state.standing(&endpoint);
        let Some(missed) = missed else {
            // What another process noted ends too, or it would count when the endpoint fails the next time.
            let was_in_trouble = standing.succeeded(settled.at)
                | self.shared.seen().board.failing_since(&endpoint.name).is_some();
            let took = settled.at.millis() - raised_at.millis();
            metrics.delivered(took.max(0) as f64 / 1_000.0);
            if was_in_trouble {
                tracing::info!(endpoint = %endpoint.name, "the endpoint is back");
                let now = settled.at;
                self.state.held.values_mut().for_each(|held| held.ledger.hasten(&endpoint.name, now));
                self.note_failing(&endpoint, None);
            }
            return;
        };
        let was_failing = standing.is_failing();
        standing.failed(settled.at, missed.failure, missed.retry_after);
        let (since, is_failing) = (standing.failing_since(), standing.is_failing());
        if is_failing && !was_failing {
            tracing::warn!(endpoint = %endpoint.name, reason = %missed.failure, "the endpoint fails");
        }
        if missed.failure == Failure::Status(410) {
            self.disable(&endpoint, Why::Gone);
        }
        if let Some(since) = since
            && settled.at.millis() - since.millis() >= FAILING_NOTED_MS
        {
            self.note_failing(&endpoint, Some(since));
        }
    }

    /// Writes down since when an endpoint fails, and disables it when that is too long ago.
    fn note_failing(&mut self, endpoint: &Endpoint, since: Option<Timestamp>) {
        let mut state = self.shared.seen().board.state(&endpoint.name);
        let known = state.failing_since;
        match (known, since) {
            (None, Some(since)) => {
                state.failing_since = Some(since);
                self.shared.set(&endpoint.name, state);
            }
            (Some(_), None) => {
                state.failing_since = None;
                self.shared.set(&endpoint.name, state);
            }
            (Some(first), Some(_)) => {
                let limit = i64::try_from(endpoint.disable_after.as_millis()).unwrap_or(i64::MAX);
                if self.state.now.millis().saturating_sub(first.millis()) >= limit {
                    self.disable(endpoint, Why::Failing);
                }
            }
            (None, None) => {}
        }
    }

    fn disable(&mut self, endpoint: &Endpoint, why: Why) {
        let mut state = self.shared.seen().board.state(&endpoint.name);
        if state.disabled.is_some() {
            return;
        }
        tracing::error!(
            endpoint = %endpoint.name, reason = why.words(),
            "the endpoint is disabled; what is owed to it is kept. When it is mended: cardwatch webhook enable"
        );
        state.disabled = Some(Disabled { at: self.state.now, why, by: None });
        self.shared.set(&endpoint.name, state);
        self.state.disabled.insert(endpoint.name.clone());
    }
}
