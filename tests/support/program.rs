//! The `cardwatch` binary as a process: configuration in, lines and an exit code out.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use super::{reaper, wait};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A command line to run: arguments, configuration, environment, input.
#[derive(Debug, Clone)]
pub struct Invocation {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    config: Option<String>,
    files: Vec<(String, Vec<u8>)>,
    input: Option<Vec<u8>>,
}

/// A running or ended `cardwatch`. Killed with this value, and at the latest with the test process.
#[derive(Debug)]
pub struct Program {
    child: Child,
    ended: Option<Ended>,
    stdout: Output,
    stderr: Output,
    home: TempDir,
}

impl Program {
    /// `cardwatch` with these arguments; [`Invocation::start`] or [`Invocation::run`] runs it.
    ///
    /// It runs in a fresh directory of its own, so that relative paths in a configuration work.
    pub fn with(arguments: &[&str]) -> Invocation {
        Program::other(env!("CARGO_BIN_EXE_cardwatch"), arguments)
    }

    /// Another program, run in the same way: for tests of the harness, and for tools such as promtool.
    pub fn other(binary: &str, arguments: &[&str]) -> Invocation {
        Invocation {
            binary: PathBuf::from(binary),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            config: None,
            files: Vec::new(),
            input: None,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory it runs in.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// What it wrote to standard output so far, by line.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lines()
    }

    /// What it wrote to standard error so far, by line.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Both outputs, for the message of a failed test.
    pub fn transcript(&self) -> String {
        let (out, err) = (self.stdout().join("\n"), self.stderr().join("\n"));
        format!("--- stdout\n{out}\n--- stderr\n{err}\n---")
    }

    /// Waits for a line on either output that contains `text`; panics with the transcript when none comes
    /// or the process ends first.
    #[track_caller]
    pub fn await_line(&mut self, text: &str, within: Duration) -> String {
        let found = wait::poll(within, || {
            let over = self.poll_end().is_some();
            if over {
                self.drain();
            }
            let lines = self.stdout().into_iter().chain(self.stderr());
            let found = lines.into_iter().find(|line| line.contains(text));
            (found.is_some() || over).then_some(found)
        });
        let Some(Some(line)) = found else {
            panic!("no line with {text:?} within {within:?}, {:?}\n{}", self.ended, self.transcript());
        };
        line
    }

    /// Waits until GET of `url` answers with a status and body that `enough` accepts; the body.
    #[track_caller]
    pub fn await_http(&mut self, url: &str, within: Duration, enough: impl Fn(u16, &str) -> bool) -> String {
        let found = wait::poll(within, || {
            let answer = get(url).filter(|(status, body)| enough(*status, body)).map(|(_, body)| body);
            (answer.is_some() || self.poll_end().is_some()).then_some(answer)
        });
        let Some(Some(body)) = found else {
            let last = get(url);
            panic!(
                "GET {url}: not within {within:?}, last {last:?}, {:?}\n{}",
                self.ended,
                self.transcript()
            );
        };
        body
    }

    /// Sends a signal; true when the process was still there.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.poll_end().is_none() && kill_process(Pid::from_child(&self.child), signal).is_ok()
    }

    /// Ends the process as a power cut would, and waits for it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.await_end(Duration::from_secs(10));
    }

    /// Asks the process to drain and stop, and waits for it.
    #[track_caller]
    pub fn terminate(&mut self, within: Duration) -> Ended {
        self.signal(Signal::TERM);
        self.await_end(within)
    }

    /// Waits until the process has ended and its outputs are read; panics with the transcript when it has
    /// not ended `within`.
    #[track_caller]
    pub fn await_end(&mut self, within: Duration) -> Ended {
        let Some(ended) = wait::poll_awake(within, || self.poll_end()) else {
            panic!("still running after {within:?}\n{}", self.transcript());
        };
        self.drain();
        ended
    }

    /// How many lines so far of its standard error have `text` in them.
    pub fn told(&self, text: &str) -> usize {
        self.stderr().iter().filter(|line| line.contains(text)).count()
    }

    /// How the process ended, if it has.
    pub fn poll_end(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            let status = self.child.try_wait().expect("a child can be waited for")?;
            reaper::done(&self.child);
            self.ended = Some(Ended::of(status));
        }
        self.ended
    }

    /// The largest resident size so far in KiB, while the process lives.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn drain(&mut self) {
        self.stdout.join();
        self.stderr.join();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.poll_end().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            reaper::done(&self.child);
        }
        if std::thread::panicking() {
            self.drain();
            println!("cardwatch {}:\n{}", self.pid(), self.transcript());
        }
    }
}

impl Ended {
    fn of(status: ExitStatus) -> Ended {
        status.code().map(Ended::Code).or_else(|| status.signal().map(Ended::Signal)).expect("code or signal")
    }
}

impl Invocation {
    /// With this configuration, written to `cardwatch.toml` and given as `--config`.
    pub fn config(mut self, text: &str) -> Invocation {
        self.config = Some(text.to_owned());
        self
    }

    /// With this environment variable; nothing of the test's own environment is passed on but `PATH`.
    pub fn env(mut self, name: &str, value: &str) -> Invocation {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this file in its directory, readable by its owner alone.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Invocation {
        self.files.push((name.to_owned(), contents.into()));
        self
    }

    /// With this on standard input, which is otherwise empty.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Invocation {
        self.input = Some(input.into());
        self
    }

    /// Starts it.
    pub fn start(self) -> Program {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("target/ is writable");
        for (name, contents) in &self.files {
            write_private(&home.path().join(name), contents);
        }
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).current_dir(home.path()).env_clear();
        command.env("PATH", super::environment("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(config) = &self.config {
            let path = home.path().join("cardwatch.toml");
            write_private(&path, config);
            command.arg("--config").arg(path);
        }
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        reaper::watch(&child);
        if let (Some(input), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // On a thread: a process that writes before it has read all would otherwise block both. It
            // may also end without reading, which is no failure of the test.
            std::thread::spawn(move || drop(pipe.write_all(&input)));
        }
        let stdout = Output::of(child.stdout.take().expect("asked for"));
        let stderr = Output::of(child.stderr.take().expect("asked for"));
        Program { child, ended: None, stdout, stderr, home }
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn run(self, within: Duration) -> (Ended, Program) {
        let mut program = self.start();
        let ended = program.await_end(within);
        (ended, program)
    }
}

/// Status and body of a GET; `None` when nobody answers.
pub fn get(url: &str) -> Option<(u16, String)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent: ureq::Agent = config.timeout_global(Some(Duration::from_secs(5))).build().into();
    let mut response = agent.get(url).call().ok()?;
    let body = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), body))
}

/// One output, read by a thread of its own so that the process never waits for the test.
#[derive(Debug)]
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Output {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let filled = Arc::clone(&lines);
        let thread = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                filled.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        });
        Output { lines, thread: Some(thread) }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end of the output; the process has ended.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a file for its owner alone, as secrets must be.
pub fn write_private(path: &Path, contents: impl AsRef<[u8]>) {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.expect("writable").write_all(contents.as_ref()).expect("writable");
}
