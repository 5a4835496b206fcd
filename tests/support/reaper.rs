//! Nothing a test starts outlives the test process, however that ends.
//!
//! One shell per test process reads the pids to look after from a pipe. When the test process ends (a
//! panic, `kill -9`, a normal end with brokers in statics, which Rust never drops) the pipe closes and the
//! shell kills what is left. The usual alternative, a parent-death signal, would need `unsafe` here and
//! fires when the *thread* that started the child ends, which in a test run is long before the process.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `watch PID` and `done PID`; at the end of its input kills every pid still watched.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
watched=' '
while read -r verb pid; do
  case $verb in
    watch) watched="$watched$pid " ;;
    done) watched="${watched%% $pid *} ${watched#* $pid }" ;;
  esac
done
for pid in $watched; do kill -9 "$pid" 2>/dev/null; done
"#;

/// Kills `child` when this process ends.
pub fn watch(child: &Child) {
    tell("watch", child.id());
}

/// Forgets a child that was waited for: its pid may be given to somebody else from now on.
pub fn done(child: &Child) {
    tell("done", child.id());
}

fn tell(verb: &str, pid: u32) {
    static REAPER: OnceLock<Mutex<Child>> = OnceLock::new();
    let reaper = REAPER.get_or_init(|| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group: an interrupt from the terminal must not take the reaper first.
            .process_group(0);
        Mutex::new(shell.spawn().expect("a POSIX shell starts"))
    });
    let mut reaper = reaper.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = reaper.stdin.as_mut().expect("the pipe was asked for");
    writeln!(pipe, "{verb} {pid}").expect("the reaper reads");
}
