//! Starting, signalling and reaping the processes of workers.
//!
//! Every worker leads a process group of its own. Whatever way its life ends, the group is killed while
//! the leader still is a zombie, so that the number cannot have been given to anybody else. What has left
//! the group is found by its descent (`descendants`) and killed as well.

#![allow(unsafe_code)]

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{
            net::UnixStream as StdUnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{self, Signal},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::{Pid, getpid, getppid},
};
use tokio::sync::{oneshot, watch};

use super::{
    descendants::{self, Descendant, ProcessStat},
    registry::{Registration, Registry, group_is_alive},
};

/// Makes this process one that runs only when no other wants to, and whatever program it becomes: for work
/// that nobody waits for. A system that refuses part of it is no reason to leave the work undone.
pub(crate) fn give_way_to_all() {
    // SAFETY: the calls take numbers, and a structure of plain numbers that outlives them; they change
    // nothing but how this process is scheduled.
    unsafe {
        libc::nice(19);
        #[cfg(target_os = "linux")]
        {
            let parameters: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters);
        }
    }
}

/// So long may a script compute at a stretch before its next slice, in nanoseconds.
#[cfg(target_os = "linux")]
const SLICE_OF_A_SCRIPT: u64 = 20_000_000;

/// Asks for long slices of processor time for this process, and whatever program it becomes.
///
/// Where a script computes, everybody who wakes up beside it, the server, its journal and the kernel's own threads
/// for the disk, would otherwise wait for the end of its slice of 3 ms, several times for one pause. Since Linux
/// 6.12 a process with a long slice is interrupted at once by one with a shorter slice that has its share to
/// come. What a process gets of the processor in total stays what its niceness says. Older kernels take the wish
/// and do nothing about it. A server that runs under another policy than the usual ones has been given it for a
/// reason, which its scripts share.
///
/// Makes system calls only and allocates nothing, so that it may be called between fork and exec.
#[cfg(target_os = "linux")]
fn ask_for_long_slices() {
    // SAFETY: the calls take numbers, and a structure of plain numbers that outlives them; they change nothing
    // but how this process is scheduled.
    unsafe {
        let policy = libc::sched_getscheduler(0);
        if policy != libc::SCHED_OTHER && policy != libc::SCHED_BATCH {
            return;
        }
        let wish = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: policy.cast_unsigned(),
            sched_flags: 0,
            // -1 is also the word for a failure, which cannot happen to a process that asks about itself.
            sched_nice: libc::getpriority(libc::PRIO_PROCESS, 0),
            sched_priority: 0,
            sched_runtime: SLICE_OF_A_SCRIPT,
            sched_deadline: 0,
            sched_period: 0,
        };
        // A system that refuses runs the script all the same.
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const wish, 0);
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_long_slices() {}

/// How long what was killed may take to disappear.
const GONE_WITHIN: Duration = Duration::from_millis(500);

/// A thread that forks every worker.
///
/// `PR_SET_PDEATHSIG` follows the *thread* that forked, so workers are forked by one that lives as long
/// as the engine. It ends when this handle is dropped, and all workers with it.
#[derive(Debug)]
pub(super) struct Spawner {
    requests: std::sync::mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    command: Command,
    registry: Registry,
    reply: oneshot::Sender<io::Result<Spawned>>,
}

/// A process that has just been started, and this side of its pipes.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) process: Process,
    pub(super) control: StdUnixStream,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (requests, incoming) = std::sync::mpsc::channel::<Request>();
        thread::Builder::new().name("beamq-spawner".into()).spawn(move || {
            for Request { command, registry, reply } in incoming {
                // A requester that is gone drops the process, which ends it.
                let _gone = reply.send(spawn(command, &registry));
            }
        })?;
        Ok(Self { requests })
    }

    /// Starts a process whose standard input is a control socket.
    ///
    /// # Errors
    ///
    /// When the system cannot start it, most often because the program does not exist.
    pub(super) async fn spawn(&self, command: Command, registry: Registry) -> io::Result<Spawned> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts workers has ended");
        self.requests.send(Request { command, registry, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn spawn(mut command: Command, registry: &Registry) -> io::Result<Spawned> {
    let (control, theirs) = StdUnixStream::pair()?;
    control.set_nonblocking(true)?;
    command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mark = descendants::new_mark();
    command.env(descendants::MARK, &mark).env_remove(descendants::OUTLIVES);
    let server = getpid();
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It
    // makes a few system calls and allocates nothing: errors are made of their numbers.
    unsafe {
        command.pre_exec(move || {
            ask_for_long_slices();
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            prctl::set_child_subreaper(true)?;
            // The server may have died before the line above took effect.
            if getppid() == server { Ok(()) } else { Err(Errno::ESRCH.into()) }
        });
    }
    let mut child = command.spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the worker has no output pipes"));
    };
    let process = Process::watch(child, registry, mark)?;
    Ok(Spawned { process, control, stdout, stderr })
}

/// A worker's process, its group and what comes of it. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    known: Arc<Mutex<Known>>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

/// What is known of a process beside its number.
#[derive(Debug, Default)]
struct Known {
    /// Its number may belong to another by now.
    reaped: bool,
    /// It said last that nothing comes of it any more, so that nothing has to be looked for.
    alone: bool,
    /// What was below it when that was looked at last.
    descendants: Vec<Descendant>,
}

impl Process {
    fn watch(mut child: Child, registry: &Registry, mark: String) -> io::Result<Self> {
        let pid = Pid::from_raw(child.id().cast_signed());
        let registration = registry.enter(pid, &mark);
        let known = Arc::new(Mutex::new(Known::default()));
        let (told, exit) = watch::channel(None);
        let process = Self { pid, known: Arc::clone(&known), exit };
        thread::Builder::new().name("beamq-reaper".into()).stack_size(128 * 1024).spawn(move || {
            let status = reap(pid, &mut child, &known, &mark);
            drop::<Registration>(registration);
            told.send_replace(Some(status));
        })?;
        Ok(process)
    }

    /// Waits until the process and its group are gone.
    pub(super) async fn exited(&mut self) -> ExitStatus {
        match self.exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            // The reaping thread cannot end without telling; if it did, the process is lost to us.
            Err(_) => ExitStatus::from_raw(libc::SIGKILL),
        }
    }

    /// Whether the process is still there.
    pub(super) fn is_alive(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Signals the process alone.
    pub(super) fn signal(&self, signal: Signal) {
        let known = lock(&self.known);
        if !known.reaped {
            // A failure means that it has just ended, which is noticed elsewhere.
            let _ended = signal::kill(self.pid, signal);
        }
    }

    /// Signals every process of the group.
    pub(super) fn signal_group(&self, signal: Signal) {
        let known = lock(&self.known);
        if !known.reaped {
            let _ended = signal::killpg(self.pid, signal);
        }
    }

    /// Takes the process's word that nothing comes of it any more.
    pub(super) fn is_alone(&self) {
        lock(&self.known).alone = true;
    }

    /// Looks at what is below the process while it lives, to end it afterwards.
    pub(super) fn look_below(&self) {
        let mut known = lock(&self.known);
        if !known.reaped {
            known.alone = false;
            known.descendants = descendants::below(self.pid);
        }
    }

    /// Kills the process, its group, and what comes of it.
    pub(super) fn kill(&self) {
        if !self.is_alive() {
            return;
        }
        self.look_below();
        self.signal_group(Signal::SIGKILL);
        // A worker can have moved itself into another group.
        self.signal(Signal::SIGKILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for the end of the process, kills what is left of its group, and only then lets go of its number.
/// Then ends what has left the group.
fn reap(pid: Pid, child: &mut Child, known: &Mutex<Known>, mark: &str) -> ExitStatus {
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let deadline = Instant::now() + GONE_WITHIN;
    let started = ProcessStat::read(pid.as_raw()).map_or(0, |stat| stat.started);
    let (status, alone, left) = {
        let mut known = lock(known);
        let _nobody_left = signal::killpg(pid, Signal::SIGKILL);
        let status = child.wait();
        known.reaped = true;
        (status, known.alone, std::mem::take(&mut known.descendants))
    };
    if !alone {
        descendants::end(&left, mark, started, deadline);
    }
    while group_is_alive(pid) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    status.unwrap_or_else(|_| ExitStatus::from_raw(libc::SIGKILL))
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
