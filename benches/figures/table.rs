//! The table as it is printed, and as it stands in `docs/figures.md`.

/// Rows and what must be said beside them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// It must be at least this.
    AtLeast(f64),
    /// It must be at most this.
    AtMost(f64),
    /// It must be below this.
    Below(f64),
    /// It must be this.
    Exactly(f64),
    /// It is told, not held.
    None,
}

impl Target {
    fn text(self) -> String {
        match self {
            Target::AtLeast(bound) => format!(">= {bound}"),
            Target::AtMost(bound) => format!("<= {}", number(bound)),
            Target::Below(bound) => format!("< {bound}"),
            Target::Exactly(bound) => format!("= {}", number(bound)),
            Target::None => String::new(),
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        let held = match self {
            Target::AtLeast(bound) => value >= bound,
            Target::AtMost(bound) => value <= bound,
            Target::Below(bound) => value < bound,
            Target::Exactly(bound) => value == bound,
            Target::None => return "",
        };
        if held { "held" } else { "MISSED" }
    }
}

impl Table {
    pub(crate) fn new() -> Table {
        Table::default()
    }

    /// A figure held against a bound of its own.
    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &str, target: Target) {
        let measured = format!("{} {unit}", number(value)).trim_end().to_owned();
        let verdict = target.verdict(value).to_owned();
        self.rows.push([name.to_owned(), measured, String::new(), String::new(), target.text(), verdict]);
    }

    /// A figure beside its reference; their ratio is held against the bound.
    pub(crate) fn beside(&mut self, name: &str, value: f64, reference: f64, target: Target) {
        let ratio = value / reference;
        self.rows.push([
            name.to_owned(),
            number(value),
            number(reference),
            format!("{ratio:.2}"),
            target.text(),
            target.verdict(ratio).to_owned(),
        ]);
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints it as Markdown, to be pasted as it is.
    pub(crate) fn print(&self) {
        let head = ["figure", "cardwatch", "client alone", "ratio", "target", ""].map(str::to_owned);
        let mut widths = head.each_ref().map(|cell| cell.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &[String; 6]| {
            let padded = cells.iter().zip(widths).enumerate().map(|(place, (cell, width))| match place {
                1..=3 => format!(" {cell:>width$} "),
                _ => format!(" {cell:<width$} "),
            });
            format!("|{}|", padded.collect::<Vec<_>>().join("|"))
        };
        println!("\n{}", line(&head));
        let rules = widths.iter().enumerate().map(|(place, width)| match place {
            1..=3 => format!("{}:", "-".repeat(width + 1)),
            _ => "-".repeat(width + 2),
        });
        println!("|{}|", rules.collect::<Vec<_>>().join("|"));
        self.rows.iter().for_each(|row| println!("{}", line(row)));
        println!();
        self.notes.iter().for_each(|note| println!("- {note}"));
    }
}

/// Large numbers with commas, small ones with a place.
fn number(value: f64) -> String {
    if value < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle value; of an even number the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

/// The value that a share of all do not exceed (nearest rank); `sorted` ascends.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
