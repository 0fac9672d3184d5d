//! What comes into the core, and what it answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    effect::{Effect, PauseLevel},
    ids::{JobId, PromptId, SessionId},
    job::JobEvent,
    progress::Progress,
    queue::QueueEvent,
    report::{Ending, Report},
    role::Role,
    session::SessionEvent,
    spec::JobSpec,
    time::{Timer, Timestamp},
    turn::Rejected,
};

/// Everything that can happen.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody wants something of the queue or the active job.
    Order(Actor, Order),
    /// The engine reports about its job.
    Engine(JobId, EngineNotice),
    /// The engine can run jobs, or cannot, with the reason.
    EngineAvailable(Result<(), String>),
    /// A timer is due.
    Timer(Timer),
    /// A client was heard of, or its transport says something about it.
    Session(SessionId, SessionEvent),
    /// The journal has been replayed and the server is about to serve.
    Restarted(LastSeen),
    /// The server is being stopped: no further job starts; the active one is aborted or left to end.
    Closing {
        /// Whether to abort the active job.
        abort_active: bool,
    },
}

/// What the server before this one left behind that is no fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastSeen {
    /// When it was last known to run; `None` when nobody can say.
    pub at: Option<Timestamp>,
    /// The last lines of the active job's output.
    pub output_tail: Vec<String>,
}

/// Who wants something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's name.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

/// A job to be added.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its number, counted up by the server.
    pub id: JobId,
    /// What it runs.
    pub spec: Arc<JobSpec>,
    /// Held from the start.
    pub held: bool,
    /// The job it repeats.
    pub rerun_of: Option<JobId>,
}

/// Where jobs go in the order of the waiting ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Next.
    Front,
    /// Last.
    #[default]
    Back,
    /// In front of the job that is at this position; 0 is next, too large means last.
    Index(u64),
    /// Right before that job.
    Before(JobId),
    /// Right after that job.
    After(JobId),
}

/// Which jobs an order is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Ids(Vec<JobId>),
    /// All waiting jobs of this group.
    Group(String),
}

/// What somebody wants. An edit with a `revision` is refused when the queue has another one.
#[expect(missing_docs, reason = "the fields are named after what the variants describe")]
#[derive(Clone, Debug)]
pub enum Order {
    /// Add jobs, all or none, in a row.
    Submit { jobs: Vec<NewJob>, place: Place, revision: Option<u64> },
    /// Change the description of a waiting job.
    Edit { job: JobId, spec: Arc<JobSpec>, held: Option<bool>, revision: Option<u64> },
    /// Let jobs be passed over.
    HoldJobs { jobs: Selection, revision: Option<u64> },
    /// Let them take their turn again.
    ReleaseJobs { jobs: Selection, revision: Option<u64> },
    /// Take waiting jobs off the queue; lenient: as many of the named ones as wait.
    Remove { jobs: Selection, lenient: bool, revision: Option<u64> },
    /// Move waiting jobs, keeping their order among themselves (of `Ids`, the order given).
    Move { jobs: Selection, place: Place, revision: Option<u64> },
    /// Give the whole order anew.
    Reorder { order: Vec<JobId>, revision: u64 },
    /// Take every waiting job off the queue.
    Clear { revision: Option<u64> },
    /// Let no further job start.
    HoldQueue { why: Option<String> },
    /// Let jobs start again.
    ReleaseQueue,
    /// Hold the queue after the active job.
    StopAfterCurrent,
    /// Take that back.
    CancelStop,
    /// Pause the active job.
    Pause(PauseLevel),
    /// Take back a pending pause.
    CancelPause,
    /// Let the active job go on.
    Resume,
    /// End the wait that the active job is in.
    Skip,
    /// End the active job.
    Abort { why: Option<String> },
    /// Answer the running script's question.
    Answer { prompt: PromptId, value: Value },
}

/// What an engine reports about its job.
#[expect(missing_docs, reason = "the fields are named after what the variants describe")]
#[derive(Clone, Debug)]
pub enum EngineNotice {
    /// The first line is about to run.
    Started,
    /// Where the script is.
    Progress(Progress),
    /// The pause took effect.
    Paused(Option<u32>),
    /// Somebody who is no client of ours paused the script.
    PausedElsewhere(Option<u32>),
    /// Somebody who is no client of ours let the paused script go on.
    ResumedElsewhere,
    /// The skip took effect.
    Skipped(Option<String>),
    /// The script asks a question.
    Asked(Prompt),
    /// The question needs no answer any longer.
    AskedNoMore,
    /// The processes are gone.
    Ended { ending: Ending, errors: bool, report: Arc<Report> },
    /// The engine lost the job.
    Lost { why: String },
}

/// A question of the running script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Its number, counted up by the server.
    pub id: PromptId,
    /// What it asks.
    pub text: String,
    /// The answers to choose from.
    pub choices: Option<Vec<Value>>,
    /// The answer when nobody answers.
    pub default: Option<Value>,
    /// The longest wait in milliseconds, when the script says one.
    pub timeout_ms: Option<u64>,
    /// Until when an answer is waited for. Set by the core.
    pub until: Timestamp,
}

/// The good end of an order.
#[expect(missing_docs, reason = "the fields are named after what the variants describe")]
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Jobs were added.
    Submitted { ids: Vec<JobId>, position: usize, revision: u64 },
    /// Waiting jobs' descriptions are as wanted.
    Edited { jobs: Vec<JobId>, revision: u64 },
    /// Jobs were taken off.
    Removed { ids: Vec<JobId>, revision: u64 },
    /// The waiting jobs have this order.
    Ordered { order: Vec<JobId>, revision: u64 },
    /// The queue has this state.
    Queue { state: &'static str },
    /// The active job has this state; for a pause, when it acts.
    Run { state: &'static str, acts: Option<String> },
    /// Done.
    Done,
}

/// The bad end of an order. Nothing has changed.
#[expect(missing_docs, reason = "the fields are named after what the variants describe")]
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Not in this state.
    WrongState(Rejected),
    /// The active job cannot be paused at all.
    NotPausable(Rejected),
    /// No job is active.
    NothingActive { wanted: &'static str },
    /// These jobs are not there, or no waiting job has this group.
    NotFound { ids: Vec<JobId>, group: Option<String> },
    /// These jobs have started or ended.
    NotWaiting { ids: Vec<(JobId, &'static str)> },
    /// The queue has changed since.
    Stale { given: u64, revision: u64, order: Vec<JobId> },
    /// The role does not suffice.
    Forbidden { needs: Role, reason: String },
    /// The place does not exist.
    BadPlace { reason: String },
    /// The place is told from a job that there never was.
    NoSuchPlace { id: JobId },
    /// A new order that is not a permutation of the waiting jobs.
    BadOrder { missing: Vec<JobId>, unknown: Vec<JobId>, twice: Vec<JobId> },
    /// No such question is open.
    NoSuchPrompt { prompt: PromptId, open: Option<PromptId> },
    /// Not one of the choices.
    BadAnswer { choices: Vec<Value> },
}

/// Something worth remembering. Replayed into a fresh core, facts give the same state again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// A job came to be.
    Submitted {
        /// Its number.
        job: JobId,
        /// What it runs.
        spec: Arc<JobSpec>,
        /// Who submitted it.
        owner: String,
        /// The job it repeats.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rerun_of: Option<JobId>,
    },
    /// Something happened to a job.
    Job(JobId, JobEvent),
    /// Something happened to the queue.
    Queue(QueueEvent),
}

/// Everything that follows from one input.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What to commit, in order.
    pub facts: Vec<Fact>,
    /// What to do afterwards, in order.
    pub effects: Vec<Effect>,
    /// The one final answer, for an order.
    pub answer: Option<Result<Answer, Refusal>>,
    /// Set when a machine turned down something that nobody waits for an answer to.
    pub turned_down: Option<Rejected>,
}
