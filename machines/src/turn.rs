//! What a machine sees and leaves behind while it handles one event.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{effect::Effect, time::Timestamp};

/// What a failure, an abort or a restart does to the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueuePolicy {
    /// Hold the queue until somebody releases it.
    #[default]
    Hold,
    /// Go on with the next job.
    Continue,
}

/// What errors that a library swallowed do to a job that came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandErrorPolicy {
    /// The job ends as `succeeded_with_errors`.
    #[default]
    Mark,
    /// The job ends as `failed`.
    Fail,
    /// The job ends as `succeeded`; the errors stay in its report.
    Ignore,
}

/// The settings that the machines follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a failed job does to the queue.
    pub after_failure: QueuePolicy,
    /// What an aborted job does to the queue.
    pub after_abort: QueuePolicy,
    /// What a restart of the server does to the queue.
    pub after_restart: QueuePolicy,
    /// What swallowed command errors do to a job.
    pub command_errors: CommandErrorPolicy,
    /// How long a script may take to end after an abort was asked.
    pub abort_cooperative: Duration,
    /// How long its processes may take to end after `SIGTERM`.
    pub abort_terminate: Duration,
    /// The time limit of jobs that bring none of their own.
    pub job_timeout: Option<Duration>,
    /// How long a question waits for its answer.
    pub prompt_timeout: Duration,
    /// The engine knows no pause points of its own: a pause of the level `point` acts at every line as well.
    pub points_are_lines: bool,
    /// When the first reminder of a paused job goes out.
    pub pause_reminder_first: Duration,
    /// When the following reminders go out.
    pub pause_reminder_next: Duration,
    /// How long a client may take to log in.
    pub login_timeout: Duration,
    /// How long a client may be silent.
    pub session_idle: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            after_failure: QueuePolicy::Hold,
            after_abort: QueuePolicy::Hold,
            after_restart: QueuePolicy::Hold,
            command_errors: CommandErrorPolicy::Mark,
            abort_cooperative: Duration::from_secs(2),
            abort_terminate: Duration::from_secs(3),
            job_timeout: None,
            prompt_timeout: Duration::from_secs(600),
            points_are_lines: false,
            pause_reminder_first: Duration::from_secs(600),
            pause_reminder_next: Duration::from_secs(1800),
            login_timeout: Duration::from_secs(30),
            session_idle: Duration::from_secs(86_400),
        }
    }
}

/// Why an event was turned down. Never silence: every pair of state and event has a defined reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The state's name, as clients know it.
    pub state: &'static str,
    /// What was asked.
    pub event: &'static str,
    /// Why not.
    pub reason: String,
    /// What would work.
    pub hint: Option<String>,
    /// The job cannot be paused at all, in whatever state.
    pub not_pausable: bool,
}

/// The context of one event: its time, the settings, and what the machine wants.
#[derive(Debug)]
pub struct Turn {
    /// When the event happened.
    pub at: Timestamp,
    /// The settings in force.
    pub policy: Policy,
    /// What is wanted, in order.
    pub effects: Vec<Effect>,
    /// Set when the machine turned the event down.
    pub rejected: Option<Rejected>,
}

impl Turn {
    /// Begins a turn.
    #[must_use]
    pub fn new(at: Timestamp, policy: Policy) -> Self {
        Self { at, policy, effects: Vec::new(), rejected: None }
    }

    pub(crate) fn want(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
