//! What happened, told with NICOS's events to those who logged in with the proxy dialect.

use std::{sync::Arc, time::Duration};

use beamq_machines::{
    JobId, Timestamp,
    core::Fact,
    job::{JobEvent, JobMachine, State},
    queue::{self, QueueEvent},
};
use serde::Serialize;
use tokio::time::Instant;

use super::desk::Said;
use crate::{
    engine::OutputLine,
    protocol::{
        PromptEvent,
        proxy::{self, Prompt, StatusCode},
    },
    server::{
        dispatcher::{After, Dispatcher},
        inside::Inside,
    },
};

/// The least time between two events about nothing but the line.
const STATUS_GAP: Duration = Duration::from_millis(100);
/// An expected end that moves by less than this many milliseconds is not told anew.
const ETA_MOVED_MS: u64 = 5_000;

impl Dispatcher {
    /// Tells of facts. `ended` are the jobs that the core has just let go of.
    pub(in crate::server) fn tell_proxy_clients(
        &mut self,
        facts: &[Fact],
        ended: &[JobMachine],
        at: Timestamp,
    ) {
        for fact in facts {
            match fact {
                Fact::Submitted { job, .. } => self.tell_request("request", *job),
                Fact::Job(job, JobEvent::Edited { .. }) => self.tell_request("updated", *job),
                Fact::Job(job, JobEvent::StartOrdered) => self.tell_start(*job),
                Fact::Job(job, JobEvent::Ended { .. } | JobEvent::Interrupted { .. }) => {
                    if let Some(machine) = ended.iter().find(|machine| machine.id == *job) {
                        self.tell_end(machine, at);
                    }
                }
                // Everything else about a job shows in the status, which is told once per turn.
                Fact::Job(..) => {}
                Fact::Queue(QueueEvent::Withdrawn { jobs }) => {
                    self.proxy_event("blocked", jobs);
                    for job in jobs {
                        self.proxy.forget(*job);
                    }
                }
                Fact::Queue(QueueEvent::Reordered { .. }) => self.tell_order(),
                Fact::Queue(QueueEvent::Inserted { jobs, .. }) => {
                    // A client puts what is new at the end of its list.
                    let order = &self.core.queue().order;
                    if order.last().is_some_and(|last| !jobs.contains(last)) {
                        self.tell_order();
                    }
                }
                Fact::Queue(
                    QueueEvent::Amended
                    | QueueEvent::Taken { .. }
                    | QueueEvent::ActiveEnded { .. }
                    | QueueEvent::Settled
                    | QueueEvent::HoldAsked(_)
                    | QueueEvent::ReleaseAsked
                    | QueueEvent::StopAsked { .. }
                    | QueueEvent::StopCancelled
                    | QueueEvent::EngineLost { .. }
                    | QueueEvent::EngineBack,
                ) => {}
            }
        }
    }

    fn tell_order(&mut self) {
        if self.clients.hears("rearranged") {
            let order = self.core.queue().order.clone();
            self.proxy_event("rearranged", &order);
        }
    }

    fn tell_request(&mut self, name: &'static str, job: JobId) {
        if !self.clients.hears(name) {
            return;
        }
        if let Some(machine) = self.core.job(job) {
            let text = self.proxy.request(machine).json();
            self.send_to_proxy(name, proxy::event_of(name, &text));
        }
    }

    fn tell_start(&mut self, job: JobId) {
        let Some(machine) = self.core.job(job) else { return };
        self.proxy.last.spec = Some(Arc::clone(&machine.spec));
        self.proxy.last.failed = false;
        self.tell_request("processing", job);
        self.proxy.eta = None;
        self.proxy_event("eta", &proxy::eta(None));
        self.tell_status((StatusCode::Running, -1));
    }

    /// When the running script is expected to end: `eta` with NICOS's number of a simulation that went well.
    pub(in crate::server) fn tell_eta(&mut self, finish: Option<Timestamp>) {
        let moved = match (self.proxy.eta, finish) {
            (Some(told), Some(finish)) => told.0.abs_diff(finish.0) >= ETA_MOVED_MS,
            (told, finish) => told.is_some() != finish.is_some(),
        };
        if moved {
            self.proxy.eta = finish;
            self.proxy_event("eta", &proxy::eta(finish));
        }
    }

    fn tell_end(&mut self, machine: &JobMachine, at: Timestamp) {
        let state = machine.state();
        let success = matches!(state, State::Succeeded {} | State::SucceededWithErrors {});
        let aborted = matches!(state, State::Aborted {});
        self.proxy.last.failed = !success;
        if let Some(report) = &machine.report {
            let report = Arc::clone(report);
            self.say(Said::Ended { job: machine.id, time_ms: at.0, report, aborted });
        }
        self.tell_status((if success { StatusCode::Idle } else { StatusCode::IdleAfterError }, -1));
        if self.clients.hears("done") {
            let request = self.proxy.request(machine).json();
            let request = request.strip_suffix('}').unwrap_or_default();
            self.send_to_proxy(
                "done",
                proxy::event_of("done", &format!("{request},\"success\":{success}}}")),
            );
        }
        self.proxy.forget(machine.id);
        if let Some(release) = self.proxy.release_after.take_if(|release| release.job == machine.id) {
            self.to_self.send(Inside::ProxyStopped { session: release.session, actor: release.actor }).ok();
        }
    }

    /// Lines that a script wrote.
    pub(in crate::server) fn tell_lines(&mut self, job: JobId, lines: &Arc<Vec<OutputLine>>) {
        self.say(Said::Lines(job, Arc::clone(lines)));
    }

    fn say(&mut self, said: Said) {
        if self.clients.hears("message") {
            for message in said.messages() {
                self.send_to_proxy("message", proxy::event_of("message", &message));
            }
        }
        self.proxy.remember(said);
    }

    /// A question of the running script, or that it was settled.
    pub(in crate::server) fn tell_prompt(&mut self, event: &PromptEvent) {
        let uid = event.prompt.to_string();
        if event.settled.is_some() {
            self.proxy_event("promptdone", &[uid]);
            return;
        }
        let prompt = Prompt {
            text: event.text.clone(),
            uid,
            choices: event.choices.clone(),
            validator: self.questions.get(&event.prompt).and_then(|question| question.validator.clone()),
            default: event.default.clone(),
        };
        self.proxy_event("prompt", &prompt);
    }

    /// Tells the status if it has changed: at once when the code has, the line at most ten times a second.
    pub(in crate::server) fn tell_status_if_due(&mut self) {
        self.proxy.status_due = None;
        let status = self.proxy_status();
        match self.proxy.status_told {
            Some(told) if told == status => {}
            Some((code, _)) if code == status.0 => {
                let due = self.proxy.status_told_at.map(|at| at + STATUS_GAP);
                match due.filter(|due| *due > Instant::now()) {
                    Some(due) if self.clients.hears("status") => self.proxy.status_due = Some(due),
                    Some(_) => {}
                    None => self.tell_status(status),
                }
            }
            Some(_) => self.tell_status(status),
            // Nothing was told and nothing has happened: a client asks for the first status itself.
            None if status == (StatusCode::Idle, -1) => {}
            None => self.tell_status(status),
        }
    }

    fn tell_status(&mut self, status: (StatusCode, i64)) {
        self.proxy.status_told = Some(status);
        self.proxy.status_told_at = Some(Instant::now());
        self.proxy_event("status", &(status.0 as i8, status.1));
    }

    pub(in crate::server) fn proxy_event(&mut self, name: &'static str, payload: &impl Serialize) {
        if self.clients.hears(name) {
            self.send_to_proxy(name, proxy::event(name, payload));
        }
    }

    fn send_to_proxy(&mut self, name: &'static str, text: Arc<str>) {
        self.pending.after.push(After::ProxyEvent(name, text));
    }

    /// Whether the server itself holds the queue.
    pub(super) fn held_by_server(&self) -> bool {
        match self.core.queue().state() {
            queue::State::Held { hold } => hold.by == beamq_machines::core::SERVER,
            queue::State::Idle {}
            | queue::State::Busy {}
            | queue::State::Between {}
            | queue::State::Draining { .. }
            | queue::State::Blocked { .. } => false,
        }
    }
}
