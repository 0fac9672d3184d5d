//! A process that has loaded everything, and forks a child for every script: `lib/beamq_dryrun/many.py`.
//!
//! It runs nothing of a script and nothing of an instrument. It has one child at a time, which it reaps when it
//! is told to; and it ends, with its child, when we hang up.

use std::{
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixStream as StdUnixStream, process::ExitStatusExt},
    },
    path::Path,
    process::ExitStatus,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest},
    net::UnixStream,
    process::Child,
    runtime::Handle,
    task,
    time::timeout,
};

use super::{child::READY_WITHIN, scratch::Scratch};

/// Its answers are a few words, in bytes.
const LONGEST_ANSWER: u64 = 4096;
/// It ends at once when we hang up; after so long it is ended.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What it says.
#[derive(Debug, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
enum Answer {
    Hello {},
    Ready {},
    Refused { reason: String },
    Forked { pid: u32 },
    Ended { status: i32 },
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NotReady {
    /// There never will be, on this system.
    Refused(String),
    /// It was not to be had now.
    Failed(io::Error),
}

impl From<io::Error> for NotReady {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A process that is ready to fork. Dropping it ends it, and its child.
#[derive(Debug)]
pub(super) struct Many(Option<Box<Process>>);

#[derive(Debug)]
struct Process {
    child: Child,
    orders: BufReader<UnixStream>,
    /// Where it may write, and each of its children, one after the other.
    scratch: Scratch,
    /// Whether it has loaded everything.
    is_ready: bool,
    /// Whether its child was told to end, and it has not said yet that it has.
    ends: bool,
    /// Whether it has had a child.
    has_had_one: bool,
}

/// What belongs to a child that was forked.
#[derive(Debug)]
pub(super) struct Forked {
    pub(super) pid: u32,
    /// The conversation with it.
    pub(super) control: StdUnixStream,
    /// What it writes on standard error.
    pub(super) words: io::PipeReader,
}

impl Many {
    /// Has a process made ready that was just started. It is waited for when a child is wanted.
    pub(super) async fn prepare(
        child: Child,
        orders: UnixStream,
        scratch: Scratch,
        catalogue: &Path,
    ) -> io::Result<Self> {
        let what = json!({"say": "be_ready", "scratch": scratch.path(), "catalogue": catalogue});
        let orders = BufReader::new(orders);
        let mut process =
            Process { child, orders, scratch, is_ready: false, ends: false, has_had_one: false };
        process.orders.get_mut().write_all(format!("{what}\n").as_bytes()).await?;
        Ok(Self(Some(Box::new(process))))
    }

    /// Forks a child, which waits for its wish.
    pub(super) async fn fork(&mut self) -> Result<Forked, NotReady> {
        self.tidy_up().await?;
        let (control, theirs) = StdUnixStream::pair()?;
        control.set_nonblocking(true)?;
        let (words, theirs_to_write) = io::pipe()?;
        let enclosed = [OwnedFd::from(theirs), OwnedFd::from(theirs_to_write)];
        let process = self.process()?;
        process.becomes_ready().await?;
        process.order(b"F", &enclosed).await?;
        match process.answer().await? {
            Answer::Forked { pid } => {
                process.has_had_one = true;
                Ok(Forked { pid, control, words })
            }
            other => Err(nonsense(&other).into()),
        }
    }

    /// Has the child ended that was forked last, unless it has ended by itself.
    pub(super) async fn end_child(&mut self) -> io::Result<()> {
        let process = self.process()?;
        process.order(b"E", &[]).await?;
        process.ends = true;
        Ok(())
    }

    /// Waits until that is so. Returns how the child ended.
    pub(super) async fn child_has_ended(&mut self) -> io::Result<ExitStatus> {
        let process = self.process()?;
        match process.answer().await? {
            Answer::Ended { status } => {
                process.ends = false;
                Ok(ExitStatus::from_raw(status))
            }
            other => Err(nonsense(&other)),
        }
    }

    /// Removes what the child before has left, when it has ended.
    async fn tidy_up(&mut self) -> io::Result<()> {
        if self.process()?.ends {
            self.child_has_ended().await?;
        }
        let Some(process) = self.0.take() else { return Err(gone()) };
        let tidying = task::spawn_blocking(move || {
            // The first one finds the catalogue there, and its process may not have read it.
            let tidied = if process.has_had_one { process.scratch.empty() } else { Ok(()) };
            (process, tidied)
        });
        let (process, tidied) = tidying.await.map_err(io::Error::other)?;
        self.0 = Some(process);
        tidied
    }

    /// Its number.
    pub(super) fn id(&self) -> Option<u32> {
        self.0.as_ref().and_then(|process| process.child.id())
    }

    /// The folder of the child.
    pub(super) fn folder(&self) -> io::Result<&Path> {
        self.0.as_ref().map(|process| process.scratch.path()).ok_or_else(gone)
    }

    fn process(&mut self) -> io::Result<&mut Process> {
        self.0.as_deref_mut().ok_or_else(gone)
    }
}

impl Process {
    /// Waits until it is. What is enclosed with an order would be lost before that.
    async fn becomes_ready(&mut self) -> Result<(), NotReady> {
        while !self.is_ready {
            match self.answer().await? {
                Answer::Hello {} => {}
                Answer::Ready {} => self.is_ready = true,
                Answer::Refused { reason } => return Err(NotReady::Refused(reason)),
                other => return Err(nonsense(&other).into()),
            }
        }
        Ok(())
    }

    async fn order(&self, order: &[u8], enclosed: &[OwnedFd]) -> io::Result<()> {
        let descriptors: Vec<_> = enclosed.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
        let stream = self.orders.get_ref();
        let sending = stream.async_io(Interest::WRITABLE, || {
            let text = [IoSlice::new(order)];
            Ok(sendmsg::<()>(stream.as_raw_fd(), &text, rights, MsgFlags::empty(), None)?)
        });
        sending.await.map(drop)
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut line = Vec::new();
        let mut said = (&mut self.orders).take(LONGEST_ANSWER);
        let listening = said.read_until(b'\n', &mut line);
        timeout(READY_WITHIN, listening).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(serde_json::from_slice(&line)?)
    }
}

fn gone() -> io::Error {
    io::Error::other("the process has gone")
}

fn nonsense(answer: &Answer) -> io::Error {
    io::Error::other(format!("the process answers {answer:?}"))
}

impl Drop for Many {
    fn drop(&mut self) {
        let Some(process) = self.0.take() else { return };
        let Process { mut child, orders, scratch, .. } = *process;
        drop(orders);
        // Without a runtime it ends by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if timeout(ENDS_WITHIN, child.wait()).await.is_err() {
                let _gone = child.kill().await;
            }
            task::spawn_blocking(move || drop(scratch));
        });
    }
}
