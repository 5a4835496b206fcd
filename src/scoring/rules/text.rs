//! The text of a rule: words with signals in braces.

use crate::scoring::signals::{Signal, SignalSet, Signals};

use super::nearest;

/// A checked text. `{signal}` stands for a signal's value, `{{` and `}}` for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Signal(Signal),
}

impl Template {
    /// Reads a text, or says everything that is wrong in it.
    pub(super) fn parse(text: &str) -> Result<Template, Vec<String>> {
        let (mut pieces, mut words, mut wrongs) = (Vec::new(), String::new(), Vec::new());
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            words.push_str(&rest[..place]);
            let brace = &rest[place..=place];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                words.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                wrongs.push(format!("a lone `{brace}`: write `{brace}{brace}` for the brace itself"));
                break;
            };
            match Signal::from_name(name) {
                Some(signal) => {
                    pieces.push(Piece::Words(std::mem::take(&mut words)));
                    pieces.push(Piece::Signal(signal));
                }
                None => {
                    let names = Signal::ALL.iter().map(|signal| signal.name());
                    wrongs.push(format!("no signal is called `{name}`{}", nearest(name, names)));
                }
            }
            rest = after;
        }
        words.push_str(rest);
        pieces.push(Piece::Words(words));
        pieces.retain(|piece| !matches!(piece, Piece::Words(words) if words.is_empty()));
        if wrongs.is_empty() { Ok(Template(pieces)) } else { Err(wrongs) }
    }

    /// The signals that the text names.
    pub(super) fn reads(&self) -> SignalSet {
        let mut reads = SignalSet::default();
        for piece in &self.0 {
            if let Piece::Signal(signal) = piece {
                reads.insert(*signal);
            }
        }
        reads
    }

    /// The text with its signals filled in.
    pub(super) fn fill(&self, signals: &Signals<'_>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => text.push_str(words),
                Piece::Signal(signal) => text.push_str(&signals.render(*signal)),
            }
        }
        text
    }
}
