//! The running job and its plan: the percentage, what is left, and how the estimate follows.

use beamq_machines::{
    Basis, JobId, Progress, Timestamp,
    core::{EngineNotice, Input},
    job::State,
};
use tokio::time::{Duration, Instant};

use crate::{
    engine::CallsSoFar,
    estimate::{Plan, Position},
    protocol::view::{Estimate, EstimateSource},
    server::dispatcher::Dispatcher,
};

/// How often a job that tells nothing is looked at.
const TICK: Duration = Duration::from_secs(1);
/// A change of less than this many per cent is not told on its own.
const WORTH_TELLING: f64 = 0.1;
/// Who takes longer than expected has this part of the time so far still to go.
const OVERRUN: f64 = 0.02;
/// Without experience, this is how much shorter and longer than a simulation says it may take.
const SIMULATED_SPREAD: (f64, f64) = (0.9, 1.2);
/// Shorter stretches are over before anybody reads what remains of them, in seconds.
const SHORTEST_SHOWN: f64 = 3.0;

/// A running job on its way.
#[derive(Debug)]
pub(in crate::server) struct Live {
    pub(super) job: JobId,
    /// What was expected when it started, or as soon as something was.
    pub(super) promised: Option<Estimate>,
    position: Position,
    /// The active time at which the job ends, in seconds, by the engine's own word.
    ends_at_s: Option<f64>,
    begun: u32,
    told_percent: f64,
    next_tick: Instant,
}

impl Live {
    pub(super) fn new(job: JobId, promised: Option<Estimate>) -> Self {
        let position = Position::default();
        let next_tick = Instant::now() + TICK;
        Self { job, promised, position, ends_at_s: None, begun: 0, told_percent: 0.0, next_tick }
    }

    /// The seconds that are left by the engine's word. Who takes longer than expected is not over at once.
    pub(super) fn left_by_engine_s(&self, active_s: f64) -> Option<f64> {
        Some((self.ends_at_s? - active_s).max(active_s * OVERRUN))
    }

    /// The seconds that are left of a job by its plan, `live` being where it is; `None` when unknown.
    pub(super) fn left_s(live: Option<&Self>, plan: &Plan, active_s: f64) -> Option<f64> {
        let guess = plan.guess?;
        let length = plan.length_s();
        if length <= 0.0 {
            // Only the sum is known. Who takes longer than expected is not over at once.
            return Some((guess.interval.expected - active_s).max(active_s * OVERRUN));
        }
        let left = live.map_or(length, |live| live.position.left_s(plan, active_s));
        // What the whole takes by earlier runs, the parts take in proportion.
        Some(left * (guess.interval.expected / length))
    }

    fn part(&self, plan: Option<&Plan>, active_s: f64) -> Option<f64> {
        let of_all = |left| if active_s + left > 0.0 { active_s / (active_s + left) } else { 0.0 };
        if let Some(left) = self.left_by_engine_s(active_s) {
            return Some(of_all(left));
        }
        let plan = plan.filter(|plan| !plan.at_least)?;
        if plan.length_s() > 0.0 {
            return self.position.part(plan, active_s);
        }
        Some(of_all(Self::left_s(Some(self), plan, active_s)?))
    }
}

impl Dispatcher {
    /// The active time of the active job in seconds, once it runs.
    fn active_seconds(&self, id: JobId, now: Timestamp) -> Option<f64> {
        Some(self.core.job(id)?.active_time(now)?.as_secs_f64())
    }

    /// The script has called a command or come back from one.
    pub(in crate::server) fn calls_so_far(&mut self, id: JobId, calls: &CallsSoFar, now: Timestamp) {
        self.follow(id);
        let Some(active_s) = self.active_seconds(id, now) else { return };
        let Some(machine) = self.core.job(id) else { return };
        let Some(plan) = self.forecast.plan(id, &machine.spec).cloned() else { return };
        let Some(live) = &mut self.forecast.live else { return };
        match &calls.running {
            Some((command, nth)) => live.position.command_began(&plan.plan, command, *nth, active_s),
            None => live.position.command_ended(&plan.plan, active_s),
        }
        let moved = std::mem::replace(&mut live.begun, calls.begun) != calls.begun;
        let told = self.core.progress().clone();
        if moved && self.advance(id, told, now) {
            self.announce_progress(id, now);
        }
    }

    /// The engine says when the script ends, or that it does not know any longer.
    pub(in crate::server) fn expects_end(&mut self, id: JobId, end_ms: Option<i64>, now: Timestamp) {
        self.follow(id);
        let Some(active_s) = self.active_seconds(id, now) else { return };
        let Some(live) = self.forecast.live.as_mut().filter(|live| live.job == id) else { return };
        // A pause moves the end with it, so it is kept in active time.
        live.ends_at_s = end_ms.map(|end| active_s + (end.saturating_sub(now.0) as f64 / 1000.0).max(0.0));
        let told = self.core.progress().clone();
        self.advance(id, told, now);
        self.announce_progress(id, now);
    }

    /// Where the script is, by its own word, with what the plan adds to it.
    pub(in crate::server) fn progressed(&mut self, id: JobId, progress: Progress, now: Timestamp) {
        self.follow(id);
        if self.stands_still(id) {
            self.turn(Input::Engine(id, EngineNotice::Progress(progress)));
            return;
        }
        if let Some(active_s) = self.active_seconds(id, now)
            && let Some(machine) = self.core.job(id)
            && let Some(plan) = self.forecast.plan(id, &machine.spec).cloned()
            && let Some(live) = &mut self.forecast.live
        {
            if let (Some(line), None) = (progress.line, &progress.command) {
                live.position.at_line(&plan.plan, line, active_s);
            }
            if let Some(text) = &progress.remaining {
                live.position.waits(text, active_s);
            }
        }
        self.advance(id, progress, now);
    }

    /// Whether the job is paused: what was on its way when the pause took effect moves nothing any more.
    fn stands_still(&self, id: JobId) -> bool {
        self.core.job(id).is_some_and(|job| matches!(job.state(), State::Paused {}))
    }

    /// Passes progress on to the core, completed by the plan. Whether the percentage changed visibly.
    fn advance(&mut self, id: JobId, progress: Progress, now: Timestamp) -> bool {
        let progress = self.completed(id, progress, now);
        self.turn(Input::Engine(id, EngineNotice::Progress(progress)));
        let percent = self.core.progress().percent.unwrap_or(0.0);
        let Some(live) = &mut self.forecast.live else { return false };
        live.next_tick = Instant::now() + TICK;
        let visibly = (percent - live.told_percent).abs() >= WORTH_TELLING;
        if visibly {
            live.told_percent = percent;
        }
        visibly
    }

    fn completed(&self, id: JobId, mut progress: Progress, now: Timestamp) -> Progress {
        if self.stands_still(id) {
            return progress;
        }
        let Some(active_s) = self.active_seconds(id, now) else { return progress };
        let Some(machine) = self.core.job(id) else { return progress };
        let plan = self.forecast.plan(id, &machine.spec);
        let Some(live) = self.forecast.live.as_ref().filter(|live| live.job == id) else { return progress };
        let own = progress.percent.is_some() && progress.basis != Basis::Timeline;
        if !own {
            let percent = live.part(plan.map(|plan| &plan.plan), active_s).map(|part| part * 100.0);
            if percent.is_some() {
                (progress.percent, progress.basis) = (percent, Basis::Timeline);
            }
        }
        if let Some(plan) = plan
            && progress.remaining.is_none()
            && progress.command.is_some()
            && let Some(planned) = live.position.planned_s(&plan.plan).filter(|s| *s >= SHORTEST_SHOWN)
        {
            let left = live.position.left_of_entry_s(&plan.plan, active_s);
            progress.remaining = Some(format!("about {left:.0} of {planned:.0} s"));
        }
        progress
    }

    /// How long the active job takes in all, as it goes now.
    pub(in crate::server) fn live_estimate(&self, now: Timestamp) -> Option<Estimate> {
        let machine = self.core.job(self.core.queue().active?)?;
        let active_s = machine.active_time(now).unwrap_or_default().as_secs_f64();
        let round = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        let live = self.forecast.live.as_ref().filter(|live| live.job == machine.id);
        if let Some(left) = live.and_then(|live| live.left_by_engine_s(active_s)) {
            return Some(Estimate {
                low_s: round(active_s + left * SIMULATED_SPREAD.0),
                expected_s: round(active_s + left),
                high_s: round(active_s + left * SIMULATED_SPREAD.1),
                source: EstimateSource::Simulated,
                at_least: false,
            });
        }
        let first = self.forecast.plan(machine.id, &machine.spec)?.estimate()?;
        let left = self.left_of_active(now)?;
        Some(Estimate {
            low_s: round(active_s + left * first.low_s / first.expected_s),
            expected_s: round(active_s + left),
            high_s: round(active_s + left * first.high_s / first.expected_s),
            ..first
        })
    }

    /// When to look at the running job again although it tells nothing.
    pub(in crate::server) fn next_forecast_tick(&self) -> Option<Instant> {
        let live = self.forecast.live.as_ref()?;
        let machine = self.core.job(live.job)?;
        // In a pause everything stands still, and without a plan there is nothing to tell.
        let runs = matches!(machine.state(), State::Running {} | State::Pausing { .. } | State::Skipping {});
        let planned =
            self.forecast.plan(live.job, &machine.spec).is_some_and(|plan| plan.plan.guess.is_some());
        let known = planned || live.ends_at_s.is_some();
        (runs && known && machine.started_at.is_some()).then_some(live.next_tick)
    }

    /// Looks at the running job, if it is time.
    pub(in crate::server) fn forecast_tick(&mut self) {
        if self.next_forecast_tick().is_none_or(|due| due > Instant::now()) {
            return;
        }
        let Some(id) = self.forecast.live.as_ref().map(|live| live.job) else { return };
        let now = Self::now();
        let mut progress = self.core.progress().clone();
        // What the plan said a second ago it says anew.
        if progress.remaining.as_ref().is_some_and(|text| text.starts_with("about ")) {
            progress.remaining = None;
        }
        if self.advance(id, progress, now) {
            self.announce_progress(id, now);
        }
    }

    fn follow(&mut self, id: JobId) {
        if self.core.queue().active == Some(id)
            && self.forecast.live.as_ref().is_none_or(|live| live.job != id)
        {
            self.begin_to_follow(id);
        }
        if let Some(live) = &self.forecast.live
            && live.promised.is_none()
            && let Some(machine) = self.core.job(id)
        {
            let promised = self.forecast.plan(id, &machine.spec).and_then(|plan| plan.estimate());
            if let Some(live) = &mut self.forecast.live {
                live.promised = promised;
            }
        }
    }
}
