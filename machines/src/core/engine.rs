//! What an engine reports, and what follows for its job and the queue.

use super::*;

impl Core {
    pub(super) fn engine(&mut self, id: JobId, notice: EngineNotice, at: Timestamp, outcome: &mut Outcome) {
        match notice {
            EngineNotice::Started => self.note(Fact::Job(id, JobEvent::Started), at, outcome),
            EngineNotice::Progress(progress) => self.observe(id, progress),
            EngineNotice::Paused(line) => {
                self.stands_at(id, line);
                self.note(Fact::Job(id, JobEvent::Paused { line }), at, outcome);
            }
            EngineNotice::PausedElsewhere(line) => {
                self.stands_at(id, line);
                self.note(Fact::Job(id, JobEvent::PausedElsewhere { line }), at, outcome);
            }
            EngineNotice::ResumedElsewhere => {
                self.note(Fact::Job(id, JobEvent::ResumedElsewhere), at, outcome);
            }
            EngineNotice::Skipped(what) => self.note(Fact::Job(id, JobEvent::Skipped { what }), at, outcome),
            EngineNotice::Asked(prompt) => self.ask(id, prompt, at, outcome),
            EngineNotice::AskedNoMore => {
                if self.kept.queue.active == Some(id) {
                    self.settle_prompt(PromptEnd::Withdrawn, outcome);
                }
            }
            EngineNotice::Ended { ending, errors, report } => {
                let verdict = match (ending, errors, self.policy.command_errors) {
                    (Ending::Failed, ..) | (Ending::Completed, true, CommandErrorPolicy::Fail) => {
                        Verdict::Failed
                    }
                    (Ending::Completed, true, CommandErrorPolicy::Mark) => Verdict::SucceededWithErrors,
                    (Ending::Completed, ..) => Verdict::Succeeded,
                };
                let report = self.complete_report(id, verdict, report);
                self.end_active(id, JobEvent::Ended { verdict, report }, at, outcome);
            }
            EngineNotice::Lost { why } => {
                let event = JobEvent::Interrupted { why, last_seen: None, output_tail: Vec::new() };
                self.end_active(id, event, at, outcome);
            }
        }
    }

    fn stands_at(&mut self, id: JobId, line: Option<u32>) {
        if line.is_some() && self.kept.queue.active == Some(id) {
            self.progress.line = line;
        }
    }

    /// What only the core knows about a job's end: that it was its time that was up, or somebody's wish.
    pub(super) fn complete_report(&self, id: JobId, verdict: Verdict, report: Arc<Report>) -> Arc<Report> {
        use job::{AbortCause, State};
        let Some(machine) = self.kept.jobs.get(&id) else { return report };
        let (State::Asked { cause } | State::Terminating { cause } | State::Killing { cause }) =
            machine.state()
        else {
            return blame_commands(verdict, report);
        };
        let mut complete = Report::clone(&report);
        match cause {
            AbortCause::TimedOut => {
                let limit = machine.spec.timeout_ms.map(Duration::from_millis).or(self.policy.job_timeout);
                complete.error_type = "TimeoutError".into();
                complete.message = match limit {
                    Some(limit) => {
                        format!("the job ran longer than its time limit of {} s", limit.as_secs_f64())
                    }
                    None => "the job ran longer than its time limit".into(),
                };
                complete.phase = crate::report::Phase::Killed;
                complete.hint = Some("give the job a longer timeout, or make it shorter".into());
            }
            AbortCause::Asked => {
                complete.error_type = "Aborted".into();
                complete.message = match &machine.abort_why {
                    Some(why) => why.clone(),
                    None => "aborted on request".into(),
                };
                complete.hint = None;
            }
        }
        Arc::new(complete)
    }

    pub(super) fn observe(&mut self, id: JobId, mut progress: Progress) {
        if self.kept.queue.active != Some(id) {
            return;
        }
        // The percentage never falls, and 100 is kept for the end.
        let before = self.progress.percent;
        match progress.percent.filter(|now| !now.is_nan()) {
            Some(now) => progress.percent = Some(now.clamp(before.unwrap_or(0.0), MOST_WHILE_RUNNING)),
            None => {
                progress.percent = before;
                if before.is_some() {
                    progress.basis = self.progress.basis;
                }
            }
        }
        self.progress = progress;
    }

    pub(super) fn ask(&mut self, id: JobId, mut prompt: Prompt, at: Timestamp, outcome: &mut Outcome) {
        if self.kept.queue.active != Some(id) {
            return;
        }
        // A script with several threads may ask again before it has its answer: there is one question at
        // a time, and the earlier one ends as if its time were up.
        if let Some(earlier) = self.settle_prompt(PromptEnd::Withdrawn, outcome) {
            self.send_answer(earlier.id, earlier.default, outcome);
        }
        let wait = prompt.timeout_ms.map_or(self.policy.prompt_timeout, Duration::from_millis);
        prompt.until = at.after(wait);
        let timer = Timer::PromptTimeout(prompt.id);
        outcome.effects.push(Effect::SetTimer { timer, due: Due::After(wait) });
        outcome.effects.push(Effect::Announce(Announcement::Prompt(prompt.id)));
        self.prompt = Some(prompt);
    }

    pub(super) fn settle_prompt(&mut self, how: PromptEnd, outcome: &mut Outcome) -> Option<Prompt> {
        let prompt = self.prompt.take()?;
        outcome.effects.push(Effect::CancelTimer(Timer::PromptTimeout(prompt.id)));
        outcome.effects.push(Effect::Announce(Announcement::PromptSettled(prompt.id, how)));
        Some(prompt)
    }

    pub(super) fn end_active(&mut self, id: JobId, event: JobEvent, at: Timestamp, outcome: &mut Outcome) {
        let pause_was_pending =
            self.kept.jobs.get(&id).is_some_and(|job| matches!(job.state(), job::State::Pausing { .. }));
        let name = self.kept.jobs.get(&id).map(|job| job.spec.name.clone()).unwrap_or_default();
        if let Err(rejected) = self.record(Fact::Job(id, event), at, outcome) {
            outcome.turned_down = Some(rejected);
            return;
        }
        self.settle_prompt(PromptEnd::Withdrawn, outcome);
        self.last_progress = Some((id, std::mem::take(&mut self.progress)));
        let then = match self.ended.last().map(JobMachine::state) {
            Some(job::State::Interrupted {}) => Some(format!("job {id} ({name}) was interrupted")),
            _ if pause_was_pending => {
                Some(format!("job {id} ({name}) came to its end before the pause that was asked took effect"))
            }
            Some(job::State::Failed {}) if self.policy.after_failure == QueuePolicy::Hold => {
                Some(format!("job {id} ({name}) failed"))
            }
            Some(job::State::Aborted {}) if self.policy.after_abort == QueuePolicy::Hold => {
                Some(format!("job {id} ({name}) was aborted"))
            }
            _ => None,
        };
        let then = then.map(|why| Hold { by: SERVER.into(), why });
        self.note(Fact::Queue(QueueEvent::ActiveEnded { then }), at, outcome);
    }

    pub(super) fn engine_available(
        &mut self,
        available: Result<(), String>,
        at: Timestamp,
        outcome: &mut Outcome,
    ) {
        let blocked = match self.kept.queue.state() {
            queue::State::Blocked { why, .. } => Some(why),
            queue::State::Idle {}
            | queue::State::Busy {}
            | queue::State::Between {}
            | queue::State::Draining { .. }
            | queue::State::Held { .. } => None,
        };
        // An engine may say the same again.
        let event = match (available, blocked) {
            (Ok(()), Some(_)) => QueueEvent::EngineBack,
            (Err(why), Some(known)) if why == *known => return,
            (Err(why), _) => QueueEvent::EngineLost { why },
            (Ok(()), None) => return,
        };
        self.note(Fact::Queue(event), at, outcome);
    }

    pub(super) fn send_answer(
        &self,
        prompt: crate::ids::PromptId,
        value: Option<serde_json::Value>,
        outcome: &mut Outcome,
    ) {
        if let Some(job) = self.kept.queue.active {
            outcome.effects.push(Effect::Engine { job, order: EngineOrder::Answer { prompt, value } });
        }
    }
}
