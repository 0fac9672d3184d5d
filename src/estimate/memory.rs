//! What earlier runs took, and what follows from that for the next one.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use super::{
    interval::{Guess, Interval},
    robust::{Weighted, quantile, sorted},
    similarity::similarity,
};
use crate::protocol::view::EstimateSource;

/// So many calls of a command are remembered …
const CALLS_PER_COMMAND: usize = 200;
/// … of so many commands …
const COMMANDS: usize = 2_000;
/// … and so many runs of a job of the same text …
const RUNS_PER_JOB: usize = 20;
/// … of so many texts, the newest.
const JOBS: usize = 5_000;

/// After so many days a measurement counts half.
const HALF_LIFE_DAYS: f64 = 30.0;
/// After so many newer measurements a measurement counts half: instruments change.
const HALF_LIFE_RANK: f64 = 20.0;
/// A formula is corrected when what was measured counts as much as so many fresh measurements.
const ENOUGH: f64 = 2.0;
/// Below this many seconds a ratio says nothing.
const SHORTEST_RATIO: f64 = 1.0;
/// Without a formula only calls that are at least so similar say something.
const LEAST_SIMILAR: f64 = 0.25;
/// With a formula, calls with other arguments count at least so much: the formula knows the arguments.
const LEAST_WITH_FORMULA: f64 = 0.2;
/// What is believed of the ends of an interval before there are measurements, and how much that counts.
const PRIOR_ENDS: (f64, f64) = (0.75, 1.35);
const PRIOR_WEIGHT: f64 = 0.5;

/// A call that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSample {
    /// When it began: milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// How long it took without pauses, in seconds.
    pub active_s: f64,
    /// What the formula or the simulation had said, in seconds.
    pub predicted_s: Option<f64>,
    /// Its arguments with the defaults filled in.
    pub arguments: Map<String, Value>,
}

/// A run of a job that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobSample {
    /// When it began: milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// How long it took without pauses, in seconds.
    pub active_s: f64,
    /// What the formulas or the simulation had said, in seconds.
    pub predicted_s: Option<f64>,
}

/// What earlier runs took. Bounded, whatever is told.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    calls: BTreeMap<String, VecDeque<CallSample>>,
    /// How often each command was told of.
    told: BTreeMap<String, u64>,
    jobs: BTreeMap<String, VecDeque<JobSample>>,
    /// The texts in the order in which they were first told.
    texts: VecDeque<String>,
}

/// A measurement, its prediction, and how much it counts.
#[derive(Clone, Copy)]
struct Measured {
    active_s: f64,
    predicted_s: Option<f64>,
    weight: f64,
}

impl Memory {
    /// Takes in a call. Calls are told in the order in which they ended.
    pub fn remember_call(&mut self, command: &str, sample: CallSample) {
        if !self.calls.contains_key(command) && self.calls.len() >= COMMANDS {
            return;
        }
        let calls = self.calls.entry(command.to_owned()).or_default();
        if calls.len() >= CALLS_PER_COMMAND {
            calls.pop_front();
        }
        calls.push_back(sample);
        match self.told.get_mut(command) {
            Some(told) => *told += 1,
            None => {
                self.told.insert(command.to_owned(), 1);
            }
        }
    }

    /// Changes when so much was learnt about a command that what was estimated with it is worth another
    /// look: with each of the first calls, and then whenever a quarter more are known.
    #[must_use]
    pub fn edition(&self, command: &str) -> u64 {
        let told = self.told.get(command).copied().unwrap_or(0);
        let calls = CALLS_PER_COMMAND as u64;
        match told {
            0..=5 => told,
            6.. if told < calls => 6 + ((told as f64 / 6.0).ln() / 1.25_f64.ln()) as u64,
            _ => 22 + told / (calls / 4),
        }
    }

    /// Takes in a run of a job that came to its own end; `body` tells its text from others.
    pub fn remember_job(&mut self, body: &str, sample: JobSample) {
        if !self.jobs.contains_key(body) {
            self.texts.push_back(body.to_owned());
            if self.texts.len() > JOBS
                && let Some(oldest) = self.texts.pop_front()
            {
                self.jobs.remove(&oldest);
            }
        }
        let runs = self.jobs.entry(body.to_owned()).or_default();
        if runs.len() >= RUNS_PER_JOB {
            runs.pop_front();
        }
        runs.push_back(sample);
    }

    /// How long a call takes. `computed` is what its formula or the simulation says and `source` which of
    /// the two; `arguments` have the defaults filled in. `None` when nothing is known.
    #[must_use]
    pub fn call(
        &self,
        command: &str,
        arguments: &Map<String, Value>,
        computed: Option<(f64, EstimateSource)>,
        now_ms: i64,
    ) -> Option<Guess> {
        let least = if computed.is_some() { LEAST_WITH_FORMULA } else { 0.0 };
        let measured = self.calls.get(command).into_iter().flatten().rev().enumerate().map(|(rank, call)| {
            let similar = similarity(arguments, &call.arguments).max(least);
            let counts = if computed.is_some() || similar >= LEAST_SIMILAR { similar } else { 0.0 };
            Measured {
                active_s: call.active_s,
                predicted_s: call.predicted_s,
                weight: counts * freshness(rank, call.at_ms, now_ms),
            }
        });
        guess(&measured.collect::<Vec<_>>(), computed)
    }

    /// How long a job takes that has run before; `None` when it has not run often enough. `computed` is
    /// what its formulas or its simulation say, when they say all of it.
    #[must_use]
    pub fn job(&self, body: &str, computed: Option<(f64, EstimateSource)>, now_ms: i64) -> Option<Guess> {
        let runs = self.jobs.get(body)?;
        let measured = runs.iter().rev().enumerate().map(|(rank, run)| Measured {
            active_s: run.active_s,
            predicted_s: run.predicted_s,
            weight: freshness(rank, run.at_ms, now_ms),
        });
        guess(&measured.collect::<Vec<_>>(), computed).filter(|guess| guess.source == EstimateSource::History)
    }
}

fn freshness(rank: usize, at_ms: i64, now_ms: i64) -> f64 {
    let days = now_ms.saturating_sub(at_ms).max(0) as f64 / 86_400_000.0;
    (-(days / HALF_LIFE_DAYS) - rank as f64 / HALF_LIFE_RANK).exp2()
}

/// What follows from measurements for something that was computed, or was not.
fn guess(measured: &[Measured], computed: Option<(f64, EstimateSource)>) -> Option<Guess> {
    let absolute = || {
        let values = measured.iter().map(|one| Weighted { value: one.active_s, weight: one.weight });
        sorted(values.collect())
    };
    let Some((seconds, source)) = computed.filter(|(seconds, _)| seconds.is_finite() && *seconds >= 0.0)
    else {
        let values = absolute();
        let interval = around(&values)?;
        return Some(Guess { interval, source: EstimateSource::History });
    };
    let alike = measured.iter().filter(|one| {
        one.predicted_s.is_some_and(|predicted| (predicted >= SHORTEST_RATIO) == (seconds >= SHORTEST_RATIO))
    });
    let values = alike.filter_map(|one| {
        let predicted = one.predicted_s?;
        let value = if seconds >= SHORTEST_RATIO { one.active_s / predicted } else { one.active_s };
        Some(Weighted { value, weight: one.weight })
    });
    let values = sorted(values.collect());
    let weight: f64 = values.iter().map(|one| one.weight).sum();
    let factor = if seconds >= SHORTEST_RATIO { seconds } else { 1.0 };
    match around(&values).filter(|_| weight >= ENOUGH) {
        Some(interval) => Some(Guess { interval: interval.scaled(factor), source: EstimateSource::History }),
        None => Some(Guess { interval: Interval::computed(seconds), source }),
    }
}

/// The interval in which values lie: their median, and ends that are wide while there are few.
fn around(values: &[Weighted]) -> Option<Interval> {
    let expected = quantile(values, 0.5)?;
    let mut with_prior = values.to_vec();
    for end in [PRIOR_ENDS.0, PRIOR_ENDS.1] {
        with_prior.push(Weighted { value: expected * end, weight: PRIOR_WEIGHT });
    }
    let with_prior = sorted(with_prior);
    let low = quantile(&with_prior, 0.1).unwrap_or(expected).min(expected);
    let high = quantile(&with_prior, 0.9).unwrap_or(expected).max(expected);
    Some(Interval { low, expected, high })
}
