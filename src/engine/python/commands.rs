//! What a worker says of the calls of catalogue commands, kept for the case that it says nothing more.

use beamq_machines::{CommandError, CommandInProgress};
use serde_json::{Map, Value};

/// A worker that is sound lists no more errors than this.
const MOST_ERRORS: usize = 100;
/// Nor does it tell arguments of more bytes than this.
const LONGEST_ARGUMENTS: usize = 100_000;

/// The calls of a job, as they were told.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those that have begun and not ended, the outermost first.
    running: Vec<CommandInProgress>,
    errors: Vec<CommandError>,
}

impl Calls {
    /// A call began.
    pub(super) fn began(&mut self, name: String, arguments: Map<String, Value>) {
        if self.running.len() < MOST_ERRORS {
            self.running.push(CommandInProgress { name, arguments: bounded(arguments) });
        }
    }

    /// A call ended.
    pub(super) fn ended(&mut self, ended: CommandError) {
        let same = |running: &CommandInProgress| running.name == ended.command;
        if let Some(position) = self.running.iter().rposition(same) {
            self.running.remove(position);
        }
        if !ended.message.is_empty() && self.errors.len() < MOST_ERRORS {
            self.errors.push(CommandError { arguments: bounded(ended.arguments), ..ended });
        }
    }

    /// What a worker that is gone left: the command that ran, and the errors so far.
    pub(super) fn into_last(mut self) -> (Option<CommandInProgress>, Vec<CommandError>) {
        (self.running.pop(), self.errors)
    }
}

/// The arguments, unless they are more than anybody reads.
fn bounded(arguments: Map<String, Value>) -> Map<String, Value> {
    let size = serde_json::to_string(&arguments).map_or(0, |text| text.len());
    if size > LONGEST_ARGUMENTS { Map::new() } else { arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_call_that_has_not_ended_was_in_progress() {
        let mut calls = Calls::default();
        calls.began("do_sans".into(), Map::new());
        calls.began("begin".into(), Map::new());
        calls.ended(CommandError { command: "begin".into(), ..CommandError::default() });
        calls.began("waitfor_uamps".into(), Map::new());
        calls.ended(CommandError {
            command: "waitfor_uamps".into(),
            message: "no beam".into(),
            ..CommandError::default()
        });
        let (command, errors) = calls.into_last();
        assert_eq!(command.map(|command| command.name).as_deref(), Some("do_sans"));
        assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), ["no beam"]);
    }

    #[test]
    fn a_worker_that_tells_without_end_costs_a_bounded_amount() {
        let mut calls = Calls::default();
        for _ in 0..10_000 {
            calls.began("a".into(), Map::new());
            calls.ended(CommandError { command: "b".into(), message: "x".into(), ..CommandError::default() });
        }
        assert_eq!(calls.running.len(), MOST_ERRORS);
        assert_eq!(calls.into_last().1.len(), MOST_ERRORS);
    }
}
