//! The private channel to a worker: JSON, one message a line, both ways.

use std::{io, path::PathBuf};

use beamq_machines::{CommandError, PauseLevel, Progress, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// The longest line that a worker may send, in bytes.
const LONGEST_LINE: usize = 1 << 20;
/// How many lines that are no message a worker may send before it counts as broken.
const MOST_RUBBISH: u32 = 100;

/// What is said to a worker.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum ToWorker {
    /// Set the limits and the path, import and run what is to be there before a job comes.
    Prepare {
        path: Vec<PathBuf>,
        preload: Vec<String>,
        startup: Vec<PathBuf>,
        /// In bytes of address space.
        memory: Option<u64>,
        niceness: u8,
    },
    /// Run this job.
    Run {
        job: String,
        name: String,
        owner: String,
        tags: Vec<String>,
        group: Option<String>,
        source: String,
        black_box: bool,
        directory: PathBuf,
        script_folder: PathBuf,
    },
    /// Pause at the level.
    Pause { level: PauseLevel },
    /// Forget a pause that has not taken effect.
    CancelPause,
    /// Go on.
    Resume,
    /// End the wait.
    Skip,
    /// Raise in the main thread.
    Abort,
    /// The answer to a question.
    Answer { question: u64, value: Value, timed_out: bool },
    /// What is below the worker was seen: it may end.
    End,
}

/// What a worker says.
#[derive(Debug, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum FromWorker {
    /// It is prepared.
    Ready { python: String },
    /// It cannot run jobs.
    Refused { reason: String },
    /// It has the job.
    Taken,
    /// The first line is about to run.
    Started,
    /// Where the script is.
    Progress { progress: Progress },
    /// The pause took effect.
    Paused { line: Option<u32> },
    /// A pending pause was forgotten.
    Resumed,
    /// The skip took effect, or found nothing.
    Skipped { what: Option<String> },
    /// A question.
    Asked {
        number: u64,
        text: String,
        choices: Option<Vec<Value>>,
        default: Option<Value>,
        #[serde(default)]
        has_default: bool,
        timeout_s: Option<f64>,
    },
    /// A remark for the output.
    Note { text: String },
    /// A call of a catalogue command began, or ended after `duration_s`, with an error or without.
    Command {
        name: String,
        #[serde(default)]
        arguments: Map<String, Value>,
        line: Option<u32>,
        duration_s: Option<f64>,
        error: Option<String>,
    },
    /// The script came to an end; with a report when it failed, and with the errors of commands that it
    /// went on after.
    Finished {
        report: Option<Box<Report>>,
        status: i32,
        #[serde(default)]
        command_errors: Vec<CommandError>,
    },
    /// The last exit function runs. Unless the worker is `alone`, processes are below it, and it waits for
    /// [`ToWorker::End`].
    Ending { alone: bool },
}

/// Why a worker cannot be listened to any longer.
#[derive(Debug, Error)]
pub(super) enum ControlError {
    #[error("the worker closed its control channel")]
    Closed,
    #[error("the worker sent a control message of more than 1 MiB")]
    TooLong,
    #[error("the worker sent {MOST_RUBBISH} lines on its control channel that are no messages")]
    Rubbish,
}

/// The half that is listened to.
#[derive(Debug)]
pub(super) struct ControlReader {
    socket: OwnedReadHalf,
    buffer: Vec<u8>,
    searched: usize,
    rubbish: u32,
}

/// The half that is spoken into.
#[derive(Debug)]
pub(super) struct ControlWriter {
    socket: OwnedWriteHalf,
}

/// Makes the two halves of a channel.
///
/// # Errors
///
/// When the socket cannot be handed to the runtime.
pub(super) fn open(socket: std::os::unix::net::UnixStream) -> io::Result<(ControlReader, ControlWriter)> {
    let (reader, writer) = UnixStream::from_std(socket)?.into_split();
    let reader = ControlReader { socket: reader, buffer: Vec::new(), searched: 0, rubbish: 0 };
    Ok((reader, ControlWriter { socket: writer }))
}

impl ControlReader {
    /// The next message. Can be dropped while it waits without losing anything.
    ///
    /// # Errors
    ///
    /// When there will be no further message.
    pub(super) async fn next(&mut self) -> Result<FromWorker, ControlError> {
        loop {
            while let Some(line) = self.take_line() {
                match serde_json::from_slice(&line) {
                    Ok(message) => return Ok(message),
                    Err(error) => {
                        tracing::warn!(%error, "a worker said what is no message");
                        self.rubbish += 1;
                        if self.rubbish >= MOST_RUBBISH {
                            return Err(ControlError::Rubbish);
                        }
                    }
                }
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(ControlError::TooLong);
            }
            // A worker that was killed resets the connection, which is an end like any other.
            if self.socket.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return Err(ControlError::Closed);
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let unsearched = self.buffer.get(self.searched..)?;
        match unsearched.iter().position(|&byte| byte == b'\n') {
            Some(position) => {
                let rest = self.buffer.split_off(self.searched + position + 1);
                self.searched = 0;
                Some(std::mem::replace(&mut self.buffer, rest))
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

impl ControlWriter {
    /// Says something to the worker.
    ///
    /// # Errors
    ///
    /// When the worker is gone.
    pub(super) async fn send(&mut self, message: &ToWorker) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.socket.write_all(&line).await
    }
}
