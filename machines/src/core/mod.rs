//! The core: all jobs, the queue and the sessions together, and the one way in.
//!
//! [`Core::handle`] takes what happened and gives what follows. [`Core::apply`] is the only place where
//! state changes; it serves live operation and replay alike, so that both lead to the same state.

mod engine;
mod input;
mod orders;
mod select;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use statig::prelude::*;

pub use input::{
    Actor, Answer, EngineNotice, Fact, Input, LastSeen, NewJob, Order, Outcome, Place, Prompt, Refusal,
    Selection,
};

use crate::{
    effect::{Announcement, Effect, EngineOrder, PromptEnd},
    ids::{JobId, SessionId},
    job::{self, Job, JobEvent, JobMachine, Verdict},
    progress::Progress,
    queue::{self, Hold, Queue, QueueEvent, QueueMachine},
    report::{Ending, Report},
    session::{self, Session, SessionEvent, SessionMachine},
    spec::JobSpec,
    time::{Due, Timer, Timestamp},
    turn::{CommandErrorPolicy, Policy, QueuePolicy, Rejected, Turn},
};

/// How far a series of jobs has come. It is kept until the last of its jobs has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupTally {
    /// How many jobs it has: those that ended and those to come. One that was taken off the queue never
    /// was to come, and does not count.
    pub submitted: u64,
    /// How many of them have ended, however.
    pub ended: u64,
    /// How many of those did not end well.
    pub failed: u64,
}

/// What survives a restart: the jobs that have not ended, the queue, the groups.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    jobs: BTreeMap<JobId, JobMachine>,
    queue: QueueMachine,
    groups: BTreeMap<String, GroupTally>,
    last_job: u64,
}

/// All machines together.
pub struct Core {
    policy: Policy,
    kept: Kept,
    sessions: BTreeMap<SessionId, SessionMachine>,
    ended: Vec<JobMachine>,
    progress: Progress,
    last_progress: Option<(JobId, Progress)>,
    prompt: Option<Prompt>,
    closing: bool,
}

impl Core {
    /// A core that knows of nothing.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with(
            policy,
            Kept {
                jobs: BTreeMap::new(),
                queue: Queue::default().state_machine(),
                groups: BTreeMap::new(),
                last_job: 0,
            },
        )
    }

    fn with(policy: Policy, mut kept: Kept) -> Self {
        // A restored machine runs its entry actions again: their effects belong to the past.
        let mut past = Turn::new(Timestamp::default(), policy);
        kept.queue.init_with_context(&mut past);
        for machine in kept.jobs.values_mut() {
            machine.init_with_context(&mut past);
        }
        Self {
            policy,
            kept,
            sessions: BTreeMap::new(),
            ended: Vec::new(),
            progress: Progress::default(),
            last_progress: None,
            prompt: None,
            closing: false,
        }
    }

    /// A core as [`Self::snapshot`] described it.
    ///
    /// # Errors
    ///
    /// When the text is not a snapshot of this version.
    pub fn restore(policy: Policy, snapshot: &str) -> Result<Self, serde_json::Error> {
        Ok(Self::with(policy, serde_json::from_str(snapshot)?))
    }

    /// Everything that survives a restart, as JSON.
    ///
    /// # Errors
    ///
    /// Never for states that this core can be in; the signature leaves room for the serialiser's error.
    pub fn snapshot(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.kept)
    }

    /// Takes what happened and gives what follows.
    pub fn handle(&mut self, input: Input, at: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        // Clients speak all the time. What they say as such starts no job, and looking for one costs a walk
        // along the whole queue when every job of it is held.
        let may_start_a_job = !matches!(input, Input::Session(..));
        match input {
            Input::Order(actor, order) => {
                let answer = self.order(&actor, order, at, &mut outcome);
                outcome.answer = Some(answer);
            }
            Input::Engine(job, notice) => self.engine(job, notice, at, &mut outcome),
            Input::EngineAvailable(available) => self.engine_available(available, at, &mut outcome),
            Input::Timer(timer) => self.timer(timer, at, &mut outcome),
            Input::Session(id, event) => self.session_event(id, &event, at, &mut outcome),
            Input::Restarted(last) => self.restarted(last, at, &mut outcome),
            Input::Closing { abort_active } => self.close(abort_active, at, &mut outcome),
        }
        if may_start_a_job {
            self.start_next(at, &mut outcome);
        }
        if let Some(Ok(answer)) = &mut outcome.answer {
            self.bring_up_to_date(answer);
        }
        outcome.effects = without_repeated_announcements(std::mem::take(&mut outcome.effects));
        outcome
    }

    /// An answer tells the state after everything that followed: a job that starts at once bumps the
    /// revision, and a client that edits with an older one would be refused.
    fn bring_up_to_date(&self, answer: &mut Answer) {
        let queue = &self.kept.queue;
        match answer {
            Answer::Submitted { revision, .. }
            | Answer::Edited { revision, .. }
            | Answer::Removed { revision, .. } => *revision = queue.revision,
            Answer::Ordered { order, revision } => {
                order.clone_from(&queue.order);
                *revision = queue.revision;
            }
            Answer::Queue { state } => *state = queue.state().name(),
            Answer::Run { .. } | Answer::Done => {}
        }
    }

    /// Replays a fact from the journal.
    ///
    /// # Errors
    ///
    /// When the fact does not fit the state that the facts before it led to.
    pub fn replay(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Rejected> {
        self.apply(fact, at)?;
        // Ended jobs live on in the history, not here.
        self.ended.clear();
        Ok(())
    }

    /// The only place where jobs and the queue change.
    fn apply(&mut self, fact: &Fact, at: Timestamp) -> Result<Vec<Effect>, Rejected> {
        match fact {
            Fact::Submitted { job, spec, owner, rerun_of } => {
                let mut turn = Turn::new(at, self.policy);
                let mut machine =
                    Job::new(*job, Arc::clone(spec), owner.clone(), at, *rerun_of).state_machine();
                machine.init_with_context(&mut turn);
                turn.effects.push(Effect::Announce(Announcement::Job(*job)));
                self.kept.jobs.insert(*job, machine);
                self.kept.last_job = self.kept.last_job.max(job.0);
                if let Some(group) = &spec.group {
                    self.kept.groups.entry(group.clone()).or_default().submitted += 1;
                }
                Ok(turn.effects)
            }
            Fact::Job(id, event) => self.apply_to_job(*id, event, at),
            Fact::Queue(event) => {
                let mut turn = Turn::new(at, self.policy);
                self.kept.queue.handle_with_context(event, &mut turn);
                match turn.rejected {
                    Some(rejected) => Err(Rejected { state: self.kept.queue.state().name(), ..rejected }),
                    None => Ok(turn.effects),
                }
            }
        }
    }

    fn apply_to_job(&mut self, id: JobId, event: &JobEvent, at: Timestamp) -> Result<Vec<Effect>, Rejected> {
        let Some(machine) = self.kept.jobs.get_mut(&id) else {
            return Err(Rejected {
                state: "ended",
                event: event.into(),
                reason: format!("job {id} is not on the queue"),
                hint: None,
                not_pausable: false,
            });
        };
        let group_before = machine.spec.group.clone();
        let mut turn = Turn::new(at, self.policy);
        machine.handle_with_context(event, &mut turn);
        let state = machine.state();
        if let Some(rejected) = turn.rejected {
            return Err(Rejected { state: state.name(), ..rejected });
        }
        let ended = state.is_final();
        let removed = matches!(state, job::State::Cancelled {});
        let failed = !matches!(state, job::State::Succeeded {});
        let group = machine.spec.group.clone();
        self.regroup(group_before, group.clone());
        if ended {
            if let Some(machine) = self.kept.jobs.remove(&id) {
                self.ended.push(machine);
            }
            if removed {
                self.regroup(group, None);
            } else {
                self.count_ended(group, failed);
            }
        }
        Ok(turn.effects)
    }

    fn regroup(&mut self, before: Option<String>, after: Option<String>) {
        if before == after {
            return;
        }
        if let Some(tally) = before.as_ref().and_then(|group| self.kept.groups.get_mut(group)) {
            tally.submitted = tally.submitted.saturating_sub(1);
        }
        if let Some(group) = after {
            self.kept.groups.entry(group).or_default().submitted += 1;
        }
        self.kept.groups.retain(|_, tally| tally.ended < tally.submitted);
    }

    fn count_ended(&mut self, group: Option<String>, failed: bool) {
        let Some(group) = group else { return };
        if let Some(tally) = self.kept.groups.get_mut(&group) {
            tally.ended += 1;
            tally.failed += u64::from(failed);
            if tally.ended >= tally.submitted {
                self.kept.groups.remove(&group);
            }
        }
    }

    /// Applies a fact and notes it with its effects.
    fn record(&mut self, fact: Fact, at: Timestamp, outcome: &mut Outcome) -> Result<(), Rejected> {
        outcome.effects.extend(self.apply(&fact, at)?);
        outcome.facts.push(fact);
        Ok(())
    }

    /// As [`Self::record`], for what nobody waits for an answer to.
    fn note(&mut self, fact: Fact, at: Timestamp, outcome: &mut Outcome) {
        if let Err(rejected) = self.record(fact, at, outcome) {
            outcome.turned_down = Some(rejected);
        }
    }

    fn timer(&mut self, timer: Timer, at: Timestamp, outcome: &mut Outcome) {
        match timer {
            Timer::AbortGrace(id) => self.note(Fact::Job(id, JobEvent::GraceExpired), at, outcome),
            Timer::PauseReminder(id) => self.note(Fact::Job(id, JobEvent::ReminderDue), at, outcome),
            Timer::JobTimeout(id) => self.note(Fact::Job(id, JobEvent::TimedOut), at, outcome),
            Timer::JobDeadline(id) => self.expire(id, at, outcome),
            // Choosing the next job, which follows every input, is all else there is to do.
            Timer::JobNotBefore(id) => {
                self.wait_on(timer, id, at, |spec| spec.not_before, outcome);
            }
            Timer::PromptTimeout(id) => {
                if self.prompt.as_ref().is_some_and(|prompt| prompt.id == id) {
                    let answer = self.prompt.as_ref().and_then(|prompt| prompt.default.clone());
                    self.settle_prompt(PromptEnd::TimedOut, outcome);
                    self.send_answer(id, answer, outcome);
                }
            }
            Timer::LoginTimeout(id) => self.session_event(id, &SessionEvent::LoginTimedOut, at, outcome),
            Timer::SessionIdle(id) => self.session_event(id, &SessionEvent::IdleTimedOut, at, outcome),
        }
    }

    /// Sets the timer of a waiting job again when its time has not come: it was edited while the timer
    /// fired, or the clock was set back.
    fn wait_on(
        &self,
        timer: Timer,
        id: JobId,
        at: Timestamp,
        time: fn(&JobSpec) -> Option<Timestamp>,
        outcome: &mut Outcome,
    ) -> bool {
        let waiting = self.kept.jobs.get(&id).filter(|job| job.state().is_waiting());
        match waiting.map(|job| time(&job.spec)) {
            Some(Some(time)) if time > at => {
                outcome.effects.push(Effect::SetTimer { timer, due: Due::At(time) });
                true
            }
            Some(None) => true,
            Some(Some(_)) | None => false,
        }
    }

    fn expire(&mut self, id: JobId, at: Timestamp, outcome: &mut Outcome) {
        if self.wait_on(Timer::JobDeadline(id), id, at, |spec| spec.deadline, outcome) {
            return;
        }
        let before = outcome.facts.len();
        self.note(Fact::Job(id, JobEvent::DeadlinePassed), at, outcome);
        if outcome.facts.len() > before {
            self.note(Fact::Queue(QueueEvent::Withdrawn { jobs: vec![id] }), at, outcome);
        }
    }

    fn session_event(&mut self, id: SessionId, event: &SessionEvent, at: Timestamp, outcome: &mut Outcome) {
        let policy = self.policy;
        let mut turn = Turn::new(at, policy);
        if matches!(event, SessionEvent::Opened { .. }) && !self.sessions.contains_key(&id) {
            let mut machine = Session::new(id).state_machine();
            machine.init_with_context(&mut turn);
            self.sessions.insert(id, machine);
        }
        let Some(machine) = self.sessions.get_mut(&id) else {
            outcome.turned_down = Some(Rejected {
                state: "closed",
                event: event.into(),
                reason: format!("there is no session {id}"),
                hint: None,
                not_pausable: false,
            });
            return;
        };
        machine.handle_with_context(event, &mut turn);
        let state = machine.state().name();
        if matches!(machine.state(), session::State::Closed {}) {
            self.sessions.remove(&id);
        }
        outcome.effects.append(&mut turn.effects);
        outcome.turned_down = turn.rejected.map(|rejected| Rejected { state, ..rejected });
    }

    /// What a restart means: the active job is over, the queue waits for somebody to look, timers run.
    fn restarted(&mut self, last: LastSeen, at: Timestamp, outcome: &mut Outcome) {
        if let queue::State::Blocked { .. } = self.kept.queue.state() {
            self.note(Fact::Queue(QueueEvent::EngineBack), at, outcome);
        }
        let interrupted = self.kept.queue.active;
        if let Some(id) = interrupted {
            let why = "the server stopped while the job was running".to_owned();
            let LastSeen { at: last_seen, output_tail } = last;
            self.note(Fact::Job(id, JobEvent::Interrupted { why, last_seen, output_tail }), at, outcome);
            let then = self.restart_hold(Some(id));
            self.note(Fact::Queue(QueueEvent::ActiveEnded { then }), at, outcome);
        } else if !self.kept.queue.order.is_empty()
            && !matches!(self.kept.queue.state(), queue::State::Held { .. })
            && let Some(hold) = self.restart_hold(None)
        {
            self.note(Fact::Queue(QueueEvent::HoldAsked(hold)), at, outcome);
        }
        for machine in self.kept.jobs.values() {
            let id = machine.id;
            for (timer, time) in [
                (Timer::JobNotBefore(id), machine.spec.not_before),
                (Timer::JobDeadline(id), machine.spec.deadline),
            ] {
                if let Some(time) = time {
                    outcome.effects.push(Effect::SetTimer { timer, due: Due::At(time) });
                }
            }
        }
    }

    fn restart_hold(&self, interrupted: Option<JobId>) -> Option<Hold> {
        if self.policy.after_restart == QueuePolicy::Continue {
            return None;
        }
        let why = match interrupted {
            Some(id) => format!("the server was restarted while job {id} was running"),
            None => "the server was restarted".into(),
        };
        Some(Hold { by: SERVER.into(), why })
    }

    fn close(&mut self, abort_active: bool, at: Timestamp, outcome: &mut Outcome) {
        self.closing = true;
        if let Some(id) = self.kept.queue.active.filter(|_| abort_active) {
            let why = Some("the server was stopped".to_owned());
            self.note(Fact::Job(id, JobEvent::AbortAsked { why }), at, outcome);
        }
    }

    /// After every input: the next job starts if it may.
    fn start_next(&mut self, at: Timestamp, outcome: &mut Outcome) {
        if !matches!(self.kept.queue.state(), queue::State::Idle {} | queue::State::Between {}) {
            return;
        }
        self.expire_overdue(at, outcome);
        let waiting = self.kept.queue.order.iter().copied();
        let next = waiting.filter(|_| !self.closing).find(|id| self.may_start(*id, at));
        match next {
            Some(id) => {
                self.progress = Progress::default();
                self.note(Fact::Queue(QueueEvent::Taken { job: id }), at, outcome);
                self.note(Fact::Job(id, JobEvent::StartOrdered), at, outcome);
            }
            None if matches!(self.kept.queue.state(), queue::State::Between {}) => {
                self.note(Fact::Queue(QueueEvent::Settled), at, outcome);
            }
            None => {}
        }
    }

    /// A deadline can have passed unseen while the server was down, or lie in the past from the start.
    fn expire_overdue(&mut self, at: Timestamp, outcome: &mut Outcome) {
        let overdue = |job: &JobMachine| job.spec.deadline.is_some_and(|deadline| deadline <= at);
        let overdue: Vec<_> = (self.kept.queue.order.iter().copied())
            .filter(|id| self.kept.jobs.get(id).is_some_and(overdue))
            .collect();
        for id in overdue {
            self.expire(id, at, outcome);
        }
    }

    fn may_start(&self, id: JobId, at: Timestamp) -> bool {
        self.kept.jobs.get(&id).is_some_and(|job| {
            matches!(job.state(), job::State::Queued {}) && job.spec.not_before.is_none_or(|time| time <= at)
        })
    }

    /// The jobs that ended since the last call, with their final states.
    pub fn take_ended(&mut self) -> Vec<JobMachine> {
        std::mem::take(&mut self.ended)
    }

    /// A job that has not ended.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&JobMachine> {
        self.kept.jobs.get(&id)
    }

    /// The jobs that have not ended, by number.
    pub fn jobs(&self) -> impl Iterator<Item = &JobMachine> {
        self.kept.jobs.values()
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &QueueMachine {
        &self.kept.queue
    }

    /// A session that has not closed.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<&SessionMachine> {
        self.sessions.get(&id)
    }

    /// The sessions that have not closed.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionMachine> {
        self.sessions.values()
    }

    /// Where the active job is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How far the job had come that was the active one last, when it ended.
    #[must_use]
    pub fn progress_at_end(&self, id: JobId) -> Option<&Progress> {
        self.last_progress.as_ref().filter(|(last, _)| *last == id).map(|(_, progress)| progress)
    }

    /// The open question of the running script.
    #[must_use]
    pub fn prompt(&self) -> Option<&Prompt> {
        self.prompt.as_ref()
    }

    /// How far the series have come that have not ended.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<String, GroupTally> {
        &self.kept.groups
    }

    /// The highest job number given so far.
    #[must_use]
    pub fn last_job(&self) -> u64 {
        self.kept.last_job
    }

    /// Whether replay leads to the same state: what survives a restart is equal.
    #[must_use]
    pub fn same_state(&self, other: &Self) -> bool {
        self.kept == other.kept
    }
}

/// A failure that only the policy sees has no error of its own: the report says what failed.
fn blame_commands(verdict: Verdict, report: Arc<Report>) -> Arc<Report> {
    if verdict != Verdict::Failed || !report.error_type.is_empty() {
        return report;
    }
    let commands: Vec<_> = report.command_errors.iter().map(|error| error.command.as_str()).collect();
    let mut complete = Report::clone(&report);
    complete.error_type = "CommandErrors".into();
    complete.message = format!("commands failed and the script went on: {}", commands.join(", "));
    complete.hint = Some("the errors are listed with the commands that failed".into());
    Arc::new(complete)
}

/// What a running job's percentage may reach: 100 is kept for the end.
const MOST_WHILE_RUNNING: f64 = 99.9;

/// The name under which the server itself acts.
pub const SERVER: &str = "beamq";

/// One announcement of each kind says it all, since it is made of the state after the turn.
fn without_repeated_announcements(effects: Vec<Effect>) -> Vec<Effect> {
    let mut jobs = BTreeSet::new();
    let mut queue = false;
    effects
        .into_iter()
        .filter(|effect| match effect {
            Effect::Announce(Announcement::Job(id)) => jobs.insert(*id),
            Effect::Announce(Announcement::Queue) => !std::mem::replace(&mut queue, true),
            Effect::Announce(
                Announcement::Prompt(_) | Announcement::PromptSettled(..) | Announcement::Notice(_),
            )
            | Effect::Engine { .. }
            | Effect::SetTimer { .. }
            | Effect::CancelTimer(_)
            | Effect::CloseLink(_) => true,
        })
        .collect()
}
