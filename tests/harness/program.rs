use std::net::TcpListener;
use std::time::Duration;

use crate::support::Program;
use crate::support::chaos::{Crew, Kill};
use crate::support::ports::free_port;
use crate::support::program::{Ended, Invocation, Signal};
use crate::support::wait;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_process_ends_with_its_code() {
    let (ended, _) = Program::with(&["--version"]).run(SOON);
    assert_eq!(ended, Ended::Code(0));
}

#[test]
fn a_signal_after_the_end_is_not_sent() {
    let (_, mut program) = Program::with(&["--version"]).run(SOON);
    assert!(!program.signal(Signal::KILL), "its pid may belong to somebody else by now");
}

/// A stand-in for the program, in a language everybody has.
fn shell(script: &str) -> Invocation {
    Program::other("sh", &["-c", script])
}

#[test]
fn a_process_sees_what_it_is_given_and_no_more() {
    let invocation = Program::other(
        "sh",
        &["-c", "cat list.csv \"$2\"; env | cut -d= -f1 | sort; cat; echo bad >&2; exit 65", "sh"],
    );
    let invocation =
        invocation.config("[http]\n").file("list.csv", "card\n").env("CARDWATCH_X", "1").input("typed\n");
    let (ended, program) = invocation.run(SOON);
    assert_eq!(ended, Ended::Code(65));
    let names: Vec<String> =
        program.stdout().into_iter().filter(|line| line != "_" && line != "OLDPWD").collect();
    assert_eq!(names, ["card", "[http]", "CARDWATCH_X", "PATH", "PWD", "typed"], "{}", program.transcript());
    assert_eq!(program.stderr(), ["bad"]);
}

#[test]
fn a_process_is_watched_and_signalled() {
    let mut program = shell("trap 'echo draining; exit 3' TERM; echo up; while :; do :; done").start();
    program.await_line("up", SOON);
    assert_eq!(program.poll_end(), None);
    assert!(program.peak_memory_kib().unwrap() > 0);
    assert_eq!(program.terminate(SOON), Ended::Code(3));
    assert_eq!(program.stdout(), ["up", "draining"], "what is written at the end is still read");

    let mut program = shell("while :; do :; done").start();
    program.kill();
    assert_eq!(program.poll_end(), Some(Ended::Signal(9)));
}

#[test]
fn a_line_that_cannot_come_any_more_is_not_waited_for() {
    let said = panic_of(|| {
        shell("echo something else").start().await_line("never", Duration::from_secs(3_600));
    });
    assert!(said.contains("no line with \"never\"") && said.contains("something else"), "{said}");
}

/// What `doomed` says when it panics, as it must.
fn panic_of(doomed: impl FnOnce()) -> String {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(doomed));
    *caught.expect_err("a panic").downcast::<String>().expect("a message")
}

#[test]
fn a_crew_comes_back_from_kills_and_failpoints() {
    let lasting = shell("trap 'exit 0' TERM; echo up; while :; do :; done");
    let mut crew = Crew::new();
    crew.hire(lasting.clone());
    crew.hire_with([shell("echo stopping here, as the fault plan says >&2; kill -9 $$")], lasting);
    let schedule =
        [20, 60].map(|at| Kill { at: Duration::from_millis(at), target: 0, away: Duration::from_millis(5) });
    crew.suffer(&schedule, Duration::from_millis(200));
    crew.tend_until("the failpoint", SOON, |crew| crew.stopped.len() == 1 && crew.program(1).is_some());
    assert_eq!((crew.killed, crew.stopped.len()), (2, 1));
    crew.program(1).unwrap().await_line("up", SOON);
    crew.program(0).unwrap().await_line("up", SOON);
    assert_eq!(crew.dismiss(SOON), [Ended::Code(0), Ended::Code(0)]);
}

#[test]
fn a_crew_does_not_hide_a_process_that_gives_up() {
    let mut crew = Crew::new();
    crew.hire(shell("echo out of hands; exit 70"));
    let said = panic_of(|| crew.suffer(&[], SOON));
    assert!(said.contains("process 0 gave up") && said.contains("70"), "{said}");
}

#[test]
fn a_free_port_can_be_listened_on_more_than_once_and_is_given_to_nobody_else() {
    let port = free_port();
    let any = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for _ in 0..2 {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(listener.local_addr().unwrap().port(), port);
    }
    assert!((0..20_000).all(|_| any() != port) && free_port() != port);
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    let mut looks = 0;
    let found: Option<()> = wait::poll_awake(Duration::from_millis(150), || {
        looks += 1;
        wait::pause(Duration::from_millis(200));
        None
    });
    assert_eq!((found, looks), (None, 3));
}
