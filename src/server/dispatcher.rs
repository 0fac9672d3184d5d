//! The loop: the one task that owns the machines.
//!
//! It takes whatever has happened, lets the core turn it into facts and effects, commits the facts, and
//! only then carries out the effects. Inputs that come while a commit is under way share the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use beamq_machines::{
    Announcement, Effect, EngineOrder, JobBody, JobId, Notice, PromptEnd, PromptId, SessionId, Timer,
    Timestamp,
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
    catalogue::{Catalogue, python},
    engine::{EngineCall, EngineEvent, EngineLink, EngineState, JobStart, Question},
    journal::{Batch, EventRow, FactRow, Journal, JournalError, OutputRow},
    protocol::{
        Decoded, EventBody, EventKind, JobEvent, NoticeEvent, OutputEvent, ProgressEvent, PromptEvent,
        QueueEvent, RpcError, Settled,
        view::{EngineStatus, JobView},
    },
    transport::{self, Committed, Delivery},
};

/// How many inputs at most share one commit, so that nobody waits for a flood of others.
const INPUTS_PER_TURN: usize = 512;

/// With more waiting jobs than this, the queue's order is announced at most every [`ORDER_GAP`].
const LONG_QUEUE: usize = 200;
/// The least time between two announcements of a long order.
const ORDER_GAP: Duration = Duration::from_millis(50);

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
    engine: EngineLink,
    engine_lives: bool,
    doors: transport::Clients,
    timers: Timers,
    fact_seq: u64,
    next_prompt: u64,
    questions: BTreeMap<PromptId, OpenQuestion>,
    queue_changed: bool,
    order_announced: Option<Instant>,
    pub(super) meanwhile: Meanwhile,
}

/// How the server is being stopped.
#[derive(Debug)]
pub(super) struct Closing {
    /// When the active job has to be gone.
    pub(super) at_most: Instant,
}

#[derive(Debug)]
struct OpenQuestion {
    job: JobId,
    number: u64,
    text: String,
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
        let order =
            self.queue_changed.then(|| self.order_announced.map_or_else(Instant::now, |at| at + ORDER_GAP));
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
            self.pending.batch.jobs.push(views::history_row(machine, promised));
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
                        Some(JobView { estimate, ..views::job(machine, at) })
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

    fn want_of_engine(&mut self, job: JobId, order: EngineOrder) {
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

    fn announce_prompt(&mut self, id: PromptId, at: Timestamp) {
        let Some(event) = views::open_prompt(&self.core).filter(|event| event.prompt == id) else { return };
        self.tell_prompt(&event);
        self.announce(EventBody::Prompt(event), at);
    }

    fn announce_settled(&mut self, id: PromptId, how: PromptEnd, at: Timestamp) {
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

    fn announce_notice(&mut self, notice: &Notice, at: Timestamp) {
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

    fn engine_event(&mut self, event: EngineEvent) {
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
    fn engine_died(&mut self) {
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
        self.questions.insert(id, OpenQuestion { job, number: question.number, text: question.text.clone() });
        let prompt = beamq_machines::core::Prompt {
            id,
            text: question.text,
            choices: question.choices,
            default: question.default,
            timeout_ms: question.timeout.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            until: Timestamp::default(),
        };
        self.notice(job, EngineNotice::Asked(prompt));
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

    fn announce_queue_if_due(&mut self) {
        if !self.queue_changed {
            return;
        }
        let now = Instant::now();
        let long = self.core.queue().order.len() > LONG_QUEUE;
        if long && self.order_announced.is_some_and(|at| now < at + ORDER_GAP) {
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

    fn timers_due(&mut self) {
        while let Some(timer) = self.timers.pop(Instant::now(), Self::now()) {
            self.turn(Input::Timer(timer));
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
        tracing::warn!(%session, "the client reads too slowly: its session is closed");
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

    /// Clients would otherwise learn of the stop only when their connections end.
    fn announce_stop(&mut self, active: Option<JobId>) {
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

    fn finished(&self) -> bool {
        self.closing.is_some() && self.core.queue().active.is_none()
    }

    async fn close(mut self, deliveries: &mut mpsc::Receiver<Delivery>, stop: &watch::Receiver<bool>) {
        for delivery in std::mem::take(&mut self.meanwhile.delayed) {
            self.delivered(delivery);
        }
        self.settle(deliveries, stop).await;
        self.engine.calls.send(EngineCall::Shutdown).ok();
        // The engine's events end when all its processes are gone.
        while self.engine.events.recv().await.is_some() {}
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the journal could not be closed cleanly");
        }
    }
}
