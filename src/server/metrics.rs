//! What those who watch over the server are told: counters of what has happened, and gauges that are set
//! from the machines whenever somebody asks.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use beamq_machines::job::{JobMachine, State};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use serde::Serialize;
use serde_json::Value;

use super::{dispatcher::Dispatcher, views};
use crate::{
    protocol::{ErrorKind, EventKind, Method},
    transport::{Health, LookInside, Report},
};

/// One label whose values are words of ours, so that there are few of them.
type ByWord<M> = Family<[(&'static str, String); 1], M>;

/// Durations of jobs, from a second to a day.
const JOB_SECONDS: [f64; 10] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 28_800.0, 86_400.0];
/// Durations of commits, from a tenth of a millisecond to 5 s.
const COMMIT_SECONDS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0];

/// The metrics. Clones share them.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Arc<Registry>,
    uptime: Gauge<f64, AtomicU64>,
    waiting: ByWord<Gauge>,
    queue_state: ByWord<Gauge>,
    active_job: ByWord<Gauge>,
    engine: ByWord<Gauge>,
    sessions: Gauge,
    backlog_messages: Gauge,
    backlog_bytes: Gauge,
    slow_clients: Counter,
    jobs_ended: ByWord<Counter>,
    job_duration: Histogram,
    requests: ByWord<Counter>,
    errors: ByWord<Counter>,
    events: ByWord<Counter>,
    commit_duration: Histogram,
    commit_failures: Counter,
    journal_works: Gauge,
    broker_connected: Gauge,
    broker_connections: Counter,
}

impl Metrics {
    pub(super) fn new(instrument: &str, engine: &str) -> Self {
        let mut registry = Registry::with_prefix("beamq");
        let info = [("version", env!("CARGO_PKG_VERSION")), ("instrument", instrument), ("engine", engine)];
        let info = info.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        registry.register("server", "The server", Info::new(info));
        let new = Self {
            registry: Arc::default(),
            uptime: Gauge::default(),
            waiting: Family::default(),
            queue_state: Family::default(),
            active_job: Family::default(),
            engine: Family::default(),
            sessions: Gauge::default(),
            backlog_messages: Gauge::default(),
            backlog_bytes: Gauge::default(),
            slow_clients: Counter::default(),
            jobs_ended: Family::default(),
            job_duration: Histogram::new(JOB_SECONDS),
            requests: Family::default(),
            errors: Family::default(),
            events: Family::default(),
            commit_duration: Histogram::new(COMMIT_SECONDS),
            commit_failures: Counter::default(),
            journal_works: Gauge::default(),
            broker_connected: Gauge::default(),
            broker_connections: Counter::default(),
        };
        new.register(&mut registry);
        Self { registry: Arc::new(registry), ..new }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "uptime",
            "Time since the server started",
            Unit::Seconds,
            self.uptime.clone(),
        );
        registry.register("queue_jobs", "Waiting jobs by state", self.waiting.clone());
        registry.register("queue_state", "1 for the state that the queue is in", self.queue_state.clone());
        registry.register(
            "active_job",
            "1 for the state of the active job, if there is one",
            self.active_job.clone(),
        );
        registry.register("engine_state", "1 for the state that the engine is in", self.engine.clone());
        registry.register("sessions", "Sessions that are logged in", self.sessions.clone());
        registry.register(
            "client_backlog_messages",
            "Events and replies that wait for the client that is furthest behind",
            self.backlog_messages.clone(),
        );
        registry.register_with_unit(
            "client_backlog",
            "What waits for the client that has most to take",
            Unit::Bytes,
            self.backlog_bytes.clone(),
        );
        registry.register(
            "clients_too_slow",
            "Sessions that were closed because their clients read too slowly",
            self.slow_clients.clone(),
        );
        registry.register("jobs_ended", "Jobs by final state", self.jobs_ended.clone());
        registry.register_with_unit(
            "job_duration",
            "Time from start to end of jobs that ran, pauses included",
            Unit::Seconds,
            self.job_duration.clone(),
        );
        registry.register("requests", "Requests that were allowed, by method", self.requests.clone());
        registry.register(
            "request_errors",
            "Requests that were answered by an error, by kind",
            self.errors.clone(),
        );
        registry.register("events", "Events that went out, by kind", self.events.clone());
        registry.register_with_unit(
            "journal_commit",
            "Time that commits of the journal took",
            Unit::Seconds,
            self.commit_duration.clone(),
        );
        registry.register(
            "journal_commit_failures",
            "Tries to commit that failed",
            self.commit_failures.clone(),
        );
        registry.register(
            "journal_works",
            "0 while the journal cannot be written",
            self.journal_works.clone(),
        );
        registry.register(
            "broker_connected",
            "1 while there is a connection to the broker",
            self.broker_connected.clone(),
        );
        registry.register(
            "broker_connections",
            "Connections to the broker that were made",
            self.broker_connections.clone(),
        );
    }

    pub(super) fn job_ended(&self, job: &JobMachine) {
        self.jobs_ended.get_or_create(&[("state", word(views::job_state(job.state())))]).inc();
        if let (Some(started), Some(finished)) = (job.started_at, job.finished_at) {
            self.job_duration.observe(finished.since(started).as_secs_f64());
        }
    }

    pub(super) fn request(&self, method: Method) {
        self.requests.get_or_create(&[("method", method.name().to_owned())]).inc();
    }

    /// A request in the proxy dialect, whose commands are counted together.
    pub(super) fn proxy_request(&self) {
        self.requests.get_or_create(&[("method", "proxy".to_owned())]).inc();
    }

    pub(super) fn error(&self, kind: ErrorKind) {
        self.errors.get_or_create(&[("kind", kind.name().to_owned())]).inc();
    }

    /// The proxy dialect has texts and no kinds of errors.
    pub(super) fn proxy_error(&self) {
        self.errors.get_or_create(&[("kind", "proxy".to_owned())]).inc();
    }

    pub(super) fn event(&self, kind: EventKind) {
        self.events.get_or_create(&[("kind", kind.method().to_owned())]).inc();
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commit_duration.observe(took.as_secs_f64());
    }

    pub(super) fn commit_failed(&self) {
        self.commit_failures.inc();
    }

    pub(super) fn client_was_too_slow(&self) {
        self.slow_clients.inc();
    }

    /// Counts connections to the broker.
    pub(super) fn broker_connections(&self) -> Counter {
        self.broker_connections.clone()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Dispatcher {
    /// Lets somebody look inside; `trouble` is what keeps the journal from being written, if anything does.
    pub(super) fn show(&mut self, look: LookInside, trouble: Option<&str>) {
        self.set_gauges(trouble.is_none());
        let metrics = self.metrics.clone();
        let journal = self.journal.clone();
        let known = trouble.map(str::to_owned);
        let engine = self.engine_lives();
        let health = async move {
            if !engine {
                return Health::ill("engine", "the engine's task has ended: restart the server");
            }
            let outcome = match known {
                Some(trouble) => Err(trouble),
                None => journal.probe().await.map_err(|error| error.to_string()),
            };
            match outcome {
                Ok(()) => Health::well(),
                Err(why) => Health::ill("journal", &why),
            }
        };
        look.answer(Report { metrics: Box::new(move || metrics.text()), health: Box::pin(health) });
    }

    fn set_gauges(&self, journal_works: bool) {
        let metrics = &self.metrics;
        metrics.uptime.set(self.started.elapsed().as_secs_f64());
        let held = |id| self.core.job(id).is_some_and(|job| matches!(job.state(), State::Held {}));
        let waiting = &self.core.queue().order;
        let held = waiting.iter().filter(|id| held(**id)).count();
        set(&metrics.waiting.get_or_create(&[("state", "held".to_owned())]), held);
        set(&metrics.waiting.get_or_create(&[("state", "queued".to_owned())]), waiting.len() - held);
        only(&metrics.queue_state, Some(word(views::queue_state(self.core.queue().state()))));
        let active = self.core.queue().active.and_then(|id| self.core.job(id));
        only(&metrics.active_job, active.map(|job| word(views::job_state(job.state()))));
        only(&metrics.engine, Some(word(self.engine_status.state)));
        set(&metrics.sessions, self.core.sessions().filter(|session| session.login.is_some()).count());
        let (messages, bytes) = self.clients.largest_backlog();
        set(&metrics.backlog_messages, messages);
        set(&metrics.backlog_bytes, bytes);
        metrics.journal_works.set(journal_works.into());
        let broker = self.settings.broker.as_ref();
        let connected = broker.is_some_and(|state| state.borrow().starts_with("connected"));
        metrics.broker_connected.set(connected.into());
    }
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Makes one state the present one.
fn only(states: &ByWord<Gauge>, present: Option<String>) {
    states.clear();
    if let Some(state) = present {
        states.get_or_create(&[("state", state)]).set(1);
    }
}

/// The word by which clients know a state.
fn word(state: impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
