//! What is to be simulated, and from where.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Budget, Priority};
use crate::{catalogue::Catalogue, protocol::view::EstimateSource};

/// One script to be run on virtual time.
#[derive(Clone, Debug)]
pub struct SimulationWish {
    /// The script. For a job of commands: [`crate::catalogue::python::source_of_calls`], whose line `n`
    /// is call `n`.
    pub source: Arc<str>,
    /// The name of the job, which is the name of the script's file in tracebacks.
    pub name: String,
    /// The instrument at the start.
    pub start: InstrumentState,
    /// When the script begins: what its clock shows. Now, when absent.
    pub begins_at: Option<jiff::Timestamp>,
    /// The commands.
    pub catalogue: Arc<Catalogue>,
    /// The folders in which Python finds what the commands' key `simulate` names.
    pub folders: Arc<[PathBuf]>,
    /// What is known of earlier durations.
    pub history: Arc<dyn DurationSource>,
    /// How far to go.
    pub budget: Budget,
    /// What `beamq.job` shows.
    pub job: JobFacts,
    /// What it gives way to.
    pub priority: Priority,
}

impl SimulationWish {
    /// A script on the instrument's own start state, now, with the usual budget.
    #[must_use]
    pub fn new(
        source: impl Into<Arc<str>>,
        name: impl Into<String>,
        catalogue: Arc<Catalogue>,
        folders: impl Into<Arc<[PathBuf]>>,
    ) -> Self {
        Self {
            source: source.into(),
            name: name.into(),
            start: InstrumentState::default(),
            begins_at: None,
            catalogue,
            folders: folders.into(),
            history: Arc::new(NoHistory),
            budget: Budget::default(),
            job: JobFacts::default(),
            priority: Priority::default(),
        }
    }
}

/// What a script can read of its job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobFacts {
    /// The id; `dry-run` when the script is no job.
    pub id: Option<String>,
    /// Whose job it is.
    pub owner: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The series that it belongs to.
    pub group: Option<String>,
}

/// A simulated instrument between two scripts. What is in it is known to the catalogue's own hooks alone;
/// the default is the state in which they begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstrumentState(pub Value);

/// What earlier runs say about the duration of a call.
pub trait DurationSource: Send + Sync {
    /// The script begins: what was asked before belongs to a run that came to nothing.
    fn begins(&self) {}

    /// How long this call is expected to take. `predicted_s` is what the formula or the simulation says,
    /// if they say anything. `None`: nothing better is known than that.
    fn duration(
        &self,
        command: &str,
        arguments: &Map<String, Value>,
        predicted_s: Option<f64>,
    ) -> Option<ExpectedDuration>;
}

impl fmt::Debug for dyn DurationSource + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurationSource")
    }
}

/// How long a call is expected to take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedDuration {
    /// Nine of ten take at least as long.
    pub low_s: f64,
    /// Half of them take at most as long.
    pub expected_s: f64,
    /// Nine of ten take at most as long.
    pub high_s: f64,
    /// Where this comes from.
    pub source: EstimateSource,
}

/// Nothing is known of earlier runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl DurationSource for NoHistory {
    fn duration(&self, _: &str, _: &Map<String, Value>, _: Option<f64>) -> Option<ExpectedDuration> {
        None
    }
}
