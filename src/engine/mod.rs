//! What executes scripts. This room holds the contract between the server loop and an engine, and one
//! folder per engine.
//!
//! An engine is a task of its own. It takes [`EngineCall`]s from one channel and sends [`EngineEvent`]s
//! into another; it runs at most one job at a time and decides nothing about the queue. It never talks
//! to a client, never touches the journal, and keeps no state of a job after its
//! [`EngineEvent::Ended`] or [`EngineEvent::Lost`], of which it sends exactly one for every
//! [`EngineCall::Start`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use beamq_machines::{AbortStage, CommandError, Ending, JobId, PauseLevel, Progress, PromptId, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

pub mod nicos;
pub mod python;
mod record;

/// What the server loop asks of an engine. A call about another job than the active one is ignored.
#[derive(Debug)]
pub enum EngineCall {
    /// Run this job. Never sent while another job is active.
    Start(Box<JobStart>),
    /// Pause at the level; replaces a pending pause.
    Pause(JobId, PauseLevel),
    /// Forget a pause that has not taken effect.
    CancelPause(JobId),
    /// Go on after a pause.
    Resume(JobId),
    /// End the wait that the script is in.
    Skip(JobId),
    /// End the job, with the given strength.
    Abort(JobId, AbortStage),
    /// The answer to the script's question; `None` when it timed out without a default.
    Answer(JobId, PromptId, Option<Value>),
    /// End everything that the engine started, then end the engine's task.
    Shutdown,
}

/// A job, as an engine needs it.
#[derive(Clone, Debug)]
pub struct JobStart {
    /// Which job.
    pub job: JobId,
    /// Its name; the script's file name in tracebacks is made of it.
    pub name: String,
    /// Who submitted it.
    pub owner: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// The series it belongs to.
    pub group: Option<String>,
    /// The Python source to run as `__main__`.
    pub source: Arc<str>,
    /// Run untouched: no cells, no pause points.
    pub black_box: bool,
}

/// Whether an engine can take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// It is getting ready; jobs may be sent and will wait a moment.
    Starting,
    /// It can take a job, or runs one.
    Ready,
    /// It cannot run anything; the queue is blocked until it can.
    Unavailable,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutputLine {
    /// The number of the line within the job, from 1, over both streams.
    pub n: u64,
    /// When it was read: milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// Where it came from.
    pub stream: OutputStream,
    /// The text without its line end. What was not UTF-8 is replaced by U+FFFD.
    pub text: String,
}

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A remark of the server or of `beamq.note`.
    Note,
}

/// What an engine reports.
#[derive(Debug)]
pub enum EngineEvent {
    /// Whether it can take jobs, and why not.
    State(EngineState, Option<String>),
    /// The script's first line is about to run.
    Started(JobId),
    /// Where the script is. Sent at most every 100 ms, and at once for a step.
    Progress(JobId, Progress),
    /// The script has called a command or come back from one. Sent at most every 100 ms, with the last
    /// state always told.
    Calls(JobId, CallsSoFar),
    /// The asked pause took effect at this line.
    Paused(JobId, Option<u32>),
    /// A pause asked with [`EngineCall::Pause`] did not happen before something else was asked.
    Resumed(JobId),
    /// Somebody who is no client of ours paused the script, at this line.
    PausedElsewhere(JobId, Option<u32>),
    /// Somebody who is no client of ours let the paused script go on.
    ResumedElsewhere(JobId),
    /// When the script will have ended, by the engine's own reckoning: milliseconds since 1970 UTC. `None` when it
    /// does not know any longer.
    ExpectedEnd(JobId, Option<i64>),
    /// The skip took effect; what was skipped, or `None` when the script was in no wait.
    Skipped(JobId, Option<String>),
    /// The script asks a question.
    Asked(JobId, Question),
    /// The question is settled, by somebody else than our clients.
    AskedNoMore(JobId),
    /// Lines were written, numbered without gaps unless `dropped`.
    Output {
        /// By which job.
        job: JobId,
        /// The lines.
        lines: Arc<Vec<OutputLine>>,
        /// How many lines have been dropped so far because the job wrote more than is kept.
        dropped: u64,
    },
    /// The job's process group is gone. The last event of a job.
    Ended(JobId, Box<JobEnd>),
    /// What becomes of the job is not known any longer; it counts as interrupted. In place of `Ended`.
    Lost(JobId, String),
}

/// How many commands a script has called. Calls that a command makes itself do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsSoFar {
    /// How many have begun.
    pub begun: u32,
    /// The one that runs: its name, and which of the script's calls of it this is, from 0.
    pub running: Option<(String, u32)>,
}

/// A call of a command that came to its own end, without an error and without being skipped: what it took
/// says what the next one like it will take.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// The command.
    pub command: String,
    /// Its arguments by name, long ones cut.
    pub arguments: Map<String, Value>,
    /// The line of the script that called it.
    pub line: Option<u32>,
    /// When it began: milliseconds since 1970 UTC.
    pub began_ms: i64,
    /// How long it took without the pauses in it, in seconds.
    pub active_s: f64,
    /// Which of the script's calls of this command it was, from 0; `None` when another command made the call.
    pub nth: Option<u32>,
}

/// A question of the running script.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The engine's own number of the question within the job.
    pub number: u64,
    /// What it asks.
    pub text: String,
    /// The answers to choose from.
    pub choices: Option<Vec<Value>>,
    /// What NICOS says of the answers that it takes, in the tagged form of its objects; only NICOS does.
    pub validator: Option<Value>,
    /// The answer when nobody answers.
    pub default: Option<Value>,
    /// The longest wait for an answer; the configuration's `jobs.prompt_timeout` when absent.
    pub timeout: Option<Duration>,
}

/// How a job's process ended.
#[derive(Clone, Debug, PartialEq)]
pub struct JobEnd {
    /// Whether the script came to its end.
    pub ending: Ending,
    /// Everything there is to say; `elapsed_s` is the engine's own measure.
    pub report: Report,
    /// Errors of commands that the script went on after (also in `report.command_errors`).
    pub command_errors: Vec<CommandError>,
    /// The calls of commands whose durations are worth remembering, the first ones when they are many.
    pub calls: Vec<CallRecord>,
}

/// The two ends that the server loop holds of an engine.
#[derive(Debug)]
pub struct EngineLink {
    /// Calls to the engine.
    pub calls: mpsc::UnboundedSender<EngineCall>,
    /// Events from the engine. Bounded, so that a flood of output slows the script and not the server.
    pub events: mpsc::Receiver<EngineEvent>,
}

/// The settings of the python engine, resolved from the configuration.
#[derive(Clone, Debug)]
pub struct PythonSettings {
    /// The interpreter: a name looked up in `PATH`, or a path (a virtual environment's `bin/python`).
    pub interpreter: PathBuf,
    /// Folders put at the front of `sys.path`.
    pub path: Vec<PathBuf>,
    /// Modules imported before a job arrives.
    pub preload: Vec<String>,
    /// Scripts run before a job arrives, in the namespace of a module of their own.
    pub startup: Vec<PathBuf>,
    /// How many workers are kept warm; 0 starts one when a job comes.
    pub spare_workers: usize,
    /// The folder in which each job gets its own working directory, and where the engine writes the
    /// process group of every worker that lives, so that a restarted server can end what it finds.
    pub work_dir: PathBuf,
    /// The most bytes of output that are kept and sent per job; what is beyond is counted and dropped.
    pub output_limit: u64,
    /// The most bytes of address space of a job's process, and of each process that it starts.
    pub memory: Option<u64>,
    /// By how much a job's processes give way to others: 0 (not at all) to 19.
    pub niceness: u8,
}
