//! Whether the process lives and is ready: conditions that lines set, and heartbeats of their loops.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::Clock;

/// The health of the process. Cheap to clone: all clones are one.
///
/// *Ready* is when every condition holds and there is at least one: a process that has not said what it
/// waits for is not ready. *Alive* is when every heartbeat is younger than its limit.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    start: Instant,
    /// What each condition waits for; `None` where it holds.
    conditions: Mutex<BTreeMap<String, Option<String>>>,
    heartbeats: Mutex<BTreeMap<String, Beat>>,
}

#[derive(Clone)]
struct Beat {
    /// Milliseconds from the start to the last beat.
    at_ms: Arc<AtomicU64>,
    limit: Duration,
}

/// What a probe is told. The HTTP body is this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether all is well.
    pub ok: bool,
    /// One entry for each condition or heartbeat, in the order of the names.
    pub checks: Vec<Check>,
}

/// One condition or heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// If not, what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Report {
    fn of(checks: Vec<Check>) -> Report {
        Report { ok: checks.iter().all(|check| check.ok), checks }
    }
}

/// A condition for being ready. It is taken away when this is dropped.
#[derive(Debug)]
pub struct Condition {
    health: Health,
    name: String,
}

/// The heartbeat of a loop. It is taken away when this is dropped: a loop that ended is no dead one.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    name: String,
    at_ms: Arc<AtomicU64>,
}

// === impl Health ===

impl Health {
    /// Nothing is known yet: alive and not ready.
    pub fn new(clock: Arc<dyn Clock>) -> Health {
        let start = clock.instant();
        let shared = Shared { clock, start, conditions: Mutex::default(), heartbeats: Mutex::default() };
        Health { shared: Arc::new(shared) }
    }

    /// A condition that does not hold yet, and what it waits for. Names are unique: `sight/0`.
    #[must_use = "the condition is taken away when it is dropped"]
    pub fn condition(&self, name: &str, reason: &str) -> Condition {
        self.conditions().insert(name.to_owned(), Some(reason.to_owned()));
        Condition { health: self.clone(), name: name.to_owned() }
    }

    /// A heartbeat that has just beaten and must beat again within `limit`. Names are unique: `sight/0`.
    #[must_use = "the heartbeat is taken away when it is dropped"]
    pub fn heartbeat(&self, name: &str, limit: Duration) -> Heartbeat {
        let at_ms = Arc::new(AtomicU64::new(self.now_ms()));
        self.heartbeats().insert(name.to_owned(), Beat { at_ms: Arc::clone(&at_ms), limit });
        Heartbeat { health: self.clone(), name: name.to_owned(), at_ms }
    }

    /// Whether the process can do its work.
    pub fn ready(&self) -> Report {
        let conditions = self.conditions();
        if conditions.is_empty() {
            let reason = Some("nothing has started yet".to_owned());
            return Report::of(vec![Check { name: "start".to_owned(), ok: false, reason }]);
        }
        let check = |(name, reason): (&String, &Option<String>)| Check {
            name: name.clone(),
            ok: reason.is_none(),
            reason: reason.clone(),
        };
        Report::of(conditions.iter().map(check).collect())
    }

    /// Whether every loop still turns. If not, only a restart helps.
    pub fn live(&self) -> Report {
        let now_ms = self.now_ms();
        let check = |(name, beat): (&String, &Beat)| {
            let age = Duration::from_millis(now_ms.saturating_sub(beat.at_ms.load(Ordering::Relaxed)));
            let ok = age < beat.limit;
            let reason = (!ok).then(|| format!("no turn of the loop for {} s", age.as_secs()));
            Check { name: name.clone(), ok, reason }
        };
        Report::of(self.heartbeats().iter().map(check).collect())
    }

    fn now_ms(&self) -> u64 {
        let elapsed = self.shared.clock.instant().saturating_duration_since(self.shared.start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn conditions(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.shared.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heartbeats(&self) -> MutexGuard<'_, BTreeMap<String, Beat>> {
        self.shared.heartbeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("ready", &self.ready().ok).field("live", &self.live().ok).finish()
    }
}

// === impl Condition ===

impl Condition {
    /// It holds.
    pub fn ready(&self) {
        self.health.conditions().insert(self.name.clone(), None);
    }

    /// It does not hold, and why: a sentence for whoever is called at night. It may name no data.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.health.conditions().insert(self.name.clone(), Some(reason.into()));
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        self.health.conditions().remove(&self.name);
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// The loop has turned. One read of the clock and one store.
    pub fn beat(&self) {
        self.at_ms.store(self.health.now_ms(), Ordering::Relaxed);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.health.heartbeats().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::time::Timestamp;

    #[test]
    fn ready_when_every_condition_holds_and_there_is_one() {
        let health = Health::new(Arc::new(ManualClock::at(Timestamp(0))));
        assert!(!health.ready().ok);
        let list = health.condition("refresh", "reading the exposed list");
        let worker = health.condition("sight/0", "waiting for partitions");
        list.ready();
        let report = health.ready();
        assert!(!report.ok);
        assert_eq!(report.checks.iter().map(|check| check.ok).collect::<Vec<_>>(), [true, false]);
        assert_eq!(report.checks[1].reason.as_deref(), Some("waiting for partitions"));
        drop(worker);
        assert!(health.ready().ok);
        list.not_ready("the end of the list is unconfirmed for 31 s");
        assert!(!health.ready().ok);
    }

    #[test]
    fn alive_while_every_loop_turns() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let health = Health::new(Arc::clone(&clock) as Arc<dyn Clock>);
        assert!(health.live().ok);
        let one = health.heartbeat("sight/0", Duration::from_secs(10));
        let two = health.heartbeat("score/0", Duration::from_secs(20));
        clock.set(Timestamp(9_999));
        assert!(health.live().ok);
        clock.set(Timestamp(10_000));
        let report = health.live();
        assert!(!report.ok);
        let slow = &report.checks[1];
        assert_eq!((slow.name.as_str(), slow.ok), ("sight/0", false));
        assert_eq!(slow.reason.as_deref(), Some("no turn of the loop for 10 s"));
        one.beat();
        assert!(health.live().ok);
        clock.set(Timestamp(25_000));
        drop(one);
        assert!(!health.live().ok);
        drop(two);
        assert!(health.live().ok);
    }
}
