//! The loop: the one task that owns the machines.
//!
//! It takes whatever has happened, lets the core turn it into facts and effects, commits the facts, and
//! only then carries out the effects. Inputs that come while a commit is under way share the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use beamq_machines::{
    Announcement, Effect, PromptId, SessionId, Timer, Timestamp,
    core::{Answer, Core, EngineNotice, Input, LastSeen, Outcome, Refusal},
    session::SessionEvent,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    catalogue::InForce,
    clients::{Clients, ReplyTo},
    engine_events::OpenQuestion,
    event_log::{EventLog, Numbered},
    findings::Findings,
    forecast::ForecastDesk,
    inside::Inside,
    meanwhile::{DELAYED, Meanwhile},
    metrics::Metrics,
    proxy::ProxyDesk,
    timers::Timers,
    views,
};
use crate::{
    catalogue::Catalogue,
    engine::{EngineCall, EngineLink, EngineState},
    journal::{Batch, FactRow, Journal, JournalError},
    protocol::{
        Decoded, EventBody, JobEvent, RpcError,
        view::{EngineStatus, JobView},
    },
    transport::{self, Committed, Delivery},
};

/// How many inputs at most share one commit, so that nobody waits for a flood of others.
const INPUTS_PER_TURN: usize = 512;

/// What the loop is made of.
pub(super) struct Dispatcher {
    pub(super) core: Core,
    pub(super) journal: Journal,
    pub(super) clients: Clients,
    pub(super) events: EventLog,
    pub(super) settings: super::Settings,
    pub(super) engine_status: EngineStatus,
    pub(super) in_force: InForce,
    pub(super) pending: Pending,
    pub(super) to_self: mpsc::UnboundedSender<Inside>,
    pub(super) started: Instant,
    pub(super) closing: Option<Closing>,
    pub(super) proxy: ProxyDesk,
    pub(super) metrics: Metrics,
    pub(super) forecast: ForecastDesk,
    pub(super) engine: EngineLink,
    pub(super) engine_lives: bool,
    doors: transport::Clients,
    timers: Timers,
    fact_seq: u64,
    pub(super) next_prompt: u64,
    pub(super) questions: BTreeMap<PromptId, OpenQuestion>,
    pub(super) queue_changed: bool,
    pub(super) order_announced: Option<Instant>,
    pub(super) meanwhile: Meanwhile,
}

/// How the server is being stopped.
#[derive(Debug)]
pub(super) struct Closing {
    /// When the active job has to be gone.
    pub(super) at_most: Instant,
}

/// What waits for the next commit.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) after: Vec<After>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.after.is_empty()
    }

    /// Whether a timer that comes due now was stopped or set anew by what has happened in this turn: it is not the
    /// one that the machines wait for any more.
    fn replaces(&self, timer: Timer) -> bool {
        let is_about = |step: &After| matches!(step, After::SetTimer(other, _) | After::CancelTimer(other) if *other == timer);
        self.after.iter().any(is_about)
    }
}

/// What is done once the facts are committed.
pub(super) enum After {
    Reply(ReplyTo, Arc<str>),
    Engine(EngineCall),
    SetTimer(Timer, beamq_machines::Due),
    CancelTimer(Timer),
    Event(Numbered),
    /// An event of the proxy dialect, by name.
    ProxyEvent(&'static str, Arc<str>),
    CloseLink(SessionId),
    /// The transport may forget the message.
    Committed(Committed),
    /// A reading that must see what this turn committed.
    Read(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Dispatcher {
    #[expect(clippy::too_many_arguments, reason = "each part is made by the one who assembles the server")]
    pub(super) fn new(
        core: Core,
        journal: Journal,
        fact_seq: u64,
        event_seq: u64,
        engine: EngineLink,
        doors: transport::Clients,
        settings: super::Settings,
        catalogue: Arc<Catalogue>,
        to_self: mpsc::UnboundedSender<Inside>,
        metrics: Metrics,
        forecast: ForecastDesk,
    ) -> Self {
        let engine_status =
            EngineStatus { kind: settings.engine_kind.into(), state: EngineState::Starting, detail: None };
        Self {
            core,
            journal,
            clients: Clients::default(),
            events: EventLog::after(event_seq),
            settings,
            engine_status,
            in_force: InForce { catalogue, findings: Findings::default() },
            pending: Pending::default(),
            to_self,
            started: Instant::now(),
            closing: None,
            proxy: ProxyDesk::default(),
            metrics,
            forecast,
            engine,
            engine_lives: true,
            doors,
            timers: Timers::default(),
            fact_seq,
            next_prompt: 0,
            questions: BTreeMap::new(),
            queue_changed: false,
            order_announced: None,
            meanwhile: Meanwhile::default(),
        }
    }

    /// Runs until the server is stopped and the active job is gone.
    pub(super) async fn run(
        mut self,
        last_seen: LastSeen,
        mut deliveries: mpsc::Receiver<Delivery>,
        mut inside: mpsc::UnboundedReceiver<Inside>,
        mut stop: watch::Receiver<bool>,
    ) {
        self.turn(Input::Restarted(last_seen));
        self.examine_waiting();
        self.forecast_queue_changed();
        self.settle(&mut deliveries, &stop).await;
        while !self.finished() {
            // What came during the commit goes first, before what its senders have sent since.
            let delayed = std::mem::take(&mut self.meanwhile.delayed);
            let wake =
                if delayed.is_empty() && self.pending.is_empty() { self.next_wake() } else { Instant::now() };
            for delivery in delayed {
                self.delivered(delivery);
            }
            tokio::select! {
                Some(delivery) = deliveries.recv() => self.delivered(delivery),
                event = self.engine.events.recv(), if self.engine_lives => match event {
                    Some(event) => self.engine_event(event),
                    None => self.engine_died(),
                },
                Some(message) = inside.recv() => self.heard_inside(message),
                Ok(()) = stop.changed(), if self.closing.is_none() => self.begin_to_close(),
                () = tokio::time::sleep_until(wake) => {}
            }
            for _ in 0..INPUTS_PER_TURN {
                if let Ok(event) = self.engine.events.try_recv() {
                    self.engine_event(event);
                } else if let Ok(message) = inside.try_recv() {
                    self.heard_inside(message);
                } else if let Ok(delivery) = deliveries.try_recv() {
                    self.delivered(delivery);
                } else {
                    break;
                }
            }
            self.timers_due();
            self.forecast_tick();
            self.settle(&mut deliveries, &stop).await;
        }
        self.close(&mut deliveries, &stop).await;
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let order = self.queue_changed.then(|| self.order_due(Instant::now()));
        let closing = self.closing.as_ref().map(|closing| closing.at_most);
        let tick = self.next_forecast_tick();
        [self.timers.next(), order, closing, self.proxy.status_due, tick]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(far)
    }

    /// The wall clock. The machines get the time from here and nowhere else.
    pub(super) fn now() -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Lets the core handle an input and notes what follows.
    pub(super) fn turn(&mut self, input: Input) -> Option<Result<Answer, Refusal>> {
        let at = Self::now();
        let Outcome { facts, effects, answer, turned_down } = self.core.handle(input, at);
        if let Some(rejected) = turned_down {
            tracing::debug!(state = rejected.state, event = rejected.event, reason = %rejected.reason, "turned down");
        }
        let ended = self.core.take_ended();
        self.tell_proxy_clients(&facts, &ended, at);
        for fact in facts {
            self.fact_seq += 1;
            // Facts are made of texts and numbers, which can always be written.
            let json = serde_json::to_string(&fact).unwrap_or_default();
            self.pending.batch.facts.push(FactRow { seq: self.fact_seq, time_ms: at.0, json });
        }
        for machine in &ended {
            self.in_force.findings.forget(machine.id);
            self.metrics.job_ended(machine);
        }
        for machine in &ended {
            let promised = self.promised(machine);
            self.pending.batch.jobs.push(views::history_row(&self.core, machine, promised));
        }
        for effect in effects {
            self.want(effect, &ended, at);
        }
        for machine in &ended {
            self.keep_durations(machine, at);
        }
        answer
    }

    fn want(&mut self, effect: Effect, ended: &[beamq_machines::job::JobMachine], at: Timestamp) {
        match effect {
            Effect::Engine { job, order } => self.want_of_engine(job, order),
            Effect::SetTimer { timer, due } => self.pending.after.push(After::SetTimer(timer, due)),
            Effect::CancelTimer(timer) => self.pending.after.push(After::CancelTimer(timer)),
            Effect::CloseLink(session) => self.pending.after.push(After::CloseLink(session)),
            Effect::Announce(Announcement::Queue) => self.queue_changed = true,
            Effect::Announce(Announcement::Job(id)) => {
                let view = match ended.iter().find(|machine| machine.id == id) {
                    Some(machine) => {
                        let estimate = self.promised(machine);
                        Some(JobView { estimate, ..views::ended_job(&self.core, machine, at) })
                    }
                    None => self.live_job(id, at),
                };
                if let Some(job) = view {
                    self.announce(EventBody::Job(Box::new(JobEvent { job })), at);
                }
            }
            Effect::Announce(Announcement::Prompt(id)) => self.announce_prompt(id, at),
            Effect::Announce(Announcement::PromptSettled(id, how)) => self.announce_settled(id, how, at),
            Effect::Announce(Announcement::Notice(notice)) => self.announce_notice(&notice, at),
        }
    }

    pub(super) fn delivered(&mut self, delivery: Delivery) {
        if let Delivery::Message { session, .. } | Delivery::Gone { session, .. } = &delivery
            && let Some(held_back) =
                self.clients.get_mut(*session).and_then(|client| client.held_back.as_mut())
        {
            held_back.push(delivery);
            return;
        }
        match delivery {
            Delivery::Announce { session, origin, outbox, may_read_events } => {
                tracing::debug!(%session, transport = origin.transport, peer = %origin.peer, "client");
                self.clients.add(session, origin, outbox, may_read_events);
                self.turn(Input::Session(session, SessionEvent::Opened { connect: self.has_nicos() }));
            }
            Delivery::Message { session, correlation, decoded, room: _, fault, committed } => {
                match fault {
                    None => self.message(session, correlation, decoded),
                    Some(fault) => self.turn_away(session, correlation, decoded, fault),
                }
                self.pending.after.extend(committed.map(After::Committed));
            }
            Delivery::Look(look) => self.show(look, None),
            Delivery::Gone { session, why } => {
                if let Some(why) = why {
                    self.audit_end(session, &why);
                }
                self.turn(Input::Session(session, SessionEvent::DestinationGone));
                self.clients.remove(session);
            }
        }
    }

    pub(super) fn message(&mut self, session: SessionId, correlation: Option<String>, decoded: Decoded) {
        match self.clients.get(session) {
            None => return,
            Some(client) if client.leaving => {
                return self.refuse_unread(session, correlation, decoded, &RpcError::not_logged_in());
            }
            Some(_) => {}
        }
        self.meanwhile.heard.insert(session);
        self.turn(Input::Session(session, SessionEvent::MessageArrived));
        self.read(session, correlation, decoded);
    }

    fn timers_due(&mut self) {
        while let Some(timer) = self.timers.pop(Instant::now(), Self::now()) {
            if !self.pending.replaces(timer) {
                self.turn(Input::Timer(timer));
            }
        }
        if self.closing.as_ref().is_some_and(|closing| closing.at_most <= Instant::now())
            && let Some(job) = self.core.queue().active
        {
            let why = "the server was stopped and the job did not end in time".to_owned();
            self.turn(Input::Engine(job, EngineNotice::Lost { why }));
        }
    }

    /// Commits what is pending, then does it.
    async fn settle(&mut self, deliveries: &mut mpsc::Receiver<Delivery>, stop: &watch::Receiver<bool>) {
        self.announce_queue_if_due();
        self.tell_status_if_due();
        let Pending { batch, after } = std::mem::take(&mut self.pending);
        // What people saw a script print is there after a crash, too.
        if batch.needs_acknowledgement() || !batch.output.is_empty() {
            if !self.commit(batch, deliveries, stop).await {
                return;
            }
        } else if !batch.is_empty() {
            self.journal.append_lazily(batch);
        }
        for step in after {
            self.act(step);
        }
        self.note_committed();
    }

    /// Commits, and does not give up before the server is stopped: until the facts are on disk nothing
    /// follows from them, and new requests are told why. `false` when the server was stopped instead.
    async fn commit(
        &mut self,
        batch: Batch,
        deliveries: &mut mpsc::Receiver<Delivery>,
        stop: &watch::Receiver<bool>,
    ) -> bool {
        let mut wait = Duration::from_millis(50);
        loop {
            let begun = Instant::now();
            let Err(error) = self.commit_once(batch.clone(), deliveries).await else {
                self.metrics.committed(begun.elapsed());
                return true;
            };
            self.metrics.commit_failed();
            tracing::error!(%error, "the journal cannot be written; nothing goes on until it can");
            if *stop.borrow() {
                return false;
            }
            let why =
                RpcError::unavailable(error.to_string()).with_hint("nothing was changed; try again later");
            for delivery in std::mem::take(&mut self.meanwhile.delayed) {
                self.delivered_meanwhile(delivery, Some(&why));
            }
            let until = Instant::now() + wait;
            wait = (wait * 2).min(Duration::from_secs(5));
            while let Ok(Some(delivery)) = tokio::time::timeout_at(until, deliveries.recv()).await {
                self.delivered_meanwhile(delivery, Some(&why));
            }
        }
    }

    /// Commits, and answers meanwhile what can be answered from what was committed before.
    async fn commit_once(
        &mut self,
        batch: Batch,
        deliveries: &mut mpsc::Receiver<Delivery>,
    ) -> Result<(), JournalError> {
        let committing = self.journal.commit(batch);
        tokio::pin!(committing);
        loop {
            tokio::select! {
                biased;
                done = &mut committing => return done,
                Some(delivery) = deliveries.recv(), if self.meanwhile.delayed.len() < DELAYED => {
                    self.delivered_meanwhile(delivery, None);
                }
            }
        }
    }

    pub(super) fn act(&mut self, step: After) {
        match step {
            After::Reply(to, reply) => {
                if let Some(text) = to.complete(reply)
                    && !self.clients.reply(to.session, to.correlation, text)
                {
                    self.close_slow(to.session);
                }
            }
            After::Engine(call) => {
                self.engine.calls.send(call).ok();
            }
            After::SetTimer(timer, due) => self.timers.set(timer, due, Instant::now(), Self::now()),
            After::CancelTimer(timer) => self.timers.cancel(timer),
            After::Event(event) => {
                self.events.went_out(event.seq);
                self.metrics.event(event.kind);
                self.doors.broadcast(&event.text);
                for session in self.clients.publish(&event) {
                    self.close_slow(session);
                }
            }
            After::ProxyEvent(name, text) => {
                for session in self.clients.publish_to_proxy(name, &text) {
                    self.close_slow(session);
                }
            }
            After::CloseLink(session) => {
                self.clients.see_off(session);
                self.to_self.send(Inside::LinkClosed(session)).ok();
            }
            After::Committed(committed) => committed.tell(),
            After::Read(reading) => {
                tokio::spawn(reading);
            }
        }
    }

    fn close_slow(&mut self, session: SessionId) {
        self.to_self.send(Inside::TooSlow(session)).ok();
    }

    fn begin_to_close(&mut self) {
        let at_most = Instant::now() + self.settings.shutdown_at_most;
        self.closing = Some(Closing { at_most });
        let active = self.core.queue().active;
        tracing::info!(?active, "stopping");
        self.announce_stop(active);
        self.turn(Input::Closing { abort_active: self.settings.shutdown_aborts });
    }

    fn finished(&self) -> bool {
        self.closing.is_some() && self.core.queue().active.is_none()
    }

    async fn close(mut self, deliveries: &mut mpsc::Receiver<Delivery>, stop: &watch::Receiver<bool>) {
        for delivery in std::mem::take(&mut self.meanwhile.delayed) {
            self.delivered(delivery);
        }
        self.settle(deliveries, stop).await;
        self.engine.calls.send(EngineCall::Shutdown).ok();
        self.clients.leave_nicos();
        if let Some(nicos) = &self.settings.nicos {
            nicos.all_gone().await;
        }
        // The engine's events end when all its processes are gone.
        while self.engine.events.recv().await.is_some() {}
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the journal could not be closed cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use beamq_machines::{Due, JobId};

    use super::*;

    #[test]
    fn a_timer_that_this_turn_has_set_anew_or_stopped_does_not_come_due_in_it() {
        let [first, second, third] = [1, 2, 3].map(|id| Timer::AbortGrace(JobId(id)));
        let mut pending = Pending::default();
        pending.after.push(After::SetTimer(first, Due::After(Duration::from_secs(1))));
        pending.after.push(After::CancelTimer(second));
        assert_eq!([first, second, third].map(|timer| pending.replaces(timer)), [true, true, false]);
    }
}
