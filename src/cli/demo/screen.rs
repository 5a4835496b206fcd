//! What the demonstration says: on a terminal with a live block, in a pipe in plain lines.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::clerk::Imported;
use super::receiver::Received;
use crate::cli::output::Output;
use crate::domain::alert::Alert;
use crate::report::plain::grouped;
use crate::report::{LiveNumbers, LiveView, revision_table};
use crate::simulation::WorldSpec;

/// In a pipe the numbers are a line every so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The screen. Once nobody reads it any more it stays dark.
pub(super) struct Screen {
    view: LiveView<Box<dyn Write>>,
    terminal: bool,
    open: bool,
    last_line: Duration,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Screen(open: {})", self.open)
    }
}

impl Screen {
    /// On standard output; where that is to hold the summary alone (JSON), on standard error.
    pub(super) fn new(output: &Output) -> Screen {
        let columns = output.columns().filter(|_| !output.is_json());
        let out: Box<dyn Write> = match output.is_json() {
            true => Box::new(std::io::stderr()),
            false => Box::new(std::io::stdout()),
        };
        let view = LiveView::new(out, columns);
        Screen { view, terminal: columns.is_some(), open: true, last_line: Duration::ZERO }
    }

    /// Whether somebody still reads.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn note(&mut self, text: &str) {
        self.open = self.open && self.view.note(text).is_ok();
    }

    pub(super) fn alert(&mut self, alert: &Alert) {
        self.open = self.open && self.view.alert(alert).is_ok();
    }

    pub(super) fn numbers(&mut self, numbers: &LiveNumbers) {
        self.open = self.open && self.view.numbers(numbers).is_ok();
        if !self.terminal && numbers.elapsed >= self.last_line + LINE_EVERY {
            self.last_line = numbers.elapsed;
            self.note(&format!(
                "-- {} s: {} transactions, {} sightings, {} alerts",
                numbers.elapsed.as_secs(),
                grouped(numbers.transactions),
                grouped(numbers.sightings),
                grouped(numbers.alerts),
            ));
        }
    }

    /// Leaves the last block where it is.
    pub(super) fn finish(self) {
        // Whoever does not read any more does not miss it.
        let _ = self.view.finish();
    }

    pub(super) fn introduce(
        &mut self,
        spec: &WorldSpec,
        seconds: u64,
        metrics: SocketAddr,
        receiver: SocketAddr,
    ) {
        self.note(&format!(
            "cardwatch demo: the whole service in this one process, on a simulated world. No server, no files, no\n\
             real cards, a fresh key.\n\n\
             World     {} cardholders and {} merchants (seed {}); {} days pass in about {seconds} seconds\n\
             Breach    a web shop lost its customers' cards; from day {} on thieves use some of them\n\
             List      what the shop says at first is partly wrong; on day {} it corrects itself\n\
             Cluster   librdkafka's mock: it keeps the last 5 MiB of a partition and forgets committed offsets. This\n\
             \u{20}         shows what cardwatch does, not what it withstands: exactly-once and restarts need a real Kafka\n\
             Metrics   http://{metrics}/metrics and /health/ready, while this runs\n\
             Webhook   http://{receiver}/alerts: a receiver of its own, which takes no alert whose signature does not fit\n\
             Alerts    time, severity, score, card (fingerprint, account), what happened: why, with points\n\n",
            grouped(u64::from(spec.cards)),
            grouped(u64::from(spec.merchants)),
            spec.seed,
            spec.days,
            spec.misuse_from_day,
            spec.revision_day,
        ));
    }

    pub(super) fn opened(&mut self, imported: &Imported) {
        let period = imported.after.details.as_ref().map(|details| details.exposure);
        let period =
            period.map_or(String::new(), |period| format!(" (exposed {} to {})", period.from, period.until));
        self.note(&format!(
            "Day 0: the shop names {} cards{period}: revision 1, watched from now on.",
            grouped(imported.added)
        ));
    }

    /// Shows how the first alert came to the receiver.
    pub(super) fn webhook(&mut self, headers: &[(String, String)]) {
        self.note("The first alert has arrived by webhook. The receiver verified its signature with the key that both share:");
        for (name, value) in headers {
            self.note(&format!("  {name}: {value}"));
        }
    }

    /// Tells what only the simulator knows.
    pub(super) fn misuse_begins(&mut self, day: u32) {
        self.note(&format!(
            "Day {day}: thieves begin. cardwatch is not told; alerts before this were false."
        ));
    }

    pub(super) fn revised(&mut self, imported: &Imported, day: u32) {
        let table = revision_table(&imported.before, &imported.after, imported.added, imported.withdrawn);
        self.note(&format!("Day {day}: the shop corrects itself. Imported while transactions stream by:"));
        self.note(table.text(self.terminal).trim_end());
    }
}

/// What came to the receiver in the end.
pub(super) fn told(received: &Received) -> String {
    let mut text = format!(
        "\nWebhook: {} alerts arrived at the receiver, each with a signature that it verified",
        grouped(received.verified)
    );
    if received.again > 0 {
        text += &format!("; {} came again under the same id", grouped(received.again));
    }
    if received.refused > 0 {
        text += &format!("; {} requests were refused", grouped(received.refused));
    }
    text + "."
}
