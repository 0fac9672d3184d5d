//! The engine's task: keeps the connection, gives our script its orders, and says whether NICOS can take jobs.

mod calls;
mod connection;
mod events;
mod state;

use std::time::Duration;

use beamq_machines::AbortStage;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    NicosSettings,
    orders::Order,
    run::{Finish, Run},
    truth::{Activity, Truth},
};
use crate::{
    engine::{EngineCall, EngineEvent, EngineState, JobStart},
    nicos::{Connection, EventStream, NicosError, NicosEvent, Options},
    wire::nicos::{Command, Event},
};

/// How often NICOS is looked at: with nothing of ours, with our script, and while something is wanted of it.
const LOOK_IDLY: Duration = Duration::from_secs(1);
const LOOK_AT_RUN: Duration = Duration::from_millis(100);
const LOOK_CLOSELY: Duration = Duration::from_millis(5);
/// A script that writes more lines a second is looked at no more often than an idle daemon: every question takes NICOS
/// away from it for the time of many lines.
const WRITES_A_LOT: f64 = 500.0;
/// How long an answer is waited for in all; a daemon that is busy in C code may take very long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// What a stopping server gives a script of ours to end.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

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
    /// When NICOS told last that a script begins or has ended: what it was asked before is older.
    told_of_script: Instant,
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
            told_of_script: Instant::now(),
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
        let asked = self.asked_at.take();
        self.why_blind = None;
        self.thread_dead = !truth.thread_lives;
        if asked.is_none_or(|asked| asked >= self.told_of_script) {
            self.see_foreign(&truth);
        }
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

    fn has_ended(&self, truth: &Truth) -> bool {
        self.ended.is_some() && self.ended == truth.request
    }

    /// Notices scripts that are not ours, also those that began before we came.
    fn see_foreign(&mut self, truth: &Truth) {
        let ours = self.run.as_ref().is_some_and(|run| run.is(truth.request.as_deref()));
        if ours || self.queueing {
            self.foreign = None;
        } else if truth.activity == Activity::Idle || !truth.thread_lives || self.has_ended(truth) {
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
}

async fn next_event(link: Option<&mut Link>) -> Option<NicosEvent> {
    match link {
        Some(link) => link.events.next().await,
        None => std::future::pending().await,
    }
}
