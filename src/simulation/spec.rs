//! What a world is made from, and how its time is laid over the wall clock's.

use crate::domain::time::Timestamp;

/// Milliseconds in a day.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Days counted from [`WorldSpec::start`]; both included. Negative days lie before the world begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    /// The first day.
    pub from: i32,
    /// The last day.
    pub until: i32,
}

impl DayRange {
    /// How many days it has; none when it ends before it begins.
    pub fn days(self) -> i32 {
        (self.until - self.from + 1).max(0)
    }

    /// Whether `day` lies in it.
    pub fn contains(self, day: i32) -> bool {
        (self.from..=self.until).contains(&day)
    }
}

/// What a world is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldSpec {
    /// The same seed gives the same world.
    pub seed: u64,
    /// Cards in circulation, 1 to 100,000,000. About 250 bytes of memory each.
    pub cards: u32,
    /// Merchants, at least 400: every category needs some in every country.
    pub merchants: u32,
    /// The first moment of the world.
    pub start: Timestamp,
    /// How many times 24 hours it lasts, 1 to 10,000.
    pub days: u32,
    /// Mean uses a day and card, subscriptions not counted; above 0, at most 20.
    pub uses_per_day: f64,
    /// The share of cards that the breach exposed, 0 to 1.
    pub exposed_share: f64,
    /// The share of *exposed* cards that are misused, 0 to 1. Published shares run from 0.16 % to 15 %;
    /// in the founding incident it was 1 % (about 300 of 29,773).
    pub misused_share: f64,
    /// When card numbers were really exposed; at least 10 days.
    pub exposure: DayRange,
    /// The size of the first list beside the number of cards really exposed. In the founding incident
    /// about 23,000 beside 29,773.
    pub first_list_share: f64,
    /// Whether the first notice says, wrongly, that the security code was exposed too.
    pub first_notice_names_code: bool,
    /// The day on which the first notice and its list arrive.
    pub notice_day: u32,
    /// The day on which the revision arrives.
    pub revision_day: u32,
    /// The first day on which thieves use cards.
    pub misuse_from_day: u32,
}

/// Why a world cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// `cards`.
    #[error("a world has 1 to 100,000,000 cards")]
    Cards,
    /// `merchants`.
    #[error("a world has 400 to 10,000,000 merchants")]
    Merchants,
    /// `days`.
    #[error("a world lasts 1 to 10,000 days")]
    Days,
    /// `uses_per_day`.
    #[error("uses per day are above 0 and at most 20")]
    UsesPerDay,
    /// One of the shares.
    #[error("a share lies between 0 and 1")]
    Share,
    /// `exposure`.
    #[error("the exposure lasts at least 10 days and lies within 10,000 days of the world's start")]
    Exposure,
    /// `notice_day`, `revision_day` or `misuse_from_day`.
    #[error("notice, revision and first misuse lie within the world, the revision after the notice")]
    Moments,
}

impl Default for WorldSpec {
    /// Half a year from 2018-01-01 with the breach inside it: what a search for the origin, a look-back or a
    /// backtest needs. The revision comes 26 days after the notice, as in the founding incident.
    fn default() -> WorldSpec {
        WorldSpec {
            seed: 20_180_424,
            cards: 20_000,
            merchants: 1_500,
            start: Timestamp(1_514_732_400_000),
            days: 180,
            uses_per_day: 0.7,
            exposed_share: 0.1,
            misused_share: 0.01,
            exposure: DayRange { from: 20, until: 110 },
            first_list_share: 23_000.0 / 29_773.0,
            first_notice_names_code: true,
            notice_day: 130,
            revision_day: 156,
            misuse_from_day: 115,
        }
    }
}

impl WorldSpec {
    /// The default world with so many cards and days: its moments keep their share of the time. Where that
    /// leaves no room for an exposure of some weeks, it lies before the world.
    pub fn sized(seed: u64, cards: u32, days: u32) -> WorldSpec {
        let whole = WorldSpec::default();
        let share =
            |day: u32| u32::try_from(u64::from(day) * u64::from(days) / u64::from(whole.days)).unwrap_or(day);
        let day = |day: i32| i32::try_from(share(day.unsigned_abs())).unwrap_or(day);
        let within = DayRange { from: day(whole.exposure.from), until: day(whole.exposure.until) };
        let before = DayRange { from: -100, until: -10 };
        WorldSpec {
            seed,
            cards,
            days,
            exposure: if within.days() >= 20 { within } else { before },
            notice_day: share(whole.notice_day),
            revision_day: share(whole.revision_day),
            misuse_from_day: share(whole.misuse_from_day),
            ..whole
        }
    }

    /// The same world at another time: its last moment is `end`.
    #[must_use]
    pub fn ending(self, end: Timestamp) -> WorldSpec {
        WorldSpec { start: end.plus_millis(-i64::from(self.days) * DAY_MS), ..self }
    }

    /// A small, lively world that ends at `end` (the present, in a demonstration).
    ///
    /// `score` holds event times to at most five minutes after it saw them, and a card's history begins
    /// when its card is on the list. So the whole world lies in the *past*: the first list is imported before
    /// its first transaction, three quiet weeks run by quickly and give every card a history, then thieves
    /// begin, the revision arrives, and the last transaction happens at `end`. [`WorldSpec::pace`] lays these
    /// weeks over seconds. Whoever runs it should count alerts as live for at least `days` days.
    ///
    /// About 100,000 transactions of 3,000 cards, a quarter of them on listed cards. The exposure lies
    /// before the world by as many days as in the founding incident, where the old server had been off for
    /// 190 days when misuse was noticed.
    pub fn demo(seed: u64, end: Timestamp) -> WorldSpec {
        let days = 45;
        WorldSpec {
            seed,
            cards: 3_000,
            merchants: 600,
            start: end.plus_millis(-i64::from(days) * DAY_MS),
            days,
            exposed_share: 0.25,
            misused_share: 0.03,
            exposure: DayRange { from: -1218, until: -205 },
            notice_day: 0,
            revision_day: 26,
            misuse_from_day: 22,
            ..WorldSpec::default()
        }
    }

    /// Whether a world can be made from this.
    ///
    /// # Errors
    /// [`SpecError`] names the first value that is out of bounds.
    pub fn check(&self) -> Result<(), SpecError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let within = |day: u32| day < self.days;
        let near = |day: i32| (-10_000..=10_000).contains(&day);
        let rules = [
            ((1..=100_000_000).contains(&self.cards), SpecError::Cards),
            ((400..=10_000_000).contains(&self.merchants), SpecError::Merchants),
            ((1..=10_000).contains(&self.days), SpecError::Days),
            (self.uses_per_day > 0.0 && self.uses_per_day <= 20.0, SpecError::UsesPerDay),
            (share(self.exposed_share) && share(self.misused_share), SpecError::Share),
            (share(self.first_list_share), SpecError::Share),
            (near(self.exposure.from) && near(self.exposure.until), SpecError::Exposure),
            (self.exposure.days() >= 10, SpecError::Exposure),
            (within(self.notice_day) && within(self.misuse_from_day), SpecError::Moments),
            (within(self.revision_day) && self.notice_day <= self.revision_day, SpecError::Moments),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, error)| Err(*error))
    }

    /// The exposure as the first notice gives it: it begins too late and ends too late, by the proportions of
    /// the founding incident (1,014 days; begun 734 too late, ended 190 too late).
    pub fn first_exposure(&self) -> DayRange {
        let days = i64::from(self.exposure.days());
        let scaled = |part: i64| i32::try_from((days * part + 507) / 1014).unwrap_or(i32::MAX);
        DayRange {
            from: self.exposure.from + scaled(734).min(self.exposure.days() - 1),
            until: self.exposure.until + scaled(190).max(1),
        }
    }

    /// The first moment of a day of this world.
    pub fn day_start(&self, day: i32) -> Timestamp {
        self.start.plus_millis(i64::from(day) * DAY_MS)
    }

    /// The first moment after this world.
    pub fn end(&self) -> Timestamp {
        self.start.plus_millis(i64::from(self.days) * DAY_MS)
    }

    /// When the first notice and its list arrive.
    pub fn notice_at(&self) -> Timestamp {
        self.start.plus_millis(i64::from(self.notice_day) * DAY_MS)
    }

    /// When the revision arrives.
    pub fn revision_at(&self) -> Timestamp {
        self.start.plus_millis(i64::from(self.revision_day) * DAY_MS)
    }

    /// When thieves begin.
    pub fn misuse_from(&self) -> Timestamp {
        self.start.plus_millis(i64::from(self.misuse_from_day) * DAY_MS)
    }

    /// Lays this world over `wall_ms` milliseconds: the time before the first misuse over the first sixth,
    /// the rest over the other five.
    pub fn pace(&self, wall_ms: u64) -> Pace {
        Pace { start: self.start, live_from: self.misuse_from(), end: self.end(), wall_ms }
    }
}

/// How the world's time is laid over the wall clock's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    start: Timestamp,
    live_from: Timestamp,
    end: Timestamp,
    wall_ms: u64,
}

impl Pace {
    /// Milliseconds after the beginning at which what happens `at` that moment of the world is due. Never
    /// falls as `at` grows.
    pub fn due_ms(&self, at: Timestamp) -> u64 {
        let quick = if self.live_from > self.start { self.wall_ms / 6 } else { 0 };
        if at < self.live_from {
            Pace::part(at, self.start, self.live_from, quick)
        } else {
            quick + Pace::part(at, self.live_from, self.end, self.wall_ms - quick)
        }
    }

    /// The part of `wall_ms` that has gone when `at` has been reached between `from` and `until`.
    fn part(at: Timestamp, from: Timestamp, until: Timestamp, wall_ms: u64) -> u64 {
        let length = u128::try_from(until.millis() - from.millis()).unwrap_or(0).max(1);
        let gone = u128::try_from(at.millis() - from.millis()).unwrap_or(0).min(length);
        u64::try_from(gone * u128::from(wall_ms) / length).unwrap_or(wall_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_period_misses_the_true_one_as_in_the_founding_incident() {
        // Days counted from 2018-05-09, the first notice: 2015-01-07..2017-10-16 and 2017-01-10..2018-04-24.
        let spec = WorldSpec { exposure: DayRange { from: -1218, until: -205 }, ..WorldSpec::default() };
        assert_eq!(spec.first_exposure(), DayRange { from: -484, until: -15 });
    }

    #[test]
    fn both_presets_are_sound_and_each_bound_is_held() {
        WorldSpec::default().check().unwrap();
        let demo = WorldSpec::demo(1, Timestamp(1_600_000_000_000));
        demo.check().unwrap();
        assert_eq!(demo.end(), Timestamp(1_600_000_000_000));
        let base = WorldSpec::default();
        for (spec, error) in [
            (WorldSpec { cards: 0, ..base.clone() }, SpecError::Cards),
            (WorldSpec { merchants: 399, ..base.clone() }, SpecError::Merchants),
            (WorldSpec { days: 0, ..base.clone() }, SpecError::Days),
            (WorldSpec { uses_per_day: f64::NAN, ..base.clone() }, SpecError::UsesPerDay),
            (WorldSpec { misused_share: 1.1, ..base.clone() }, SpecError::Share),
            (WorldSpec { first_list_share: -0.1, ..base.clone() }, SpecError::Share),
            (WorldSpec { exposure: DayRange { from: 0, until: 8 }, ..base.clone() }, SpecError::Exposure),
            (WorldSpec { revision_day: 129, ..base.clone() }, SpecError::Moments),
            (WorldSpec { misuse_from_day: 180, ..base }, SpecError::Moments),
        ] {
            assert_eq!(spec.check(), Err(error));
        }
    }

    #[test]
    fn a_world_of_any_size_is_sound_and_keeps_its_proportions() {
        for days in [1, 2, 10, 39, 40, 41, 90, 180, 365, 3_650] {
            WorldSpec::sized(1, 1, days).check().unwrap();
        }
        let whole = WorldSpec::default();
        assert_eq!(WorldSpec::sized(whole.seed, whole.cards, whole.days), whole);
        let twice = WorldSpec::sized(1, 10, 360);
        assert_eq!((twice.notice_day, twice.exposure), (260, DayRange { from: 40, until: 220 }));
    }

    #[test]
    fn the_pace_runs_through_the_quiet_weeks_in_a_sixth_of_the_time() {
        let spec = WorldSpec::demo(1, Timestamp(1_600_000_000_000));
        let pace = spec.pace(30_000);
        assert_eq!(pace.due_ms(spec.start), 0);
        assert_eq!(pace.due_ms(spec.misuse_from()), 5_000);
        assert_eq!(pace.due_ms(spec.end()), 30_000);
        assert_eq!(pace.due_ms(spec.end().plus_millis(DAY_MS)), 30_000);
        let dues: Vec<u64> = (0..46).map(|day| pace.due_ms(spec.day_start(day))).collect();
        assert!(dues.is_sorted(), "{dues:?}");
    }
}
