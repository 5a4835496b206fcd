//! What a person reads on a terminal: tables, progress, summaries.
//!
//! Everything writes to a `&mut dyn Write` that it is handed. Text from records (merchants' names, references)
//! passes through [`plain`] first, so that nobody upstream can move the reader's cursor.

pub mod plain;
pub mod table;

pub mod alert;
pub mod books;
pub mod coverage;
pub mod demo;
pub mod evaluation;
pub mod incident;
pub mod incidents;
pub mod live;
pub mod progress;
pub mod revision;
pub mod sample;

pub use demo::{DemoReport, DemoSummary, DemoTally};
pub use evaluation::{Confusion, Evaluation, EvaluationReport};
pub use live::{LiveNumbers, LiveView};
pub use progress::Progress;
pub use revision::{ImportResult, Rejections, RevisionSide, import_tables, revision_table};
pub use table::{Cell, Column, Format, Look, Table};
