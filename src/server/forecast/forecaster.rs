//! The task that estimates and simulates, so that the loop never does.
//!
//! It looks at the newest state of the queue only. What is known at once (formulas, earlier runs, the
//! author's word) is told at once; then every waiting job is simulated from the predicted end of the one
//! before, one at a time. What was simulated is kept, so that a changed queue costs only what is new in it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use beamq_machines::{JobId, JobSpec, Timestamp};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    News, Snapshot,
    desk::JobPlan,
    durations::Lesson,
    kept::{KeptPlans, Keys},
    outlook::{Course, Turn},
    workshop::{Run, Setting, Workshop, quick_plan},
};
use crate::{
    dryrun::simulation::{InstrumentState, JobFacts, LookedAt, Priority},
    estimate::Memory,
    journal::Journal,
    server::{dispatcher::Dispatcher, inside::Inside},
};

/// The plans of so many jobs are told with all their stretches; the others get theirs when their turn comes.
const TOLD_WHOLE: usize = 20;
/// What NICOS has simulated holds for so long, when somebody asks again.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// So many jobs are estimated in one go.
const AT_ONCE: usize = 200;
/// Behind the begin or the end of a job nothing is simulated for so long: the job has the machine.
const SETTLES: Duration = Duration::from_millis(100);
/// Where jobs follow each other without a break, the next simulation waits no longer than this.
const AT_MOST: Duration = Duration::from_secs(1);

/// The forecaster, as the loop holds it.
#[derive(Debug)]
pub(in crate::server) struct ForecastLink {
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// What is known of earlier runs.
    pub(super) memory: watch::Receiver<Arc<Memory>>,
    pub(super) workshop: Workshop,
    /// Whether waiting jobs are estimated without anybody asking.
    pub(super) background: bool,
}

/// What is expected of jobs.
pub(super) type Plans = Vec<(JobId, Arc<JobPlan>)>;
/// Where a forecast is waited for.
pub(super) type Answer = oneshot::Sender<Plans>;

/// What the loop asks of the forecaster.
#[derive(Debug)]
pub(in crate::server) enum Order {
    /// Something was measured.
    Learn(Lesson),
    /// Simulate the whole of this queue, and give back what every job does.
    Forecast(Arc<Snapshot>, Answer),
}

/// Starts the forecaster. It ends when the loop is gone.
pub(in crate::server) fn start(
    workshop: Workshop,
    journal: Journal,
    background: bool,
    to_loop: mpsc::UnboundedSender<Inside>,
) -> ForecastLink {
    let (snapshots, newest) = watch::channel(Arc::default());
    let (orders, ordered) = mpsc::unbounded_channel();
    let (memory_told, memory) = watch::channel(Arc::default());
    let forecaster = Forecaster {
        workshop: workshop.clone(),
        memory: Arc::default(),
        memory_told,
        newest,
        orders: ordered,
        forecasts: Vec::new(),
        asked: 0,
        known: HashMap::new(),
        kept: KeptPlans::default(),
        untold: Vec::new(),
        to_loop,
    };
    tokio::spawn(forecaster.run(journal));
    ForecastLink { snapshots, orders, memory, workshop, background }
}

struct Forecaster {
    workshop: Workshop,
    memory: Arc<Memory>,
    memory_told: watch::Sender<Arc<Memory>>,
    newest: watch::Receiver<Arc<Snapshot>>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// Forecasts that clients wait for, in the order in which they were asked for.
    forecasts: Vec<Asked>,
    /// How many were asked for.
    asked: u64,
    /// What was told of the jobs of the newest queue.
    known: HashMap<JobId, Arc<JobPlan>>,
    kept: KeptPlans,
    /// What was found and not told yet.
    untold: Plans,
    to_loop: mpsc::UnboundedSender<Inside>,
}

/// A forecast that a client waits for.
struct Asked {
    number: u64,
    snapshot: Arc<Snapshot>,
    answer: Answer,
}

/// A job to be simulated.
pub(super) struct Task<'a> {
    pub(super) id: JobId,
    pub(super) spec: &'a Arc<JobSpec>,
    pub(super) owner: &'a str,
    pub(super) begins_at: Option<Timestamp>,
}

impl Forecaster {
    async fn run(mut self, journal: Journal) {
        match journal.durations().await {
            Ok(durations) => self.learn(Lesson::of_journal(durations)),
            Err(error) => tracing::warn!(%error, "earlier durations cannot be read; estimates do without"),
        }
        drop(journal);
        while !self.to_loop.is_closed() {
            let gone = tokio::select! {
                changed = self.newest.changed() => {
                    // That marks it as seen, so it is looked at here.
                    self.estimate_newest();
                    changed.is_err()
                }
                order = self.orders.recv() => match order {
                    Some(order) => { self.take(order); false }
                    None => true,
                },
            };
            if gone {
                return;
            }
            self.work().await;
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Learn(lesson) => self.learn(lesson),
            Order::Forecast(snapshot, answer) => {
                self.asked += 1;
                self.forecasts.push(Asked { number: self.asked, snapshot, answer });
            }
        }
    }

    fn learn(&mut self, lesson: Lesson) {
        lesson.teach(Arc::make_mut(&mut self.memory));
        self.memory_told.send_replace(Arc::clone(&self.memory));
    }

    /// Takes in what came meanwhile, and tells at once what is known at once.
    fn listen(&mut self) {
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        if self.newest.has_changed().unwrap_or(false) {
            self.estimate_newest();
        }
    }

    /// Works until nothing is left to be found out about the newest queue.
    async fn work(&mut self) {
        loop {
            self.listen();
            // The newest goes first: it is about the queue as it is.
            while let Some(asked) = self.forecasts.pop() {
                let older = self.forecasts.len();
                match self.chain(&asked.snapshot, Some(&asked)).await {
                    Some(forecast) => drop(asked.answer.send(forecast)),
                    None if asked.answer.is_closed() => {}
                    // What it has found until now is kept for when it goes on.
                    None => self.forecasts.insert(older, asked),
                }
                self.listen();
            }
            self.let_jobs_begin().await;
            self.listen();
            if !self.forecasts.is_empty() {
                continue;
            }
            let newest = Arc::clone(&self.newest.borrow());
            let whole = self.chain(&newest, None).await.is_some();
            self.listen();
            if whole && self.forecasts.is_empty() && Arc::ptr_eq(&newest, &self.newest.borrow()) {
                return;
            }
            if self.to_loop.is_closed() {
                return;
            }
        }
    }

    /// Waits until no job has just been begun. What clients ask for meanwhile goes first.
    async fn let_jobs_begin(&mut self) {
        let at_most = Instant::now() + AT_MOST;
        while self.forecasts.is_empty() {
            let Some(stirred) = self.newest.borrow().stirred else { return };
            let due = at_most.min(stirred + SETTLES);
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(due) => {}
                changed = self.newest.changed() => {
                    self.estimate_newest();
                    if changed.is_err() {
                        return;
                    }
                }
                order = self.orders.recv() => match order {
                    Some(order) => self.take(order),
                    None => return,
                },
            }
        }
    }

    /// Estimates the jobs of the newest queue of which nothing is known yet.
    fn estimate_newest(&mut self) {
        let snapshot = Arc::clone(&self.newest.borrow_and_update());
        let active = snapshot.active.iter().map(|job| (job.id, &job.spec));
        let jobs: Vec<_> = active.chain(snapshot.waiting.iter().map(|job| (job.id, &job.spec))).collect();
        let mut known = HashMap::with_capacity(jobs.len());
        let mut told = Vec::new();
        let mut same: BTreeMap<*const JobSpec, Arc<JobPlan>> = BTreeMap::new();
        for (id, spec) in jobs {
            let before = self.known.remove(&id).filter(|plan| Arc::ptr_eq(&plan.spec, spec));
            let plan = before.unwrap_or_else(|| {
                let fresh = || self.quick(&snapshot, spec);
                // A job that is repeated a thousand times is estimated once.
                let plan = Arc::clone(same.entry(Arc::as_ptr(spec)).or_insert_with(fresh));
                if plan.plan.guess.is_some() {
                    told.push((id, Arc::clone(&plan)));
                }
                plan
            });
            known.insert(id, plan);
        }
        self.known = known;
        for some in told.chunks(AT_ONCE) {
            self.tell(some.to_vec());
        }
    }

    fn tell(&self, plans: Plans) {
        self.to_loop.send(Inside::Forecast(News::Plans(plans))).ok();
    }

    /// Simulates the jobs of a queue in the order in which they run. `None` when it was given up: the
    /// queue has changed, a newer forecast is asked for, or nobody waits for the answer any more.
    async fn chain(&mut self, snapshot: &Snapshot, asked: Option<&Asked>) -> Option<Plans> {
        let found = self.one_after_the_other(snapshot, asked).await;
        self.tell_untold();
        found
    }

    async fn one_after_the_other(&mut self, snapshot: &Snapshot, asked: Option<&Asked>) -> Option<Plans> {
        let mut state = snapshot.start.clone();
        let mut found = Vec::new();
        let mut busy_s = None;
        if let Some(active) = &snapshot.active {
            let begins_at = active.started_at;
            let task = Task { id: active.id, spec: &active.spec, owner: &active.owner, begins_at };
            let plan = self.simulated(snapshot, &task, &state, true, asked).await?;
            busy_s = Some(active.left_s.or_else(|| plan.seconds()));
            state = plan.end.clone().unwrap_or(state);
        }
        let jobs: HashMap<_, _> = snapshot.waiting.iter().map(|job| (job.id, job)).collect();
        let turns = snapshot.waiting.iter().filter(|job| !job.held).map(|job| Turn {
            id: job.id,
            not_before: job.spec.not_before,
            deadline: job.spec.deadline,
        });
        let mut course = Course::new(snapshot.now, busy_s, turns).not_before(snapshot.not_before);
        while let Some((id, begins_at)) = course.next() {
            let Some(job) = jobs.get(&id) else { continue };
            let task = Task { id, spec: &job.spec, owner: &job.owner, begins_at };
            let plan = self.simulated(snapshot, &task, &state, found.len() < TOLD_WHOLE, asked).await?;
            course.took(id, plan.seconds());
            state = plan.end.clone().unwrap_or(state);
            found.push((id, plan));
            // A long queue of which all is known must not keep a thread for itself.
            tokio::task::yield_now().await;
        }
        // A held job would start from wherever the queue is when it is released: its own length is told.
        for job in snapshot.waiting.iter().filter(|job| job.held) {
            let task = Task { id: job.id, spec: &job.spec, owner: &job.owner, begins_at: None };
            found.push((job.id, self.simulated(snapshot, &task, &state, false, asked).await?));
            tokio::task::yield_now().await;
        }
        Some(found)
    }

    /// What a job does from a state on, as it was found earlier or by a simulation now.
    async fn simulated(
        &mut self,
        snapshot: &Snapshot,
        task: &Task<'_>,
        state: &InstrumentState,
        whole: bool,
        asked: Option<&Asked>,
    ) -> Option<Arc<JobPlan>> {
        let keys = Keys::of(task, state, snapshot.catalogue.version());
        // An instrument that NICOS looks after moves on without this server.
        let fresh_for = (asked.is_some() && !self.workshop.works_unasked()).then_some(FRESH_FOR);
        let plan = match self.kept.find(&keys, task, state, &self.memory, asked.is_some(), fresh_for) {
            // The same text in another job: the plan is the same, but it is that job's.
            Some(plan) if Arc::ptr_eq(&plan.spec, task.spec) => plan,
            Some(plan) => Arc::new(JobPlan { spec: Arc::clone(task.spec), ..JobPlan::clone(&plan) }),
            None if asked.is_none() && !self.workshop.works_unasked() => {
                let known = self.known.get(&task.id).filter(|known| Arc::ptr_eq(&known.spec, task.spec));
                return Some(known.cloned().unwrap_or_else(|| self.quick(snapshot, task.spec)));
            }
            None => {
                self.tell_untold();
                if asked.is_none() {
                    self.let_jobs_begin().await;
                }
                if self.is_wanted_elsewhere(snapshot, asked) {
                    return None;
                }
                let run = self.simulate(snapshot, task, state, asked).await?;
                let now_ms = snapshot.now.0;
                let quick = quick_plan(task.spec, &snapshot.catalogue, &self.memory, now_ms);
                let plan = Arc::new(run.plan(task.spec, quick, &self.memory, now_ms));
                self.kept.keep(&keys, task, &plan, &self.memory);
                plan
            }
        };
        self.publish(task, &plan, whole);
        Some(plan)
    }

    /// What is known of a job without a run.
    fn quick(&self, snapshot: &Snapshot, spec: &Arc<JobSpec>) -> Arc<JobPlan> {
        Arc::new(JobPlan {
            spec: Arc::clone(spec),
            whole: true,
            plan: quick_plan(spec, &snapshot.catalogue, &self.memory, snapshot.now.0),
            simulated: false,
            end: None,
            findings: Vec::new(),
            looked_at: LookedAt { job: false, date: false },
        })
    }

    /// What is known of a job already. `asked`: somebody waits for the answer, and gets what is true of this
    /// very start.
    /// Whether somebody waits for a newer forecast, nobody for this one, or the queue has changed since.
    fn is_wanted_elsewhere(&mut self, snapshot: &Snapshot, asked: Option<&Asked>) -> bool {
        self.listen();
        match asked {
            Some(asked) => {
                let newer = self.forecasts.last().is_some_and(|newest| newest.number > asked.number);
                newer || asked.answer.is_closed()
            }
            None => !self.forecasts.is_empty() || !std::ptr::eq(snapshot, Arc::as_ptr(&self.newest.borrow())),
        }
    }

    /// Runs one simulation, and listens meanwhile. `None` when nobody wants it any more.
    async fn simulate(
        &mut self,
        snapshot: &Snapshot,
        task: &Task<'_>,
        state: &InstrumentState,
        asked: Option<&Asked>,
    ) -> Option<Run> {
        let facts = JobFacts {
            id: Some(task.id.to_string()),
            owner: task.owner.to_owned(),
            tags: task.spec.tags.clone(),
            group: task.spec.group.clone(),
        };
        let workshop = self.workshop.clone();
        let setting = Setting {
            job: facts,
            start: state.clone(),
            begins_at: task.begins_at,
            catalogue: Arc::clone(&snapshot.catalogue),
            memory: Arc::clone(&self.memory),
            now: snapshot.now,
            priority: Priority::Idle,
        };
        let running = workshop.run(task.spec, setting);
        let mut running = std::pin::pin!(running);
        loop {
            tokio::select! {
                run = &mut running => return Some(run),
                changed = self.newest.changed() => {
                    changed.ok()?;
                    self.estimate_newest();
                    // What is not on the queue any more is simulated for nobody, unless a client asked.
                    if asked.is_none() && !self.known.get(&task.id).is_some_and(|plan| Arc::ptr_eq(&plan.spec, task.spec)) {
                        return None;
                    }
                }
                Some(order) = self.orders.recv() => {
                    // What a newer forecast needs as well is finished first.
                    let in_vain = matches!(&order, Order::Forecast(newer, _) if !newer.has(task.id, task.spec));
                    self.take(order);
                    if in_vain {
                        return None;
                    }
                }
            }
            if asked.is_some_and(|asked| asked.answer.is_closed()) {
                return None;
            }
        }
    }

    fn publish(&mut self, task: &Task<'_>, plan: &Arc<JobPlan>, whole: bool) {
        let Some(known) = self.known.get(&task.id).filter(|known| Arc::ptr_eq(&known.spec, task.spec)) else {
            return;
        };
        let same = known.simulated
            && known.estimate() == plan.estimate()
            && known.end == plan.end
            && (known.whole || !whole);
        if same {
            return;
        }
        let told = if whole { Arc::clone(plan) } else { Arc::new(plan.summary()) };
        self.known.insert(task.id, Arc::clone(&told));
        self.untold.push((task.id, told));
        if self.untold.len() >= AT_ONCE {
            self.tell_untold();
        }
    }

    /// Tells what was found. The loop looks ahead over the whole queue each time, so what is known of ten
    /// thousand equal jobs must not reach it one by one.
    fn tell_untold(&mut self) {
        if !self.untold.is_empty() {
            let found = std::mem::take(&mut self.untold);
            self.tell(found);
        }
    }
}

impl Dispatcher {
    /// Asks for the forecast of the whole queue as it is now.
    pub(super) fn order_forecast(
        &self,
        not_before: Option<Timestamp>,
    ) -> Option<(Arc<Snapshot>, oneshot::Receiver<Plans>)> {
        let snapshot = Arc::new(Snapshot { not_before, ..self.forecast_snapshot(Self::now()) });
        let (answer, answered) = oneshot::channel();
        self.forecast.link.as_ref()?.orders.send(Order::Forecast(Arc::clone(&snapshot), answer)).ok()?;
        Some((snapshot, answered))
    }
}
