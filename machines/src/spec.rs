//! What a client asked to run: plain data, fixed at submission and changed only by an edit.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// What a job is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum JobBody {
    /// Python source.
    Script {
        /// The source text.
        source: Arc<str>,
        /// Run untouched: no pause points, no cells; it answers a pause with "not pausable".
        black_box: bool,
    },
    /// A list of catalogue commands, turned into one job.
    Commands(Vec<CommandCall>),
}

/// One call of a catalogue command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCall {
    /// The name of the command in the catalogue.
    pub command: String,
    /// The arguments by name.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

/// The kind of a job, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Python source with pause points and, perhaps, cells.
    Script,
    /// Calls of catalogue commands.
    Commands,
    /// Python source that runs untouched.
    BlackBox,
}

/// A job as submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The name that people see.
    pub name: String,
    /// What it runs.
    pub body: JobBody,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The series that this job belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The job is passed over until this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The job expires when it has not started by this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The longest run in milliseconds of wall time, pauses included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl JobSpec {
    /// The kind of this job.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        match &self.body {
            JobBody::Script { black_box: false, .. } => JobKind::Script,
            JobBody::Script { black_box: true, .. } => JobKind::BlackBox,
            JobBody::Commands(_) => JobKind::Commands,
        }
    }

    /// Whether a pause can stop this job at a line.
    #[must_use]
    pub fn pausable(&self) -> bool {
        self.kind() != JobKind::BlackBox
    }
}
