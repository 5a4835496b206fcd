//! Processes seen through `/proc`: CPU time, memory, the machine; and the binary to measure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::environment;

/// `USER_HZ`, the unit of times in `/proc/PID/stat`: 100 on every architecture this runs on (proc(5)).
const TICKS_PER_SECOND: u64 = 100;
/// The name of a failpoint: stands in a binary that was built with the feature `faults`, and in no other.
const FAULTS_MARK: &[u8] = b"after-end-txn";

/// What cargo tells this program of its own package. Build scripts that look at it would take a build from here for
/// another one than a build by hand, and each would undo the other's.
const OF_THIS_PACKAGE: [&str; 8] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Builds the release binary without the test feature and gives a copy that no other build replaces.
pub(crate) fn release_binary() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cargo = environment("CARGO").unwrap_or_else(|| "cargo".to_owned());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--quiet", "--bin", "cardwatch"]).current_dir(root);
    for name in OF_THIS_PACKAGE {
        build.env_remove(name);
    }
    let built = build.status().expect("cargo runs");
    assert!(built.success(), "the release binary does not build");
    // Beside the directory that cargo gives to benches, wherever the target directory is.
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let from = tmp.with_file_name("release").join("cardwatch");
    let to = tmp.join(format!("cardwatch-figures-{}", std::process::id()));
    fs::copy(&from, &to).expect("the release binary is where cargo puts it");
    let bytes = fs::read(&to).expect("readable");
    assert!(
        memchr::memmem::find(&bytes, FAULTS_MARK).is_none(),
        "the release binary has the test feature: not what a user runs"
    );
    crate::support::jars::jars().is_some().then_some(to)
}

/// CPU time of a process so far, its threads and those that ended included: user and system.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The resident size of a process at this moment.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

/// The machine in one line.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} x {model}, Linux {}, librdkafka {}, load average at the start: {}",
        kernel.trim(),
        rdkafka::util::get_rdkafka_version().1,
        load_average()
    )
}

/// The load average of the last minute.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}
