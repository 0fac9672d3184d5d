//! Everything the machines want done. An effect is acted on only after the facts of its turn are committed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::{JobId, PromptId, SessionId},
    time::{Due, Timer},
};

/// Where a pause takes effect.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PauseLevel {
    /// At the next source line of the script.
    #[default]
    Line,
    /// At the next wait or explicit pause point.
    Point,
    /// At once, also inside waits that poll.
    Now,
}

/// How hard an abort presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AbortStage {
    /// An exception in the script's main thread: `finally` and `atexit` run.
    Ask,
    /// `SIGTERM` to the process group.
    Terminate,
    /// `SIGKILL` to the process group.
    Kill,
}

/// What an engine is told about its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EngineOrder {
    /// Run the job.
    Start,
    /// Pause at the given level; replaces a pending pause.
    Pause(PauseLevel),
    /// Forget a pause that has not taken effect.
    CancelPause,
    /// Go on after a pause.
    Resume,
    /// End the wait that the script is in, and go on after it.
    Skip,
    /// End the job, with the given strength.
    Abort(AbortStage),
    /// The answer to the script's question.
    Answer {
        /// Which question.
        prompt: PromptId,
        /// The answer; `None` when nobody gave one in time and there is no default.
        value: Option<Value>,
    },
}

/// Something that clients and observers are to hear of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Announcement {
    /// A job was added or its state or description changed.
    Job(JobId),
    /// The queue's state, order or revision changed.
    Queue,
    /// The running script asks a question.
    Prompt(PromptId),
    /// A question of the running script is open no longer.
    PromptSettled(PromptId, PromptEnd),
    /// People should look: a paused job waits, a job expired …
    Notice(Notice),
}

/// How a question of the running script was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptEnd {
    /// Somebody answered.
    Answered,
    /// Nobody did in time; the default was given, if there is one.
    TimedOut,
    /// Its job ended.
    Withdrawn,
}

/// Why people should look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The job has been paused for this many minutes.
    PausedLong {
        /// The paused job.
        job: JobId,
        /// Minutes since it paused.
        minutes: u64,
    },
    /// A skip was asked and the script was not in a wait.
    NothingToSkip {
        /// The running job.
        job: JobId,
    },
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Tell the engine.
    Engine {
        /// The job it is about.
        job: JobId,
        /// What to do.
        order: EngineOrder,
    },
    /// Start (or restart) a timer.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When it is due.
        due: Due,
    },
    /// Stop a timer, if it runs.
    CancelTimer(Timer),
    /// Tell everybody.
    Announce(Announcement),
    /// End a session's link to its transport.
    CloseLink(SessionId),
}
