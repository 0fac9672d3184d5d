//! CPython's own judgement of a script's syntax: `compile`, in processes of the interpreter that will run it.
//!
//! Starting an interpreter takes longer than compiling what people write, so a process is kept and asked
//! again. It limits its own memory and the processor time of each script, and ends with its standard input.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use super::static_check::SYNTAX_ERROR;
use crate::{
    catalogue::{Diagnostic, Place, Source},
    protocol::view::Severity,
};

const PROGRAM: &str = include_str!("final_word.py");
/// So many processes compile at the same time; who comes later waits for those before.
const PROCESSES: usize = 2;
/// More scripts than this do not wait: by the time they are compiled nobody wants to know any more.
const MOST_WAITING: usize = 256;
/// An answer is an error and at most 50 warnings of 500 characters, each of which takes up to 12 bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// What compiling one script may take.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// Bytes of address space of the process.
    pub memory: u64,
    /// Time of the processor in whole seconds.
    pub processor: Duration,
    /// Wall time, which also counts the start of the interpreter.
    pub wall: Duration,
}

impl Default for CompileLimits {
    /// No script that people write takes nearly as much.
    fn default() -> Self {
        Self { memory: 1 << 30, processor: Duration::from_secs(10), wall: Duration::from_secs(20) }
    }
}

/// What the interpreter says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FinalWord {
    /// Why it does not compile.
    #[serde(default)]
    pub error: Option<Remark>,
    /// What the compiler warns of.
    #[serde(default)]
    pub warnings: Vec<Remark>,
}

/// Something the compiler says about a place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Remark {
    /// What it says.
    pub message: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
}

/// Why the interpreter was not heard.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It cannot be started, or the conversation broke.
    #[error("run the interpreter: {0}")]
    Io(#[from] std::io::Error),
    /// The script takes too long.
    #[error("compile the script: that takes more than {} s of the processor", .0.processor.as_secs())]
    TooSlow(CompileLimits),
    /// The script needs too much memory.
    #[error("compile the script: that takes more than {} MiB of memory", .0.memory >> 20)]
    TooLarge(CompileLimits),
    /// It ended without an answer.
    #[error("compile the script: the interpreter ended early ({0})")]
    EndedEarly(std::process::ExitStatus),
    /// Too many scripts wait to be compiled.
    #[error("compile the script: {MOST_WAITING} others wait already")]
    Busy,
}

impl Unheard {
    /// Whether the script itself is the reason, so that asking again leads to the same.
    #[must_use]
    pub const fn is_of_the_script(&self) -> bool {
        match self {
            Self::TooSlow(_) | Self::TooLarge(_) | Self::EndedEarly(_) => true,
            Self::Io(_) | Self::Busy => false,
        }
    }
}

/// The processes that compile scripts.
#[derive(Debug)]
pub struct Compiler {
    interpreter: PathBuf,
    limits: CompileLimits,
    places: Semaphore,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Helper>>,
}

impl Compiler {
    /// A compiler that starts this interpreter when it is first asked.
    #[must_use]
    pub fn new(interpreter: &Path, limits: CompileLimits) -> Self {
        Self {
            interpreter: interpreter.to_owned(),
            limits,
            places: Semaphore::new(PROCESSES),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
        }
    }

    /// Asks whether a script compiles. The script does not run.
    ///
    /// # Errors
    ///
    /// [`Unheard`] when the interpreter cannot be asked or does not answer.
    pub async fn final_word(&self, source: &str) -> Result<FinalWord, Unheard> {
        let _counted = Counted::among(&self.waiting).ok_or(Unheard::Busy)?;
        let _place = self.places.acquire().await.ok();
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(helper) = kept {
            match self.hear(helper, source).await {
                // What has served before may end for reasons of its own.
                Err(Unheard::Io(_) | Unheard::EndedEarly(_)) => {}
                heard => return heard,
            }
        }
        self.hear(Helper::start(&self.interpreter, self.limits)?, source).await
    }

    async fn hear(&self, mut helper: Helper, source: &str) -> Result<FinalWord, Unheard> {
        // A helper that is let go of is killed.
        let answer =
            timeout(self.limits.wall, helper.ask(source)).await.map_err(|_| Unheard::TooSlow(self.limits))?;
        match answer {
            Ok(Some(answer)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(helper);
                if answer.out_of_memory { Err(Unheard::TooLarge(self.limits)) } else { Ok(answer.word) }
            }
            Ok(None) | Err(_) => {
                let ended = timeout(self.limits.wall, helper.child.wait());
                let status = ended.await.map_err(|_| Unheard::TooSlow(self.limits))??;
                match status.signal() {
                    Some(signal) if signal == Signal::SIGXCPU as i32 => Err(Unheard::TooSlow(self.limits)),
                    Some(_) | None => Err(Unheard::EndedEarly(status)),
                }
            }
        }
    }
}

/// One of those who wait.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn among(waiting: &'c AtomicUsize) -> Option<Self> {
        let counted = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A process that compiles one script after the other.
#[derive(Debug)]
struct Helper {
    child: Child,
    scripts: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    word: FinalWord,
    #[serde(default)]
    out_of_memory: bool,
}

impl Helper {
    fn start(interpreter: &Path, limits: CompileLimits) -> Result<Self, std::io::Error> {
        let mut child = Command::new(interpreter)
            .args(["-I", "-S", "-c", PROGRAM])
            .args([limits.memory.to_string(), limits.processor.as_secs().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let piped = child.stdin.take().zip(child.stdout.take());
        let (scripts, answers) = piped.ok_or_else(|| std::io::Error::other("the process has no pipes"))?;
        Ok(Self { child, scripts, answers: BufReader::new(answers) })
    }

    /// The answer, or none when the process has ended.
    async fn ask(&mut self, source: &str) -> Result<Option<Answer>, std::io::Error> {
        self.scripts.write_all(&(source.len() as u64).to_be_bytes()).await?;
        self.scripts.write_all(source.as_bytes()).await?;
        self.scripts.flush().await?;
        let mut line = Vec::new();
        (&mut self.answers).take(LONGEST_ANSWER).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&line)?))
    }
}

impl FinalWord {
    /// Whether the interpreter has nothing to say.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.error.is_none() && self.warnings.is_empty()
    }

    /// Puts the interpreter's judgement of the syntax in the place of ours.
    pub fn settle(&self, source: &Arc<Source>, found: &mut Vec<Diagnostic>) {
        let ours = found.iter().position(|other| other.code == SYNTAX_ERROR).map(|at| found.remove(at));
        if let Some(error) = &self.error {
            let theirs = diagnostic(source, Severity::Error, SYNTAX_ERROR, error);
            let line = theirs.place.line_and_column().0;
            found.retain(|other| other.place.line_and_column().0 < line);
            // What we can add is worth keeping when both mean the same line.
            let agreed = ours.filter(|ours| ours.place.line_and_column().0 == line);
            let label = agreed.map(|ours| ours.place.label).unwrap_or_default();
            found.push(Diagnostic { place: Place { label, ..theirs.place }, ..theirs });
        }
        let warnings = self.warnings.iter();
        found.extend(warnings.map(|remark| diagnostic(source, Severity::Warning, "syntax_warning", remark)));
        found.sort_by_key(|diagnostic| diagnostic.place.range.start);
    }
}

fn diagnostic(source: &Arc<Source>, severity: Severity, code: &'static str, remark: &Remark) -> Diagnostic {
    let start = source.place_of(remark.line.unwrap_or(1), remark.column.unwrap_or(1));
    Diagnostic {
        severity,
        code,
        message: remark.message.clone(),
        place: Place { source: Arc::clone(source), range: start..start, label: String::new() },
        related: None,
        command: None,
        parameter: None,
        help: Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_serves_again_and_one_that_has_ended_is_replaced() {
        let compiler = Compiler::new(Path::new("python3"), CompileLimits::default());
        let idle = || compiler.idle.lock().unwrap().first().and_then(|helper| helper.child.id());
        assert_eq!(compiler.final_word("x = 1\n").await.unwrap(), FinalWord::default());
        let first = idle().unwrap();
        assert!(compiler.final_word("x = (\n").await.unwrap().error.is_some());
        assert_eq!(idle(), Some(first));
        compiler.idle.lock().unwrap().first_mut().unwrap().child.start_kill().unwrap();
        assert_eq!(compiler.final_word("x = 1\n").await.unwrap(), FinalWord::default());
        assert_ne!(idle(), Some(first));
    }
}
