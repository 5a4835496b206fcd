//! The text of a rule: words with signals in braces.

use crate::scoring::signals::{Signal, SignalSet, SignalType, Signals};

use super::nearest;

/// A checked text. `{signal}` stands for a signal's value, `{signal|one|several}` for a whole number followed by the
/// words for one or for several, `{{` and `}}` for the braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Signal(Signal),
    Counted { signal: Signal, one: String, several: String },
}

impl Piece {
    /// Reads what stands between braces, or says what is wrong in it.
    fn parse(text: &str) -> Result<Piece, String> {
        let mut parts = text.split('|');
        let name = parts.next().unwrap_or_default();
        let words: Vec<&str> = parts.collect();
        let Some(signal) = Signal::from_name(name) else {
            let names = Signal::ALL.iter().map(|signal| signal.name());
            return Err(format!("no signal is called `{name}`{}", nearest(name, names)));
        };
        match words[..] {
            [] => Ok(Piece::Signal(signal)),
            [one, several] if signal.kind() == SignalType::Int => {
                Ok(Piece::Counted { signal, one: one.to_owned(), several: several.to_owned() })
            }
            [_, _] => Err(format!("`{name}` is no whole number: write `{{{name}}}`")),
            _ => Err(format!(
                "`{{{text}}}`: write `{{{name}|one|several}}`, the words for one and for several"
            )),
        }
    }

    fn signal(&self) -> Option<Signal> {
        match self {
            Piece::Words(_) => None,
            Piece::Signal(signal) | Piece::Counted { signal, .. } => Some(*signal),
        }
    }
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
            match Piece::parse(name) {
                Ok(piece) => {
                    pieces.push(Piece::Words(std::mem::take(&mut words)));
                    pieces.push(piece);
                }
                Err(wrong) => wrongs.push(wrong),
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
        self.0.iter().filter_map(Piece::signal).for_each(|signal| reads.insert(signal));
        reads
    }

    /// The text with its signals filled in.
    pub(super) fn fill(&self, signals: &Signals<'_>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Words(words) => text.push_str(words),
                Piece::Signal(signal) => text.push_str(&signals.render(*signal)),
                Piece::Counted { signal, one, several } => {
                    let number = signals.render(*signal);
                    let words = if number == "1" { one } else { several };
                    text.extend([number.as_str(), " ", words]);
                }
            }
        }
        text
    }
}
