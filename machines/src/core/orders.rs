//! What somebody may want: each order is checked whole before the first fact is made of it.

use std::{collections::BTreeSet, sync::Arc};

use super::{Actor, Answer, Core, Fact, NewJob, Order, Outcome, Place, Refusal, Selection};
use crate::{
    effect::{PauseLevel, PromptEnd},
    ids::{JobId, PromptId},
    job::{self, JobEvent},
    queue::{Hold, QueueEvent},
    spec::JobSpec,
    time::Timestamp,
    turn::Rejected,
};

type Answered = Result<Answer, Refusal>;

impl Core {
    pub(super) fn order(
        &mut self,
        actor: &Actor,
        order: Order,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        Self::check_not_viewer(actor)?;
        match order {
            Order::Submit { jobs, place, revision } => {
                self.check_revision(revision)?;
                self.submit(actor, jobs, place, at, outcome)
            }
            Order::Edit { job, spec, held, revision } => {
                self.check_revision(revision)?;
                self.edit(actor, job, spec, held, at, outcome)
            }
            Order::HoldJobs { jobs, revision } => {
                self.check_revision(revision)?;
                self.hold_jobs(actor, &jobs, true, at, outcome)
            }
            Order::ReleaseJobs { jobs, revision } => {
                self.check_revision(revision)?;
                self.hold_jobs(actor, &jobs, false, at, outcome)
            }
            Order::Remove { jobs, lenient, revision } => {
                self.check_revision(revision)?;
                let ids =
                    if lenient { self.select_leniently(&jobs, actor) } else { self.select(&jobs, actor)? };
                Ok(self.withdraw(ids, at, outcome))
            }
            Order::Move { jobs, place, revision } => {
                self.check_revision(revision)?;
                self.move_jobs(actor, &jobs, place, at, outcome)
            }
            Order::Reorder { order, revision } => {
                Self::check_scientist(actor)?;
                self.check_revision(Some(revision))?;
                self.reorder(order, at, outcome)
            }
            Order::Clear { revision } => {
                Self::check_scientist(actor)?;
                self.check_revision(revision)?;
                Ok(self.withdraw(self.kept.queue.order.clone(), at, outcome))
            }
            Order::HoldQueue { why } => {
                let why = why.unwrap_or_else(|| "asked to hold".into());
                let hold = Hold { by: actor.user.clone(), why };
                self.queue_order(actor, QueueEvent::HoldAsked(hold), at, outcome)
            }
            Order::ReleaseQueue => self.queue_order(actor, QueueEvent::ReleaseAsked, at, outcome),
            Order::StopAfterCurrent => {
                self.queue_order(actor, QueueEvent::StopAsked { by: actor.user.clone() }, at, outcome)
            }
            Order::CancelStop => self.queue_order(actor, QueueEvent::StopCancelled, at, outcome),
            Order::Pause(level) => self.pause(actor, level, at, outcome),
            Order::CancelPause => self.run_order(actor, JobEvent::PauseCancelled, at, outcome),
            Order::Resume => self.run_order(actor, JobEvent::ResumeAsked, at, outcome),
            Order::Skip => self.run_order(actor, JobEvent::SkipAsked, at, outcome),
            Order::Abort { why } => self.run_order(actor, JobEvent::AbortAsked { why }, at, outcome),
            Order::Answer { prompt, value } => self.answer(actor, prompt, value, outcome),
        }
    }

    fn submit(
        &mut self,
        actor: &Actor,
        jobs: Vec<NewJob>,
        place: Place,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        let position = self.index_of(place, &self.kept.queue.order)?;
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        for NewJob { id, spec, held, rerun_of } in jobs {
            let owner = actor.user.clone();
            self.must(Fact::Submitted { job: id, spec, owner, rerun_of }, at, outcome)?;
            if held {
                self.must(Fact::Job(id, JobEvent::HoldAsked), at, outcome)?;
            }
        }
        if !ids.is_empty() {
            let inserted = QueueEvent::Inserted { jobs: ids.clone(), at: position };
            self.must(Fact::Queue(inserted), at, outcome)?;
        }
        Ok(Answer::Submitted { ids, position, revision: self.kept.queue.revision })
    }

    fn edit(
        &mut self,
        actor: &Actor,
        id: JobId,
        spec: Arc<JobSpec>,
        held: Option<bool>,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        self.select(&Selection::Ids(vec![id]), actor)?;
        let before = outcome.facts.len();
        if self.kept.jobs.get(&id).is_some_and(|job| job.spec != spec) {
            self.must(Fact::Job(id, JobEvent::Edited { spec }), at, outcome)?;
        }
        if let Some(held) = held {
            self.set_held(id, held, at, outcome)?;
        }
        self.amended_since(before, at, outcome)?;
        Ok(Answer::Edited { jobs: vec![id], revision: self.kept.queue.revision })
    }

    fn hold_jobs(
        &mut self,
        actor: &Actor,
        selection: &Selection,
        held: bool,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        let jobs = self.select(selection, actor)?;
        let before = outcome.facts.len();
        for id in &jobs {
            self.set_held(*id, held, at, outcome)?;
        }
        self.amended_since(before, at, outcome)?;
        Ok(Answer::Edited { jobs, revision: self.kept.queue.revision })
    }

    /// Holding a held job, or releasing one that is not, is what was wanted already.
    fn set_held(
        &mut self,
        id: JobId,
        held: bool,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let is_held = self.kept.jobs.get(&id).is_some_and(|job| matches!(job.state(), job::State::Held {}));
        if is_held == held {
            return Ok(());
        }
        let event = if held { JobEvent::HoldAsked } else { JobEvent::ReleaseAsked };
        self.must(Fact::Job(id, event), at, outcome)
    }

    /// The revision counts an edit that changed something.
    fn amended_since(&mut self, before: usize, at: Timestamp, outcome: &mut Outcome) -> Result<(), Refusal> {
        if outcome.facts.len() > before {
            self.must(Fact::Queue(QueueEvent::Amended), at, outcome)?;
        }
        Ok(())
    }

    fn withdraw(&mut self, ids: Vec<JobId>, at: Timestamp, outcome: &mut Outcome) -> Answer {
        for id in &ids {
            self.note(Fact::Job(*id, JobEvent::Removed), at, outcome);
        }
        if !ids.is_empty() {
            self.note(Fact::Queue(QueueEvent::Withdrawn { jobs: ids.clone() }), at, outcome);
        }
        Answer::Removed { ids, revision: self.kept.queue.revision }
    }

    fn move_jobs(
        &mut self,
        actor: &Actor,
        selection: &Selection,
        place: Place,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        let moving = self.select(selection, actor)?;
        let moves: BTreeSet<_> = moving.iter().copied().collect();
        let mut order: Vec<_> =
            self.kept.queue.order.iter().copied().filter(|id| !moves.contains(id)).collect();
        let index = self.index_of(place, &order)?;
        order.splice(index..index, moving);
        self.set_order(order, at, outcome)
    }

    fn reorder(&mut self, order: Vec<JobId>, at: Timestamp, outcome: &mut Outcome) -> Answered {
        let waiting: BTreeSet<_> = self.kept.queue.order.iter().copied().collect();
        let mut given = BTreeSet::new();
        let twice: Vec<_> = order.iter().copied().filter(|id| !given.insert(*id)).collect();
        let missing: Vec<_> = waiting.difference(&given).copied().collect();
        let unknown: Vec<_> = given.difference(&waiting).copied().collect();
        if !(twice.is_empty() && missing.is_empty() && unknown.is_empty()) {
            return Err(Refusal::BadOrder { missing, unknown, twice });
        }
        self.set_order(order, at, outcome)
    }

    fn set_order(&mut self, order: Vec<JobId>, at: Timestamp, outcome: &mut Outcome) -> Answered {
        if order != self.kept.queue.order {
            self.must(Fact::Queue(QueueEvent::Reordered { order }), at, outcome)?;
        }
        let queue = &self.kept.queue;
        Ok(Answer::Ordered { order: queue.order.clone(), revision: queue.revision })
    }

    fn queue_order(
        &mut self,
        actor: &Actor,
        event: QueueEvent,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        Self::check_scientist(actor)?;
        self.must(Fact::Queue(event), at, outcome)?;
        Ok(Answer::Queue { state: self.kept.queue.state().name() })
    }

    fn run_order(
        &mut self,
        actor: &Actor,
        event: JobEvent,
        at: Timestamp,
        outcome: &mut Outcome,
    ) -> Answered {
        let id = self.active_for(actor, (&event).into())?;
        self.must(Fact::Job(id, event), at, outcome)?;
        Ok(Answer::Run { state: self.state_of(id), acts: None })
    }

    fn pause(&mut self, actor: &Actor, level: PauseLevel, at: Timestamp, outcome: &mut Outcome) -> Answered {
        let id = self.active_for(actor, "pause_asked")?;
        self.must(Fact::Job(id, JobEvent::PauseAsked { level }), at, outcome)?;
        Ok(Answer::Run { state: self.state_of(id), acts: Some(self.when_it_acts(level)) })
    }

    /// When a pause will take effect, in words: `"at the next line; now in waitfor_uamps, line 14"`.
    fn when_it_acts(&self, level: PauseLevel) -> String {
        let mut text = String::from(match level {
            PauseLevel::Line => "at the next line of the script",
            PauseLevel::Point if self.policy.points_are_lines => {
                "at the next line of the script, or in a wait"
            }
            PauseLevel::Point => "at the next wait or pause point",
            PauseLevel::Now => "at once, also inside a wait that polls",
        });
        let progress = &self.progress;
        match (&progress.command, progress.line) {
            (Some(command), Some(line)) => text.push_str(&format!("; now in {command}, line {line}")),
            (Some(command), None) => text.push_str(&format!("; now in {command}")),
            (None, Some(line)) => text.push_str(&format!("; now at line {line}")),
            (None, None) => {}
        }
        text
    }

    fn active_for(&self, actor: &Actor, wanted: &'static str) -> Result<JobId, Refusal> {
        let active = self.kept.queue.active.and_then(|id| self.kept.jobs.get(&id));
        let Some(job) = active else { return Err(Refusal::NothingActive { wanted }) };
        Self::check_owner(actor, job)?;
        Ok(job.id)
    }

    fn state_of(&self, id: JobId) -> &'static str {
        self.kept.jobs.get(&id).map_or("ended", |job| job.state().name())
    }

    fn answer(
        &mut self,
        actor: &Actor,
        id: PromptId,
        value: serde_json::Value,
        outcome: &mut Outcome,
    ) -> Answered {
        let open = self.prompt.as_ref().map(|prompt| prompt.id);
        let Some(prompt) = self.prompt.as_ref().filter(|prompt| prompt.id == id) else {
            return Err(Refusal::NoSuchPrompt { prompt: id, open });
        };
        self.active_for(actor, "answer")?;
        if let Some(choices) = prompt.choices.as_ref().filter(|choices| !choices.contains(&value)) {
            return Err(Refusal::BadAnswer { choices: choices.clone() });
        }
        self.settle_prompt(PromptEnd::Answered, outcome);
        self.send_answer(id, Some(value), outcome);
        Ok(Answer::Done)
    }

    /// Records a fact that the checks before it allow, or turns the machine's word into a refusal.
    fn must(&mut self, fact: Fact, at: Timestamp, outcome: &mut Outcome) -> Result<(), Refusal> {
        self.record(fact, at, outcome).map_err(|rejected: Rejected| {
            if rejected.not_pausable { Refusal::NotPausable(rejected) } else { Refusal::WrongState(rejected) }
        })
    }
}
