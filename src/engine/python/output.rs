//! From the bytes that a job writes to numbered lines, within bounds.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    process::{ChildStderr as StdStderr, ChildStdout as StdStdout},
    task::Poll,
    time::Duration,
};

use beamq_machines::JobId;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdout},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::lines::{LONGEST_LINE, LineSplitter};
use crate::engine::{EngineEvent, OutputStream, record::Record};

/// A line without its end is shown after this much silence.
const PARTIAL_AFTER: Duration = Duration::from_millis(250);
/// How often standard output is preferred before standard error has its turn.
const FAIRNESS: u32 = 8;
/// The most that a pipe holds unless its owner may exceed the system's limit (`fs.pipe-max-size`), in bytes.
const MOST_IN_A_PIPE: usize = 1 << 20;
/// How long pipes that an escaped process still holds open are read after the end of the job.
const DRAIN_FOR: Duration = Duration::from_millis(500);
/// What can be in a pipe at the end of the job; more than that comes from an escaped process.
const DRAIN_BYTES: usize = 2 << 20;

/// The two pipes of a worker.
#[derive(Debug)]
pub(super) struct Pipes {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// How often standard output was read since standard error was looked at first.
    stdout_in_a_row: u32,
    /// What was read of standard error, while what standard output held before it is still to be read.
    held: Option<Held>,
}

/// Bytes of standard error that wait for their turn.
#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    /// How many bytes of standard output can have been written before them, at most.
    before: usize,
}

impl Pipes {
    /// Hands the pipes to the runtime.
    ///
    /// # Errors
    ///
    /// When the runtime does not take them.
    pub(super) fn open(stdout: StdStdout, stderr: StdStderr) -> std::io::Result<Self> {
        Ok(Self {
            stdout: Some(ChildStdout::from_std(stdout)?),
            stderr: Some(ChildStderr::from_std(stderr)?),
            stdout_in_a_row: 0,
            held: None,
        })
    }

    /// Reads what comes next from either pipe; `None` when both have ended. Can be dropped while it waits.
    ///
    /// What a process wrote to standard output comes before what it wrote to standard error after that. The
    /// other way round is not known: the pipes do not tell.
    pub(super) async fn read(&mut self, buffer: &mut Vec<u8>) -> Option<OutputStream> {
        buffer.clear();
        while self.held.is_some() || self.stdout.is_some() || self.stderr.is_some() {
            if let Some(held) = &mut self.held {
                let length = read_now(self.stdout.as_ref(), buffer, held.before);
                if length > 0 {
                    held.before -= length;
                    return Some(OutputStream::Stdout);
                }
                if let Some(held) = self.held.take() {
                    *buffer = held.bytes;
                }
                return Some(OutputStream::Stderr);
            }
            let mut other = Vec::new();
            let stderr_first = self.stdout_in_a_row >= FAIRNESS;
            if stderr_first {
                self.stdout_in_a_row = 0;
            }
            let (stream, length) = {
                let stdout = pin!(read_from(self.stdout.as_mut(), buffer));
                let stderr = pin!(read_from(self.stderr.as_mut(), &mut other));
                first_of(stdout, stderr, stderr_first).await
            };
            match stream {
                OutputStream::Stdout if length == 0 => self.stdout = None,
                _ if length == 0 => self.stderr = None,
                OutputStream::Stdout => {
                    self.stdout_in_a_row += 1;
                    return Some(stream);
                }
                _ => self.held = Some(Held { bytes: other, before: MOST_IN_A_PIPE }),
            }
            self.stdout_in_a_row = 0;
        }
        None
    }
}

/// Reads at most so many bytes of what a pipe holds at this moment, whether or not the runtime has noticed it.
fn read_now(pipe: Option<&ChildStdout>, buffer: &mut Vec<u8>, most: usize) -> usize {
    let Some(pipe) = pipe else { return 0 };
    buffer.resize(most.min(LONGEST_LINE), 0);
    // The end of the pipe and an error show again when it is read in the usual way.
    let length = nix::unistd::read(pipe, buffer).unwrap_or(0);
    buffer.truncate(length);
    length
}

/// What was printed last before an error should come before the error, so standard output goes first when
/// both have something; but not for ever.
async fn first_of(
    mut stdout: Pin<&mut impl Future<Output = usize>>,
    mut stderr: Pin<&mut impl Future<Output = usize>>,
    stderr_first: bool,
) -> (OutputStream, usize) {
    poll_fn(|context| {
        if stderr_first && let Poll::Ready(length) = stderr.as_mut().poll(context) {
            return Poll::Ready((OutputStream::Stderr, length));
        }
        if let Poll::Ready(length) = stdout.as_mut().poll(context) {
            return Poll::Ready((OutputStream::Stdout, length));
        }
        if stderr_first {
            return Poll::Pending;
        }
        stderr.as_mut().poll(context).map(|length| (OutputStream::Stderr, length))
    })
    .await
}

async fn read_from<R: AsyncRead + Unpin>(pipe: Option<&mut R>, buffer: &mut Vec<u8>) -> usize {
    match pipe {
        Some(pipe) => {
            buffer.reserve(LONGEST_LINE);
            pipe.read_buf(buffer).await.unwrap_or(0)
        }
        None => std::future::pending().await,
    }
}

/// What remains of a job's output for its report.
#[derive(Debug, Default)]
pub(super) struct OutputSummary {
    /// The last lines.
    pub(super) tail: Vec<String>,
}

/// Reads a job's output until its end, in a task of its own: when nobody takes the events, the pipes fill
/// and the script waits, but steering it does not.
#[derive(Debug)]
pub(super) struct OutputPump {
    pub(super) job: JobId,
    pub(super) pipes: Pipes,
    /// The most bytes to keep.
    pub(super) limit: u64,
    pub(super) events: mpsc::Sender<EngineEvent>,
    /// Remarks to be numbered with the lines.
    pub(super) notes: mpsc::Receiver<String>,
    /// Fires when the output may be told: after the job was announced as started.
    pub(super) begin: oneshot::Receiver<()>,
    /// Fires when the job's processes are gone.
    pub(super) finish: oneshot::Receiver<()>,
}

impl OutputPump {
    /// Pumps until both pipes have ended, or until they do not end soon after `finish`.
    pub(super) async fn run(self) -> OutputSummary {
        let Self { job, mut pipes, limit, events, mut notes, begin, mut finish } = self;
        let _dropped_when_the_job_ends = begin.await;
        let mut record = Record::new(job, limit, events);
        let mut stdout = LineSplitter::default();
        let mut stderr = LineSplitter::default();
        let mut buffer = Vec::new();
        let mut drain: Option<(Instant, usize)> = None;
        let (mut open, mut noting) = (true, true);
        let mut partial_at: Option<Instant> = None;
        while open || drain.is_none() {
            tokio::select! {
                // What can be read is read before the deadline of the drain counts.
                biased;
                _ = &mut finish, if drain.is_none() => drain = Some((Instant::now() + DRAIN_FOR, DRAIN_BYTES)),
                note = notes.recv(), if noting => match note {
                    Some(text) => record.take_note(&text),
                    None => noting = false,
                },
                read = pipes.read(&mut buffer), if open => match read {
                    Some(stream) => {
                        let splitter = if stream == OutputStream::Stdout { &mut stdout } else { &mut stderr };
                        splitter.push(&buffer, |text| record.take(stream, text));
                        partial_at = Some(Instant::now() + PARTIAL_AFTER);
                        if let Some((until, left)) = &mut drain {
                            *left = left.saturating_sub(buffer.len());
                            if *left == 0 && Instant::now() > *until { break }
                        }
                    }
                    None => open = false,
                },
                () = sleep_until(record.flush_at()), if record.has_news() => {}
                () = sleep_until(partial_at.unwrap_or_else(Instant::now)), if partial_at.is_some() => {
                    partial_at = None;
                    stdout.flush(false, |text| record.take(OutputStream::Stdout, text));
                    stderr.flush(false, |text| record.take(OutputStream::Stderr, text));
                }
                () = sleep_until(drain.map_or_else(Instant::now, |(until, _)| until)), if drain.is_some() => break,
            }
            record.flush_if_due().await;
        }
        while let Ok(text) = notes.try_recv() {
            record.take_note(&text);
        }
        stdout.flush(true, |text| record.take(OutputStream::Stdout, text));
        stderr.flush(true, |text| record.take(OutputStream::Stderr, text));
        record.flush().await;
        OutputSummary { tail: record.into_tail() }
    }
}
