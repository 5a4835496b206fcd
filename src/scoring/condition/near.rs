//! What somebody may have meant.

/// A hint at the nearest of `names`, or nothing when none is near: one that begins with `name`, otherwise
/// one that is `name` but for a few characters.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let rank = |candidate: &'n str| {
        let begins = name.len() >= 3 && candidate.starts_with(name);
        (if begins { 0 } else { distance(name, candidate) }, candidate)
    };
    match names.map(rank).min() {
        Some((rank, candidate)) if rank <= 1 + name.len() / 3 => format!(": did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// How many characters must be changed, added or taken to make one text the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (above, from) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, to) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column].min(diagonal) + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
