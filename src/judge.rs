//! The core of `score`: a sighting, a history and rules make an alert and the change to the history.

use sha2::{Digest, Sha256};

use crate::domain::alert::{ALERT_SCHEMA, Alert, AlertKind, JudgedBy, Past, Severity, State, Timing};
use crate::domain::incident::ExposedIn;
use crate::domain::sighting::Sighting;
use crate::domain::time::Timestamp;
use crate::scoring::cardholder::is_in_force;
use crate::scoring::facts::{Scene, signals_of};
use crate::scoring::history::{Event, History, event_of};
use crate::scoring::rules::RuleSet;

/// What the user decides about judging, beside the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgeSettings {
    /// `history.min_uses`: below this many past uses, a comparison with the card's past is unknown.
    pub min_uses: u64,
    /// `alerts.threshold`: the score from which a sighting becomes an alert, in place of the rules' own.
    pub threshold: Option<u32>,
    /// `alerts.live_for`, in milliseconds: an alert on an older transaction is *late*.
    pub live_for_ms: i64,
}

impl Default for JudgeSettings {
    fn default() -> JudgeSettings {
        JudgeSettings { min_uses: 5, threshold: None, live_for_ms: 3_600_000 }
    }
}

/// Judges sightings. Has no state of its own: the same sighting and history give the same judgement.
#[derive(Debug, Clone)]
pub struct Judge {
    rules: RuleSet,
    settings: JudgeSettings,
    threshold: u32,
    digest: String,
    version: String,
}

/// What judging a sighting gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The alert, if the score reached the threshold.
    pub alert: Option<Alert>,
    /// The history after it.
    pub history: History,
    /// The earlier sighting that this one repeats; it moved nothing and raised nothing.
    pub duplicate_of: Option<String>,
    /// The unknown signals that kept a rule from being true or false, by name.
    pub unknown_signals: Vec<&'static str>,
}

impl Judge {
    /// A judge. `version` is the program's, for [`JudgedBy`].
    pub fn new(rules: RuleSet, settings: JudgeSettings, version: &str) -> Judge {
        let threshold = settings.threshold.unwrap_or(rules.threshold());
        let mut hash = Sha256::new();
        hash.update(b"cardwatch/judge/1\0");
        hash.update(rules.digest());
        hash.update(settings.min_uses.to_be_bytes());
        hash.update(threshold.to_be_bytes());
        let digest = data_encoding::HEXLOWER.encode(&hash.finalize()[..8]);
        Judge { rules, settings, threshold, digest, version: version.to_owned() }
    }

    /// What alerts name as `judged_by.rules`: 16 hexadecimal digits of SHA-256 over the rules and every
    /// setting that decides with them.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The rules it judges by.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Judges one sighting against what is known of its card. `now` stamps the alert and decides whether
    /// it is late; nothing else depends on it.
    pub fn judge(&self, sighting: &Sighting, history: &History, now: Timestamp) -> Judgement {
        let event = event_of(sighting);
        let duplicate_of = history.duplicate_of(&event);
        let mut after = history.clone();
        after.count_judgement(sighting);
        if duplicate_of.is_some() {
            return Judgement { alert: None, history: after, duplicate_of, unknown_signals: Vec::new() };
        }
        let (alert, unknown_signals) = self.assess(sighting, &event, history, now);
        // By the clock that saw it, not the one that judges: a history is the same whenever it is judged.
        let late = self.is_late(&event, sighting.seen_at);
        after.enter(sighting, event, late, alert.is_some());
        after.absorb(event);
        Judgement { alert, history: after, duplicate_of: None, unknown_signals }
    }

    fn assess(
        &self,
        sighting: &Sighting,
        event: &Event,
        history: &History,
        now: Timestamp,
    ) -> (Option<Alert>, Vec<&'static str>) {
        let in_force: Vec<&ExposedIn> =
            sighting.incidents.iter().filter(|incident| is_in_force(incident, event.at)).collect();
        if in_force.is_empty() {
            return (None, Vec::new());
        }
        let signals = signals_of(&Scene {
            sighting,
            event,
            history,
            in_force: &in_force,
            amounts: self.rules.amounts(),
            min_uses: self.settings.min_uses,
        });
        let assessment = self.rules.assess(&signals);
        let unknown = assessment.unknown.iter().map(|signal| signal.name()).collect();
        if assessment.score < self.threshold {
            return (None, unknown);
        }
        let reasons = self.rules.reasons(&assessment, &signals);
        let alert = Alert {
            schema: ALERT_SCHEMA.to_owned(),
            id: sighting.source.derived_id("alr"),
            revision: 1,
            state: State::Open,
            kind: if self.is_late(event, now) { AlertKind::Late } else { AlertKind::Live },
            raised_at: now,
            severity: self.severity(assessment.score),
            score: assessment.score,
            reasons,
            card: sighting.card.clone(),
            history: Past { uses: history.uses(), since: history.since() },
            incidents: in_force.into_iter().cloned().collect(),
            transaction: sighting.transaction.clone(),
            covers: vec![sighting.id.clone()],
            timing: Timing {
                transaction_to_alert_ms: (now.millis() - sighting.source.timestamp.millis()).max(0),
            },
            source: sighting.source.clone(),
            judged_by: JudgedBy {
                exposures: sighting.judged_by.exposures,
                rules: self.digest.clone(),
                version: self.version.clone(),
            },
            outcome: None,
        };
        (Some(alert), unknown)
    }

    fn is_late(&self, event: &Event, now: Timestamp) -> bool {
        now.millis().saturating_sub(event.at) > self.settings.live_for_ms
    }

    /// Low at the threshold, medium at one and a half times it, high at twice.
    fn severity(&self, score: u32) -> Severity {
        let (score, threshold) = (u64::from(score), u64::from(self.threshold));
        match () {
            () if score >= 2 * threshold => Severity::High,
            () if 2 * score >= 3 * threshold => Severity::Medium,
            () => Severity::Low,
        }
    }
}

#[cfg(test)]
mod tests;
