//! What everybody who listens is told. An event is encoded once, however many listen.

use std::sync::Arc;

use beamq_machines::{JobId, Progress, PromptId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    native,
    time::Rfc3339,
    view::{
        CatalogueStatus, Elapsed, EngineStatus, Estimate, JobStateName, JobView, OutputLineView,
        QueueStateName,
    },
};

/// The kinds of events that a client can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A job was added or changed.
    Job,
    /// The queue's state, order or revision changed.
    Queue,
    /// A job wrote lines.
    Output,
    /// The running job got further.
    Progress,
    /// The running script asks a question, or the question was settled.
    Prompt,
    /// The commands of the instrument changed.
    Catalogue,
    /// The engine came or went.
    Engine,
    /// People should look.
    Notice,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Job,
        Self::Queue,
        Self::Output,
        Self::Progress,
        Self::Prompt,
        Self::Catalogue,
        Self::Engine,
        Self::Notice,
    ];

    /// The method of the notification.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Job => "event.job",
            Self::Queue => "event.queue",
            Self::Output => "event.output",
            Self::Progress => "event.progress",
            Self::Prompt => "event.prompt",
            Self::Catalogue => "event.catalogue",
            Self::Engine => "event.engine",
            Self::Notice => "event.notice",
        }
    }

    /// What the event tells, in one sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Job => "A job was added, or its state or description changed.",
            Self::Queue => "The queue's state, order or revision changed.",
            Self::Output => "A job wrote lines.",
            Self::Progress => "The running job got further.",
            Self::Prompt => "The running script asks a question, or the question was settled.",
            Self::Catalogue => "The commands of the instrument changed.",
            Self::Engine => "What runs the scripts came or went.",
            Self::Notice => "People should look.",
        }
    }

    /// The kind of the notification with this method.
    #[must_use]
    pub fn of_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }
}

/// Content of `event.job`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEvent {
    /// The job as it is now, without its script.
    pub job: JobView,
}

/// Content of `event.queue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueEvent {
    /// Counts the changes of the queue.
    pub revision: u64,
    /// The queue's state.
    pub state: QueueStateName,
    /// Why it is held or blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The waiting jobs, next first.
    pub order: Arc<[JobId]>,
}

/// Content of `event.output`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputEvent {
    /// The job that wrote.
    pub job: JobId,
    /// The lines.
    pub lines: Vec<OutputLineView>,
    /// How many lines of the job were not kept so far; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// Content of `event.progress`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressEvent {
    /// The running job.
    pub id: JobId,
    /// Its state.
    pub state: JobStateName,
    /// Where it is.
    pub progress: Progress,
    /// How long it has run.
    pub elapsed: Elapsed,
    /// How long it is expected to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// Content of `event.prompt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptEvent {
    /// The id to answer to with `run.answer`.
    pub prompt: PromptId,
    /// The job that asks.
    pub job: JobId,
    /// The question.
    pub text: String,
    /// The answers to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<Value>>,
    /// The answer when nobody answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// When it is too late to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Rfc3339>,
    /// How the question was settled; absent while it waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

/// How a question was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// Somebody answered.
    Answered,
    /// Nobody answered in time: the default was given, or the job fails.
    TimedOut,
    /// The job ended.
    Withdrawn,
}

/// Content of `event.notice`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticeEvent {
    /// The kind of the notice: `paused_long`, `nothing_to_skip`.
    pub notice: String,
    /// What people should know.
    pub text: String,
    /// The job it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// For how long, in minutes, when it is about time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventBody {
    /// `event.job`.
    Job(Box<JobEvent>),
    /// `event.queue`.
    Queue(QueueEvent),
    /// `event.output`.
    Output(OutputEvent),
    /// `event.progress`.
    Progress(Box<ProgressEvent>),
    /// `event.prompt`.
    Prompt(PromptEvent),
    /// `event.catalogue`.
    Catalogue(CatalogueStatus),
    /// `event.engine`.
    Engine(EngineStatus),
    /// `event.notice`.
    Notice(NoticeEvent),
}

impl EventBody {
    /// The kind of the event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Job(_) => EventKind::Job,
            Self::Queue(_) => EventKind::Queue,
            Self::Output(_) => EventKind::Output,
            Self::Progress(_) => EventKind::Progress,
            Self::Prompt(_) => EventKind::Prompt,
            Self::Catalogue(_) => EventKind::Catalogue,
            Self::Engine(_) => EventKind::Engine,
            Self::Notice(_) => EventKind::Notice,
        }
    }
}

/// What happened, with its number and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// One counter for the whole server; rises across restarts.
    pub seq: u64,
    /// When it happened.
    pub time: Rfc3339,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

impl Event {
    /// An event.
    #[must_use]
    pub fn new(seq: u64, time: Timestamp, body: EventBody) -> Self {
        Self { seq, time: Rfc3339(time), body }
    }

    /// The kind of the event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.body.kind()
    }

    /// The whole notification as JSON text, to be sent to everybody alike.
    #[must_use]
    pub fn encode(&self) -> Arc<str> {
        native::notification(self.kind().method(), self)
    }

    /// Reads the parameters of a notification back, as clients do.
    ///
    /// # Errors
    ///
    /// When the method is no event's, or the parameters are not those of the event.
    pub fn decode(method: &str, params: Value) -> Result<Self, serde_json::Error> {
        fn read<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, serde_json::Error> {
            serde_json::from_value(params)
        }
        let Some(kind) = EventKind::of_method(method) else {
            return Err(serde::de::Error::custom(format!("{method} is not an event")));
        };
        let member = |name: &str| params.get(name).cloned().unwrap_or_default();
        let seq = read(member("seq"))?;
        let time = read(member("time"))?;
        let body = match kind {
            EventKind::Job => EventBody::Job(read(params)?),
            EventKind::Queue => EventBody::Queue(read(params)?),
            EventKind::Output => EventBody::Output(read(params)?),
            EventKind::Progress => EventBody::Progress(read(params)?),
            EventKind::Prompt => EventBody::Prompt(read(params)?),
            EventKind::Catalogue => EventBody::Catalogue(read(params)?),
            EventKind::Engine => EventBody::Engine(read(params)?),
            EventKind::Notice => EventBody::Notice(read(params)?),
        };
        Ok(Self { seq, time, body })
    }
}
