//! The process's own memory, time and files, as Prometheus names them. Read from `/proc` when somebody asks.
//!
//! Not by the `process` feature of the `prometheus` crate: the `procfs` it brings is built on an older `rustix`,
//! and each library is in the binary once.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge, Registry};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::metrics::MetricsError;

/// Shows the process's own numbers from now on; on a system without `/proc`, none.
///
/// # Errors
/// When they are shown already.
pub fn measure_process(registry: &Registry) -> Result<(), MetricsError> {
    registry.register(Box::new(Process::new()?))
}

/// The numbers, brought up to date whenever they are collected.
struct Process {
    cpu: Counter,
    started: Gauge,
    resident: IntGauge,
    virtual_memory: IntGauge,
    threads: IntGauge,
    open_files: IntGauge,
    files_max: IntGauge,
}

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: i64,
    started_ticks: u64,
    virtual_bytes: i64,
    resident_pages: i64,
}

impl Stat {
    /// The second field is the program's name in parentheses, which may contain anything; fields count from there.
    fn parse(text: &str) -> Option<Stat> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let unsigned = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let signed = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        Some(Stat {
            cpu_ticks: unsigned(14)? + unsigned(15)?,
            threads: signed(20)?,
            started_ticks: unsigned(22)?,
            virtual_bytes: signed(23)?,
            resident_pages: signed(24)?,
        })
    }
}

/// When the system started, in seconds since the epoch, from `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

impl Process {
    fn new() -> Result<Process, MetricsError> {
        Ok(Process {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "Time that the process has computed, user and system.",
            )?,
            started: Gauge::new("process_start_time_seconds", "When the process started.")?,
            resident: IntGauge::new(
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
            )?,
            virtual_memory: IntGauge::new("process_virtual_memory_bytes", "Address space of the process.")?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
            open_files: IntGauge::new("process_open_fds", "Files and sockets that are open.")?,
            files_max: IntGauge::new("process_max_fds", "The most files and sockets that may be open.")?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.started,
            &self.resident,
            &self.virtual_memory,
            &self.threads,
            &self.open_files,
            &self.files_max,
        ]
    }

    fn update(&self) -> Option<()> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let boot = boot_time(&fs::read_to_string("/proc/stat").ok()?)?;
        let ticks = clock_ticks_per_second() as f64;
        // A counter can only be moved on; two readers at once may have come past each other.
        self.cpu.inc_by((stat.cpu_ticks as f64 / ticks - self.cpu.get()).max(0.0));
        self.started.set(boot as f64 + stat.started_ticks as f64 / ticks);
        self.resident.set(stat.resident_pages.saturating_mul(i64::try_from(page_size()).unwrap_or(4_096)));
        self.virtual_memory.set(stat.virtual_bytes);
        self.threads.set(stat.threads);
        // Without the directory that is open for looking.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        self.open_files.set(i64::try_from(open).unwrap_or(i64::MAX));
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        self.files_max.set(i64::try_from(limit).unwrap_or(i64::MAX));
        Some(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match self.update() {
            Some(()) => self.collectors().into_iter().flat_map(Collector::collect).collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let text = "7 (a) 1 (b) S 1 7 7 0 -1 4194560 5 0 0 0 30 12 0 0 20 0 9 0 4242 1048576 256 18446744073709551615";
        let stat = Stat {
            cpu_ticks: 42,
            threads: 9,
            started_ticks: 4_242,
            virtual_bytes: 1_048_576,
            resident_pages: 256,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_a_start_and_its_time_never_falls() {
        let registry = Registry::new();
        measure_process(&registry).unwrap();
        let value = |name: &str| {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value()
        };
        let first = value("process_cpu_seconds_total");
        assert!(value("process_resident_memory_bytes") > 1_000_000.0);
        assert!(value("process_start_time_seconds") > 1_600_000_000.0);
        assert!(value("process_threads") >= 1.0 && value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_cpu_seconds_total") >= first);
    }
}
