//! The ranges that are owed to one endpoint are few: those that are near each other are joined.

use super::super::record::Range;

/// Ranges kept apart; further ones are joined to the nearest, and what lies between is told once more.
const RANGES_MAX: usize = 32;

/// Joins ranges of one kind until they are few enough.
pub(super) fn bound(ranges: &mut Vec<Range>) {
    ranges.sort_unstable_by_key(|range| (range.asked, range.from));
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if last.asked == range.asked && range.from <= last.to => join(last, range),
            _ => joined.push(range),
        }
    }
    while joined.len() > RANGES_MAX {
        let gaps = joined.windows(2).enumerate();
        let near = gaps.filter(|(_, pair)| pair[0].asked == pair[1].asked);
        let Some((place, _)) = near.min_by_key(|(_, pair)| pair[1].from - pair[0].to) else { break };
        let next = joined.remove(place + 1);
        join(&mut joined[place], next);
    }
    *ranges = joined;
}

fn join(range: &mut Range, other: Range) {
    range.to = range.to.max(other.to);
    range.count = range.count.saturating_add(other.count).min(range.span());
    range.since = [range.since, other.since].into_iter().flatten().min();
}
