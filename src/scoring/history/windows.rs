//! Windows over the events around a sighting, in event-time order.

use super::event::Event;
use super::past::{settles, settles_known};
use super::{History, RECENT_MS};

/// The events around a sighting, itself among them, oldest first.
#[derive(Debug, Clone)]
pub struct Windows {
    events: Vec<Event>,
    /// The place of the sighting's own event.
    own: usize,
}

/// The longest window that can be asked for, in milliseconds: three days.
pub const WINDOW_MAX_MS: i64 = 72 * 3_600_000;

const _: () = assert!(2 * WINDOW_MAX_MS < RECENT_MS, "a window of a sighting days late must still be whole");

impl Windows {
    /// The events of `history` within three days of `own`, and `own`. Clearings of known authorizations are
    /// left out: they move nothing.
    pub fn around(history: &History, own: &Event) -> Windows {
        let near = |event: &Event| event.at.abs_diff(own.at) < WINDOW_MAX_MS.unsigned_abs();
        let mut events: Vec<Event> = Vec::with_capacity(history.recent.len() + 1);
        let moves = |event: &Event| !settles_known(event, &history.recent) && !settles(event, own);
        events.extend(history.recent.iter().filter(|event| near(event) && moves(event)));
        let place = events.partition_point(|event| event.order() < own.order());
        events.insert(place, *own);
        Windows { events, own: place }
    }

    /// The most events that hold in one window of `length` milliseconds: see [`Windows::widest`].
    pub fn count(&self, length: i64, holds: impl Fn(&Event) -> bool) -> i64 {
        self.widest(length, |events| events.iter().filter(|event| holds(event)).count() as i64)
    }

    /// The largest value of `measure` over the windows of `length` milliseconds that hold the sighting
    /// and end with it or with a later event: a late sighting completes windows that were counted
    /// without it. `measure` must not fall when events are added.
    pub fn widest(&self, length: i64, measure: impl Fn(&[Event]) -> i64) -> i64 {
        let own = self.events[self.own].at;
        let mut start = 0;
        let mut widest = 0;
        for (place, last) in self.events.iter().enumerate().skip(self.own) {
            if last.at.saturating_sub(own) >= length {
                break;
            }
            while self.events[start].at <= last.at.saturating_sub(length) {
                start += 1;
            }
            widest = widest.max(measure(&self.events[start..=place]));
        }
        widest
    }
}
