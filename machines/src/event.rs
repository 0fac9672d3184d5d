//! What can happen to a job.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::{effect::PauseLevel, report::Report, spec::JobSpec, time::Timestamp};

/// What can happen to a job. An accepted event is a fact: replayed, it leads to the same state again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JobEvent {
    /// Somebody wants the job to be passed over.
    HoldAsked,
    /// Somebody wants the job to take its turn again.
    ReleaseAsked,
    /// Somebody changed the description of the waiting job.
    Edited {
        /// The whole new description.
        spec: Arc<JobSpec>,
    },
    /// Somebody took the waiting job off the queue.
    Removed,
    /// The deadline passed before the job started.
    DeadlinePassed,
    /// The queue chose the job.
    StartOrdered,
    /// The engine says that the first line is about to run.
    Started,
    /// Somebody wants the script to stop for a while.
    PauseAsked {
        /// Where.
        level: PauseLevel,
    },
    /// Somebody took back a pause that has not taken effect.
    PauseCancelled,
    /// The engine says that the script stands still.
    Paused {
        /// At this line, as far as known.
        line: Option<u32>,
    },
    /// Somebody who is no client of ours paused the script where the engine runs it.
    PausedElsewhere {
        /// At this line, as far as known.
        line: Option<u32>,
    },
    /// Somebody who is no client of ours let the paused script go on.
    ResumedElsewhere,
    /// The job has been paused for long.
    ReminderDue,
    /// Somebody wants the script to go on.
    ResumeAsked,
    /// Somebody wants the current wait to end.
    SkipAsked,
    /// The engine says what was skipped, if the script was in a wait.
    Skipped {
        /// The wait.
        what: Option<String>,
    },
    /// Somebody wants the job to end.
    AbortAsked {
        /// Why, in the words of whoever asked.
        why: Option<String>,
    },
    /// The job ran longer than its time limit.
    TimedOut,
    /// The current abort stage did not end the job in its time.
    GraceExpired,
    /// The engine says that the job's processes are gone.
    Ended {
        /// How, after policy.
        verdict: Verdict,
        /// All there is to say.
        report: Arc<Report>,
    },
    /// The server or the engine was lost while the job ran.
    Interrupted {
        /// What happened.
        why: String,
        /// When the job was last known to run, when that is not the time of this event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen: Option<Timestamp>,
        /// The last lines that the job wrote.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        output_tail: Vec<String>,
    },
}

/// How a job that ended by itself is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It came to its end.
    Succeeded,
    /// It came to its end, and commands in it had failed.
    SucceededWithErrors,
    /// It failed.
    Failed,
}

/// Why a job is being aborted, which decides its final state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbortCause {
    /// Somebody asked: it ends as `aborted`.
    #[default]
    Asked,
    /// Its time was up: it ends as `failed`.
    TimedOut,
}
