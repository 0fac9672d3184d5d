//! The life of a job.
//!
//! ```text
//! queued · held → starting → active { running, pausing, paused, skipping }
//!                          → aborting { asked, terminating, killing } → one of seven final states
//! ```

// The attribute macro generates the enums of states and superstates; their variants are the functions
// below, which carry the documentation.
#![allow(missing_docs)]

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use statig::prelude::*;
use strum::{EnumIter, IntoStaticStr};

pub use crate::event::{AbortCause, JobEvent, Verdict};
use crate::{
    effect::{AbortStage, Announcement, Effect, EngineOrder, Notice, PauseLevel},
    ids::JobId,
    report::Report,
    spec::JobSpec,
    time::{Due, Timer, Timestamp},
    turn::{Rejected, Turn},
};

/// A job: what is known of it besides its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it runs.
    pub spec: Arc<JobSpec>,
    /// Who submitted it.
    pub owner: String,
    /// When.
    pub submitted_at: Timestamp,
    /// The job that this one repeats.
    pub rerun_of: Option<JobId>,
    /// When its first line ran.
    pub started_at: Option<Timestamp>,
    /// When its processes were gone.
    pub finished_at: Option<Timestamp>,
    /// Since when it has been standing still.
    pub paused_since: Option<Timestamp>,
    /// How long it stood still in earlier pauses.
    pub paused_before: Duration,
    /// Why an abort was asked, in the words of whoever asked.
    pub abort_why: Option<String>,
    /// How it ended.
    pub report: Option<Arc<Report>>,
}

impl Job {
    /// A job as it is at its submission.
    #[must_use]
    pub fn new(id: JobId, spec: Arc<JobSpec>, owner: String, at: Timestamp, rerun_of: Option<JobId>) -> Self {
        Self {
            id,
            spec,
            owner,
            submitted_at: at,
            rerun_of,
            started_at: None,
            finished_at: None,
            paused_since: None,
            paused_before: Duration::ZERO,
            abort_why: None,
            report: None,
        }
    }

    /// Wall time from its first line to its end, or to `now`.
    #[must_use]
    pub fn wall_time(&self, now: Timestamp) -> Option<Duration> {
        Some(self.finished_at.unwrap_or(now).since(self.started_at?))
    }

    /// The part of [`Self::wall_time`] in which it was not paused.
    #[must_use]
    pub fn active_time(&self, now: Timestamp) -> Option<Duration> {
        let still = self.paused_since.map_or(Duration::ZERO, |since| now.since(since));
        Some(self.wall_time(now)?.saturating_sub(self.paused_before + still))
    }

    fn announce(&self, context: &mut Turn) {
        context.want(Effect::Announce(Announcement::Job(self.id)));
    }

    fn order(&self, context: &mut Turn, order: EngineOrder) {
        context.want(Effect::Engine { job: self.id, order });
    }

    fn stand_still(&mut self, at: Timestamp) -> Outcome<State> {
        self.paused_since = Some(at);
        Transition(State::paused())
    }

    fn go_on(&mut self, at: Timestamp) {
        if let Some(since) = self.paused_since.take() {
            self.paused_before += at.since(since);
        }
    }

    /// The timers of a waiting job, with their times: those that run are known from its description.
    fn waiting_timers(&self) -> [(Timer, Option<Timestamp>); 2] {
        [
            (Timer::JobNotBefore(self.id), self.spec.not_before),
            (Timer::JobDeadline(self.id), self.spec.deadline),
        ]
    }

    fn set_waiting_timers(&self, context: &mut Turn) {
        for (timer, time) in self.waiting_timers() {
            if let Some(time) = time {
                context.want(Effect::SetTimer { timer, due: Due::At(time) });
            }
        }
    }

    fn cancel_waiting_timers(&self, context: &mut Turn) {
        for (timer, time) in self.waiting_timers() {
            if time.is_some() {
                context.want(Effect::CancelTimer(timer));
            }
        }
    }

    fn ask_to_abort(&mut self, why: Option<String>, cause: AbortCause, at: Timestamp) -> Outcome<State> {
        // An abort ends the standing still: `finally` blocks run from now on.
        self.go_on(at);
        self.abort_why = why;
        Transition(State::asked(cause))
    }

    fn ask_to_pause(&self, level: PauseLevel, context: &mut Turn, state: &'static str) -> Outcome<State> {
        if self.spec.pausable() {
            return Transition(State::pausing(level));
        }
        context.rejected = Some(Rejected {
            state,
            event: "pause_asked",
            reason: "a black-box job is not pausable".into(),
            hint: Some("abort it, hold the queue, or stop the queue after this job".into()),
            not_pausable: true,
        });
        Handled
    }

    /// The pause was taken back while the script was already stopping: it goes on.
    fn undo_pause(&self, context: &mut Turn) -> Outcome<State> {
        self.order(context, EngineOrder::Resume);
        Handled
    }

    fn note_skip(&self, what: Option<&str>, context: &mut Turn) {
        if what.is_none() {
            let notice = Notice::NothingToSkip { job: self.id };
            context.want(Effect::Announce(Announcement::Notice(notice)));
        }
    }

    fn end(&mut self, report: &Arc<Report>, at: Timestamp) {
        self.go_on(at);
        self.finished_at = Some(at);
        self.report = Some(Arc::clone(report));
    }
}

fn refuse(
    context: &mut Turn,
    state: &'static str,
    event: &JobEvent,
    reason: &str,
    hint: &str,
) -> Outcome<State> {
    context.rejected = Some(Rejected {
        state,
        event: event.into(),
        reason: reason.into(),
        hint: (!hint.is_empty()).then(|| hint.into()),
        not_pausable: false,
    });
    Handled
}

/// A state machine with its job.
pub type JobMachine = StateMachine<Job>;

#[state_machine(
    initial = "State::queued()",
    state(derive(Clone, Debug, PartialEq, Serialize, Deserialize, EnumIter, IntoStaticStr)),
    superstate(derive(Debug)),
    after_transition = "Self::announce_transition"
)]
impl Job {
    /// Waits for its turn.
    #[state(superstate = "waiting")]
    fn queued(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::HoldAsked => Transition(State::held()),
            JobEvent::StartOrdered => {
                self.order(context, EngineOrder::Start);
                Transition(State::starting())
            }
            JobEvent::ReleaseAsked => refuse(context, "queued", event, "the job is not held", ""),
            _ => Super,
        }
    }

    /// Keeps its place and is passed over.
    #[state(superstate = "waiting")]
    fn held(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::ReleaseAsked => Transition(State::queued()),
            JobEvent::HoldAsked => {
                refuse(context, "held", event, "the job is already held", "release it to let it run")
            }
            _ => Super,
        }
    }

    #[action]
    fn watch_the_clock(&mut self, context: &mut Turn) {
        self.set_waiting_timers(context);
    }

    #[action]
    fn stop_watching_the_clock(&mut self, context: &mut Turn) {
        self.cancel_waiting_timers(context);
    }

    /// On the queue.
    #[superstate(entry_action = "watch_the_clock", exit_action = "stop_watching_the_clock")]
    fn waiting(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::Edited { spec } => {
                self.cancel_waiting_timers(context);
                self.spec = Arc::clone(spec);
                self.set_waiting_timers(context);
                self.announce(context);
                Handled
            }
            JobEvent::Removed => {
                self.finished_at = Some(context.at);
                Transition(State::cancelled())
            }
            JobEvent::AbortAsked { why } => {
                self.abort_why.clone_from(why);
                self.finished_at = Some(context.at);
                Transition(State::aborted())
            }
            JobEvent::DeadlinePassed => {
                self.finished_at = Some(context.at);
                Transition(State::expired())
            }
            _ => refuse(
                context,
                "queued",
                event,
                "the job has not started",
                "it can be edited, moved, held, released or removed",
            ),
        }
    }

    /// Handed to the engine; its first line has not run. Entered again when a pause is taken back early,
    /// so that the order to start belongs to the event and not to the entry.
    #[state(superstate = "live")]
    fn starting(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::Started => {
                self.note_start(context);
                Transition(State::running())
            }
            JobEvent::PauseAsked { level } => self.ask_to_pause(*level, context, "starting"),
            JobEvent::Paused { .. } => self.undo_pause(context),
            JobEvent::SkipAsked => {
                refuse(context, "starting", event, "the script has not started", "wait a moment, or abort it")
            }
            JobEvent::PauseCancelled => refuse(context, "starting", event, "no pause is pending", ""),
            JobEvent::ResumeAsked => refuse(context, "starting", event, "the job is not paused", ""),
            _ => Super,
        }
    }

    /// Its lines run.
    #[state(superstate = "active")]
    fn running(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::PauseAsked { level } => self.ask_to_pause(*level, context, "running"),
            JobEvent::SkipAsked if !self.spec.pausable() => refuse(
                context,
                "running",
                event,
                "a black-box job has no waits that can be skipped",
                "abort it, or let it finish",
            ),
            JobEvent::SkipAsked => Transition(State::skipping()),
            JobEvent::Paused { .. } => self.undo_pause(context),
            JobEvent::PausedElsewhere { line: _ } => self.stand_still(context.at),
            JobEvent::PauseCancelled => refuse(context, "running", event, "no pause is pending", ""),
            JobEvent::ResumeAsked => refuse(context, "running", event, "the job is not paused", ""),
            _ => Super,
        }
    }

    #[action]
    fn tell_engine_to_pause(&mut self, level: &PauseLevel, context: &mut Turn) {
        self.order(context, EngineOrder::Pause(*level));
    }

    /// A pause was asked and has not taken effect.
    #[state(superstate = "active", entry_action = "tell_engine_to_pause")]
    fn pausing(&mut self, level: &PauseLevel, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::Started if self.started_at.is_none() => {
                self.note_start(context);
                Handled
            }
            JobEvent::Paused { line: _ } | JobEvent::PausedElsewhere { line: _ } => {
                self.stand_still(context.at)
            }
            JobEvent::PauseAsked { level: asked } if asked == level => refuse(
                context,
                "pausing",
                event,
                "this pause is already pending",
                "cancel it, ask for another level, or abort",
            ),
            JobEvent::PauseAsked { level } => Transition(State::pausing(*level)),
            JobEvent::PauseCancelled => {
                self.order(context, EngineOrder::CancelPause);
                Transition(if self.started_at.is_some() { State::running() } else { State::starting() })
            }
            JobEvent::ResumeAsked => refuse(
                context,
                "pausing",
                event,
                "the job is not paused yet",
                "cancel the pending pause instead (run.cancel_pause)",
            ),
            JobEvent::SkipAsked => refuse(
                context,
                "pausing",
                event,
                "a pause is pending",
                "cancel the pause first, or wait until the job is paused",
            ),
            _ => Super,
        }
    }

    #[action]
    fn set_first_reminder(&mut self, context: &mut Turn) {
        let due = Due::After(context.policy.pause_reminder_first);
        context.want(Effect::SetTimer { timer: Timer::PauseReminder(self.id), due });
    }

    #[action]
    fn cancel_reminder(&mut self, context: &mut Turn) {
        context.want(Effect::CancelTimer(Timer::PauseReminder(self.id)));
    }

    /// Stands still at a pause point.
    #[state(superstate = "active", entry_action = "set_first_reminder", exit_action = "cancel_reminder")]
    fn paused(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::ResumeAsked => {
                self.go_on(context.at);
                self.order(context, EngineOrder::Resume);
                Transition(State::running())
            }
            // It goes on already, so the engine gets no order.
            JobEvent::ResumedElsewhere => {
                self.go_on(context.at);
                Transition(State::running())
            }
            JobEvent::SkipAsked => {
                self.go_on(context.at);
                Transition(State::skipping())
            }
            JobEvent::ReminderDue => {
                let minutes = self.paused_since.map_or(0, |since| context.at.since(since).as_secs() / 60);
                let notice = Notice::PausedLong { job: self.id, minutes };
                context.want(Effect::Announce(Announcement::Notice(notice)));
                let due = Due::After(context.policy.pause_reminder_next);
                context.want(Effect::SetTimer { timer: Timer::PauseReminder(self.id), due });
                Handled
            }
            JobEvent::PauseAsked { .. } => {
                refuse(context, "paused", event, "the job is already paused", "resume, skip or abort it")
            }
            JobEvent::PauseCancelled => refuse(
                context,
                "paused",
                event,
                "the pause has already taken effect",
                "resume the job instead (run.resume)",
            ),
            _ => Super,
        }
    }

    #[action]
    fn tell_engine_to_skip(&mut self, context: &mut Turn) {
        self.order(context, EngineOrder::Skip);
    }

    /// The current wait is being ended.
    #[state(superstate = "active", entry_action = "tell_engine_to_skip")]
    fn skipping(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::Skipped { what } => {
                self.note_skip(what.as_deref(), context);
                Transition(State::running())
            }
            JobEvent::PauseAsked { level } => self.ask_to_pause(*level, context, "skipping"),
            JobEvent::SkipAsked => refuse(context, "skipping", event, "a skip is already under way", ""),
            JobEvent::Paused { .. } => self.undo_pause(context),
            JobEvent::PausedElsewhere { line: _ } => self.stand_still(context.at),
            _ => Super,
        }
    }

    /// Its script runs or stands still, and nobody asked it to end.
    #[superstate(superstate = "live")]
    fn active(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::PauseCancelled | JobEvent::ResumeAsked => {
                refuse(context, "running", event, "the job is not paused and no pause is pending", "")
            }
            // A pause was asked during the skip, and perhaps taken back since.
            JobEvent::Skipped { what } => {
                self.note_skip(what.as_deref(), context);
                Handled
            }
            _ => Super,
        }
    }

    #[action]
    fn forget_timers(&mut self, context: &mut Turn) {
        context.want(Effect::CancelTimer(Timer::JobTimeout(self.id)));
        context.want(Effect::CancelTimer(Timer::AbortGrace(self.id)));
    }

    /// Has, or will have, a process.
    #[superstate(exit_action = "forget_timers")]
    fn live(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::AbortAsked { why } => self.ask_to_abort(why.clone(), AbortCause::Asked, context.at),
            JobEvent::TimedOut => self.ask_to_abort(None, AbortCause::TimedOut, context.at),
            JobEvent::Ended { verdict, report } => {
                self.end(report, context.at);
                Transition(match verdict {
                    Verdict::Succeeded => State::succeeded(),
                    Verdict::SucceededWithErrors => State::succeeded_with_errors(),
                    Verdict::Failed => State::failed(),
                })
            }
            JobEvent::Interrupted { why, last_seen, output_tail } => {
                // The time in which nobody was there to see the job is not part of its run.
                let earliest = self.paused_since.or(self.started_at).unwrap_or(self.submitted_at);
                let end = last_seen.map_or(context.at, |seen| seen.max(earliest).min(context.at));
                let report = Report {
                    error_type: "Interrupted".into(),
                    message: why.clone(),
                    hint: Some("look at the beamline, then run the job again if it is wanted".into()),
                    elapsed_s: self.wall_time(end).unwrap_or_default().as_secs_f64(),
                    output_tail: output_tail.clone(),
                    ..Report::default()
                };
                self.end(&Arc::new(report), end);
                Transition(State::interrupted())
            }
            JobEvent::HoldAsked | JobEvent::ReleaseAsked | JobEvent::Edited { .. } | JobEvent::Removed => {
                refuse(
                    context,
                    "running",
                    event,
                    "the job has started",
                    "abort it, or run it again edited after its end (job.rerun)",
                )
            }
            JobEvent::DeadlinePassed
            | JobEvent::StartOrdered
            | JobEvent::Started
            | JobEvent::PauseAsked { .. }
            | JobEvent::PauseCancelled
            | JobEvent::Paused { .. }
            | JobEvent::PausedElsewhere { .. }
            | JobEvent::ResumedElsewhere
            | JobEvent::ReminderDue
            | JobEvent::ResumeAsked
            | JobEvent::SkipAsked
            | JobEvent::Skipped { .. }
            | JobEvent::GraceExpired => refuse(
                context,
                "running",
                event,
                "this does not fit the state of the job",
                "it can be aborted",
            ),
        }
    }

    #[action]
    fn press_with_an_exception(&mut self, context: &mut Turn) {
        self.press(AbortStage::Ask, Some(context.policy.abort_cooperative), context);
    }

    /// An exception was sent into the script; its `finally` blocks run.
    #[state(superstate = "aborting", entry_action = "press_with_an_exception")]
    fn asked(&mut self, cause: &AbortCause, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::GraceExpired | JobEvent::AbortAsked { .. } => Transition(State::terminating(*cause)),
            _ => Super,
        }
    }

    #[action]
    fn press_with_sigterm(&mut self, context: &mut Turn) {
        self.press(AbortStage::Terminate, Some(context.policy.abort_terminate), context);
    }

    /// `SIGTERM` was sent to its process group.
    #[state(superstate = "aborting", entry_action = "press_with_sigterm")]
    fn terminating(&mut self, cause: &AbortCause, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::GraceExpired | JobEvent::AbortAsked { .. } => Transition(State::killing(*cause)),
            _ => Super,
        }
    }

    #[action]
    fn press_with_sigkill(&mut self, context: &mut Turn) {
        self.press(AbortStage::Kill, None, context);
    }

    /// `SIGKILL` was sent to its process group.
    #[state(superstate = "aborting", entry_action = "press_with_sigkill")]
    fn killing(&mut self, cause: &AbortCause, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        let _ = cause;
        match event {
            JobEvent::AbortAsked { .. } => refuse(
                context,
                "aborting",
                event,
                "the job's processes have already been killed",
                "it ends as soon as the system has taken them down",
            ),
            _ => Super,
        }
    }

    /// Being ended, harder and harder.
    #[superstate(superstate = "live")]
    fn aborting(&mut self, cause: &AbortCause, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        match event {
            JobEvent::Ended { report, .. } => {
                self.end(report, context.at);
                Transition(match cause {
                    AbortCause::Asked => State::aborted(),
                    AbortCause::TimedOut => State::failed(),
                })
            }
            JobEvent::Started if self.started_at.is_none() => {
                self.note_start(context);
                Handled
            }
            // What was under way when the abort came may still be reported; it changes nothing.
            JobEvent::Paused { .. }
            | JobEvent::PausedElsewhere { .. }
            | JobEvent::ResumedElsewhere
            | JobEvent::Skipped { .. }
            | JobEvent::TimedOut => Handled,
            JobEvent::PauseAsked { .. }
            | JobEvent::PauseCancelled
            | JobEvent::ResumeAsked
            | JobEvent::SkipAsked => refuse(
                context,
                "aborting",
                event,
                "the job is being aborted",
                "a second abort presses harder",
            ),
            _ => Super,
        }
    }

    /// Came to its end.
    #[state(superstate = "ended")]
    fn succeeded() -> Outcome<State> {
        Super
    }

    /// Came to its end, and commands in it had failed.
    #[state(superstate = "ended")]
    fn succeeded_with_errors() -> Outcome<State> {
        Super
    }

    /// Failed.
    #[state(superstate = "ended")]
    fn failed() -> Outcome<State> {
        Super
    }

    /// Was ended by somebody.
    #[state(superstate = "ended")]
    fn aborted() -> Outcome<State> {
        Super
    }

    /// Was taken off the queue.
    #[state(superstate = "ended")]
    fn cancelled() -> Outcome<State> {
        Super
    }

    /// Did not start before its deadline.
    #[state(superstate = "ended")]
    fn expired() -> Outcome<State> {
        Super
    }

    /// The server or the engine was lost while it ran.
    #[state(superstate = "ended")]
    fn interrupted() -> Outcome<State> {
        Super
    }

    /// Final: nothing changes any more.
    #[superstate]
    fn ended(&mut self, context: &mut Turn, event: &JobEvent) -> Outcome<State> {
        refuse(context, "ended", event, "the job has ended", "run it again as a new job (job.rerun)")
    }

    fn announce_transition(&mut self, _source: &State, _target: &State, context: &mut Turn) {
        self.announce(context);
    }

    fn note_start(&mut self, context: &mut Turn) {
        self.started_at = Some(context.at);
        self.announce(context);
        let limit = self.spec.timeout_ms.map(Duration::from_millis).or(context.policy.job_timeout);
        if let Some(limit) = limit {
            context.want(Effect::SetTimer { timer: Timer::JobTimeout(self.id), due: Due::After(limit) });
        }
    }

    fn press(&mut self, stage: AbortStage, grace: Option<Duration>, context: &mut Turn) {
        self.order(context, EngineOrder::Abort(stage));
        let timer = Timer::AbortGrace(self.id);
        context.want(match grace {
            Some(grace) => Effect::SetTimer { timer, due: Due::After(grace) },
            None => Effect::CancelTimer(timer),
        });
    }
}

impl State {
    /// The name that clients know: the stages of an abort are one to them.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued {} => "queued",
            Self::Held {} => "held",
            Self::Starting {} => "starting",
            Self::Running {} => "running",
            Self::Pausing { .. } => "pausing",
            Self::Paused {} => "paused",
            Self::Skipping {} => "skipping",
            Self::Asked { .. } | Self::Terminating { .. } | Self::Killing { .. } => "aborting",
            Self::Succeeded {} => "succeeded",
            Self::SucceededWithErrors {} => "succeeded_with_errors",
            Self::Failed {} => "failed",
            Self::Aborted {} => "aborted",
            Self::Cancelled {} => "cancelled",
            Self::Expired {} => "expired",
            Self::Interrupted {} => "interrupted",
        }
    }

    /// Whether a name that clients know is that of a final state.
    #[must_use]
    pub fn is_final_name(name: &str) -> bool {
        use strum::IntoEnumIterator;
        name == "ended" || Self::iter().any(|state| state.is_final() && state.name() == name)
    }

    /// Whether the job is on the queue.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Queued {} | Self::Held {})
    }

    /// Whether nothing can change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Succeeded {}
                | Self::SucceededWithErrors {}
                | Self::Failed {}
                | Self::Aborted {}
                | Self::Cancelled {}
                | Self::Expired {}
                | Self::Interrupted {}
        )
    }
}
