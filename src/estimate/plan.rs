//! What a job is expected to do when: the plan that a running job is compared with.

use std::collections::BTreeMap;

use beamq_machines::CommandCall;

use super::{
    interval::{Guess, Total},
    memory::Memory,
};
use crate::{catalogue::Catalogue, protocol::view::EstimateSource};

/// A stretch of time of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it begins, in seconds from the start of the job.
    pub t0_s: f64,
    /// How long it takes, in seconds.
    pub dt_s: f64,
    /// The line of the script.
    pub line: Option<u32>,
    /// The command that the script calls there.
    pub command: Option<String>,
    /// Which of the script's calls of this command it is, from 0.
    pub call: Option<u32>,
}

/// What a job is expected to do when, and how long it takes in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The stretches in order, without gaps; empty when only the sum is known.
    pub entries: Vec<Entry>,
    /// How long it takes; absent when nothing is known.
    pub guess: Option<Guess>,
    /// Whether it takes longer by something unknown.
    pub at_least: bool,
    /// What formulas or the simulation alone say about the whole, without history; only when that is all.
    pub computed_s: Option<f64>,
    /// The same of the calls: by command, and which call of it from 0.
    pub computed_calls: BTreeMap<String, Vec<Option<f64>>>,
}

impl Plan {
    /// What the formula or the simulation alone said about a call.
    #[must_use]
    pub fn computed_call(&self, command: &str, nth: u32) -> Option<f64> {
        *self.computed_calls.get(command)?.get(usize::try_from(nth).ok()?)?
    }

    /// Notes what was computed for the next call of a command.
    pub fn note_computed(&mut self, command: &str, computed_s: Option<f64>) {
        match self.computed_calls.get_mut(command) {
            Some(calls) => calls.push(computed_s),
            None => {
                self.computed_calls.insert(command.to_owned(), vec![computed_s]);
            }
        }
    }

    /// The length of the entries together, in seconds.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        self.entries.last().map_or(0.0, |last| last.t0_s + last.dt_s)
    }
}

/// The plan of a job of calls as their formulas and earlier calls have it, without a simulation: what
/// depends on the state of the instrument is unknown.
#[must_use]
pub fn plan_of_calls(calls: &[CommandCall], catalogue: &Catalogue, memory: &Memory, now_ms: i64) -> Plan {
    let mut plan = Plan::default();
    let mut total = Total::default();
    let mut computed_total = Some(0.0);
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut t0_s = 0.0;
    // What earlier calls of the job have left behind, as far as the catalogue declares it.
    let mut shown: BTreeMap<&str, f64> = BTreeMap::new();
    for (call, line) in calls.iter().zip(1u32..) {
        let command = catalogue.command(&call.command);
        let state = |name: &str| shown.get(name).map(|value| (*value).into());
        let computed = command.and_then(|command| command.estimate(&call.parameters, &state));
        match command.and_then(|command| command.effects(&call.parameters, &state)) {
            Some(effects) => {
                for (name, value) in effects {
                    match value {
                        Some(value) => _ = shown.insert(name, value),
                        None => _ = shown.remove(name),
                    }
                }
            }
            // A command of which nothing is declared may change anything.
            None => shown.clear(),
        }
        computed_total = computed_total.zip(computed).map(|(sum, seconds)| sum + seconds);
        let arguments = command
            .map_or_else(|| call.parameters.clone(), |command| command.with_defaults(&call.parameters));
        let source = computed.map(|seconds| (seconds, EstimateSource::Formula));
        let guess = memory.call(&call.command, &arguments, source, now_ms);
        total.add(guess);
        plan.note_computed(&call.command, computed);
        let number = numbers.entry(call.command.as_str()).or_default();
        let dt_s = guess.map_or(0.0, |guess| guess.interval.expected);
        plan.entries.push(Entry {
            t0_s,
            dt_s,
            line: Some(line),
            command: Some(call.command.clone()),
            call: Some(*number),
        });
        *number += 1;
        t0_s += dt_s;
    }
    plan.guess = total.guess();
    plan.at_least = !total.is_complete();
    plan.computed_s = computed_total;
    plan
}

/// Where a running job is on its plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    entry: usize,
    /// The active time of the job when it came to the entry, in seconds.
    entered_s: f64,
    /// Whether a command runs at this moment.
    in_command: bool,
    wait: Option<Wait>,
}

/// What the current wait says of itself, and how that changes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wait {
    /// The first reading and when it was, in seconds of the job's active time.
    first: (f64, f64),
    latest: (f64, f64),
    goal: f64,
}

/// A wait is believed when its readings are at least so many seconds apart.
const MEASURED_FOR: f64 = 1.0;
/// What is left of a stretch that takes longer than planned, as a part of what it has taken.
const OVERRUN: f64 = 0.02;

impl Position {
    /// A command began: which one, and which call of it from 0.
    pub fn command_began(&mut self, plan: &Plan, command: &str, nth: u32, active_s: f64) {
        let fits = |entry: &Entry| entry.command.as_deref() == Some(command);
        let exact = plan.entries.iter().position(|entry| fits(entry) && entry.call == Some(nth));
        // A script that took another way than planned calls it some other time.
        let later = || plan.entries.iter().skip(self.entry).position(fits).map(|n| n + self.entry);
        if let Some(entry) = exact.filter(|entry| *entry >= self.entry).or_else(later) {
            self.enter(entry, active_s);
        }
        self.in_command = true;
    }

    /// No command runs any more.
    pub fn command_ended(&mut self, plan: &Plan, active_s: f64) {
        if !std::mem::replace(&mut self.in_command, false) {
            return;
        }
        let Some(now) = plan.entries.get(self.entry) else { return };
        let same_call = |entry: &Entry| entry.command == now.command && entry.call == now.call;
        let rest = plan.entries.iter().skip(self.entry);
        let after = self.entry + rest.take_while(|entry| same_call(entry)).count();
        self.enter(after, active_s);
    }

    /// The script is at a line, outside of commands.
    pub fn at_line(&mut self, plan: &Plan, line: u32, active_s: f64) {
        if self.in_command || plan.entries.get(self.entry).is_some_and(|entry| entry.line == Some(line)) {
            return;
        }
        let rest = plan.entries.iter().enumerate().skip(self.entry);
        let mut before_next_call = rest.take_while(|(_, entry)| entry.command.is_none());
        let there = before_next_call.find(|(_, entry)| entry.line == Some(line));
        if let Some((entry, _)) = there {
            self.enter(entry, active_s);
        }
    }

    /// The current wait says what it waits for: `12.3 of 30 µA·h`, or `… 20 s left`.
    pub fn waits(&mut self, text: &str, active_s: f64) {
        let Some((now, goal)) = reading(text) else { return };
        match &mut self.wait {
            Some(wait) if wait.goal == goal => wait.latest = (now, active_s),
            _ => self.wait = Some(Wait { first: (now, active_s), latest: (now, active_s), goal }),
        }
    }

    fn enter(&mut self, entry: usize, active_s: f64) {
        if entry != self.entry {
            self.entry = entry;
            self.entered_s = active_s;
            self.wait = None;
        }
    }

    /// The seconds that are left, as things go now.
    #[must_use]
    pub fn left_s(&self, plan: &Plan, active_s: f64) -> f64 {
        let later: f64 = plan.entries.iter().skip(self.entry + 1).map(|entry| entry.dt_s).sum();
        self.left_of_entry_s(plan, active_s) + later
    }

    /// The part of the plan that is done, 0 to 1; `None` for a plan without length.
    #[must_use]
    pub fn part(&self, plan: &Plan, active_s: f64) -> Option<f64> {
        let length = plan.length_s();
        if length <= 0.0 {
            return None;
        }
        let Some(entry) = plan.entries.get(self.entry) else { return Some(1.0) };
        let here = (active_s - self.entered_s).max(0.0);
        let whole = here + self.left_of_entry_s(plan, active_s);
        let done = if whole > 0.0 { here / whole } else { 0.0 };
        Some(((entry.t0_s + done * entry.dt_s) / length).clamp(0.0, 1.0))
    }

    /// The seconds that are left of the present stretch.
    #[must_use]
    pub fn left_of_entry_s(&self, plan: &Plan, active_s: f64) -> f64 {
        let Some(entry) = plan.entries.get(self.entry) else { return 0.0 };
        let here = (active_s - self.entered_s).max(0.0);
        match self.wait.and_then(|wait| wait.left_s(active_s)) {
            Some(left) => left,
            None => (entry.dt_s - here).max(here * OVERRUN),
        }
    }

    /// How long the present stretch was planned to take; `None` beyond the end of the plan.
    #[must_use]
    pub fn planned_s(&self, plan: &Plan) -> Option<f64> {
        plan.entries.get(self.entry).map(|entry| entry.dt_s)
    }
}

impl Wait {
    /// The seconds that are left at the measured rate; `None` while that is not known.
    fn left_s(&self, active_s: f64) -> Option<f64> {
        let apart = self.latest.1 - self.first.1;
        let rate = (self.latest.0 - self.first.0) / apart;
        if apart < MEASURED_FOR || rate == 0.0 || !rate.is_finite() {
            return None;
        }
        let (value, goal) = (self.latest.0, self.goal);
        // What falls although it is below its goal is what is left: `20 of 60 s`.
        let way = if rate < 0.0 && value <= goal { -value } else { goal - value };
        let left = way / rate;
        (left >= 0.0).then(|| (left - (active_s - self.latest.1)).max(0.0))
    }
}

/// The two numbers of `12.3 of 30 µA·h`. Of `… 20 s left` it is 20 of 0: what falls to nothing.
fn reading(text: &str) -> Option<(f64, f64)> {
    if let Some((before, _)) = text.split_once(" s left") {
        return Some((before.split_whitespace().next_back()?.parse().ok()?, 0.0));
    }
    let (before, after) = text.split_once(" of ")?;
    let now = before.split_whitespace().next_back()?.parse().ok()?;
    let goal = after.split_whitespace().next()?.trim_end_matches(',').parse().ok()?;
    Some((now, goal))
}
