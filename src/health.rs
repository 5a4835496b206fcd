//! Whether the process lives and whether it is ready: named conditions that lines set and HTTP shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct State {
    /// By name: `None` is ready, a text says why not.
    conditions: BTreeMap<String, Option<String>>,
    /// By name: the last sign of life of a loop.
    beats: BTreeMap<String, Instant>,
}

/// The health of the process, shared by everybody.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

/// One condition of readiness.
#[derive(Debug, Clone)]
pub struct Condition {
    health: Health,
    name: String,
}

/// One loop that must show signs of life.
#[derive(Debug, Clone)]
pub struct Heart {
    health: Health,
    name: String,
}

impl Health {
    /// Nothing is known yet: alive and ready.
    pub fn new() -> Health {
        Health::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A condition that is not ready until its holder says so.
    pub fn condition(&self, name: &str) -> Condition {
        self.state().conditions.insert(name.to_owned(), Some("starting".to_owned()));
        Condition { health: self.clone(), name: name.to_owned() }
    }

    /// A loop that beats from now on.
    pub fn heart(&self, name: &str, now: Instant) -> Heart {
        self.state().beats.insert(name.to_owned(), now);
        Heart { health: self.clone(), name: name.to_owned() }
    }

    /// Every condition: its name, and why it is not ready (`None` when it is).
    pub fn conditions(&self) -> Vec<(String, Option<String>)> {
        self.state().conditions.iter().map(|(name, why)| (name.clone(), why.clone())).collect()
    }

    /// Whether every condition is met.
    pub fn is_ready(&self) -> bool {
        self.state().conditions.values().all(Option::is_none)
    }

    /// The loops without a sign of life for longer than `limit`.
    pub fn silent(&self, now: Instant, limit: Duration) -> Vec<String> {
        let state = self.state();
        let silent = state.beats.iter().filter(|(_, last)| now.saturating_duration_since(**last) > limit);
        silent.map(|(name, _)| name.clone()).collect()
    }
}

impl Condition {
    /// The condition is met.
    pub fn set_ready(&self) {
        self.health.state().conditions.insert(self.name.clone(), None);
    }

    /// The condition is not met, and why.
    pub fn set_not_ready(&self, why: &str) {
        self.health.state().conditions.insert(self.name.clone(), Some(why.to_owned()));
    }

    /// Whether the condition is met.
    pub fn is_ready(&self) -> bool {
        self.health.state().conditions.get(&self.name).is_none_or(Option::is_none)
    }
}

impl Heart {
    /// A sign of life.
    pub fn beat(&self, now: Instant) {
        self.health.state().beats.insert(self.name.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::domain::time::Timestamp;

    #[test]
    fn ready_means_that_every_condition_is_met() {
        let health = Health::new();
        let (list, keys) = (health.condition("list"), health.condition("keys"));
        assert!(!health.is_ready());
        list.set_ready();
        keys.set_ready();
        assert!(health.is_ready());
        keys.set_not_ready("key k2 is missing");
        assert_eq!(
            health.conditions(),
            [("keys".to_owned(), Some("key k2 is missing".to_owned())), ("list".to_owned(), None)]
        );
    }

    #[test]
    fn a_loop_without_a_sign_of_life_is_named() {
        let clock = ManualClock::at(Timestamp(1_000_000));
        let health = Health::new();
        let heart = health.heart("sight-0", clock.instant());
        health.heart("score-0", clock.instant());
        clock.set(Timestamp(1_030_000));
        heart.beat(clock.instant());
        clock.set(Timestamp(1_040_000));
        assert_eq!(health.silent(clock.instant(), Duration::from_secs(20)), ["score-0"]);
    }
}
