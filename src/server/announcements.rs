//! What everybody is told: events are numbered here, kept in the journal where they cannot be had again, and sent
//! once the facts that they tell of are committed.

use std::{sync::Arc, time::Duration};

use beamq_machines::{JobId, Notice, PromptEnd, PromptId, Timestamp};
use tokio::time::Instant;

use super::{
    dispatcher::{After, Dispatcher},
    views,
};
use crate::{
    journal::EventRow,
    protocol::{EventBody, EventKind, NoticeEvent, ProgressEvent, PromptEvent, QueueEvent, Settled},
};

/// With more waiting jobs than this, the queue's order is announced at most every [`ORDER_GAP`].
const LONG_QUEUE: usize = 200;
/// The least time between two announcements of a long order.
const ORDER_GAP: Duration = Duration::from_millis(50);

impl Dispatcher {
    /// Numbers an event, to be sent after the commit.
    pub(super) fn announce(&mut self, body: EventBody, at: Timestamp) {
        let event = self.events.number(body, at);
        // What can be had again otherwise (the queue, output) is not kept beyond this process.
        if matches!(event.kind, EventKind::Job | EventKind::Engine | EventKind::Catalogue | EventKind::Notice)
        {
            self.pending.batch.events.push(EventRow {
                seq: event.seq,
                kind: event.kind.method(),
                time_ms: event.time.0,
                json: Arc::clone(&event.text),
            });
        }
        self.pending.after.push(After::Event(event));
    }

    pub(super) fn announce_prompt(&mut self, id: PromptId, at: Timestamp) {
        let Some(event) = views::open_prompt(&self.core).filter(|event| event.prompt == id) else { return };
        self.tell_prompt(&event);
        self.announce(EventBody::Prompt(event), at);
    }

    pub(super) fn announce_settled(&mut self, id: PromptId, how: PromptEnd, at: Timestamp) {
        let Some(question) = self.questions.get(&id) else { return };
        let event = PromptEvent {
            prompt: id,
            job: question.job,
            text: question.text.clone(),
            choices: None,
            default: None,
            until: None,
            settled: Some(match how {
                PromptEnd::Answered => Settled::Answered,
                PromptEnd::TimedOut => Settled::TimedOut,
                PromptEnd::Withdrawn => Settled::Withdrawn,
            }),
        };
        self.tell_prompt(&event);
        self.announce(EventBody::Prompt(event), at);
    }

    pub(super) fn announce_notice(&mut self, notice: &Notice, at: Timestamp) {
        let event = match notice {
            Notice::PausedLong { job, minutes } => NoticeEvent {
                notice: "paused_long".into(),
                text: format!("job {job} has been paused for {minutes} minutes"),
                job: Some(*job),
                minutes: Some(*minutes),
            },
            Notice::NothingToSkip { job } => NoticeEvent {
                notice: "nothing_to_skip".into(),
                text: format!("job {job} was in no wait that could be skipped"),
                job: Some(*job),
                minutes: None,
            },
        };
        self.announce(EventBody::Notice(event), at);
    }

    pub(super) fn announce_progress(&mut self, id: JobId, at: Timestamp) {
        let Some(machine) = self.core.job(id) else { return };
        let event = ProgressEvent {
            id,
            state: views::job_state(machine.state()),
            progress: self.core.progress().clone(),
            elapsed: views::elapsed(machine, at).unwrap_or_default(),
            estimate: self.live_estimate(at),
        };
        self.announce(EventBody::Progress(Box::new(event)), at);
        let finish = self.expected(id, at).finish;
        self.tell_eta(finish);
    }

    /// Something that the order of the queue shows has changed, and not the order.
    pub(super) fn queue_looks_different(&mut self) {
        self.queue_changed = true;
    }

    /// When the order of a long queue may be announced again.
    pub(super) fn order_due(&self, now: Instant) -> Instant {
        self.order_announced.map_or(now, |at| at + ORDER_GAP)
    }

    pub(super) fn announce_queue_if_due(&mut self) {
        if !self.queue_changed {
            return;
        }
        let now = Instant::now();
        let long = self.core.queue().order.len() > LONG_QUEUE;
        if long && now < self.order_due(now) {
            return;
        }
        self.queue_changed = false;
        self.order_announced = Some(now);
        let status = views::queue_status(&self.core);
        let event = QueueEvent {
            revision: status.revision,
            state: status.state,
            why: status.why,
            order: self.core.queue().order.as_slice().into(),
        };
        self.announce(EventBody::Queue(event), Self::now());
        self.forecast_queue_changed();
    }

    /// Clients would otherwise learn of the stop only when their connections end.
    pub(super) fn announce_stop(&mut self, active: Option<JobId>) {
        let text = match active {
            Some(id) if self.settings.shutdown_aborts => {
                format!("the server is being stopped: job {id} is aborted, the queue is kept")
            }
            Some(id) => format!(
                "the server is being stopped: it waits up to {} s for job {id}; the queue is kept",
                self.settings.shutdown_at_most.as_secs()
            ),
            None => "the server is being stopped; the queue is kept".to_owned(),
        };
        let event = NoticeEvent { notice: "stopping".into(), text, job: active, minutes: None };
        self.announce(EventBody::Notice(event), Self::now());
    }
}
