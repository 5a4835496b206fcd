//! Apache Kafka, fetched once by Maven into `target/kafka`, and whether this machine can run it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a broker is started with.
#[derive(Debug, Clone)]
pub struct Jars {
    /// `-cp` of the JVM.
    pub class_path: String,
    /// A freshly formatted log directory to copy: formatting costs a JVM start of its own.
    pub formatted: PathBuf,
}

impl Jars {
    /// Fills `data` as if formatted for the node `node`.
    pub fn copy_formatted(&self, data: &Path, node: usize) {
        for entry in fs::read_dir(&self.formatted).expect("formatted before").flatten() {
            let to = data.join(entry.file_name());
            if entry.file_name() != "meta.properties" {
                fs::copy(entry.path(), to).expect("target/ is writable");
                continue;
            }
            // The one file that differs by node: its id, and that of the directory.
            let text = fs::read_to_string(entry.path()).expect("formatted before");
            let line = |line: &str| match line.split_once('=') {
                Some(("node.id", _)) => format!("node.id={node}\n"),
                Some(("directory.id", _)) => format!("directory.id={node:02}FyZHdhdGNoLWRpcmVjdA\n"),
                _ => format!("{line}\n"),
            };
            fs::write(to, text.lines().map(line).collect::<String>()).expect("target/ is writable");
        }
    }
}

/// The cluster id of every broker the tests start; a random 16 bytes in base64url.
const CLUSTER: &str = "Y2FyZHdhdGNoLXRlc3RzMQ";

/// The jars, or `None` on a machine that cannot run a broker, after one plain line that says so.
///
/// With `CARDWATCH_REQUIRE_BROKER=1` that is a panic: a build server must not pass by skipping.
pub fn jars() -> Option<&'static Jars> {
    static JARS: OnceLock<Result<Jars, String>> = OnceLock::new();
    let found = JARS.get_or_init(|| {
        let found = find();
        if let Err(reason) = &found {
            // Past libtest's capture, which would hide the line of a test that passes.
            let _ = writeln!(std::io::stderr(), "no Kafka broker: {reason}; {} tests not run", listed());
        }
        found
    });
    match found {
        Ok(jars) => Some(jars),
        Err(reason) if super::environment("CARDWATCH_REQUIRE_BROKER").as_deref() == Some("1") => {
            panic!("no Kafka broker: {reason}, and CARDWATCH_REQUIRE_BROKER=1")
        }
        Err(_) => None,
    }
}

/// `target/kafka`, beside cargo's own directories: `cargo clean` takes it away with the rest.
fn home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kafka")
}

fn find() -> Result<Jars, String> {
    let needed = || "Java 17 and Maven are needed".to_owned();
    if java_version().is_none_or(|version| version < 17) {
        return Err(needed());
    }
    let home = home();
    fs::create_dir_all(&home).expect("target/ is writable");
    // Test binaries may run side by side: the first fetches, the others wait for it.
    let lock = File::create(home.join("lock")).expect("target/ is writable");
    lock.lock().expect("a file can be locked");

    let pom = include_str!("../pom.xml");
    let (libs, formatted, marker) = (home.join("libs"), home.join("formatted"), home.join("fetched"));
    let jars = Jars { class_path: format!("{}/*", libs.display()), formatted };
    if fs::read_to_string(&marker).is_ok_and(|fetched| fetched == pom) {
        return Ok(jars);
    }
    if !succeeds(Command::new("mvn").arg("--version")) {
        return Err(needed());
    }
    let _ = fs::remove_dir_all(&libs);
    let _ = fs::remove_dir_all(&jars.formatted);
    fetch(&home, &libs)?;
    format(&home, &jars);
    fs::write(&marker, pom).expect("target/ is writable");
    Ok(jars)
}

fn fetch(home: &Path, libs: &Path) -> Result<(), String> {
    let log = home.join("maven.log");
    let out = File::create(&log).expect("target/ is writable");
    let fetched = Command::new("mvn")
        .args(["--batch-mode", "--no-transfer-progress"])
        .arg(concat!("--file=", env!("CARGO_MANIFEST_DIR"), "/tests/pom.xml"))
        .arg(format!("-Dmaven.repo.local={}", home.join("m2").display()))
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .args(["-DincludeScope=runtime", "dependency:copy-dependencies"])
        .stdin(Stdio::null())
        .stderr(out.try_clone().expect("a file handle can be doubled"))
        .stdout(out)
        .status();
    match fetched {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("Maven could not fetch Kafka (see {})", log.display())),
    }
}

fn format(home: &Path, jars: &Jars) {
    let properties = home.join("format.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
         controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:1\n\
         log.dirs={}\n",
        jars.formatted.display()
    );
    fs::write(&properties, text).expect("target/ is writable");
    let output = Command::new("java")
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", &jars.class_path])
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(&properties)
        .output()
        .expect("java starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "formatting failed: {said} {}", String::from_utf8_lossy(&output.stderr));
}

/// The feature release of the `java` on the path.
fn java_version() -> Option<u32> {
    let output = Command::new("java").arg("-version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stderr).ok()?;
    let quoted = text.split('"').nth(1)?;
    quoted.split(['.', '-', '+']).next()?.parse().ok()
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// How many tests this run of this binary was asked for: its own list under its own filters.
fn listed() -> usize {
    let run = std::env::current_exe().ok().and_then(|binary| {
        Command::new(binary).args(std::env::args().skip(1)).arg("--list").stderr(Stdio::null()).output().ok()
    });
    let text = run.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter(|line| line.ends_with(": test")).count()
}
