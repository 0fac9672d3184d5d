//! The engine's task: keeps spare workers warm, gives each job one, and says whether it can.

use std::{collections::VecDeque, num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use beamq_machines::JobId;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    ending::{end_before_start, end_by_engine},
    job::{self, JobRoom, Outcome},
    registry::Registry,
    worker::{LaunchError, Launcher, Worker},
};
use crate::engine::{EngineCall, EngineEvent, EngineState, JobStart};

/// How long to wait after a failed start of a worker: doubled each time, up to the second value.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(4);

/// For how long after a job that had to wait for its worker one more of them is kept ready, where there is
/// a second processor to start it on: short jobs follow each other faster than interpreters start.
const IN_A_HURRY_FOR: Duration = Duration::from_secs(5);

/// The job that runs.
struct Active {
    job: JobId,
    calls: mpsc::UnboundedSender<EngineCall>,
    task: JoinHandle<Outcome>,
    /// Fires when the script runs; taken then.
    begun: Option<oneshot::Receiver<()>>,
}

/// The state of the engine's task.
pub(super) struct Supervisor {
    launcher: Arc<Launcher>,
    calls: mpsc::UnboundedReceiver<EngineCall>,
    events: mpsc::Sender<EngineEvent>,
    spares: VecDeque<Worker>,
    launching: JoinSet<Result<Worker, LaunchError>>,
    waiting: Option<Box<JobStart>>,
    active: Option<Active>,
    told: Option<(EngineState, Option<String>)>,
    /// Whether a worker has become ready since the last failure: without spares, one is launched to see.
    proven: bool,
    failures: u32,
    retry_at: Option<Instant>,
    /// Until when one more worker than usual is kept.
    hurry_until: Option<Instant>,
    processors: usize,
}

impl Supervisor {
    pub(super) fn new(
        launcher: Launcher,
        calls: mpsc::UnboundedReceiver<EngineCall>,
        events: mpsc::Sender<EngineEvent>,
    ) -> Self {
        Self {
            launcher: Arc::new(launcher),
            calls,
            events,
            spares: VecDeque::new(),
            launching: JoinSet::new(),
            waiting: None,
            active: None,
            told: None,
            proven: false,
            failures: 0,
            retry_at: None,
            hurry_until: None,
            processors: available_parallelism().map_or(1, NonZero::get),
        }
    }

    /// Runs until it is told to end, or until the server has dropped its side.
    pub(super) async fn run(mut self) {
        self.tell_state(EngineState::Starting, None).await;
        self.end_orphans();
        loop {
            self.balance().await;
            let active = self.active.as_mut();
            let (task, begun) = match active {
                Some(active) => (Some(&mut active.task), active.begun.as_mut()),
                None => (None, None),
            };
            let (retry_at, hurry_until) = (self.retry_at, self.hurry_until);
            tokio::select! {
                call = self.calls.recv() => match call {
                    None | Some(EngineCall::Shutdown) => break,
                    Some(EngineCall::Start(start)) => self.accept(start).await,
                    Some(call) => self.pass_on(call).await,
                },
                end = if_some(task) => self.ended(end).await,
                _ = if_some(begun) => if let Some(active) = &mut self.active { active.begun = None },
                Some(launched) = self.launching.join_next(), if !self.launching.is_empty() => match launched {
                    Ok(Ok(worker)) => self.became_ready(worker).await,
                    Ok(Err(error)) => self.failed_to_launch(&error).await,
                    Err(error) => tracing::error!(%error, "the task that launches a worker ended early"),
                },
                () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => self.retry_at = None,
                () = sleep_until(hurry_until.unwrap_or_else(Instant::now)), if hurry_until.is_some() => self.hurry_until = None,
            }
        }
        self.shut_down().await;
    }

    fn end_orphans(&self) {
        let ended =
            Registry::open(&self.launcher.settings.work_dir).and_then(|registry| registry.end_orphans());
        if let Err(error) = ended {
            tracing::error!(%error, "failed to look for workers of an earlier server");
        }
        let _none_left = std::fs::remove_dir_all(self.launcher.settings.work_dir.join(job::SCRIPTS));
    }

    /// Starts what is missing: the waiting job if there is a worker, and workers up to the wanted number.
    async fn balance(&mut self) {
        self.spares.retain(|worker| worker.process.is_alive());
        if self.active.is_none()
            && self.waiting.is_some()
            && let Some(worker) = self.spares.pop_front()
            && let Some(start) = self.waiting.take()
        {
            self.begin(worker, start).await;
        }
        // Until the script runs, it has the processor for itself.
        if self.retry_at.is_some() || self.active.as_ref().is_some_and(|active| active.begun.is_some()) {
            return;
        }
        let spares = self.launcher.settings.spare_workers;
        let hurry = spares > 0 && self.processors > 1 && self.hurry_until.is_some();
        let wanted = spares + usize::from(hurry) + usize::from(self.waiting.is_some());
        self.spares.truncate(wanted);
        let wanted = wanted.max(usize::from(!self.proven));
        while self.spares.len() + self.launching.len() < wanted {
            self.launching.spawn(Arc::clone(&self.launcher).launch());
        }
    }

    async fn accept(&mut self, start: Box<JobStart>) {
        if self.active.is_some() || self.waiting.is_some() {
            tracing::error!(job = %start.job, "a job was started while another is active; refused");
            let end = end_by_engine("another job is active");
            self.tell(EngineEvent::Ended(start.job, Box::new(end))).await;
            return;
        }
        if self.proven && self.spares.is_empty() {
            self.hurry_until = Some(Instant::now() + IN_A_HURRY_FOR);
        }
        self.waiting = Some(start);
        self.retry_at = None;
    }

    async fn begin(&mut self, worker: Worker, start: Box<JobStart>) {
        let job = start.job;
        let directory = match job::make_directory(&self.launcher.settings.work_dir, job).await {
            Ok(directory) => directory,
            Err(error) => {
                let end = end_by_engine(&format!("failed to make the job's working directory: {error}"));
                self.tell(EngineEvent::Ended(job, Box::new(end))).await;
                return;
            }
        };
        let (calls, called) = mpsc::unbounded_channel();
        let (began, begun) = oneshot::channel();
        let room = JobRoom {
            start,
            directory,
            script_folder: job::script_folder(&self.launcher.settings.work_dir, job),
            output_limit: self.launcher.settings.output_limit,
            calls: called,
            events: self.events.clone(),
            begun: began,
        };
        let task = tokio::spawn(job::run(worker, room));
        self.active = Some(Active { job, calls, task, begun: Some(begun) });
    }

    /// A call about the job that runs or waits for its worker; any other is ignored.
    async fn pass_on(&mut self, call: EngineCall) {
        let about = job::about(&call);
        if let Some(active) = &self.active {
            if about == Some(active.job) {
                // A job that is just ending does not need it.
                let _ending = active.calls.send(call);
            }
        } else if about.is_some()
            && about == self.waiting.as_ref().map(|start| start.job)
            && let EngineCall::Abort(job, _) = call
        {
            self.waiting = None;
            let end = end_before_start("the job was aborted before it had a process");
            self.tell(EngineEvent::Ended(job, Box::new(end))).await;
        }
    }

    async fn ended(&mut self, outcome: Result<Outcome, JoinError>) {
        let Some(Active { job, .. }) = self.active.take() else { return };
        match outcome {
            Ok(Outcome::NotTaken(start)) => {
                tracing::warn!(%job, "the spare worker died; the job gets another one");
                self.waiting = Some(start);
            }
            Ok(Outcome::Ended(end)) => self.tell(EngineEvent::Ended(job, end)).await,
            Err(error) => {
                let end = end_by_engine(&error.to_string());
                self.tell(EngineEvent::Ended(job, Box::new(end))).await;
            }
        }
    }

    async fn became_ready(&mut self, worker: Worker) {
        self.spares.push_back(worker);
        self.proven = true;
        self.failures = 0;
        self.tell_state(EngineState::Ready, None).await;
    }

    async fn failed_to_launch(&mut self, error: &LaunchError) {
        self.proven = false;
        let pause = FIRST_RETRY.saturating_mul(1 << self.failures.min(8)).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + pause);
        // What is ready can still run jobs.
        if self.spares.is_empty() {
            self.tell_state(EngineState::Unavailable, Some(error.to_string())).await;
        }
    }

    async fn tell_state(&mut self, state: EngineState, why: Option<String>) {
        if self.told.as_ref().is_none_or(|(told, reason)| (*told, reason) != (state, &why)) {
            match &why {
                Some(why) => tracing::warn!(%why, ?state, "the python engine"),
                None => tracing::info!(?state, "the python engine"),
            }
            self.told = Some((state, why.clone()));
            self.tell(EngineEvent::State(state, why)).await;
        }
    }

    async fn tell(&self, event: EngineEvent) {
        // When the server has dropped its side, the calls end as well and so does this task.
        let _server_gone = self.events.send(event).await;
    }

    /// Ends everything that was started.
    async fn shut_down(mut self) {
        self.launching.shutdown().await;
        self.spares.clear();
        if let Some(active) = &mut self.active {
            let _ending = active.calls.send(EngineCall::Shutdown);
            let outcome = (&mut active.task).await;
            self.ended(outcome).await;
        }
        if let Some(start) = self.waiting.take() {
            let end = end_before_start("the script server was stopped before the job had a process");
            self.tell(EngineEvent::Ended(start.job, Box::new(end))).await;
        }
    }
}

/// Waits for a future if there is one, and for ever otherwise.
async fn if_some<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
