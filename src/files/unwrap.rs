//! Keys from a command: the unwrap call of a tool for a key management service or a hardware security module.
//!
//! The command is run as it is listed, without a shell. What it writes to standard output is the key and is
//! seen by nobody; what it writes to standard error is told when it fails, cut short and with everything left
//! out that could be a key.

use std::io::{self, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::private::fill;
use crate::clock::{Clock, SystemClock};

/// How much of a failing command's standard error is told, in bytes.
const TOLD_BYTES: usize = 1_000;
/// So many characters of a key's alphabet in a row may be one.
const SECRET_RUN: usize = 24;

/// Why a command gave nothing. Carries nothing of its standard output.
#[derive(Debug, thiserror::Error)]
pub enum UnwrapError {
    /// It cannot be started.
    #[error("{program} cannot be started: {cause}; write the command as a list, the program first")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        cause: io::Error,
    },
    /// It ended with a failure.
    #[error("{program} failed ({status}){}; run it by hand as this service's user", said(.told))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        told: String,
    },
    /// It did not end in time.
    #[error(
        "{program} did not end within {timeout} s{said}; look whether the service it asks answers, or raise \
         keys.command_timeout",
        timeout = .timeout.as_secs_f64(), said = said(.told)
    )]
    TimedOut {
        /// The program.
        program: String,
        /// How long it had.
        timeout: Duration,
        /// What it wrote to standard error.
        told: String,
    },
    /// It could not be watched.
    #[error("{program} could not be watched: {cause}")]
    Io {
        /// The program.
        program: String,
        /// Why.
        cause: io::Error,
    },
}

impl UnwrapError {
    /// Whether trying again later may help: the configuration is right and what it names is not there.
    pub fn is_passing(&self) -> bool {
        !matches!(self, UnwrapError::NotStarted { .. })
    }
}

fn said(told: &str) -> String {
    if told.is_empty() { String::new() } else { format!(" and said: {told}") }
}

/// What a thread has to tell.
enum Told<const ROOM: usize> {
    Output(io::Result<(Zeroizing<[u8; ROOM]>, usize)>),
    Error(String),
    End(io::Result<ExitStatus>),
}

/// Runs `command`, the program first, and returns its standard output: a room that is wiped, and how many
/// bytes of it were filled. An output that is longer fills it.
///
/// # Errors
/// [`UnwrapError`] when it cannot be started, fails, or does not end within `timeout`.
pub fn unwrap<const ROOM: usize>(
    command: &[String],
    timeout: Duration,
) -> Result<(Zeroizing<[u8; ROOM]>, usize), UnwrapError> {
    let program = command.first().cloned().unwrap_or_default();
    let mut child = start(command).map_err(|cause| {
        let program = program.clone();
        UnwrapError::NotStarted { program, cause }
    })?;
    let group = rustix::process::Pid::from_child(&child);
    let (sender, receiver) = sync_channel::<Told<ROOM>>(3);
    let outcome = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => {
            watch(child, stdout, stderr, &sender).and_then(|()| collect(&receiver, timeout))
        }
        _ => Err(io::Error::other("it has no outputs")),
    };
    let ended = outcome.map_err(|cause| UnwrapError::Io { program: program.clone(), cause })?;
    match ended {
        Ended { status: Some(status), output: Some(output), .. } if status.success() => Ok(output),
        Ended { status: Some(status), output: Some(_), told } => {
            Err(UnwrapError::Failed { program, status, told })
        }
        Ended { told, .. } => {
            // The whole group: a wrapper script would otherwise leave the tool itself behind.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            Err(UnwrapError::TimedOut { program, timeout, told })
        }
    }
}

fn start(command: &[String]) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("it is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Reads both outputs and awaits the end, each on a thread of its own: none may keep another back.
fn watch<const ROOM: usize>(
    mut child: Child,
    mut stdout: ChildStdout,
    mut stderr: ChildStderr,
    sender: &SyncSender<Told<ROOM>>,
) -> io::Result<()> {
    let thread = |tell: Box<dyn FnOnce() -> Told<ROOM> + Send>| {
        let sender = sender.clone();
        let run = move || {
            // Nobody listens any more where the command took too long.
            let _ = sender.send(tell());
        };
        std::thread::Builder::new().name("unwrap".to_owned()).spawn(run).map(drop)
    };
    thread(Box::new(move || {
        let mut room = Zeroizing::new([0; ROOM]);
        let filled = fill(&mut stdout, &mut *room);
        Told::Output(filled.and_then(|length| drain(&mut stdout).map(|()| (room, length))))
    }))?;
    thread(Box::new(move || {
        let mut room = Zeroizing::new([0; TOLD_BYTES + 1]);
        let length = fill(&mut stderr, &mut *room).unwrap_or(0);
        let _ = drain(&mut stderr);
        Told::Error(tell(&room[..length]))
    }))?;
    thread(Box::new(move || Told::End(child.wait())))
}

fn drain(from: &mut impl Read) -> io::Result<()> {
    let mut room = Zeroizing::new([0; 1024]);
    while fill(from, &mut *room)? > 0 {}
    Ok(())
}

/// What is known of a command when it ended or its time was over.
struct Ended<const ROOM: usize> {
    status: Option<ExitStatus>,
    output: Option<(Zeroizing<[u8; ROOM]>, usize)>,
    told: String,
}

fn collect<const ROOM: usize>(receiver: &Receiver<Told<ROOM>>, timeout: Duration) -> io::Result<Ended<ROOM>> {
    let clock = SystemClock;
    let deadline: Instant = clock.instant() + timeout;
    let mut ended = Ended { status: None, output: None, told: String::new() };
    for _ in 0..3 {
        let left = deadline.saturating_duration_since(clock.instant());
        match receiver.recv_timeout(left) {
            Ok(Told::Output(output)) => ended.output = Some(output?),
            Ok(Told::Error(told)) => ended.told = told,
            Ok(Told::End(status)) => ended.status = Some(status?),
            Err(_) => break,
        }
    }
    Ok(ended)
}

/// What may be told of a standard error: one line, cut short, and nothing that could be a key.
fn tell(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(TOLD_BYTES)];
    let text = String::from_utf8_lossy(cut);
    let plain: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let mut told = String::new();
    let mut run = String::new();
    for char in plain.chars().chain([' ']) {
        if char.is_ascii_alphanumeric() || matches!(char, '+' | '=') {
            run.push(char);
            continue;
        }
        told.push_str(if run.len() >= SECRET_RUN { "(withheld)" } else { &run });
        run.clear();
        told.push(char);
    }
    let more = if bytes.len() > TOLD_BYTES { " …" } else { "" };
    format!("{}{more}", told.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn standard_output_is_taken_and_standard_error_is_not() {
        let (room, length) = unwrap::<8>(&shell("echo loud >&2; printf abc"), WITHIN).unwrap();
        assert_eq!(&room[..length], b"abc");
        // Longer than the room and than a pipe: read to its end, so that the command ends too.
        let (_, length) = unwrap::<8>(&shell("head -c 300000 /dev/zero"), WITHIN).unwrap();
        assert_eq!(length, 8);
    }

    #[test]
    fn a_failure_tells_standard_error_and_never_standard_output() {
        let secret = "ab".repeat(32);
        let script = format!("echo {secret}; printf 'key {secret} of\\033[2J\\nAKID: denied' >&2; exit 3");
        let error = unwrap::<80>(&shell(&script), WITHIN).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("/bin/sh") && shown.contains("exit status: 3"), "{shown}");
        assert!(shown.contains("key (withheld) of [2J AKID: denied"), "{shown}");
        assert!(!shown.contains("abab") && !shown.contains('\u{1b}'), "{shown}");
        assert!(error.is_passing());
        // Base64 is one alphabet.
        let told = tell(b"key abcdefghijkl+mnopqrstuv+wxyz= of ops");
        assert_eq!(told, "key (withheld) of ops");
        let error = unwrap::<80>(&shell("yes no | head -c 5000 >&2; exit 1"), WITHIN).unwrap_err();
        assert!(matches!(&error, UnwrapError::Failed { told, .. } if told.ends_with(" …")), "{error}");
        assert!(error.to_string().len() < TOLD_BYTES + 200, "{error}");
        let error = unwrap::<80>(&shell("kill -9 $$"), WITHIN).unwrap_err().to_string();
        assert!(error.contains("signal: 9"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        // The child holds the pipe's writing end: reading it ends when the child has.
        let script = format!("(exec 9>{}; echo up >&9; sleep 600) & sleep 600", pipe.display());
        // On a machine that is slow to start it, the child may be ended before it says so.
        let seconds = [0.5, 5.0, 50.0];
        let said = seconds.map(Duration::from_secs_f64).into_iter().find_map(|timeout| {
            let opened = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
            let reader = rustix::fs::open(&pipe, opened, rustix::fs::Mode::empty()).unwrap();
            let error = unwrap::<80>(&shell(&script), timeout).unwrap_err();
            assert!(matches!(error, UnwrapError::TimedOut { .. }), "{error}");
            let (error, time) = (error.to_string(), format!("within {} s", timeout.as_secs_f64()));
            assert!(error.contains(&time) && error.contains("keys.command_timeout"), "{error}");
            rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::empty()).unwrap();
            let mut said = String::new();
            std::fs::File::from(reader).read_to_string(&mut said).unwrap();
            Some(said).filter(|said| !said.is_empty())
        });
        assert_eq!(said.as_deref(), Some("up\n"));
    }

    #[test]
    fn a_command_that_is_none_is_a_mistake_of_the_configuration() {
        for command in [vec![], vec!["/nowhere/tool".to_owned()], vec!["awskms decrypt".to_owned()]] {
            let error = unwrap::<80>(&command, WITHIN).unwrap_err();
            assert!(!error.is_passing(), "{error}");
            assert!(error.to_string().contains("as a list, the program first"), "{error}");
        }
    }
}
