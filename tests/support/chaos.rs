//! Random ends and restarts of processes, from a seed.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::program::{Ended, Invocation, Program, Signal};
use super::wait;

/// One process of the schedule is killed, and started again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// When, since the start.
    pub at: Duration,
    /// Which process of the crew.
    pub target: usize,
    /// How long it stays away.
    pub away: Duration,
}

/// `count` kills of `targets` processes, spread over `over`: one at a random moment of each equal part, so
/// that no seed leaves a quiet run. Away from nothing to `away_at_most`.
pub fn kills(seed: u64, count: u32, targets: usize, over: Duration, away_at_most: Duration) -> Vec<Kill> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let part = over / count.max(1);
    let one = |number: u32| Kill {
        at: part * number + part.mul_f64(random.random()),
        target: random.random_range(0..targets),
        away: away_at_most.mul_f64(random.random()),
    };
    (0..count).map(one).collect()
}

/// Processes that are started again when they are killed, by the schedule or by a failpoint of their own.
#[derive(Debug, Default)]
pub struct Crew {
    members: Vec<Member>,
    /// Kills by the schedule.
    pub killed: u32,
    /// Kills that nobody here ordered: failpoints.
    pub stopped: u32,
}

#[derive(Debug)]
struct Member {
    next: Invocation,
    later: Invocation,
    program: Option<Program>,
    back_at: Option<Instant>,
}

impl Crew {
    /// Nobody yet.
    pub fn new() -> Crew {
        Crew::default()
    }

    /// Starts a process that comes back as it was.
    pub fn hire(&mut self, invocation: Invocation) -> usize {
        self.hire_with(invocation.clone(), invocation)
    }

    /// Starts `first`, a process with a failpoint perhaps, that comes back as `later`.
    pub fn hire_with(&mut self, first: Invocation, later: Invocation) -> usize {
        let program = Some(first.clone().start());
        self.members.push(Member { next: later.clone(), later, program, back_at: None });
        self.members.len() - 1
    }

    /// A process, while it runs.
    pub fn program(&mut self, member: usize) -> Option<&mut Program> {
        self.members[member].program.as_mut()
    }

    /// Kills a process, to come back after `away`.
    pub fn kill(&mut self, member: usize, away: Duration) {
        let member = &mut self.members[member];
        if let Some(mut program) = member.program.take() {
            program.kill();
            self.killed += 1;
            member.back_at = Some(wait::now() + away);
        }
    }

    /// Starts what is due, and what a failpoint has ended. Panics when a process has ended by itself with a
    /// code: under chaos it may be killed, but it may not give up.
    #[track_caller]
    pub fn tend(&mut self) {
        for (number, member) in self.members.iter_mut().enumerate() {
            if let Some(program) = &mut member.program
                && let Some(ended) = program.poll_end()
            {
                assert_eq!(
                    ended,
                    Ended::Signal(Signal::KILL.as_raw()),
                    "process {number} gave up\n{}",
                    program.transcript()
                );
                self.stopped += 1;
                member.program = None;
                member.back_at = Some(wait::now());
            }
            if member.back_at.is_some_and(|at| at <= wait::now()) {
                member.back_at = None;
                let next = std::mem::replace(&mut member.next, member.later.clone());
                member.program = Some(next.start());
            }
        }
    }

    /// Carries out a schedule from now on, and tends until `over` has passed and all are back.
    #[track_caller]
    pub fn suffer(&mut self, schedule: &[Kill], over: Duration) {
        let start = wait::now();
        let mut due = schedule.iter().peekable();
        loop {
            let since = wait::now() - start;
            // One that is still away is waited for: a kill of nobody would be one less than promised.
            while let Some(kill) =
                due.next_if(|kill| kill.at <= since && self.members[kill.target].program.is_some())
            {
                self.kill(kill.target, kill.away);
            }
            self.tend();
            let all_back = self.members.iter().all(|member| member.program.is_some());
            if since >= over && due.peek().is_none() && all_back {
                return;
            }
            wait::pause(Duration::from_millis(5));
        }
    }

    /// Asks all to drain and stop, and waits for them; their ends in order.
    #[track_caller]
    pub fn dismiss(&mut self, within: Duration) -> Vec<Ended> {
        let running = self.members.iter_mut().filter_map(|member| member.program.as_mut());
        let mut programs: Vec<&mut Program> = running.collect();
        for program in &mut programs {
            program.signal(Signal::TERM);
        }
        programs.into_iter().map(|program| program.await_end(within)).collect()
    }
}
