//! Steering the active job and reading what it wrote.

use beamq_machines::PauseLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::{JobRef, PromptRef};

/// Parameters of `run.pause`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRun {
    /// Where the pause takes effect.
    #[serde(default)]
    pub level: PauseLevel,
}

/// Parameters of `run.answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which question: the `prompt` of its event.
    pub prompt: PromptRef,
    /// The answer; one of the choices when the question has some.
    pub value: Value,
}

/// Parameters of `output.get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetOutput {
    /// The job.
    pub job: JobRef,
    /// The number of the first line wanted; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The most lines to send; 1 000 when absent, never more than 10 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl GetOutput {
    /// The most lines to send.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(1000).clamp(1, 10_000)
    }
}
