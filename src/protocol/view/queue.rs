//! The queue and the running job, as clients see them.

use std::{collections::BTreeMap, fmt};

use beamq_machines::JobId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, JobStateName, JobView};
use crate::protocol::{Rfc3339, RpcError};

/// The states of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueStateName {
    /// Open, and nothing to do.
    Idle,
    /// A job is active.
    Busy,
    /// Stops after the active job.
    Draining,
    /// Starts nothing until it is released.
    Held,
    /// Can start nothing: the engine is away, or busy with somebody else's script.
    Blocked,
}

impl QueueStateName {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Busy, Self::Draining, Self::Held, Self::Blocked];

    /// The state as clients read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Held => "held",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for QueueStateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Result of `queue.get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Counts the changes of the queue.
    pub revision: u64,
    /// The queue's state.
    pub state: QueueStateName,
    /// Why it is held or blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The active job, or null.
    pub active: Option<JobView>,
    /// The waiting jobs that were asked for, in order.
    pub waiting: Vec<JobView>,
    /// How many jobs wait in all.
    pub length: u64,
    /// How far the series have come that `active` and `waiting` belong to, by the name of the group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, GroupView>,
}

/// How far a series of jobs has come: "3 of 12" is `ended` of `submitted`. It is forgotten when its last
/// job has ended; a job that comes with the same group later begins a new series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupView {
    /// How many jobs it has, without those that were removed from the queue.
    pub submitted: u64,
    /// How many of them have ended, however.
    pub ended: u64,
    /// How many of those that ended did not succeed.
    pub failed: u64,
    /// How many of them wait.
    pub waiting: u64,
    /// The one that is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<JobId>,
    /// When its last job is expected to end; absent while that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_finish: Option<Rfc3339>,
}

/// Result of `job.submit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// The job, the first one of several.
    pub id: JobId,
    /// All the jobs that were made.
    pub ids: Vec<JobId>,
    /// How many waiting jobs are before the first one; 0 is next.
    pub position: u64,
    /// The queue's revision now.
    pub revision: u64,
    /// What a look at the job found.
    pub findings: Vec<Finding>,
}

/// What became of one job of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchVerdict {
    /// Whether the job is acceptable.
    pub ok: bool,
    /// Its id, when the whole batch was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
    /// All its ids, when `repeat` made more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

impl BatchVerdict {
    /// The job was queued.
    #[must_use]
    pub fn queued(ids: &[JobId]) -> Self {
        let more = if ids.len() > 1 { ids.to_vec() } else { Vec::new() };
        Self { ok: true, id: ids.first().copied(), ids: more, error: None }
    }

    /// The job is acceptable, and another one was not.
    #[must_use]
    pub fn acceptable() -> Self {
        Self { ok: true, id: None, ids: Vec::new(), error: None }
    }

    /// The job is not acceptable.
    #[must_use]
    pub fn refused(error: RpcError) -> Self {
        Self { ok: false, id: None, ids: Vec::new(), error: Some(error) }
    }
}

/// Result of `job.submit_batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchSubmitted {
    /// One per job.
    pub verdicts: Vec<BatchVerdict>,
    /// The queue's revision now.
    pub revision: u64,
}

/// Result of `job.remove` and `queue.clear`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// The jobs that were removed; they stay in the history as cancelled.
    pub removed: Vec<JobId>,
    /// The queue's revision now.
    pub revision: u64,
}

/// Result of `queue.move` and `queue.reorder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueOrder {
    /// The queue's revision now.
    pub revision: u64,
    /// The waiting jobs, next first.
    pub order: Vec<JobId>,
}

/// Result of `queue.hold`, `queue.release`, `queue.stop_after_current`, `queue.cancel_stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueStateReply {
    /// The queue's state now.
    pub state: QueueStateName,
}

/// Result of `run.cancel_pause`, `run.resume`, `run.skip`, `run.abort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunState {
    /// The active job's state now.
    pub state: JobStateName,
}

/// Result of `run.pause`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPausing {
    /// The active job's state now.
    pub state: JobStateName,
    /// When the pause takes effect, in words: `"at the next line, after line 14"`.
    pub acts: String,
}
