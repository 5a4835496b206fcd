//! Logs, and the metrics of the whole process.
