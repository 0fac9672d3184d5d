//! Between the loop and the engine: what the core orders becomes calls, and what the engine tells becomes inputs.

use std::sync::Arc;

use beamq_machines::{
    EngineOrder, JobBody, JobId, PromptId, Timestamp,
    core::{EngineNotice, Input},
};

use super::{
    dispatcher::{After, Dispatcher},
    inside::Inside,
};
use crate::{
    catalogue::python,
    engine::{EngineCall, EngineEvent, EngineState, JobStart, Question},
    journal::OutputRow,
    protocol::{EventBody, OutputEvent, view::EngineStatus},
};

/// A question of a script that waits for its answer.
#[derive(Debug)]
pub(super) struct OpenQuestion {
    pub(super) job: JobId,
    /// The number that the engine gave it.
    number: u64,
    pub(super) text: String,
    /// What NICOS says of the answers that it takes.
    pub(super) validator: Option<serde_json::Value>,
}

impl Dispatcher {
    pub(super) fn want_of_engine(&mut self, job: JobId, order: EngineOrder) {
        let call = match order {
            EngineOrder::Start => match self.job_start(job) {
                Some(start) => EngineCall::Start(Box::new(start)),
                None => {
                    let why = "the job has no script that this engine can run".to_owned();
                    self.to_self.send(Inside::EngineLost(job, why)).ok();
                    return;
                }
            },
            EngineOrder::Pause(level) => EngineCall::Pause(job, level),
            EngineOrder::CancelPause => EngineCall::CancelPause(job),
            EngineOrder::Resume => EngineCall::Resume(job),
            EngineOrder::Skip => EngineCall::Skip(job),
            EngineOrder::Abort(stage) => EngineCall::Abort(job, stage),
            EngineOrder::Answer { prompt, value } => {
                let Some(question) = self.questions.get(&prompt) else { return };
                EngineCall::Answer(job, PromptId(question.number), value)
            }
        };
        self.pending.after.push(After::Engine(call));
    }

    fn job_start(&self, id: JobId) -> Option<JobStart> {
        let machine = self.core.job(id)?;
        let spec = &machine.spec;
        let (source, black_box) = match &spec.body {
            JobBody::Script { source, black_box } => (Arc::clone(source), *black_box),
            JobBody::Commands(calls) => (python::source_of_calls(calls).into(), false),
        };
        Some(JobStart {
            job: id,
            name: spec.name.clone(),
            owner: machine.owner.clone(),
            tags: spec.tags.clone(),
            group: spec.group.clone(),
            source,
            black_box,
        })
    }

    pub(super) fn engine_event(&mut self, event: EngineEvent) {
        let at = Self::now();
        match event {
            EngineEvent::State(state, detail) => self.engine_state(state, detail, at),
            EngineEvent::Started(job) => self.notice(job, EngineNotice::Started),
            EngineEvent::Progress(job, progress) => {
                self.progressed(job, progress, at);
                self.announce_progress(job, at);
            }
            EngineEvent::Calls(job, calls) => self.calls_so_far(job, &calls, at),
            EngineEvent::Paused(job, line) => self.notice(job, EngineNotice::Paused(line)),
            EngineEvent::PausedElsewhere(job, line) => self.notice(job, EngineNotice::PausedElsewhere(line)),
            EngineEvent::ResumedElsewhere(job) => self.notice(job, EngineNotice::ResumedElsewhere),
            EngineEvent::ExpectedEnd(job, end) => self.expects_end(job, end, at),
            EngineEvent::Resumed(job) => tracing::debug!(%job, "a pause did not take effect"),
            EngineEvent::Skipped(job, what) => self.notice(job, EngineNotice::Skipped(what)),
            EngineEvent::Asked(job, question) => self.asked(job, question),
            EngineEvent::AskedNoMore(job) => self.notice(job, EngineNotice::AskedNoMore),
            EngineEvent::Output { job, lines, dropped } => {
                self.tell_lines(job, &lines);
                self.pending.batch.output.push(OutputRow { job: job.0, lines: Arc::clone(&lines), dropped });
                let event = OutputEvent {
                    job,
                    lines: lines.iter().map(Into::into).collect(),
                    dropped: (dropped > 0).then_some(dropped),
                };
                self.announce(EventBody::Output(event), at);
            }
            EngineEvent::Ended(job, end) => {
                let errors = !end.command_errors.is_empty();
                let report = Arc::new(end.report);
                self.note_calls(end.calls);
                self.notice(job, EngineNotice::Ended { ending: end.ending, errors, report });
                self.questions.clear();
            }
            EngineEvent::Lost(job, why) => {
                self.notice(job, EngineNotice::Lost { why });
                self.questions.clear();
            }
        }
    }

    pub(super) fn engine_lives(&self) -> bool {
        self.engine_lives
    }

    /// The engine's task ended without being asked to, which only a fault of ours can cause.
    pub(super) fn engine_died(&mut self) {
        self.engine_lives = false;
        let why = "the engine has stopped working: restart the server, and report its log".to_owned();
        tracing::error!("the engine's task has ended");
        if let Some(job) = self.core.queue().active {
            self.notice(job, EngineNotice::Lost { why: why.clone() });
        }
        self.engine_state(EngineState::Unavailable, Some(why), Self::now());
    }

    fn notice(&mut self, job: JobId, notice: EngineNotice) {
        self.turn(Input::Engine(job, notice));
    }

    fn engine_state(&mut self, state: EngineState, detail: Option<String>, at: Timestamp) {
        let status = EngineStatus { state, detail, kind: self.engine_status.kind.clone() };
        if status == self.engine_status {
            return;
        }
        let available = match status.state {
            EngineState::Starting | EngineState::Ready => Ok(()),
            EngineState::Unavailable => {
                Err(status.detail.clone().unwrap_or_else(|| "the engine cannot run anything".into()))
            }
        };
        self.engine_status = status.clone();
        self.announce(EventBody::Engine(status), at);
        self.turn(Input::EngineAvailable(available));
    }

    fn asked(&mut self, job: JobId, question: Question) {
        self.next_prompt += 1;
        let id = PromptId(self.next_prompt);
        let Question { number, text, choices, validator, default, timeout } = question;
        self.questions.insert(id, OpenQuestion { job, number, text: text.clone(), validator });
        let prompt = beamq_machines::core::Prompt {
            id,
            text,
            choices,
            default,
            timeout_ms: timeout.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            until: Timestamp::default(),
        };
        self.notice(job, EngineNotice::Asked(prompt));
    }
}
