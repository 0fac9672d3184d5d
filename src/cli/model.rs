//! What the command line reads of the server's answers. It is lenient on purpose: members that are new or
//! missing never keep an older program from showing the rest.

use std::collections::BTreeMap;

use beamq_machines::{Progress, Report};
use serde::Deserialize;
use serde_json::Value;

/// The state of a job, as the protocol spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct JobState(pub String);

impl JobState {
    /// Whether nothing happens to the job any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.0.as_str(),
            "succeeded"
                | "succeeded_with_errors"
                | "failed"
                | "aborted"
                | "cancelled"
                | "expired"
                | "interrupted"
        )
    }

    /// Whether the job did everything it was to do. Swallowed errors are not that.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.0 == "succeeded"
    }

    /// Whether the job occupies the engine.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.0.as_str(), "starting" | "running" | "pausing" | "paused" | "skipping" | "aborting")
    }

    /// The state in words.
    #[must_use]
    pub fn words(&self) -> String {
        self.0.replace('_', " ")
    }
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Job {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub state: JobState,
    pub owner: String,
    pub tags: Vec<String>,
    pub group: Option<String>,
    pub position: Option<u64>,
    pub rerun_of: Option<String>,
    pub submitted_at: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub estimate: Option<Estimate>,
    pub expected_start: Option<String>,
    pub expected_finish: Option<String>,
    pub progress: Option<Progress>,
    pub prompt: Option<Prompt>,
    pub elapsed: Option<Elapsed>,
    pub report: Option<Report>,
    pub script: Option<String>,
}

/// How long a job is expected to take, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Estimate {
    pub low_s: Option<f64>,
    pub expected_s: Option<f64>,
    pub high_s: Option<f64>,
    pub at_least: bool,
    pub source: String,
}

/// How long a job has been running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Elapsed {
    pub wall_s: f64,
    pub active_s: f64,
}

/// The answer of `queue.get`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub revision: u64,
    pub state: String,
    pub why: Option<String>,
    pub active: Option<Job>,
    pub waiting: Vec<Job>,
    pub groups: BTreeMap<String, Group>,
}

/// How far a series of jobs has come.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Group {
    pub submitted: u64,
    pub ended: u64,
    pub failed: u64,
    pub expected_finish: Option<String>,
}

/// The answer of `server.status`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    pub queue: QueueSummary,
    pub active: Option<Job>,
    pub engine: Engine,
    pub clients: Option<u64>,
    pub transports: serde_json::Map<String, Value>,
    pub uptime_s: Option<f64>,
}

/// The queue without its jobs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct QueueSummary {
    pub state: String,
    pub why: Option<String>,
    pub revision: u64,
    pub length: u64,
    pub expected_finish: Option<String>,
}

/// What executes the scripts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Engine {
    pub kind: String,
    pub state: String,
    pub detail: Option<String>,
}

/// The answer of `server.info`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Info {
    pub name: String,
    pub version: String,
    pub instrument: String,
}

/// A line of a script's output.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OutputLine {
    pub n: u64,
    pub time: Option<Value>,
    pub stream: String,
    pub text: String,
}

/// The answer of `output.get`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OutputPage {
    pub lines: Vec<OutputLine>,
    pub next: u64,
    pub dropped: u64,
}

/// The answer of `history.list`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct History {
    pub jobs: Vec<Job>,
    pub more: bool,
}

/// A finding about a submitted script.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Finding {
    pub severity: String,
    pub line: Option<u32>,
    pub message: String,
    pub hint: Option<String>,
}

/// A question of the running script.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Prompt {
    pub prompt: String,
    pub job: Option<String>,
    pub text: String,
    pub choices: Option<Vec<Value>>,
    #[serde(rename = "default")]
    pub preset: Option<Value>,
    pub until: Option<String>,
    /// How it was settled; absent while it waits for an answer.
    pub settled: Option<String>,
}

/// A notification of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Job(Box<Job>),
    Queue {
        state: String,
        why: Option<String>,
    },
    Output {
        job: String,
        lines: Vec<OutputLine>,
    },
    Progress {
        id: String,
        state: JobState,
        progress: Progress,
        elapsed: Option<Elapsed>,
    },
    Prompt(Prompt),
    Engine(Engine),
    Notice(Value),
    /// Something that this program does not show.
    Other,
}

impl Event {
    /// Takes a notification apart. What cannot be understood is [`Event::Other`].
    #[must_use]
    pub fn of(notification: &Value) -> Self {
        Self::read(notification).unwrap_or(Self::Other)
    }

    fn read(notification: &Value) -> Option<Self> {
        #[derive(Deserialize)]
        struct JobEvent {
            job: Job,
        }
        #[derive(Deserialize)]
        struct OutputEvent {
            job: String,
            lines: Vec<OutputLine>,
        }
        #[derive(Deserialize)]
        struct ProgressEvent {
            id: String,
            state: JobState,
            progress: Option<Progress>,
            elapsed: Option<Elapsed>,
        }
        #[derive(Deserialize)]
        struct QueueEvent {
            state: String,
            why: Option<String>,
        }
        let params = notification.get("params")?;
        let event = match notification.get("method")?.as_str()? {
            "event.job" => Self::Job(Box::new(JobEvent::deserialize(params).ok()?.job)),
            "event.queue" => {
                let QueueEvent { state, why } = QueueEvent::deserialize(params).ok()?;
                Self::Queue { state, why }
            }
            "event.output" => {
                let OutputEvent { job, lines } = OutputEvent::deserialize(params).ok()?;
                Self::Output { job, lines }
            }
            "event.progress" => {
                let ProgressEvent { id, state, progress, elapsed } =
                    ProgressEvent::deserialize(params).ok()?;
                Self::Progress { id, state, progress: progress.unwrap_or_default(), elapsed }
            }
            "event.prompt" => Self::Prompt(Prompt::deserialize(params).ok()?),
            "event.engine" => Self::Engine(Engine::deserialize(params).ok()?),
            "event.notice" => Self::Notice(params.clone()),
            _ => Self::Other,
        };
        Some(event)
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn final_states_are_told_from_the_others() {
        let state = |text: &str| JobState(text.to_owned());
        for text in
            ["succeeded", "succeeded_with_errors", "failed", "aborted", "cancelled", "expired", "interrupted"]
        {
            assert!(state(text).is_final() && !state(text).is_active(), "{text}");
        }
        for text in ["starting", "running", "pausing", "paused", "skipping", "aborting"] {
            assert!(!state(text).is_final() && state(text).is_active(), "{text}");
        }
        for text in ["queued", "held"] {
            assert!(!state(text).is_final() && !state(text).is_active(), "{text}");
        }
        assert!(state("succeeded").succeeded() && !state("succeeded_with_errors").succeeded());
    }

    #[test]
    fn notifications_are_read_and_unknown_ones_do_no_harm() {
        let job = json!({"jsonrpc": "2.0", "method": "event.job",
            "params": {"seq": 4, "time": "2026-01-01T00:00:00Z", "job": {"id": "7", "state": "running", "new": 1}}});
        let Event::Job(job) = Event::of(&job) else { panic!("{job}") };
        assert_eq!((job.id.as_str(), job.state.0.as_str()), ("7", "running"));
        let progress = json!({"method": "event.progress", "params": {"id": "7", "state": "running",
            "progress": {"percent": 40.0, "basis": "tags", "line": 3}, "elapsed": {"wall_s": 1.5, "active_s": 1.0}}});
        let Event::Progress { progress, .. } = Event::of(&progress) else { panic!("{progress}") };
        assert_eq!((progress.percent, progress.line), (Some(40.0), Some(3)));
        assert_eq!(Event::of(&json!({"method": "event.tomorrow", "params": {}})), Event::Other);
        assert_eq!(Event::of(&json!([1, 2])), Event::Other);
    }
}
