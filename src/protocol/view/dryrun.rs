//! What a look at a script found, without touching the instrument.

use std::collections::BTreeMap;

use beamq_machines::JobId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Estimate, EstimateSource};
use crate::protocol::Rfc3339;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It will fail.
    Error,
    /// It may not do what was meant.
    Warning,
    /// Good to know.
    Note,
}

/// Something that was found in a script or in a catalogue file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of the finding; never changes.
    pub code: String,
    /// The file, when it is about a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The command it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The parameter it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// A finding about the whole: the place, what it is about and the hint are added where they are known.
    #[must_use]
    pub fn new(severity: Severity, code: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            file: None,
            line: None,
            column: None,
            command: None,
            parameter: None,
            message: message.into(),
            hint: None,
        }
    }
}

/// A time that is not known exactly, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seconds {
    /// The low end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// What is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Whether some part is unknown, so that it takes at least this long.
    pub at_least: bool,
}

/// What a script takes in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Time.
    pub seconds: Seconds,
    /// Counters and consumables by name: `{"charge": {"value": 30, "unit": "µA·h"}}`.
    #[serde(flatten)]
    pub counters: BTreeMap<String, Value>,
}

/// A command call on the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// When it starts, in seconds from the start.
    pub t0_s: f64,
    /// How long it takes, in seconds.
    pub dt_s: f64,
    /// The command.
    pub command: String,
    /// Its arguments by name.
    pub arguments: Map<String, Value>,
    /// The line of the script that calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Where the duration comes from.
    pub source: EstimateSource,
}

/// Where a device goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRange {
    /// The device.
    pub name: String,
    /// The unit of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Where it is before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// The least value on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Where it is afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Whether it would go beyond a limit.
    pub limit_hit: bool,
}

/// Result of `dryrun.script`, `dryrun.commands`, `dryrun.job`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DryRunReport {
    /// Whether nothing bad was found.
    pub ok: bool,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The command calls in order.
    pub timeline: Vec<TimelineEntry>,
    /// What it takes in all.
    pub totals: Totals,
    /// Where the devices go.
    pub devices: Vec<DeviceRange>,
    /// Lines of the script that were not reached.
    pub unreached_lines: Vec<u32>,
    /// Whether the run was cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
}

/// One job of a queue's forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobForecast {
    /// The job.
    pub id: JobId,
    /// Whether nothing bad was found.
    pub ok: bool,
    /// What was found.
    pub findings: Vec<Finding>,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// When it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_start: Option<Rfc3339>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_finish: Option<Rfc3339>,
}

/// Result of `dryrun.queue`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueForecast {
    /// The waiting jobs in order.
    pub jobs: Vec<JobForecast>,
    /// When the last one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_finish: Option<Rfc3339>,
    /// Whether that is before the time that was asked about; absent when something is unknown that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits_before: Option<bool>,
    /// Some part is unknown, and with it the end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// What the times take for granted while the queue starts nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumes: Option<String>,
}
