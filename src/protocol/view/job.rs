//! A job, as clients see it.

use std::{fmt, sync::Arc};

use beamq_machines::{CommandCall, JobBody, JobId, JobKind, JobSpec, Progress, Report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Finding;
use crate::protocol::{DurationText, Rfc3339, event::PromptEvent};

/// The states of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStateName {
    /// Waits for its turn.
    Queued,
    /// Keeps its place and is passed over.
    Held,
    /// Its process is being made ready.
    Starting,
    /// The script runs.
    Running,
    /// A pause was asked and has not taken effect.
    Pausing,
    /// Stands still and can go on.
    Paused,
    /// The end of the present wait was asked.
    Skipping,
    /// An abort was asked, and the process is not gone yet.
    Aborting,
    /// Came to its end.
    Succeeded,
    /// Came to its end, and commands in it failed on the way.
    SucceededWithErrors,
    /// Raised an error, exited with a code, or its process died.
    Failed,
    /// Was ended by somebody.
    Aborted,
    /// Was removed before it started.
    Cancelled,
    /// Its deadline passed before it started.
    Expired,
    /// The server stopped while it ran.
    Interrupted,
}

impl JobStateName {
    /// Every state.
    pub const ALL: [Self; 15] = [
        Self::Queued,
        Self::Held,
        Self::Starting,
        Self::Running,
        Self::Pausing,
        Self::Paused,
        Self::Skipping,
        Self::Aborting,
        Self::Succeeded,
        Self::SucceededWithErrors,
        Self::Failed,
        Self::Aborted,
        Self::Cancelled,
        Self::Expired,
        Self::Interrupted,
    ];

    /// The state as clients read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Skipping => "skipping",
            Self::Aborting => "aborting",
            Self::Succeeded => "succeeded",
            Self::SucceededWithErrors => "succeeded_with_errors",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the job waits on the queue.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Held)
    }

    /// Whether the job has ended, for ever.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued
            | Self::Held
            | Self::Starting
            | Self::Running
            | Self::Pausing
            | Self::Paused
            | Self::Skipping
            | Self::Aborting => false,
            Self::Succeeded
            | Self::SucceededWithErrors
            | Self::Failed
            | Self::Aborted
            | Self::Cancelled
            | Self::Expired
            | Self::Interrupted => true,
        }
    }
}

impl fmt::Display for JobStateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a job is expected to run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Nine of ten such jobs run at least as long, in seconds.
    pub low_s: f64,
    /// The expected time in seconds.
    pub expected_s: f64,
    /// Nine of ten such jobs run at most as long, in seconds.
    pub high_s: f64,
    /// Where the estimate comes from.
    pub source: EstimateSource,
    /// Some part is unknown: it takes at least this long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

/// Where an estimate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EstimateSource {
    /// The catalogue's formulas.
    Formula,
    /// A dry run.
    Simulated,
    /// Earlier runs.
    History,
    /// The script's author.
    Author,
    /// A default of the catalogue.
    Default,
    /// Nothing is known.
    Unknown,
}

/// How long a job has run so far, or ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Elapsed {
    /// Wall time in seconds.
    pub wall_s: f64,
    /// Wall time without pauses in seconds.
    pub active_s: f64,
}

/// How much output of a job is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputSize {
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines that were not kept.
    pub dropped: u64,
}

/// A job. `script`, `commands` and `output` are there only in the whole form (`job.get`, and with
/// `scripts: true` the first two also in `queue.get`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// The id.
    pub id: JobId,
    /// The name.
    pub name: String,
    /// What it is made of.
    pub kind: JobKind,
    /// Where it is in its life.
    pub state: JobStateName,
    /// Who submitted it.
    pub owner: String,
    /// Free labels.
    pub tags: Vec<String>,
    /// The series it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How many waiting jobs are before it; 0 is next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The job that this one runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<JobId>,
    /// When it was submitted.
    pub submitted_at: Rfc3339,
    /// When its first line ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Rfc3339>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Rfc3339>,
    /// It is passed over until this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Rfc3339>,
    /// It expires when it has not started by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Rfc3339>,
    /// The longest run in wall time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// How long it is expected to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// When it is expected to start; absent when that is unknown, or the queue starts nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_start: Option<Rfc3339>,
    /// When it is expected to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_finish: Option<Rfc3339>,
    /// Where it is while it is active, and where it was when it ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The question that its script waits with, as `event.prompt` told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Box<PromptEvent>>,
    /// How long it has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<Elapsed>,
    /// What reading it by the catalogue in force has found, the first ones only; in a job of calls the lines
    /// count the calls from 1. It follows the job, with an `event.job` when it changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// Whole form: the Python source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Arc<str>>,
    /// Whole form: the command calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<CommandCall>>,
    /// Whole form: how much output there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSize>,
    /// Whole form of a job that has ended: the calls of commands that ended well, with what they took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallTaken>,
}

/// How long a call of a command took, and how long it was computed to take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallTaken {
    /// The command.
    pub command: String,
    /// Its arguments by name, with defaults.
    pub arguments: Map<String, Value>,
    /// The line of the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// When it began.
    pub started_at: Rfc3339,
    /// What its formula or the simulation said before the job started, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_s: Option<f64>,
    /// How long it took without pauses, in seconds.
    pub took_s: f64,
}

impl JobView {
    /// A job of which nothing is known but what was submitted.
    #[must_use]
    pub fn new(id: JobId, spec: &JobSpec, state: JobStateName, owner: &str, submitted_at: Rfc3339) -> Self {
        Self {
            id,
            name: spec.name.clone(),
            kind: spec.kind(),
            state,
            owner: owner.to_owned(),
            tags: spec.tags.clone(),
            group: spec.group.clone(),
            position: None,
            rerun_of: None,
            submitted_at,
            started_at: None,
            finished_at: None,
            not_before: spec.not_before.map(Rfc3339),
            deadline: spec.deadline.map(Rfc3339),
            timeout: spec.timeout_ms.map(|ms| DurationText(std::time::Duration::from_millis(ms))),
            estimate: None,
            expected_start: None,
            expected_finish: None,
            progress: None,
            prompt: None,
            elapsed: None,
            findings: Vec::new(),
            report: None,
            script: None,
            commands: None,
            output: None,
            calls: Vec::new(),
        }
    }

    /// Adds what the job runs.
    #[must_use]
    pub fn with_body(mut self, body: &JobBody) -> Self {
        match body {
            JobBody::Script { source, .. } => self.script = Some(Arc::clone(source)),
            JobBody::Commands(calls) => self.commands = Some(calls.clone()),
        }
        self
    }
}

/// Result of `job.get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobReply {
    /// The job, whole.
    pub job: JobView,
}

/// Result of `job.edit`, `job.hold`, `job.unhold`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEdited {
    /// The job as it is now; the first one of several.
    pub job: JobView,
    /// All of the jobs, when the call was about several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobView>,
    /// The queue's revision now.
    pub revision: u64,
}

/// Result of `job.duplicate` and `job.rerun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobCreated {
    /// The new job.
    pub id: JobId,
    /// The queue's revision now.
    pub revision: u64,
}

/// Result of `history.list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryView {
    /// The jobs, newest first.
    pub jobs: Vec<JobView>,
    /// Whether there are older ones that match.
    pub more: bool,
}
