//! The events of NICOS, and the end of our script.

use beamq_machines::JobId;
use serde_json::Value;
use tokio::time::Instant;

use super::{Foreign, LOOK_CLOSELY, Supervisor};
use crate::{
    engine::{
        EngineEvent,
        nicos::{
            message::Message,
            run::{Finish, Run},
        },
    },
    nicos::NicosEvent,
    wire::nicos::Event,
};

impl Supervisor {
    pub(super) async fn event(&mut self, event: &NicosEvent) {
        let value = match event.value() {
            Ok(value) => value,
            Err(error) => {
                tracing::warn!(event = event.event.name(), %error, "an event of NICOS cannot be read");
                if event.event == Event::Message
                    && let Some(run) = &mut self.run
                {
                    run.record.take_note(&format!("a message of NICOS cannot be shown: {error}"));
                }
                return;
            }
        };
        match event.event {
            Event::Message => {
                if let Some(message) = Message::read(&value)
                    && let Some(run) = &mut self.run
                    && run.is(message.request.as_deref())
                {
                    run.message(message);
                }
            }
            Event::Processing => self.processing(&value).await,
            Event::Updated => {
                let id = value.get("reqid").and_then(Value::as_str);
                if let Some(run) = self.run.as_mut().filter(|run| run.is(id)) {
                    run.is_told(&value);
                }
            }
            Event::Done => self.done(&value).await,
            Event::Blocked => {
                let lists = |request: &str| {
                    value.as_array().is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(request)))
                };
                let ours = self.run.as_ref().and_then(|run| run.request.as_deref()).is_some_and(lists);
                if ours && let Some(mut run) = self.run.take() {
                    let finish = run.thrown_away();
                    self.finish(run, finish).await;
                }
            }
            Event::Prompt => {
                // What it has written is often what the question is about.
                if let Some(run) = &mut self.run {
                    run.tell_written().await;
                }
                self.tell_of_run(|run| run.has_begun().then(|| run.asks(&value))?).await;
            }
            Event::PromptDone => {
                let id = value.get(0).and_then(Value::as_str).unwrap_or_default();
                self.tell_of_run(|run| run.question_settled(id)).await;
            }
            Event::Eta => {
                self.tell_of_run(|run| run.has_begun().then(|| run.may_end(&value))).await;
            }
            _ => {}
        }
    }

    async fn tell_of_run(&mut self, what: impl FnOnce(&mut Run) -> Option<EngineEvent>) {
        if let Some(event) = self.run.as_mut().and_then(what) {
            self.tell(event).await;
        }
    }

    async fn processing(&mut self, request: &Value) {
        self.told_of_script = Instant::now();
        let text = |key: &str| request.get(key).and_then(Value::as_str).map(str::to_owned);
        let id = text("reqid");
        if let Some(run) = self.run.as_mut().filter(|run| run.is(id.as_deref())) {
            run.is_told(request);
            self.look_at = Instant::now();
            self.tell_of_run(Run::begins).await;
        } else {
            self.foreign = Some(Foreign { request: id, name: text("name"), user: text("user"), idle: 0 });
        }
    }

    async fn done(&mut self, request: &Value) {
        self.told_of_script = Instant::now();
        let id = request.get("reqid").and_then(Value::as_str);
        let success = request.get("success").and_then(Value::as_bool).unwrap_or(false);
        if self.foreign.as_ref().is_some_and(|foreign| foreign.request.as_deref() == id) {
            self.foreign = None;
            self.look_at = Instant::now();
        }
        if let Some(mut run) = self.run.take_if(|run| run.is(id)) {
            self.ended = run.request.clone();
            let finish = run.ended(success);
            self.finish(run, finish).await;
        }
    }

    pub(super) async fn finish(&mut self, mut run: Run, finish: Finish) {
        self.away = None;
        self.look_at = Instant::now() + LOOK_CLOSELY;
        run.tell_written().await;
        let job = run.job();
        if matches!(finish, Finish::KilledThread(_)) {
            self.thread_dead = true;
        }
        let tail = run.record.into_tail();
        let finish = match finish {
            Finish::Ended(mut end) | Finish::KilledThread(mut end) => {
                end.report.output_tail = tail;
                Finish::Ended(end)
            }
            Finish::Lost(why) => Finish::Lost(why),
        };
        // Before the end of its job, so that the next one does not come first.
        self.tell_state().await;
        self.tell_finish(job, finish).await;
    }

    pub(super) async fn tell_finish(&self, job: JobId, finish: Finish) {
        self.tell(match finish {
            Finish::Ended(end) | Finish::KilledThread(end) => EngineEvent::Ended(job, end),
            Finish::Lost(why) => EngineEvent::Lost(job, why),
        })
        .await;
    }
}
