//! What is known of the running job from moment to moment. Never journalled: a new process starts from nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the percentage rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// `progress=` in the marker of a cell, or a call of `beamq.progress`.
    Tags,
    /// Cells, weighted by their estimates.
    Cells,
    /// A loop over a known range (`beamq.track`).
    Loop,
    /// The position on a dry run's timeline.
    Timeline,
    /// Nothing is known; there is no percentage.
    #[default]
    Unknown,
}

/// Where the running job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// 0 to 100; never falls, and is 100 only at the end. Absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What the percentage rests on.
    #[serde(default)]
    pub basis: Basis,
    /// The line of the script that runs, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The step that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The command or wait that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What the command still waits for, with its unit: `"12.3 of 30 µA·h"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    /// A text of the script (`beamq.progress(…, text)`, `beamq.note`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
