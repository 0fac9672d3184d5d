//! The processes that come of a worker, found also when they have left its process group.
//!
//! While a worker lives, everything that it started and that was started by that is below it, because the
//! worker adopts what its descendants leave behind (`PR_SET_CHILD_SUBREAPER`). After it has died they are
//! known by a mark in the environment that they were started with. A process that is started with
//! [`OUTLIVES`] in its environment, in a session of its own, is meant to stay, and everything below it.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// The variable that marks the processes of a worker.
pub(super) const MARK: &str = "BEAMQ_WORKER";
/// The variable that lets a process outlive its job.
pub(super) const OUTLIVES: &str = "BEAMQ_OUTLIVES_JOB";

/// No environment is longer than the kernel allows for arguments and environment together, in bytes.
const LONGEST_ENVIRONMENT: u64 = 8 << 20;

/// A mark that no other worker has, of this server or another.
pub(super) fn new_mark() -> String {
    static MARKS: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = MARKS.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", std::process::id(), since_epoch.as_nanos())
}

/// A process, told from a later one of the same number by the time of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descendant {
    pid: i32,
    started: u64,
}

impl Descendant {
    /// Whether the same process still runs.
    fn is_alive(self) -> bool {
        ProcessStat::read(self.pid).is_some_and(|stat| stat.started == self.started && !stat.dead)
    }

    fn kill(self) {
        if self.is_alive() {
            let _just_ended = signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }
}

/// What is below a living process now, without what is to outlive the job.
pub(super) fn below(ancestor: Pid) -> Vec<Descendant> {
    let mut children: BTreeMap<i32, Vec<(i32, ProcessStat)>> = BTreeMap::new();
    for (pid, stat) in processes() {
        children.entry(stat.parent).or_default().push((pid, stat));
    }
    let mut found = Vec::new();
    let mut parents = vec![ancestor.as_raw()];
    while let Some(parent) = parents.pop() {
        for (pid, stat) in children.remove(&parent).unwrap_or_default() {
            if stat.group == ancestor.as_raw() || !outlives(&environment(pid)) {
                found.push(Descendant { pid, started: stat.started });
                parents.push(pid);
            }
        }
    }
    found
}

/// What was started with this mark in its environment, not before that time, without what is to outlive
/// the job.
pub(super) fn marked(mark: &str, since: u64) -> Vec<Descendant> {
    let wanted = format!("{MARK}={mark}");
    processes()
        .filter(|(_, stat)| !stat.dead && stat.started >= since)
        .filter(|(pid, _)| {
            let environment = environment(*pid);
            variables(&environment).any(|variable| variable == wanted.as_bytes()) && !outlives(&environment)
        })
        .map(|(pid, stat)| Descendant { pid, started: stat.started })
        .collect()
}

/// Kills these and whatever bears the mark, until they are gone or the time is up.
pub(super) fn end(known: &[Descendant], mark: &str, since: u64, deadline: Instant) {
    loop {
        let mut left = marked(mark, since);
        left.extend(known.iter().copied().filter(|descendant| descendant.is_alive()));
        left.iter().copied().for_each(Descendant::kill);
        if left.is_empty() || Instant::now() >= deadline {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process with this environment is meant to go on after its job.
fn outlives(environment: &[u8]) -> bool {
    variables(environment).any(|variable| variable == format!("{OUTLIVES}=1").as_bytes())
}

fn variables(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    environment.split(|&byte| byte == 0)
}

/// What a process was started with; empty when it is gone or belongs to somebody else.
fn environment(pid: i32) -> Vec<u8> {
    let mut environment = Vec::new();
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) {
        let _as_far_as_it_goes = file.take(LONGEST_ENVIRONMENT).read_to_end(&mut environment);
    }
    environment
}

/// Every process of the system that can be seen.
pub(super) fn processes() -> impl Iterator<Item = (i32, ProcessStat)> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, ProcessStat::read(pid)?)))
}

/// What `/proc/PID/stat` says, as far as it is needed (proc(5)).
#[derive(Debug)]
pub(super) struct ProcessStat {
    pub(super) dead: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// In clock ticks since the boot.
    pub(super) started: u64,
}

impl ProcessStat {
    /// Reads it; nothing when there is no such process.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in brackets and can hold anything, brackets included.
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { dead: matches!(state, "Z" | "X"), parent, group, started })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::{
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    use super::*;

    /// Ended with the test.
    struct Sleeper(Child);

    impl Sleeper {
        fn with(variables: &[(&str, &str)]) -> Self {
            let variables = variables.iter().copied();
            let sleeper = Command::new("sleep").arg("1000").process_group(0).envs(variables).spawn().unwrap();
            Self(sleeper)
        }

        fn pid(&self) -> i32 {
            self.0.id().cast_signed()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn the_fields_of_a_process_are_those_that_proc_documents() {
        let own = ProcessStat::read(std::process::id().cast_signed()).expect("there is a /proc");
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let after_name = text.rsplit_once(") ").unwrap().1;
        assert_eq!(own.started, after_name.split(' ').nth(19).unwrap().parse::<u64>().unwrap());
        assert_eq!(own.group, nix::unistd::getpgrp().as_raw());
        assert_eq!(own.parent, nix::unistd::getppid().as_raw());
        assert!(!own.dead);
    }

    #[test]
    fn only_what_bears_the_mark_and_is_not_to_stay_is_found() {
        let (mark, other) = (new_mark(), new_mark());
        let ours = Sleeper::with(&[(MARK, &mark)]);
        let _of_another_worker = Sleeper::with(&[(MARK, &other)]);
        let _longer_mark = Sleeper::with(&[(MARK, &format!("{mark}0"))]);
        let _to_stay = Sleeper::with(&[(MARK, &mark), (OUTLIVES, "1")]);
        let _of_nobody = Sleeper::with(&[]);
        let started = ProcessStat::read(ours.pid()).unwrap().started;

        assert_eq!(marked(&mark, 0), [Descendant { pid: ours.pid(), started }]);
        assert_eq!(marked(&mark, started + 1), [], "what began before cannot come of it");
    }

    #[test]
    fn a_process_whose_number_was_given_again_is_left_alone() {
        let mut sleeper = Sleeper::with(&[]);
        let started = ProcessStat::read(sleeper.pid()).unwrap().started;
        end(&[Descendant { pid: sleeper.pid(), started: started - 1 }], &new_mark(), 0, Instant::now());
        assert_eq!(sleeper.0.try_wait().unwrap(), None);
    }
}
