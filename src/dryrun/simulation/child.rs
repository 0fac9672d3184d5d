//! The process in which a script is simulated: started, talked to, and ended in any case.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::pipe},
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Budget, Priority, SimulationSettings, SimulationWish,
    account::Account,
    confinement, endings,
    interpreter::Interpreter,
    many::{Many, NotReady},
    message::{FromChild, LONGEST_CONVERSATION, LONGEST_LINE},
    process::{Process, starved},
    scratch::Scratch,
};

/// How long an interpreter may take to start on a busy machine.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// How much later than its own watch the child is ended from outside.
const GRACE: Duration = Duration::from_secs(4);
/// So much of what it wrote last is kept.
const LAST_WORDS: usize = 64 << 10;

/// How a child ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// It said everything.
    Told,
    /// It cannot simulate, and says why.
    Refused(String),
    /// It did not end in time.
    TooSlow(String),
    /// It had hardly begun, because other processes were always before it.
    Starved,
    /// It ended without a word, or talked nonsense.
    Early { status: Option<ExitStatus>, last_words: String },
    /// It was not to be had.
    NotStarted(String),
}

/// Where and how a child is started.
#[derive(Debug)]
pub(super) struct Room<'a> {
    pub(super) settings: &'a SimulationSettings,
    pub(super) interpreter: &'a Interpreter,
    pub(super) budget: &'a Budget,
    pub(super) priority: Priority,
}

impl Room<'_> {
    /// Starts a child, which waits for its wish then.
    pub(super) fn start(self, scratch: Scratch) -> io::Result<Started> {
        let (mut child, control) = self.spawn(&scratch, false)?;
        let words = child.stderr.take().map(|stderr| tokio::spawn(last_words(stderr)));
        Ok(Started {
            process: Process::Own { child: Box::new(child), scratch },
            control,
            words,
            priority: self.priority,
        })
    }

    /// Starts a process that forks children.
    pub(super) async fn start_many(self, scratch: Scratch) -> io::Result<Many> {
        let (child, orders) = self.spawn(&scratch, true)?;
        let catalogue = catalogue_file(scratch.path());
        Many::prepare(child, orders, scratch, &catalogue).await
    }

    fn spawn(&self, scratch: &Scratch, many: bool) -> io::Result<(Child, UnixStream)> {
        let (control, theirs) = StdUnixStream::pair()?;
        control.set_nonblocking(true)?;
        let control = UnixStream::from_std(control)?;
        let Self { settings, interpreter, budget, priority } = *self;
        let folder = scratch.path();
        let library = settings.work_dir.join("lib");
        let mut command = match &settings.launcher {
            Some(launcher) => {
                let mut command = std::process::Command::new(launcher);
                let program = &interpreter.executable;
                command.args(confinement::arguments(folder, budget, priority, many, program));
                command
            }
            None => std::process::Command::new(&interpreter.executable),
        };
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .arg("-u")
            .arg(library.join("dryrun.py"))
            .env_clear()
            .envs(&interpreter.environment)
            .env("PYTHONUTF8", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("MPLBACKEND", "Agg")
            // Scripts of an instrument that write somewhere else by these write to scratch as well.
            .env("TMPDIR", folder.join("tmp"))
            .env("HOME", folder.join("work"))
            // A library that prepares a thread for every processor would need the memory for it.
            .env("OPENBLAS_NUM_THREADS", "1")
            .env("OMP_NUM_THREADS", "1")
            .env_remove("PYTHONIOENCODING")
            .env_remove("PYTHONSAFEPATH")
            .env_remove("PYTHONINSPECT")
            .env_remove("PYTHONSTARTUP")
            .env_remove("BEAMQ_CATALOGUE")
            .current_dir(folder)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(if many { Stdio::null() } else { Stdio::piped() });
        // The one that has children must be there to end them.
        let child = Command::from(command).kill_on_drop(!many).spawn()?;
        Ok((child, control))
    }
}

/// A child that waits for its wish. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Started {
    process: Process,
    control: UnixStream,
    /// What it wrote last, when it has ended.
    words: Option<JoinHandle<String>>,
    priority: Priority,
}

impl Started {
    /// Has a child forked, which waits for its wish then. `None` when the parent got nowhere, because other processes
    /// were always before it.
    pub(super) async fn fork(mut parent: Many, priority: Priority) -> Result<Option<Self>, NotReady> {
        let pid = parent.id().filter(|_| priority == Priority::Idle);
        let forked = tokio::select! {
            forked = parent.fork() => forked?,
            () = starved(pid) => return Ok(None),
        };
        let control = UnixStream::from_std(forked.control)?;
        let words = pipe::Receiver::from_owned_fd(OwnedFd::from(forked.words))?;
        let words = Some(tokio::spawn(last_words(words)));
        Ok(Some(Self { process: Process::Forked { parent, pid: forked.pid }, control, words, priority }))
    }

    /// Whether it is the child of a process that can have another.
    pub(super) fn is_forked(&self) -> bool {
        matches!(self.process, Process::Forked { .. })
    }

    /// Runs a wish, and takes down what is said. Returns the parent of the child as well, if it has one that can
    /// have another.
    pub(super) async fn run(
        self,
        settings: &SimulationSettings,
        wish: &SimulationWish,
        account: &mut Account<'_>,
    ) -> (Ending, Option<Many>) {
        tracing::debug!(job = wish.name, "a simulation begins");
        let Self { process, control, words, priority } = self;
        let first = match process.folder() {
            Ok(folder) => first_message(settings, folder, wish, &file_name(&wish.name)),
            Err(error) => return (Ending::NotStarted(error.to_string()), None),
        };
        let mut talk = Conversation { control: BufReader::new(control), heard: 0, started: false };
        let said = tokio::select! {
            said = talk.hold(&first, wish, account) => said,
            () = starved(process.id().filter(|_| priority == Priority::Idle)) => Said::NothingYet,
        };
        // Whatever it still does is of no interest.
        let (status, parent) = match said {
            // Nor would another child of that parent get anywhere.
            Said::NothingYet => (process.end(false).await.0, None),
            Said::Everything | Said::Refusal(_) => process.end(false).await,
            Said::NotReadyInTime | Said::TooLittleInTime | Said::NothingMore => process.end(true).await,
        };
        let last_words = match (&said, words) {
            (Said::TooLittleInTime | Said::NothingMore, Some(words)) => words.await.unwrap_or_default(),
            _ => String::new(),
        };
        let ending = match said {
            Said::Everything => Ending::Told,
            Said::Refusal(reason) => Ending::Refused(reason),
            Said::NotReadyInTime => {
                let seconds = READY_WITHIN.as_secs();
                Ending::NotStarted(format!("the interpreter was not ready within {seconds} s"))
            }
            Said::TooLittleInTime => Ending::TooSlow(last_words),
            Said::NothingYet => Ending::Starved,
            // A status of our own kill says nothing.
            Said::NothingMore => Ending::Early { status, last_words },
        };
        (ending, parent)
    }
}

/// The script's file name in tracebacks.
pub(super) fn file_name(name: &str) -> String {
    let clean: String =
        name.chars().map(|c| if c.is_control() || "/\\<>".contains(c) { '_' } else { c }).collect();
    let clean = if clean.trim().is_empty() { "script" } else { clean.trim() };
    if clean.ends_with(".py") { clean.to_owned() } else { format!("{clean}.py") }
}

/// The catalogue as Python reads it.
pub(super) fn catalogue_file(scratch: &Path) -> PathBuf {
    scratch.join("catalogue.json")
}

fn first_message(settings: &SimulationSettings, scratch: &Path, wish: &SimulationWish, file: &str) -> String {
    let begins_at = wish.begins_at.unwrap_or_else(jiff::Timestamp::now);
    let message = json!({
        "source": &*wish.source,
        "file": file,
        "begins_at": begins_at.as_microsecond() as f64 / 1e6,
        "start": wish.start,
        "catalogue": catalogue_file(scratch),
        "hardware": settings.hardware,
        "path": settings.path,
        "scratch": scratch,
        "steps": wish.budget.steps,
        "virtual_s": wish.budget.virtual_time.as_secs_f64(),
        "real_s": wish.budget.real.as_secs_f64(),
        "job": {
            "id": wish.job.id.as_deref().unwrap_or("dry-run"),
            "name": wish.name,
            "owner": wish.job.owner,
            "tags": wish.job.tags,
            "group": wish.job.group,
        },
    });
    format!("{message}\n")
}

/// The end of what a process writes. It may write without end, so as little as possible is done with it.
async fn last_words(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::with_capacity(4096);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if kept.len() > 2 * LAST_WORDS {
            kept.drain(..kept.len() - LAST_WORDS);
        }
    }
    kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    String::from_utf8_lossy(&kept).into_owned()
}

#[derive(Debug)]
enum Said {
    Everything,
    Refusal(String),
    NotReadyInTime,
    TooLittleInTime,
    NothingYet,
    NothingMore,
}

#[derive(Debug)]
enum Heard {
    More,
    Started,
    Last(Said),
}

#[derive(Debug)]
struct Conversation {
    control: BufReader<UnixStream>,
    heard: usize,
    started: bool,
}

impl Conversation {
    async fn hold(&mut self, first: &str, wish: &SimulationWish, account: &mut Account<'_>) -> Said {
        match timeout(READY_WITHIN, self.listen()).await {
            Ok(Some(FromChild::Hello { confined })) => {
                if let Some(told) = endings::of_confinement(&confined) {
                    account.finding(told);
                }
            }
            Ok(Some(FromChild::Refused { reason })) => return Said::Refusal(reason),
            Ok(_) => return Said::NothingMore,
            Err(_) => return Said::NotReadyInTime,
        }
        let mut deadline = Instant::now() + READY_WITHIN;
        if self.control.get_mut().write_all(first.as_bytes()).await.is_err() {
            return Said::NothingMore;
        }
        loop {
            match timeout_at(deadline, self.take_one(wish, account)).await {
                Ok(Heard::More) => {}
                Ok(Heard::Started) => deadline = Instant::now() + wish.budget.real + GRACE,
                Ok(Heard::Last(said)) => return said,
                Err(_) if self.started => return Said::TooLittleInTime,
                Err(_) => return Said::NotReadyInTime,
            }
        }
    }

    /// Takes down the next thing that it says.
    async fn take_one(&mut self, wish: &SimulationWish, account: &mut Account<'_>) -> Heard {
        let Some(message) = self.listen().await else { return Heard::Last(Said::NothingMore) };
        match message {
            FromChild::Hello { .. } | FromChild::Refused { .. } => return Heard::Last(Said::NothingMore),
            // A script that could say it again would have the time again.
            FromChild::Started {} if self.started => return Heard::Last(Said::NothingMore),
            FromChild::Started {} => {
                self.started = true;
                return Heard::Started;
            }
            FromChild::Syntax(remark) => account.syntax(remark),
            FromChild::Remark(remark) => account.remark(remark),
            FromChild::Finding(told) => account.finding(*told),
            FromChild::Estimate { command, arguments, state } => {
                let answer = format!("{}\n", estimate(wish, &command, &arguments, &state));
                if self.control.get_mut().write_all(answer.as_bytes()).await.is_err() {
                    return Heard::Last(Said::NothingMore);
                }
            }
            FromChild::Call(call) => account.call(*call),
            FromChild::Wait(wait) => account.wait(wait),
            FromChild::End(end) => {
                account.ended(*end);
                return Heard::Last(Said::Everything);
            }
        }
        Heard::More
    }

    /// The next message; none when it has ended, or says what nobody should listen to.
    async fn listen(&mut self) -> Option<FromChild> {
        let mut line = Vec::new();
        let limit = LONGEST_LINE.min(LONGEST_CONVERSATION.saturating_sub(self.heard)) as u64;
        let count = (&mut self.control).take(limit).read_until(b'\n', &mut line).await.ok()?;
        self.heard += count;
        if line.last() != Some(&b'\n') {
            return None;
        }
        serde_json::from_slice(&line)
            .inspect_err(|error| tracing::debug!(%error, "a simulation talks nonsense"))
            .ok()
    }
}

/// How long a call without a hook takes, and what it leaves behind.
fn estimate(
    wish: &SimulationWish,
    command: &str,
    arguments: &Map<String, Value>,
    state: &Map<String, Value>,
) -> Value {
    let known = wish.catalogue.command(command);
    let formula = known.and_then(|known| known.estimate(arguments, &|name| state.get(name).cloned()));
    let effects = known.and_then(|known| known.effects(arguments, &|name| state.get(name).cloned()));
    let effects: Option<Map<_, _>> = effects
        .map(|effects| effects.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect());
    match (wish.history.duration(command, arguments, formula), formula) {
        (Some(better), _) => json!({
            "seconds": better.expected_s, "low_s": better.low_s, "high_s": better.high_s, "source": better.source,
            "effects": effects,
        }),
        (None, Some(seconds)) => json!({"seconds": seconds, "source": "formula", "effects": effects}),
        (None, None) => json!({"source": "unknown", "effects": effects}),
    }
}
