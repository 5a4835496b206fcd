//! A demonstration as it runs: a block that redraws itself on a terminal, a line for each alert in a pipe.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::domain::vocabulary::Channel;

use super::plain::{grouped, plain};

/// How many of the newest alerts a terminal shows.
const ALERTS_SHOWN: usize = 5;
/// How much of a rate's last value stays in it.
const RATE_MEMORY: f64 = 0.6;

/// The state of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveNumbers {
    /// Since the beginning.
    pub elapsed: Duration,
    /// How long it is to last.
    pub total: Duration,
    /// Transactions read.
    pub transactions: u64,
    /// Cards on the list now.
    pub exposed_cards: u64,
    /// Sightings.
    pub sightings: u64,
    /// Alerts.
    pub alerts: u64,
}

/// The view. On a terminal [`LiveView::numbers`] redraws a block below everything written before; in a pipe it
/// writes nothing, and [`LiveView::alert`] writes a line.
pub struct LiveView<W: Write> {
    out: W,
    terminal: bool,
    width: usize,
    /// Lines of the block on the screen.
    drawn: usize,
    newest: VecDeque<[String; 2]>,
    last: LiveNumbers,
    rate: f64,
}

impl<W: Write> std::fmt::Debug for LiveView<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveView")
            .field("terminal", &self.terminal)
            .field("drawn", &self.drawn)
            .finish_non_exhaustive()
    }
}

impl<W: Write> LiveView<W> {
    /// A view on `out`; `columns` is the width of the terminal, `None` in a pipe.
    pub fn new(out: W, columns: Option<u16>) -> LiveView<W> {
        LiveView {
            out,
            terminal: columns.is_some(),
            width: usize::from(columns.unwrap_or(u16::MAX)).max(20),
            drawn: 0,
            newest: VecDeque::new(),
            last: LiveNumbers::default(),
            rate: 0.0,
        }
    }

    /// Writes a line that stays: the list imported, the revision.
    ///
    /// # Errors
    /// What the writer says.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        let mut screen = self.erase();
        for line in text.lines() {
            screen.push_str(&plain(line));
            screen.push('\n');
        }
        self.draw(screen)
    }

    /// Shows an alert.
    ///
    /// # Errors
    /// What the writer says.
    pub fn alert(&mut self, alert: &Alert) -> io::Result<()> {
        if !self.terminal {
            return writeln!(self.out, "{}", alert_line(alert));
        }
        self.newest.push_front([colour(alert.severity, &cut(&what(alert), self.width)), {
            cut(&format!("    {}", reasons(alert)), self.width)
        }]);
        self.newest.truncate(ALERTS_SHOWN);
        Ok(())
    }

    /// Shows how far it has come.
    ///
    /// # Errors
    /// What the writer says.
    pub fn numbers(&mut self, numbers: &LiveNumbers) -> io::Result<()> {
        let seconds = numbers.elapsed.saturating_sub(self.last.elapsed).as_secs_f64();
        if seconds > 0.0 {
            let now = numbers.transactions.saturating_sub(self.last.transactions) as f64 / seconds;
            let memory = if self.last == LiveNumbers::default() { 0.0 } else { RATE_MEMORY };
            self.rate = memory * self.rate + (1.0 - memory) * now;
        }
        self.last = *numbers;
        if !self.terminal {
            return Ok(());
        }
        let screen = self.erase();
        self.draw(screen)
    }

    /// Leaves the last state on the screen; whatever is written next stands below it.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What takes the block off the screen.
    fn erase(&mut self) -> String {
        let lines = std::mem::take(&mut self.drawn);
        // Up to the block's first line, then clear to the end of the screen (ECMA-48 CPL and ED).
        if lines > 0 { format!("\x1b[{lines}F\x1b[J") } else { String::new() }
    }

    fn draw(&mut self, mut screen: String) -> io::Result<()> {
        if self.terminal {
            let block = self.block();
            self.drawn = block.len();
            for line in block {
                screen.push_str(&line);
                screen.push('\n');
            }
        }
        // One write, so that a redraw does not flicker.
        self.out.write_all(screen.as_bytes())?;
        self.out.flush()
    }

    fn block(&self) -> Vec<String> {
        let numbers = &self.last;
        if numbers.total.is_zero() {
            // Nothing has begun: notes stand alone.
            return Vec::new();
        }
        let share = numbers.elapsed.as_secs_f64() / numbers.total.as_secs_f64().max(0.001);
        let filled = (share.min(1.0) * 24.0).round() as usize;
        let bar: String = (0..24).map(|place| if place < filled { '━' } else { '─' }).collect();
        let (elapsed, total) = (numbers.elapsed.as_secs(), numbers.total.as_secs());
        let mut block = vec![
            String::new(),
            cut(&format!("{bar} {elapsed} of {total} s"), self.width),
            cut(
                &format!(
                    "{} transactions ({}/s)   {} exposed cards   {} sightings   {} alerts",
                    grouped(numbers.transactions),
                    grouped(self.rate.round() as u64),
                    grouped(numbers.exposed_cards),
                    grouped(numbers.sightings),
                    grouped(numbers.alerts),
                ),
                self.width,
            ),
            String::new(),
        ];
        block.extend(self.newest.iter().flatten().cloned());
        block
    }
}

/// An alert as one line of text: time, severity, score, the first eight digits of the card's fingerprint, what
/// happened, and why it matters.
pub fn alert_line(alert: &Alert) -> String {
    format!("{}: {}", what(alert), reasons(alert))
}

fn what(alert: &Alert) -> String {
    let transaction = &alert.transaction;
    let severity = match alert.severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    };
    let kind = match alert.kind {
        AlertKind::Live => "",
        AlertKind::Late => " late",
        AlertKind::LookBack => " look-back",
        AlertKind::Test => " test",
    };
    let fingerprint = alert.card.fingerprint.to_string();
    let mut text = format!("{} {severity}{kind} {} {}", alert.raised_at, alert.score, &fingerprint[..8]);
    for (_, reference) in alert.card.references.iter() {
        text.push_str(&format!(" {}", plain(reference)));
    }
    if let Some(amount) = transaction.amount {
        text.push_str(&format!(" {amount}"));
    }
    if let Some(merchant) = transaction.merchant.name.as_deref().or(transaction.merchant.identity()) {
        text.push_str(&format!(" at {}", plain(merchant)));
    }
    if let Some(country) = &transaction.merchant.country {
        text.push_str(&format!(" {}", plain(country)));
    }
    if transaction.channel != Channel::Unknown {
        text.push_str(&format!(" ({})", transaction.channel.as_str()));
    }
    text
}

fn reasons(alert: &Alert) -> String {
    let reasons = alert.reasons.iter().map(|reason| format!("{} ({})", plain(&reason.text), reason.score));
    reasons.collect::<Vec<_>>().join("; ")
}

/// The first `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

fn colour(severity: Severity, text: &str) -> String {
    let code = match severity {
        Severity::High => 31,
        Severity::Medium => 33,
        Severity::Low => 36,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests {
    use super::samples::alert;
    use super::*;

    fn shown(columns: Option<u16>, act: impl FnOnce(&mut LiveView<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        let mut view = LiveView::new(&mut out, columns);
        act(&mut view);
        view.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn numbers(seconds: u64, transactions: u64) -> LiveNumbers {
        LiveNumbers {
            elapsed: Duration::from_secs(seconds),
            total: Duration::from_secs(30),
            transactions,
            exposed_cards: 750,
            sightings: 12,
            alerts: 1,
        }
    }

    #[test]
    fn a_pipe_gets_a_line_for_each_alert_and_nothing_else() {
        let text = shown(None, |view| {
            view.numbers(&numbers(1, 100)).unwrap();
            view.alert(&alert("a", 0x3f)).unwrap();
            view.note("revision 2").unwrap();
        });
        assert_eq!(
            text,
            "2018-06-05T05:40:15.000Z high 85 3f3f3f3f A-1207 12980 JPY at Aoba\u{fffd} Online JP (ecom): \
             4 uses under ¥500 in 20 minutes (45); 6 times the card's mean (40)\nrevision 2\n"
        );
    }

    #[test]
    fn before_the_first_numbers_a_terminal_shows_notes_alone() {
        let text = shown(Some(120), |view| view.note("the list is imported").unwrap());
        assert_eq!(text, "the list is imported\n");
    }

    #[test]
    fn a_terminal_redraws_its_block_over_itself_and_shows_the_newest_alert_first() {
        let text = shown(Some(120), |view| {
            view.alert(&alert("a", 0x11)).unwrap();
            view.alert(&alert("b", 0x22)).unwrap();
            view.numbers(&numbers(1, 2_000)).unwrap();
            view.numbers(&numbers(2, 3_000)).unwrap();
        });
        let (first, second) =
            text.split_once("\x1b[8F\x1b[J").expect("the second goes up over the first's lines");
        assert_eq!(first.lines().count(), 8);
        assert!(first.contains("2,000 transactions (2,000/s)"), "{first}");
        assert!(second.contains("3,000 transactions (1,600/s)   750 exposed cards"), "{second}");
        assert!(second.find("22222222").unwrap() < second.find("11111111").unwrap());
        assert!(second.contains("4 uses under ¥500 in 20 minutes"));
    }

    #[test]
    fn no_line_of_the_block_is_wider_than_the_terminal() {
        let text = shown(Some(40), |view| {
            view.alert(&alert("a", 1)).unwrap();
            view.numbers(&numbers(1, 1_000_000)).unwrap();
        });
        for line in text.lines() {
            let bare = line.replace("\x1b[31m", "").replace("\x1b[0m", "");
            assert!(bare.chars().count() <= 40, "{bare}");
        }
    }
}
