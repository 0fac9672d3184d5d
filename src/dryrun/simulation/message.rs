//! What the child says. All of it is a claim of the script: it is bounded, and believed for the report alone.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::protocol::view::{EstimateSource, Severity};

/// No line of the conversation is longer, in bytes.
pub(super) const LONGEST_LINE: usize = 1 << 20;
/// Nor is all of it together.
pub(super) const LONGEST_CONVERSATION: usize = 64 << 20;
/// No report has more findings.
pub(super) const MOST_FINDINGS: usize = 200;

/// A line from the child.
#[derive(Debug, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum FromChild {
    /// It is ready for the wish, under these limits.
    Hello { confined: String },
    /// The interpreter cannot simulate.
    Refused { reason: String },
    /// The first line of the script is about to run.
    Started {},
    /// The script does not compile.
    Syntax(Remark),
    /// The compiler warns.
    Remark(Remark),
    /// Something was found.
    Finding(Box<Told>),
    /// How long does this call take? It waits for the answer.
    Estimate { command: String, arguments: Map<String, Value>, state: Map<String, Value> },
    /// A command was called and has ended.
    Call(Box<Call>),
    /// Time passed outside of commands.
    Wait(Wait),
    /// The script has ended, or was cut short.
    End(Box<End>),
}

/// What the compiler says about a place.
#[derive(Debug, Deserialize)]
pub(super) struct Remark {
    pub(super) message: String,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
}

/// A finding.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) severity: Severity,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) command: Option<String>,
    pub(super) parameter: Option<String>,
}

/// A call of a command.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) command: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) line: Option<u32>,
    pub(super) t0_s: f64,
    pub(super) dt_s: f64,
    pub(super) known: bool,
    pub(super) source: EstimateSource,
    pub(super) low_s: Option<f64>,
    pub(super) high_s: Option<f64>,
}

/// A wait of the script's own.
#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    pub(super) what: String,
    pub(super) name: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) t0_s: f64,
    pub(super) dt_s: f64,
    pub(super) times: u64,
    pub(super) source: Option<EstimateSource>,
}

/// How it ended.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    pub(super) t_s: Option<f64>,
    pub(super) at_least: bool,
    pub(super) truncated: bool,
    pub(super) unreached: Vec<u32>,
    pub(super) devices: Vec<Device>,
    pub(super) amounts: std::collections::BTreeMap<String, Amount>,
    pub(super) state: Option<Value>,
    pub(super) used_job: bool,
    pub(super) used_date: bool,
}

/// Where a device was.
#[derive(Debug, Deserialize)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) unit: Option<String>,
    pub(super) start: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) end: Option<f64>,
    pub(super) limit_hit: bool,
}

/// How much was counted or used up.
#[derive(Debug, Deserialize)]
pub(super) struct Amount {
    pub(super) value: f64,
    pub(super) unit: Option<String>,
    pub(super) kind: String,
}
