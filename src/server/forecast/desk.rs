//! What the loop keeps of estimates, and what it tells clients.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use beamq_machines::{JobId, JobSpec, Timestamp, job, queue};
use tokio::time::Instant;

use super::{
    ActiveJob, News, Snapshot, WaitingJob,
    forecaster::{ForecastLink, Order},
    live::Live,
    outlook::{Outlook, Times, Turn, outlook},
};
use crate::{
    dryrun::simulation::{InstrumentState, LookedAt},
    engine::CallRecord,
    estimate::Plan,
    protocol::{
        EventBody, JobEvent,
        view::{Estimate, Finding},
    },
    server::{
        dispatcher::Dispatcher,
        views::{Expected, QueuePage},
    },
};

/// Changes of more jobs than this at a time are told by one word on the queue.
const TOLD_ONE_BY_ONE: usize = 50;
/// An outlook is worked out anew when it is older than this.
const FRESH: Duration = Duration::from_secs(1);

/// What is expected of a job.
#[derive(Clone, Debug)]
pub(in crate::server) struct JobPlan {
    /// The description that it was made of: another one has another plan.
    pub(super) spec: Arc<JobSpec>,
    pub(super) plan: Plan,
    /// Whether it was simulated.
    pub(super) simulated: bool,
    /// Whether the plan still has its stretches: those of jobs far from their turn are left out.
    pub(super) whole: bool,
    /// The instrument as the job leaves it.
    pub(super) end: Option<InstrumentState>,
    /// What the simulation found.
    pub(super) findings: Vec<Finding>,
    /// What the script has looked at besides the instrument.
    pub(super) looked_at: LookedAt,
}

impl JobPlan {
    /// The estimate as clients see it.
    pub(super) fn estimate(&self) -> Option<Estimate> {
        Some(self.plan.guess?.view(self.plan.at_least))
    }

    /// The seconds it takes, when all of it is known. A job that reaches its own time limit ends there.
    pub(super) fn seconds(&self) -> Option<f64> {
        let guess = self.plan.guess.filter(|_| !self.plan.at_least)?;
        let limit = self.spec.timeout_ms.map_or(f64::INFINITY, |ms| ms as f64 / 1000.0);
        Some(guess.interval.expected.min(limit))
    }

    /// Whether the script goes round in a loop. One that is merely too long for its simulation may end
    /// from another start, or when the machine is less busy.
    pub(super) fn is_endless(&self) -> bool {
        self.findings.iter().any(|finding| finding.code == "endless")
    }

    /// The plan without its stretches.
    pub(super) fn summary(&self) -> Self {
        let plan = Plan { entries: Vec::new(), computed_calls: BTreeMap::new(), ..self.plan.clone() };
        Self {
            plan,
            whole: false,
            spec: Arc::clone(&self.spec),
            end: self.end.clone(),
            findings: self.findings.clone(),
            ..*self
        }
    }
}

/// What the loop keeps of estimates.
#[derive(Default)]
pub(in crate::server) struct ForecastDesk {
    plans: BTreeMap<JobId, Arc<JobPlan>>,
    pub(super) live: Option<Live>,
    pub(super) link: Option<ForecastLink>,
    /// The instrument as the last job that was simulated is expected to have left it.
    instrument: InstrumentState,
    /// The calls of the job that is just ending.
    pub(super) ended_calls: Vec<CallRecord>,
    /// When waiting jobs start and end, as it was worked out last, and when that was; nothing when it is out
    /// of date.
    ahead: Outlook,
    looked_at: Option<Instant>,
    /// The active job as the queue was announced last, and since when it is that one.
    active: Option<JobId>,
    stirred: Option<Instant>,
}

impl ForecastDesk {
    /// A desk that asks this forecaster.
    pub(in crate::server) fn new(link: Option<ForecastLink>) -> Self {
        Self { link, ..Self::default() }
    }

    /// What is expected of a job, if its description is still the one it was made of.
    pub(super) fn plan(&self, id: JobId, spec: &Arc<JobSpec>) -> Option<&Arc<JobPlan>> {
        self.plans.get(&id).filter(|plan| Arc::ptr_eq(&plan.spec, spec))
    }

    /// The instrument as the last job is expected to have left it.
    pub(super) fn instrument(&self) -> &InstrumentState {
        &self.instrument
    }

    /// When the last waiting job has ended, as it was worked out last.
    pub(in crate::server) fn expected_finish(&self) -> Option<Timestamp> {
        self.ahead.finish
    }

    pub(super) fn forget(&mut self, id: JobId) {
        self.plans.remove(&id);
        if self.live.as_ref().is_some_and(|live| live.job == id) {
            self.live = None;
        }
    }
}

impl Dispatcher {
    /// The queue has changed: what is expected of it is looked at again, outside the loop.
    pub(in crate::server) fn forecast_queue_changed(&mut self) {
        self.forecast.looked_at = None;
        if !self.queue_goes_on() {
            self.forecast.ahead = Outlook::default();
        }
        let active = self.core.queue().active;
        if self.forecast.active != active {
            self.forecast.active = active;
            self.forecast.stirred = Some(Instant::now());
        }
        let Some(link) = &self.forecast.link else { return };
        if link.background {
            let snapshot = self.forecast_snapshot(Self::now());
            if let Some(link) = &self.forecast.link {
                link.snapshots.send_replace(Arc::new(snapshot));
            }
        }
    }

    /// The queue as the forecaster needs it.
    pub(super) fn forecast_snapshot(&self, now: Timestamp) -> Snapshot {
        let queue = self.core.queue();
        let waiting = queue.order.iter().filter_map(|id| self.core.job(*id)).map(|machine| WaitingJob {
            id: machine.id,
            spec: Arc::clone(&machine.spec),
            owner: machine.owner.clone(),
            held: matches!(machine.state(), job::State::Held {}),
        });
        Snapshot {
            catalogue: Arc::clone(&self.in_force.catalogue),
            now,
            stirred: self.forecast.stirred,
            not_before: None,
            start: self.forecast.instrument.clone(),
            active: queue.active.and_then(|id| self.core.job(id)).map(|machine| ActiveJob {
                id: machine.id,
                spec: Arc::clone(&machine.spec),
                owner: machine.owner.clone(),
                started_at: machine.started_at,
                left_s: self.left_of_active(now),
            }),
            waiting: waiting.collect(),
        }
    }

    /// The seconds that are left of the active job, if that is known.
    pub(super) fn left_of_active(&self, now: Timestamp) -> Option<f64> {
        let machine = self.core.job(self.core.queue().active?)?;
        let active_s = machine.active_time(now).unwrap_or_default().as_secs_f64();
        let live = self.forecast.live.as_ref().filter(|live| live.job == machine.id);
        live.and_then(|live| live.left_by_engine_s(active_s)).or_else(|| {
            let plan = self.forecast.plan(machine.id, &machine.spec)?;
            Live::left_s(live, &plan.plan, active_s)
        })
    }

    /// When waiting jobs start and end if the queue is released now.
    pub(super) fn outlook_if_released(&self, now: Timestamp) -> Outlook {
        let queue = self.core.queue();
        let waiting = queue.order.iter().filter_map(|id| self.core.job(*id));
        let turns =
            waiting.filter(|machine| matches!(machine.state(), job::State::Queued {})).map(|machine| Turn {
                id: machine.id,
                not_before: machine.spec.not_before,
                deadline: machine.spec.deadline,
            });
        let seconds = |id| {
            let machine = self.core.job(id)?;
            self.forecast.plan(id, &machine.spec)?.seconds()
        };
        outlook(now, queue.active.map(|_| self.left_of_active(now)), None, turns, seconds)
    }

    /// Whether the queue starts jobs by itself.
    fn queue_goes_on(&self) -> bool {
        match self.core.queue().state() {
            queue::State::Idle {} | queue::State::Busy {} | queue::State::Between {} => true,
            queue::State::Draining { .. } | queue::State::Held { .. } | queue::State::Blocked { .. } => false,
        }
    }

    /// Works out when waiting jobs start and end, unless that was done just now. While the queue starts
    /// nothing by itself there are no such times.
    pub(in crate::server) fn look_ahead(&mut self) {
        if self.forecast.looked_at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let anything = self.core.queue().active.is_some() || !self.core.queue().order.is_empty();
        self.forecast.ahead = if self.queue_goes_on() && anything {
            self.outlook_if_released(Self::now())
        } else {
            Outlook::default()
        };
        self.forecast.looked_at = Some(Instant::now());
    }

    /// What is expected of a job: how long it takes, and when it starts and ends.
    pub(in crate::server) fn expected(&self, id: JobId, now: Timestamp) -> Expected {
        let Some(machine) = self.core.job(id) else { return Expected::default() };
        if self.core.queue().active == Some(id) {
            let estimate = self.live_estimate(now);
            let left = estimate.filter(|estimate| !estimate.at_least).and(self.left_of_active(now));
            let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
            return Expected { estimate, start: None, finish: left.map(|left| now.after(left)) };
        }
        let estimate = self.forecast.plan(id, &machine.spec).and_then(|plan| plan.estimate());
        let times = self.forecast.ahead.jobs.get(&id);
        let Times { start, finish } = times.copied().unwrap_or_default();
        Expected { estimate, start, finish }
    }

    /// Adds to a page of the queue what is expected of its jobs and series.
    pub(in crate::server) fn add_estimates(&self, page: &mut QueuePage, now: Timestamp) {
        page.expected = page.jobs.iter().map(|(machine, _)| self.expected(machine.id, now)).collect();
        page.head.active = page.head.active.take().map(|view| {
            let expected = self.expected(view.id, now);
            expected.shown_in(view)
        });
        if page.head.groups.is_empty() {
            return;
        }
        let queue = self.core.queue();
        let mut finishes: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        for id in queue.active.iter().chain(&queue.order) {
            let Some(group) = self.core.job(*id).and_then(|machine| machine.spec.group.as_deref()) else {
                continue;
            };
            let finish = self.expected(*id, now).finish;
            // One member whose end is unknown makes the end of the series unknown.
            let latest = finishes.entry(group).or_insert(finish);
            *latest = latest.zip(finish).map(|(one, other)| one.max(other));
        }
        for (name, view) in &mut page.head.groups {
            view.expected_finish = finishes.get(name.as_str()).copied().flatten().map(Into::into);
        }
    }

    /// Takes in what the forecaster has found.
    pub(in crate::server) fn forecast_news(&mut self, news: News) {
        let News::Plans(plans) = news;
        let mut changed = Vec::new();
        for (id, plan) in plans {
            let Some(machine) = self.core.job(id) else { continue };
            if !Arc::ptr_eq(&machine.spec, &plan.spec) {
                continue;
            }
            let before = self.forecast.plans.get(&id).and_then(|before| before.estimate());
            if before != plan.estimate() {
                changed.push(id);
            }
            self.forecast.plans.insert(id, plan);
        }
        if changed.is_empty() {
            return;
        }
        self.forecast.looked_at = None;
        let now = Self::now();
        let active = self.core.queue().active;
        if changed.len() > TOLD_ONE_BY_ONE {
            self.queue_looks_different();
        } else {
            self.look_ahead();
            for id in changed {
                if active == Some(id) {
                    self.announce_progress(id, now);
                } else if let Some(job) = self.live_job(id, now) {
                    self.announce(EventBody::Job(Box::new(JobEvent { job })), now);
                }
            }
        }
    }

    /// A job begins: from now on it is compared with its plan.
    pub(super) fn begin_to_follow(&mut self, id: JobId) {
        let Some(machine) = self.core.job(id) else { return };
        let plan =
            self.forecast.plans.get(&id).filter(|plan| Arc::ptr_eq(&plan.spec, &machine.spec)).cloned();
        let estimate = plan.as_ref().and_then(|plan| plan.estimate());
        self.forecast.live = Some(Live::new(id, estimate));
    }

    /// The job that has ended leaves the instrument as it was expected to.
    pub(super) fn instrument_was_left(&mut self, id: JobId) {
        if let Some(end) = self.forecast.plans.get(&id).and_then(|plan| plan.end.clone()) {
            self.forecast.instrument = end;
        }
    }

    pub(super) fn ask_forecaster(&self, order: Order) {
        if let Some(link) = &self.forecast.link {
            link.orders.send(order).ok();
        }
    }
}
