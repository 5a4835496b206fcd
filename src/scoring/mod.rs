//! Judging: a card's history, signals, rules, score.
