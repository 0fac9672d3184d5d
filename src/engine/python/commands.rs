//! What a worker says of the calls of catalogue commands: kept for the case that it says nothing more, and
//! measured, because what a call took says what the next one will take.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use beamq_machines::{CommandError, CommandInProgress};
use serde_json::{Map, Value};

use crate::engine::{CallRecord, CallsSoFar};

/// A worker that is sound lists no more errors than this.
const MOST_ERRORS: usize = 100;
/// Nor does it tell arguments of more bytes than this.
const LONGEST_ARGUMENTS: usize = 100_000;
/// So many calls of a job are remembered with their durations …
const MOST_RECORDS: usize = 1_000;
/// … and arguments of no more than so many bytes each: longer ones tell one call from no other.
const LONGEST_REMEMBERED: usize = 4_000;

/// A catalogue has fewer commands than this.
const MOST_NAMES: usize = 10_000;

/// The calls of a job, as they were told.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those that have begun and not ended, the outermost first.
    running: Vec<Running>,
    errors: Vec<CommandError>,
    records: Vec<CallRecord>,
    begun: u32,
    /// How often the script has called each command.
    begun_by_name: BTreeMap<String, u32>,
    paused: Duration,
    paused_since: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    command: CommandInProgress,
    line: Option<u32>,
    began_ms: i64,
    /// How long the script had stood still before.
    paused_before: Duration,
    /// Which of the script's own calls of this command it is.
    nth: Option<u32>,
    skipped: bool,
}

/// What a worker that is gone left.
#[derive(Debug)]
pub(super) struct LastWords {
    /// The command that ran.
    pub(super) command: Option<CommandInProgress>,
    /// The errors so far.
    pub(super) errors: Vec<CommandError>,
    /// The calls that ended well.
    pub(super) calls: Vec<CallRecord>,
}

impl Calls {
    /// A call began.
    pub(super) fn began(&mut self, name: String, arguments: Map<String, Value>, line: Option<u32>) {
        let outermost = self.running.is_empty();
        self.begun = self.begun.saturating_add(u32::from(outermost));
        let nth = outermost.then(|| self.number(&name));
        if self.running.len() < MOST_ERRORS {
            self.running.push(Running {
                command: CommandInProgress { name, arguments: bounded(arguments, LONGEST_ARGUMENTS) },
                line,
                began_ms: wall_clock_ms(),
                paused_before: self.paused_so_far(),
                nth,
                skipped: false,
            });
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(begun) = self.begun_by_name.get_mut(name) {
            let number = *begun;
            *begun = begun.saturating_add(1);
            return number;
        }
        if self.begun_by_name.len() < MOST_NAMES {
            self.begun_by_name.insert(name.to_owned(), 1);
        }
        0
    }

    /// A call ended, so many seconds after it began.
    pub(super) fn ended(&mut self, ended: CommandError, duration_s: f64) {
        let same = |running: &Running| running.command.name == ended.command;
        let running = self.running.iter().rposition(same).map(|position| self.running.remove(position));
        if let Some(running) = running.filter(|running| ended.message.is_empty() && !running.skipped) {
            self.remember(running, duration_s);
        }
        if !ended.message.is_empty() && self.errors.len() < MOST_ERRORS {
            let arguments = bounded(ended.arguments, LONGEST_ARGUMENTS);
            self.errors.push(CommandError { arguments, ..ended });
        }
    }

    fn remember(&mut self, running: Running, duration_s: f64) {
        let paused = self.paused_so_far().saturating_sub(running.paused_before);
        let active_s = (duration_s - paused.as_secs_f64()).max(0.0);
        if self.records.len() < MOST_RECORDS && active_s.is_finite() {
            self.records.push(CallRecord {
                command: running.command.name,
                arguments: bounded(running.command.arguments, LONGEST_REMEMBERED),
                line: running.line,
                began_ms: running.began_ms,
                active_s,
                nth: running.nth,
            });
        }
    }

    /// The script stands still in a pause.
    pub(super) fn stood_still(&mut self) {
        self.paused_since.get_or_insert_with(Instant::now);
    }

    /// The script goes on.
    pub(super) fn went_on(&mut self) {
        if let Some(since) = self.paused_since.take() {
            self.paused += since.elapsed();
        }
    }

    /// A wait was ended early: what the calls around it take says nothing.
    pub(super) fn skipped(&mut self) {
        for running in &mut self.running {
            running.skipped = true;
        }
    }

    /// How far the script has come with its calls.
    pub(super) fn so_far(&self) -> CallsSoFar {
        let outermost = self.running.first();
        CallsSoFar {
            begun: self.begun,
            running: outermost.map(|running| (running.command.name.clone(), running.nth.unwrap_or(0))),
        }
    }

    /// What a worker that is gone left.
    pub(super) fn into_last(mut self) -> LastWords {
        let command = self.running.pop().map(|running| running.command);
        LastWords { command, errors: self.errors, calls: self.records }
    }

    fn paused_so_far(&self) -> Duration {
        self.paused + self.paused_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The arguments, unless they are more than is wanted.
fn bounded(arguments: Map<String, Value>, longest: usize) -> Map<String, Value> {
    let size = serde_json::to_string(&arguments).map_or(0, |text| text.len());
    if size > longest { Map::new() } else { arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(command: &str) -> CommandError {
        CommandError { command: command.into(), ..CommandError::default() }
    }

    fn bad(command: &str, message: &str) -> CommandError {
        CommandError { message: message.into(), ..good(command) }
    }

    #[test]
    fn the_innermost_call_that_has_not_ended_was_in_progress() {
        let mut calls = Calls::default();
        calls.began("do_sans".into(), Map::new(), Some(1));
        calls.began("begin".into(), Map::new(), Some(1));
        calls.ended(good("begin"), 1.0);
        calls.began("waitfor_uamps".into(), Map::new(), Some(1));
        calls.ended(bad("waitfor_uamps", "no beam"), 0.5);
        let last = calls.into_last();
        assert_eq!(last.command.map(|command| command.name).as_deref(), Some("do_sans"));
        assert_eq!(last.errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), ["no beam"]);
    }

    #[test]
    fn calls_that_end_well_are_remembered_with_their_place_among_the_calls_of_the_script() {
        let mut calls = Calls::default();
        calls.began("do_sans".into(), Map::new(), Some(3));
        calls.began("begin".into(), Map::new(), Some(3));
        calls.ended(good("begin"), 1.0);
        calls.ended(good("do_sans"), 60.0);
        calls.began("end".into(), Map::new(), Some(4));
        assert_eq!(calls.so_far(), CallsSoFar { begun: 2, running: Some(("end".into(), 0)) });
        calls.ended(bad("end", "no run"), 0.1);
        calls.began("waitfor_time".into(), Map::new(), Some(5));
        calls.skipped();
        calls.ended(good("waitfor_time"), 7.0);
        assert_eq!(calls.so_far(), CallsSoFar { begun: 3, running: None });
        let records = calls.into_last().calls;
        let kept: Vec<_> =
            records.iter().map(|call| (call.command.as_str(), call.line, call.active_s, call.nth)).collect();
        // Neither what failed nor what was skipped says how long it takes.
        assert_eq!(kept, [("begin", Some(3), 1.0, None), ("do_sans", Some(3), 60.0, Some(0))]);
    }

    #[test]
    fn a_pause_is_no_part_of_what_a_call_takes() {
        let mut calls = Calls::default();
        calls.began("waitfor_uamps".into(), Map::new(), Some(1));
        calls.paused = Duration::from_secs(40);
        calls.ended(good("waitfor_uamps"), 100.0);
        let records = calls.into_last().calls;
        assert_eq!(records.iter().map(|call| call.active_s).collect::<Vec<_>>(), [60.0]);
    }

    #[test]
    fn a_worker_that_tells_without_end_costs_a_bounded_amount() {
        let mut calls = Calls::default();
        for _ in 0..10_000 {
            calls.began("a".into(), Map::new(), None);
            calls.began("c".into(), Map::new(), None);
            calls.ended(good("c"), 1.0);
            calls.ended(bad("b", "x"), 1.0);
        }
        assert_eq!(calls.running.len(), MOST_ERRORS);
        let last = calls.into_last();
        assert_eq!((last.errors.len(), last.calls.len()), (MOST_ERRORS, MOST_ERRORS - 1));
        let mut calls = Calls::default();
        for _ in 0..10_000 {
            calls.began("a".into(), Map::new(), None);
            calls.ended(good("a"), 1.0);
        }
        assert_eq!(calls.into_last().calls.len(), MOST_RECORDS);
    }
}
