//! The reference: the Kafka client alone, in a process of its own, so that its CPU time is its own.
//!
//! It reads the same topic with the same client settings and in the same batches, and throws everything away.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cardwatch::kafka::client::Cluster;
use cardwatch::kafka::reader::{Read, Reader};
use serde::{Deserialize, Serialize};

use crate::process::cpu;
use crate::support::program::{Ended, Program};
use crate::support::wait;

/// How fast records were read.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Records a second.
    pub(crate) rate: f64,
    /// CPU time of the whole process for each of them, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// The largest resident size, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs this program again as the bare consumer of `topic`.
pub(crate) fn run(bootstrap: &str, topic: &str, partitions: i32, records: u64) -> Pace {
    let this: std::path::PathBuf = std::env::current_exe().expect("a program knows itself");
    let this: &Path = &this;
    let [partitions, records] = [partitions.to_string(), records.to_string()];
    let arguments = ["bare", bootstrap, topic, &partitions, &records];
    let (ended, program) =
        Program::other(this.to_str().expect("a path in UTF-8"), &arguments).run(Duration::from_secs(300));
    assert_eq!(ended, Ended::Code(0), "{}", program.transcript());
    serde_json::from_str(program.stdout().last().expect("one line")).expect("its figures")
}

/// The bare consumer itself. Start-up is left out: time and CPU count from the first batch on.
pub(crate) fn consume(arguments: &[String]) {
    let [bootstrap, topic, partitions, records] = arguments else { panic!("four arguments") };
    let partitions: i32 = partitions.parse().expect("a number");
    let records: u64 = records.parse().expect("a number");
    let cluster = Cluster {
        tokens: None,
        bootstrap_servers: bootstrap.clone(),
        client_id: "bare".to_owned(),
        properties: BTreeMap::new(),
    };
    let starts: Vec<(i32, i64)> = (0..partitions).map(|partition| (partition, 0)).collect();
    let mut reader = Reader::new(&cluster, "bare", topic, &starts).expect("a reader");
    let pid = std::process::id();
    let take = |reader: &mut Reader| {
        let mut count = 0u64;
        for read in reader.read(Duration::from_millis(100)) {
            match read {
                Read::Record(_) => count += 1,
                Read::End { .. } => {}
                Read::Failed { code, .. } => panic!("reading failed: {code}"),
            }
        }
        count
    };
    let mut first = 0;
    while first == 0 {
        first = take(&mut reader);
    }
    let (start, cpu_start) = (wait::now(), cpu(pid));
    let mut count = first;
    while count < records {
        count += take(&mut reader);
    }
    let (took, used) = (wait::now() - start, cpu(pid) - cpu_start);
    assert_eq!(count, records, "the topic has other records too");
    let counted = (count - first) as f64;
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let pace = Pace {
        rate: counted / took.as_secs_f64(),
        cpu_ns: used.as_nanos() as f64 / counted,
        peak_kib: peak.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("KiB"),
    };
    println!("{}", serde_json::to_string(&pace).expect("plain numbers"));
}
