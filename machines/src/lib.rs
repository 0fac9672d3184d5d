//! The pure core of beamq: what a job, the queue and a session are allowed to do, and what follows.
//!
//! Nothing here reads a clock, does IO, draws a random number or waits. Everything that happens comes in
//! as an input with its time; everything wanted goes out as an [`Effect`]; everything worth remembering
//! is a fact. Facts are committed to the journal before the effects of the same turn are acted on, and
//! facts replayed into fresh machines give the same state again.

pub mod core;
mod effect;
mod event;
mod ids;
pub mod job;
mod progress;
pub mod queue;
mod report;
mod role;
pub mod session;
mod spec;
mod time;
mod turn;

pub use effect::{AbortStage, Announcement, Effect, EngineOrder, Notice, PauseLevel, PromptEnd};
pub use ids::{JobId, PromptId, RequestId, SessionId};
pub use progress::{Basis, Progress};
pub use report::{CommandError, CommandInProgress, Ending, LocalVariable, Phase, Report, TracebackFrame};
pub use role::Role;
pub use spec::{CommandCall, JobBody, JobKind, JobSpec};
pub use time::{Due, Timer, Timestamp};
pub use turn::{CommandErrorPolicy, Policy, QueuePolicy, Rejected, Turn};
