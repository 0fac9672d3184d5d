//! What it takes to estimate and simulate a job: shared by the forecaster and by the dry runs that clients
//! ask for.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use beamq_machines::{JobBody, JobSpec, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::desk::JobPlan;
use crate::{
    catalogue::{Catalogue, python},
    dryrun::nicos::{NicosRun, NicosSimulator, Told},
    dryrun::simulation::{
        DurationSource, ExpectedDuration, InstrumentState, JobFacts, LookedAt, Priority, Simulated,
        SimulationWish, Simulator,
    },
    estimate::{Entry, Guess, Interval, Memory, Plan, author_estimate, plan_of_calls},
    protocol::view::EstimateSource,
};

/// More stretches of a plan than this are not followed.
const MOST_ENTRIES: usize = 5_000;
/// Even a script that does nothing takes as long as its process takes to come and go, in seconds.
const LEAST: Interval = Interval { low: 0.02, expected: 0.1, high: 1.0 };

/// Who runs scripts on virtual time.
#[derive(Clone, Debug)]
pub(in crate::server) enum Simulation {
    /// beamq itself, in a confined process.
    Own(Arc<Simulator>),
    /// NICOS, which simulates its devices and nothing else.
    Nicos(Arc<NicosSimulator>),
}

/// What it takes to simulate.
#[derive(Clone, Debug)]
pub(in crate::server) struct Workshop {
    pub(in crate::server) simulation: Simulation,
    /// Where Python finds the code that the catalogue names.
    pub(in crate::server) folders: Arc<[PathBuf]>,
}

/// Tells texts that run the same from others.
pub(super) fn body_of(spec: &JobSpec) -> String {
    let mut hash = Sha256::new();
    match &spec.body {
        JobBody::Script { source, .. } => hash.update(source.as_bytes()),
        JobBody::Commands(calls) => {
            hash.update(b"calls\0");
            hash.update(python::source_of_calls(calls).as_bytes());
        }
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What formulas, earlier runs and the author say about a job: known at once.
pub(super) fn quick_plan(spec: &JobSpec, catalogue: &Catalogue, memory: &Memory, now_ms: i64) -> Plan {
    let mut plan = match &spec.body {
        JobBody::Commands(calls) => plan_of_calls(calls, catalogue, memory, now_ms),
        JobBody::Script { .. } => Plan::default(),
    };
    plan.at_least |= plan.guess.is_none();
    let computed = plan.computed_s.map(|seconds| (seconds, EstimateSource::Formula));
    if let Some(guess) = memory.job(&body_of(spec), computed, now_ms) {
        (plan.guess, plan.at_least) = (Some(guess), false);
    }
    if let (None, JobBody::Script { source, .. }) = (plan.guess, &spec.body)
        && let Some((guess, left_out)) = author_estimate(source)
    {
        (plan.guess, plan.at_least) = (Some(guess), left_out);
    }
    plan
}

/// A simulation, with what it needs to be made a plan of.
pub(super) struct Run {
    pub(super) simulated: Simulated,
    /// What NICOS said in its own words, where it is NICOS that simulates.
    pub(super) told: Option<Told>,
    notes: Arc<Notes>,
}

/// From where and for whom a job is simulated.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) job: JobFacts,
    pub(super) start: InstrumentState,
    /// When it begins, if that is not now.
    pub(super) begins_at: Option<Timestamp>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) memory: Arc<Memory>,
    pub(super) now: Timestamp,
    pub(super) priority: Priority,
}

impl Workshop {
    /// Whether scripts are simulated without anybody asking. What a script does besides moving NICOS's devices
    /// really happens in a dry run of NICOS, which has no sandbox unless somebody has installed one.
    pub(super) fn works_unasked(&self) -> bool {
        matches!(self.simulation, Simulation::Own(_))
    }

    /// Runs a job on virtual time.
    pub(super) async fn run(&self, spec: &JobSpec, setting: Setting) -> Run {
        let Setting { job, start, begins_at, catalogue, memory, now, priority } = setting;
        let source: Arc<str> = match &spec.body {
            JobBody::Script { source, .. } => Arc::clone(source),
            JobBody::Commands(calls) => python::source_of_calls(calls).into(),
        };
        let notes = Arc::new(Notes {
            memory,
            catalogue: Arc::clone(&catalogue),
            now_ms: now.0,
            calls: Mutex::default(),
        });
        let simulator = match &self.simulation {
            Simulation::Own(simulator) => simulator,
            Simulation::Nicos(simulator) => {
                let NicosRun { report, told } = simulator.simulate(&spec.name, &source, &catalogue).await;
                // NICOS does not tell how it leaves the instrument.
                let simulated = Simulated {
                    report,
                    end: start,
                    passages: Vec::new(),
                    diagnostics: Vec::new(),
                    looked_at: LookedAt { job: false, date: false },
                };
                return Run { simulated, told: Some(told), notes };
            }
        };
        let history: Arc<dyn DurationSource> = Arc::<Notes>::clone(&notes);
        let wish = SimulationWish {
            start,
            history,
            job,
            priority,
            begins_at: begins_at.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok()),
            ..SimulationWish::new(source, spec.name.clone(), catalogue, Arc::clone(&self.folders))
        };
        Run { simulated: simulator.simulate(wish).await, told: None, notes }
    }
}

impl Run {
    /// What follows for a job. `quick` is what was known without the simulation, for what it does not tell.
    pub(super) fn plan(self, spec: &Arc<JobSpec>, quick: Plan, memory: &Memory, now_ms: i64) -> JobPlan {
        let Simulated { report, end, passages, looked_at, .. } = self.simulated;
        let calls = self.notes.calls.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
        let seconds = report.totals.seconds;
        let mut plan = Plan {
            entries: passages
                .into_iter()
                .take(MOST_ENTRIES)
                .map(|passage| Entry {
                    t0_s: passage.t0_s,
                    dt_s: passage.dt_s,
                    line: passage.line,
                    command: passage.command,
                    call: passage.call,
                })
                .collect(),
            at_least: seconds.at_least || report.truncated == Some(true),
            ..Plan::default()
        };
        let mut learnt_s = 0.0;
        for noted in &calls {
            plan.note_computed(&noted.command, noted.computed_s);
            learnt_s +=
                noted.expected_s.zip(noted.computed_s).map_or(0.0, |(by_history, own)| by_history - own);
        }
        plan.guess = seconds.expected.filter(|expected| *expected > 0.0 || !plan.at_least).map(|expected| {
            let interval = Interval {
                low: seconds.low.unwrap_or(expected).max(LEAST.low),
                expected: expected.max(LEAST.expected),
                high: seconds.high.unwrap_or(expected).max(LEAST.high),
            };
            Guess { interval, source: EstimateSource::Simulated }
        });
        if !plan.at_least {
            plan.computed_s = plan.guess.map(|guess| (guess.interval.expected - learnt_s).max(0.0));
        }
        let computed = plan.computed_s.map(|seconds| (seconds, EstimateSource::Simulated));
        if let Some(guess) = memory.job(&body_of(spec), computed, now_ms) {
            (plan.guess, plan.at_least) = (Some(guess), false);
        }
        if plan.guess.is_none() {
            // The run tells nothing about times: what is known without it stands.
            let entries = if quick.entries.is_empty() { plan.entries } else { quick.entries.clone() };
            plan = Plan { entries, ..quick.clone() };
        }
        if plan.computed_calls.is_empty() {
            plan.computed_calls = quick.computed_calls;
        }
        JobPlan {
            spec: Arc::clone(spec),
            plan,
            simulated: true,
            whole: true,
            end: Some(end),
            findings: report.findings,
            looked_at,
        }
    }
}

/// Asks the memory, and notes what a simulation asked.
struct Notes {
    memory: Arc<Memory>,
    catalogue: Arc<Catalogue>,
    now_ms: i64,
    calls: Mutex<Vec<Noted>>,
}

/// A call that a simulation came to.
#[derive(Debug)]
struct Noted {
    command: String,
    /// What the formula or the hook said.
    computed_s: Option<f64>,
    /// What earlier calls say instead.
    expected_s: Option<f64>,
}

/// A script that calls commands for ever is cut short by the simulator; its notes are kept short as well.
const MOST_NOTES: usize = 20_000;

impl DurationSource for Notes {
    fn begins(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn duration(
        &self,
        command: &str,
        arguments: &Map<String, Value>,
        predicted_s: Option<f64>,
    ) -> Option<ExpectedDuration> {
        let known = self.catalogue.command(command);
        let arguments = known.map_or_else(|| arguments.clone(), |known| known.with_defaults(arguments));
        let computed = predicted_s.map(|seconds| (seconds, EstimateSource::Simulated));
        let guess = self.memory.call(command, &arguments, computed, self.now_ms);
        let guess = guess.filter(|guess| guess.source == EstimateSource::History);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() < MOST_NOTES {
            calls.push(Noted {
                command: command.to_owned(),
                computed_s: predicted_s,
                expected_s: guess.map(|guess| guess.interval.expected),
            });
        }
        guess.map(|guess| ExpectedDuration {
            low_s: guess.interval.low,
            expected_s: guess.interval.expected,
            high_s: guess.interval.high,
            source: guess.source,
        })
    }
}
