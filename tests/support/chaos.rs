//! Random ends and restarts of processes, from a seed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::deployment::Deployment;
use super::program::{Ended, Invocation, Program, Signal};
use super::wait;

/// What a process says when a failpoint ends it.
pub const STOPPING: &str = "stopping here, as the fault plan says";

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
    /// Kills that nobody here ordered, by what the process said before: failpoints.
    pub stopped: Vec<String>,
    /// What those that have ended wrote, with their number.
    past: Vec<(usize, String)>,
}

#[derive(Debug)]
struct Member {
    next: VecDeque<Invocation>,
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
        self.hire_with([], invocation)
    }

    /// Starts a process as the first of `first`, with a failpoint perhaps; it comes back as the next one each
    /// time, and in the end as `later`.
    pub fn hire_with(&mut self, first: impl IntoIterator<Item = Invocation>, later: Invocation) -> usize {
        let member = Member { next: first.into_iter().collect(), later, program: None, back_at: None };
        self.members.push(member);
        self.start(self.members.len() - 1);
        self.members.len() - 1
    }

    fn start(&mut self, member: usize) {
        let member = &mut self.members[member];
        let next = member.next.pop_front().unwrap_or_else(|| member.later.clone());
        member.back_at = None;
        member.program = Some(next.start());
    }

    /// Has a process come back as `next` when it ends the next time.
    pub fn replace(&mut self, member: usize, next: Invocation) {
        self.members[member].next.clear();
        self.members[member].next.push_back(next);
    }

    /// Asks one process to drain and stop, and waits for that; it comes back with [`Crew::bring_back`].
    #[track_caller]
    pub fn send_away(&mut self, member: usize, within: Duration) {
        if let Some(mut program) = self.members[member].program.take() {
            let ended = program.terminate(within);
            assert_eq!(ended, Ended::Code(0), "process {member}\n{}", program.transcript());
            self.past.push((member, program.transcript()));
        }
    }

    /// Starts a process that was sent away.
    pub fn bring_back(&mut self, member: usize) {
        if self.members[member].program.is_none() {
            self.start(member);
        }
    }

    /// Tends until `done`; panics when that takes longer than `within`.
    #[track_caller]
    pub fn tend_until(&mut self, what: &str, within: Duration, mut done: impl FnMut(&mut Crew) -> bool) {
        let deadline = wait::now() + within;
        let mut look = wait::now();
        while !done(self) {
            self.tend();
            assert!(
                wait::now() < deadline,
                "{what}: not within {within:?}, stopped so far: {:?}",
                self.stopped
            );
            wait::pause_after(look);
            look = wait::now();
        }
    }

    /// How many partitions of a line a process has been given since it was started.
    pub fn flowing(&mut self, member: usize, line: &str) -> usize {
        let flows = format!("partition flows line=\"{line}\"");
        self.program(member).map_or(0, |program| program.told(&flows))
    }

    /// Tends until a process has had so many partitions of `sight` and of `score`.
    #[track_caller]
    pub fn await_flowing(&mut self, member: usize, [sight, score]: [usize; 2], within: Duration) {
        self.tend_until(&format!("process {member} gets its partitions"), within, |crew| {
            crew.flowing(member, "sight") >= sight && crew.flowing(member, "score") >= score
        });
    }

    /// A process, while it runs.
    pub fn program(&mut self, member: usize) -> Option<&mut Program> {
        self.members[member].program.as_mut()
    }

    /// Kills a process, to come back after `away`.
    pub fn kill(&mut self, target: usize, away: Duration) {
        let member = &mut self.members[target];
        if let Some(mut program) = member.program.take() {
            program.kill();
            self.killed += 1;
            self.past.push((target, program.transcript()));
            member.back_at = Some(wait::now() + away);
        }
    }

    /// Starts what is due, and what a failpoint has ended. Panics when a process has ended by itself with a
    /// code: under chaos it may be killed, but it may not give up.
    #[track_caller]
    pub fn tend(&mut self) {
        for number in 0..self.members.len() {
            let member = &mut self.members[number];
            if let Some(program) = &mut member.program
                && program.poll_end().is_some()
            {
                let ended = program.await_end(Duration::from_secs(10));
                let transcript = program.transcript();
                let died = ended == Ended::Signal(Signal::KILL.as_raw());
                assert!(died, "process {number} gave up, {ended:?}\n{transcript}");
                let said = program.stderr().into_iter().rfind(|line| line.contains(STOPPING));
                self.stopped
                    .push(said.unwrap_or_else(|| panic!("process {number} was killed\n{transcript}")));
                self.past.push((number, transcript));
                member.program = None;
                member.back_at = Some(wait::now());
            }
            if member.back_at.is_some_and(|at| at <= wait::now()) {
                self.start(number);
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

    /// Tends until the deployment has nothing left to do, then has all drain and stop.
    #[track_caller]
    pub fn drain(&mut self, deployment: &Deployment, within: Duration) {
        let through = |_: &mut Crew| deployment.sight_is_through() && deployment.score_is_through();
        self.tend_until("everything is worked off", within, through);
        let ends = self.dismiss(within);
        assert!(ends.iter().all(|end| *end == Ended::Code(0)), "{ends:?}");
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

impl Drop for Crew {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The running ones speak for themselves; of those before, the newest tell most.
            for (number, transcript) in self.past.iter().rev().take(6).rev() {
                println!("process {number}, ended before:\n{transcript}");
            }
        }
    }
}
