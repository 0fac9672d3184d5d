//! The output of a job, as clients see it.

use beamq_machines::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    engine::{OutputLine, OutputStream},
    protocol::Rfc3339,
};

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputLineView {
    /// The number of the line within the job, from 1, over all streams.
    pub n: u64,
    /// When it was written.
    pub time: Rfc3339,
    /// Where it came from.
    pub stream: OutputStream,
    /// The text without its line end.
    pub text: String,
}

impl From<&OutputLine> for OutputLineView {
    fn from(line: &OutputLine) -> Self {
        Self {
            n: line.n,
            time: Rfc3339(Timestamp(line.time_ms)),
            stream: line.stream,
            text: line.text.clone(),
        }
    }
}

/// Result of `output.get`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputView {
    /// The lines, in order.
    pub lines: Vec<OutputLineView>,
    /// The number to ask for next.
    pub next: u64,
    /// How many lines of the job were not kept.
    pub dropped: u64,
}
