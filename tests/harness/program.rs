use std::time::Duration;

use crate::support::Program;
use crate::support::program::{Ended, Signal};

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
