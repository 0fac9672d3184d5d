//! The engine's task: keeps the connection, gives our script its orders, and says whether NICOS can take jobs.

use std::time::Duration;

use beamq_machines::{AbortStage, JobId};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    NicosSettings,
    message::Message,
    orders::Order,
    run::{Finish, Run},
    truth::{Activity, Truth},
};
use crate::{
    engine::{EngineCall, EngineEvent, EngineState, JobStart},
    nicos::{Connection, EventStream, NicosError, NicosEvent, Options},
    wire::nicos::{Command, Event},
};

/// How long to wait after a failed attempt to connect: doubled each time, up to the second value.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often NICOS is looked at: with nothing of ours, with our script, and while something is wanted of it.
const LOOK_IDLY: Duration = Duration::from_secs(1);
const LOOK_AT_RUN: Duration = Duration::from_millis(100);
const LOOK_CLOSELY: Duration = Duration::from_millis(5);
/// A script that writes more lines a second is looked at no more often than an idle daemon: every question takes NICOS
/// away from it for the time of many lines.
const WRITES_A_LOT: f64 = 500.0;
/// How long an answer is waited for in all; a daemon that is busy in C code may take very long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How long a script may have run on without us before it counts as interrupted.
const AWAY_AT_MOST: Duration = Duration::from_secs(60);
/// How often a script has to be seen idle before it has ended: between two statements it looks the same.
const IDLE_TIMES: u32 = 10;
/// What a stopping server gives a script of ours to end.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// How long a daemon may take to load its setups before that is somebody's script.
const LOADS_WITHIN: Duration = Duration::from_secs(1);

/// Events that say nothing about scripts.
const MASK: [Event; 17] = [
    Event::Status,
    Event::Watch,
    Event::Mode,
    Event::Cache,
    Event::Dataset,
    Event::DataPoint,
    Event::DataCurve,
    Event::LiveData,
    Event::SimResult,
    Event::SimMessage,
    Event::ShowHelp,
    Event::ClientExec,
    Event::Debugging,
    Event::PlugPlay,
    Event::Setup,
    Event::Device,
    Event::Experiment,
];

/// A connection that works.
struct Link {
    nicos: Connection,
    events: EventStream,
    /// Whether what NICOS does has been seen on it.
    seen: bool,
}

/// What a task of ours brought back.
enum Heard {
    Connected(Box<Result<(Connection, EventStream), NicosError>>),
    Truth(Result<Truth, NicosError>),
    Queued(Result<Value, NicosError>),
    Ordered(Order, Result<(), NicosError>),
    Missed(Result<Value, NicosError>),
}

/// A script of somebody else.
#[derive(Debug)]
struct Foreign {
    request: Option<String>,
    name: Option<String>,
    user: Option<String>,
    idle: u32,
}

/// Our script while the connection is being made again.
struct Away {
    since: Instant,
    idle: u32,
    /// Whether the messages that were missed are still to come.
    catching_up: bool,
}

/// The state of the engine's task.
pub(super) struct Supervisor {
    settings: NicosSettings,
    calls: mpsc::UnboundedReceiver<EngineCall>,
    events: mpsc::Sender<EngineEvent>,
    link: Option<Link>,
    /// Counts connections, so that what belongs to an earlier one is known.
    generation: u64,
    tasks: JoinSet<(u64, Heard)>,
    connecting: bool,
    failures: u32,
    retry_at: Instant,
    why_down: Option<String>,
    /// Why NICOS does not say what it is doing.
    why_blind: Option<String>,
    look_at: Instant,
    asked_at: Option<Instant>,
    thread_dead: bool,
    foreign: Option<Foreign>,
    /// Our last request that has ended by NICOS's word.
    ended: Option<String>,
    run: Option<Run>,
    away: Option<Away>,
    queueing: bool,
    waiting: Option<Box<JobStart>>,
    told: Option<(EngineState, Option<String>)>,
    /// When a stopping server waits no longer.
    closing: Option<Instant>,
}

impl Supervisor {
    pub(super) fn new(
        settings: NicosSettings,
        calls: mpsc::UnboundedReceiver<EngineCall>,
        events: mpsc::Sender<EngineEvent>,
    ) -> Self {
        Self {
            settings,
            calls,
            events,
            link: None,
            generation: 0,
            tasks: JoinSet::new(),
            connecting: false,
            failures: 0,
            retry_at: Instant::now(),
            why_down: None,
            why_blind: None,
            look_at: Instant::now(),
            asked_at: None,
            thread_dead: false,
            foreign: None,
            ended: None,
            run: None,
            away: None,
            queueing: false,
            waiting: None,
            told: None,
            closing: None,
        }
    }

    /// Runs until it is told to end, or until the server has dropped its side.
    pub(super) async fn run(mut self) {
        while !self.is_over() {
            self.balance().await;
            self.tell_state().await;
            let wake = self.next_wake();
            // NICOS may tell of our script before it has told its id, or while what was missed is read.
            let listening = !self.queueing && !self.is_catching_up();
            tokio::select! {
                call = self.calls.recv(), if self.closing.is_none() => match call {
                    None | Some(EngineCall::Shutdown) => self.begin_to_close(),
                    Some(call) => self.called(call).await,
                },
                Some(heard) = self.tasks.join_next(), if !self.tasks.is_empty() => match heard {
                    Ok((generation, heard)) => self.heard(generation, heard).await,
                    Err(error) => tracing::error!(%error, "a task of the nicos engine ended early"),
                },
                event = next_event(self.link.as_mut()), if listening && self.link.is_some() => match event {
                    Some(event) => self.event(&event).await,
                    None => self.lost_link().await,
                },
                () = sleep_until(wake) => {}
            }
        }
        if let Some(run) = self.run.take() {
            let why = "the server was stopped while NICOS still ran the script";
            self.finish(run, Finish::Lost(why.into())).await;
        }
        if let Some(link) = self.link {
            link.nicos.quit().await;
        }
    }

    fn is_catching_up(&self) -> bool {
        self.away.as_ref().is_some_and(|away| away.catching_up)
    }

    fn is_over(&self) -> bool {
        self.closing.is_some_and(|at_most| self.run.is_none() || Instant::now() >= at_most)
    }

    fn begin_to_close(&mut self) {
        self.closing = Some(Instant::now() + ENDS_WITHIN);
        self.waiting = None;
        if let Some(run) = &mut self.run {
            run.abort(AbortStage::Ask);
            self.look_at = Instant::now();
        }
    }

    fn next_wake(&self) -> Instant {
        let connect = (self.link.is_none() && !self.connecting).then_some(self.retry_at);
        let look = self.link.as_ref().filter(|_| !self.is_catching_up()).map(|_| match self.asked_at {
            None => self.look_at,
            Some(asked) => {
                Instant::now().max(asked + self.settings.answer_within) + Duration::from_millis(100)
            }
        });
        let output = self.run.as_ref().filter(|run| run.record.has_news()).map(|run| run.record.flush_at());
        let far = Instant::now() + Duration::from_secs(60);
        [connect, look, output, self.closing].into_iter().flatten().min().unwrap_or(far)
    }

    /// Starts whatever is due.
    async fn balance(&mut self) {
        let now = Instant::now();
        if let Some(run) = &mut self.run {
            run.record.flush_if_due().await;
        }
        if self.link.is_none() {
            if !self.connecting && self.retry_at <= now && self.closing.is_none() {
                self.connect();
            }
            return;
        }
        if self.run.is_none()
            && !self.thread_dead
            && let Some(start) = self.waiting.take()
        {
            self.queue(start);
        }
        if self.asked_at.is_none() && self.look_at <= now && !self.is_catching_up() {
            self.look();
        }
    }

    fn connect(&mut self) {
        self.connecting = true;
        let NicosSettings { host, port, login, .. } = self.settings.clone();
        let generation = self.generation;
        self.tasks.spawn(async move {
            let options =
                Options { mask: MASK.to_vec(), answer_within: ANSWERS_WITHIN, ..Options::default() };
            let opened = Connection::open(&host, port, &login, options).await;
            (generation, Heard::Connected(Box::new(opened)))
        });
    }

    /// Does something with the connection in a task of its own, so that a daemon that hangs holds up nothing.
    fn with_link<F: Future<Output = Heard> + Send + 'static>(&mut self, job: impl FnOnce(Connection) -> F) {
        let Some(link) = &self.link else { return };
        let (generation, work) = (self.generation, job(link.nicos.clone()));
        self.tasks.spawn(async move { (generation, work.await) });
    }

    fn look(&mut self) {
        self.asked_at = Some(Instant::now());
        self.with_link(|nicos| async move { Heard::Truth(Truth::ask(&nicos).await) });
    }

    fn order(&mut self, order: Order) {
        self.with_link(|nicos| async move {
            let given = order.give(&nicos).await;
            Heard::Ordered(order, given)
        });
    }

    fn run_of(&self, start: Box<JobStart>) -> Run {
        Run::new(start, &self.settings, self.events.clone())
    }

    fn queue(&mut self, start: Box<JobStart>) {
        let name = json!(start.name);
        // A text of one line would be run as at a prompt, where values of expressions are printed.
        let source = json!(format!("{}\n", start.source));
        self.run = Some(self.run_of(start));
        self.queueing = true;
        self.with_link(
            |nicos| async move { Heard::Queued(nicos.call(Command::Queue, &[name, source]).await) },
        );
    }

    async fn called(&mut self, call: EngineCall) {
        match call {
            EngineCall::Start(start) => {
                self.leave_alone();
                if self.run.is_some() || self.waiting.is_some() {
                    tracing::error!(job = %start.job, "a job was started while another is active; refused");
                    let mut run = self.run_of(start);
                    let refused = run.refused("another job is active");
                    self.tell_finish(run.job(), refused).await;
                } else {
                    self.waiting = Some(start);
                }
            }
            EngineCall::Abort(job, _) if self.waiting.as_ref().is_some_and(|start| start.job == job) => {
                self.look_at = Instant::now();
                if let Some(start) = self.waiting.take() {
                    let mut run = self.run_of(start);
                    let refused = run.refused("the job was aborted before NICOS had it");
                    self.tell_finish(job, refused).await;
                }
            }
            call => {
                self.look_at = Instant::now();
                self.steer(call);
            }
        }
    }

    /// Does not look at NICOS while it takes up a script, unless something is wanted of it: NICOS does one thing at a
    /// time, and says by itself that the script begins.
    fn leave_alone(&mut self) {
        let urgent = self.run.as_ref().is_some_and(Run::is_urgent);
        self.look_at = if urgent { Instant::now() } else { Instant::now() + LOOK_AT_RUN };
    }

    fn steer(&mut self, call: EngineCall) {
        let Some(run) = &mut self.run else { return };
        let ours = run.job();
        match call {
            EngineCall::Pause(job, level) if job == ours => run.pause(level),
            EngineCall::CancelPause(job) if job == ours => run.cancel_pause(),
            EngineCall::Resume(job) if job == ours => run.resume(),
            EngineCall::Abort(job, stage) if job == ours => run.abort(stage),
            EngineCall::Answer(job, prompt, value) if job == ours => run.answer(prompt.0, value.as_ref()),
            EngineCall::Skip(job) if job == ours => {
                run.skip();
                self.order(Order::Finish);
            }
            EngineCall::Start(_)
            | EngineCall::Pause(..)
            | EngineCall::CancelPause(_)
            | EngineCall::Resume(_)
            | EngineCall::Skip(_)
            | EngineCall::Abort(..)
            | EngineCall::Answer(..)
            | EngineCall::Shutdown => {}
        }
    }

    async fn heard(&mut self, generation: u64, heard: Heard) {
        if let Heard::Connected(opened) = heard {
            self.connecting = false;
            return match *opened {
                Ok((nicos, events)) => self.connected(nicos, events),
                Err(error) => self.failed_to_connect(&error).await,
            };
        }
        if generation != self.generation {
            return;
        }
        match heard {
            Heard::Connected(_) => {}
            Heard::Truth(Ok(truth)) => self.saw(truth).await,
            Heard::Truth(Err(error)) => {
                self.asked_at = None;
                self.look_at = Instant::now() + LOOK_IDLY;
                self.why_blind = Some(format!("NICOS does not say what it is doing: {error}"));
            }
            Heard::Queued(queued) => self.queued(queued).await,
            Heard::Ordered(order, given) => self.ordered(&order, given).await,
            Heard::Missed(messages) => self.caught_up(messages),
        }
    }

    async fn queued(&mut self, queued: Result<Value, NicosError>) {
        self.queueing = false;
        self.leave_alone();
        let Some(run) = &mut self.run else { return };
        let finish = match queued {
            Ok(Value::String(request)) => {
                run.request = Some(request);
                return;
            }
            Ok(other) => Finish::Lost(format!("NICOS took the script and gave no id but {other}")),
            Err(error @ NicosError::Lost { .. }) => Finish::Lost(error.to_string()),
            Err(error) => run.refused(&error.to_string()),
        };
        if let Some(run) = self.run.take() {
            self.finish(run, finish).await;
        }
    }

    async fn ordered(&mut self, order: &Order, given: Result<(), NicosError>) {
        self.look_at = Instant::now() + LOOK_CLOSELY;
        let Some(run) = &mut self.run else { return };
        let told = match given {
            Ok(()) => run.answered(order, None),
            Err(error) => match error.refusal() {
                Some(refusal) => run.answered(order, Some(refusal)),
                None => run.answered(order, Some(&error.to_string())),
            },
        };
        // What there is to say about it is written in the output.
        if told.is_some() {
            run.tell_written().await;
        }
        if let Some(event) = told {
            self.tell(event).await;
        }
    }

    /// What NICOS does at this moment.
    async fn saw(&mut self, truth: Truth) {
        self.asked_at = None;
        self.why_blind = None;
        self.thread_dead = !truth.thread_lives;
        self.see_foreign(&truth);
        if let Some(link) = &mut self.link {
            link.seen = true;
        }
        if self.queueing || self.run.is_none() {
            self.look_at = Instant::now() + LOOK_IDLY;
            return;
        }
        if self.away.is_some() && !self.is_back(&truth).await {
            return;
        }
        let mut tell = Vec::new();
        let Some(run) = &mut self.run else { return };
        let finish = run.observe(&truth, &mut tell);
        let order = if finish.is_none() { run.next_order(&truth) } else { None };
        let pause = if run.is_urgent() {
            LOOK_CLOSELY
        } else if run.lines_a_second_since_last_asked() > WRITES_A_LOT {
            LOOK_IDLY
        } else {
            LOOK_AT_RUN
        };
        self.look_at = Instant::now() + pause;
        for event in tell {
            self.tell(event).await;
        }
        if let Some(order) = order {
            self.order(order);
        }
        if let Some(finish) = finish
            && let Some(run) = self.run.take()
        {
            self.finish(run, finish).await;
        }
    }

    /// Notices scripts that are not ours, also those that began before we came.
    fn see_foreign(&mut self, truth: &Truth) {
        // An answer may be older than the word that ours has ended, and that another one has begun since.
        if self.ended.is_some() && self.ended == truth.request {
            return;
        }
        let ours = self.run.as_ref().is_some_and(|run| run.is(truth.request.as_deref()));
        if ours || self.queueing {
            self.foreign = None;
        } else if truth.activity == Activity::Idle || !truth.thread_lives {
            if let Some(foreign) = &mut self.foreign {
                foreign.idle += 1;
                if foreign.idle >= 3 {
                    self.foreign = None;
                }
            }
        } else if let Some(foreign) = &mut self.foreign
            && foreign.request == truth.request
        {
            foreign.idle = 0;
        } else {
            let Truth { request, name, user, .. } = truth.clone();
            self.foreign = Some(Foreign { request, name, user, idle: 0 });
        }
    }

    async fn event(&mut self, event: &NicosEvent) {
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

    async fn finish(&mut self, mut run: Run, finish: Finish) {
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

    async fn tell_finish(&self, job: JobId, finish: Finish) {
        self.tell(match finish {
            Finish::Ended(end) | Finish::KilledThread(end) => EngineEvent::Ended(job, end),
            Finish::Lost(why) => EngineEvent::Lost(job, why),
        })
        .await;
    }

    // The connection.

    fn connected(&mut self, nicos: Connection, events: EventStream) {
        tracing::info!(
            version = nicos.banner().daemon_version,
            protocol = nicos.banner().protocol_version,
            "connected to NICOS"
        );
        self.generation += 1;
        self.failures = 0;
        self.foreign = None;
        self.thread_dead = false;
        self.why_blind = None;
        self.asked_at = None;
        self.look_at = Instant::now();
        self.link = Some(Link { nicos, events, seen: false });
        if self.run.is_some()
            && let Some(away) = &mut self.away
        {
            away.catching_up = true;
            self.with_link(|nicos| async move {
                Heard::Missed(nicos.call(Command::GetMessages, &[json!("*")]).await)
            });
        }
    }

    async fn failed_to_connect(&mut self, error: &NicosError) {
        let pause = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Instant::now() + pause;
        self.why_down = Some(error.to_string());
        let refused = matches!(error, NicosError::Unreachable { source, .. }
            if source.kind() == std::io::ErrorKind::ConnectionRefused);
        let too_long = self.away.as_ref().is_some_and(|away| away.since.elapsed() >= AWAY_AT_MOST);
        if (refused || too_long)
            && let Some(run) = self.run.take()
        {
            let why = if refused && !run.has_begun() {
                "the NICOS daemon ended before the script began".to_owned()
            } else if refused {
                "the NICOS daemon ended while it ran the script".to_owned()
            } else {
                format!("the connection to NICOS was lost for more than {} s", AWAY_AT_MOST.as_secs())
            };
            self.finish(run, Finish::Lost(why)).await;
        }
    }

    async fn lost_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        let why = link.nicos.closed().await;
        tracing::warn!(%why, "the connection to NICOS was lost");
        self.why_down = Some(format!("the connection to NICOS was lost: {why}"));
        self.generation += 1;
        self.retry_at = Instant::now();
        self.asked_at = None;
        self.foreign = None;
        if let Some(run) = &mut self.run {
            run.ordered = false;
            if run.request.is_none() {
                // Whether NICOS has it is not known; its reply is lost.
                self.queueing = false;
                if let Some(run) = self.run.take() {
                    let why = "the connection to NICOS was lost before it told whether it took the script";
                    self.finish(run, Finish::Lost(why.into())).await;
                }
                return;
            }
            self.away = Some(Away { since: Instant::now(), idle: 0, catching_up: false });
        }
    }

    /// The messages that NICOS kept, those that were missed among them.
    fn caught_up(&mut self, messages: Result<Value, NicosError>) {
        if let Some(away) = &mut self.away {
            away.catching_up = false;
        }
        let Some(run) = &mut self.run else { return };
        match messages {
            Ok(Value::Array(messages)) => run.messages_so_far(&messages),
            Ok(_) | Err(_) => run.record.take_note("what the script wrote while NICOS was away is missing"),
        }
    }

    /// Whether our script is still there after a reconnection. What is not known ends the job.
    async fn is_back(&mut self, truth: &Truth) -> bool {
        let (Some(away), Some(run)) = (&mut self.away, &mut self.run) else { return true };
        let running = run.is(truth.request.as_deref());
        let waits = run.request.as_ref().is_some_and(|request| truth.waiting.contains(request));
        if waits || (running && truth.thread_lives && truth.activity != Activity::Idle) {
            tracing::info!(job = %run.job(), "NICOS still has the script");
            self.away = None;
            return true;
        }
        if running && truth.thread_lives && away.idle < IDLE_TIMES {
            away.idle += 1;
            self.look_at = Instant::now() + LOOK_AT_RUN / 5;
            return false;
        }
        let why = if running {
            "the script ended while the connection to NICOS was lost; whether it came to its end is not known"
        } else {
            "NICOS was restarted, or runs something else, since the connection was lost"
        };
        if let Some(run) = self.run.take() {
            self.finish(run, Finish::Lost(why.into())).await;
        }
        false
    }

    // What the server is told.

    fn state(&self) -> (EngineState, Option<String>) {
        use EngineState::{Ready, Starting, Unavailable};
        let Some(link) = &self.link else {
            return match &self.why_down {
                None => (Starting, None),
                Some(why) => (Unavailable, Some(why.clone())),
            };
        };
        if let Some(why) = &self.why_blind {
            return (Unavailable, Some(why.clone()));
        }
        if !link.seen && self.asked_at.is_none_or(|asked| asked.elapsed() < LOADS_WITHIN) {
            return self.told.clone().unwrap_or((Starting, None));
        }
        let within = self.settings.answer_within;
        if self.asked_at.is_some_and(|asked| asked.elapsed() >= within) {
            let why = format!("NICOS has not answered for more than {} s", within.as_secs_f64());
            return (Unavailable, Some(why));
        }
        if self.thread_dead {
            let why = "NICOS runs no script any longer: a script has ended its script thread (sys.exit() does); \
                       restart the NICOS daemon";
            return (Unavailable, Some(why.into()));
        }
        if let Some(Foreign { name, user, .. }) = &self.foreign {
            let what = match name {
                Some(name) => format!("the script {name:?}"),
                None => "a script".to_owned(),
            };
            let whose = user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
            let why = format!(
                "NICOS runs {what}{whose}, which is not of this queue; the queue goes on when it has ended"
            );
            return (Unavailable, Some(why));
        }
        (Ready, None)
    }

    async fn tell_state(&mut self) {
        let state = self.state();
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            self.tell(EngineEvent::State(state.0, state.1)).await;
        }
    }

    async fn tell(&self, event: EngineEvent) {
        // When the server has dropped its side, the calls end as well and so does this task.
        let _server_gone = self.events.send(event).await;
    }
}

async fn next_event(link: Option<&mut Link>) -> Option<NicosEvent> {
    match link {
        Some(link) => link.events.next().await,
        None => std::future::pending().await,
    }
}
