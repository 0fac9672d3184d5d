//! Calls of commands against the catalogue.

use ruff_python_ast::{Expr, ExprCall, StmtImportFrom};
use serde_json::{Map, Value};

use super::{
    checker::{COMMANDS, Checker},
    literal,
};
use crate::{
    catalogue::{CallProblem, Command, Spelling, nearest},
    protocol::view::Severity,
};

/// What the module of the commands has besides them.
const NOT_COMMANDS: [&str; 4] = ["load", "version", "describe", "NoCatalogue"];

/// No command has nearly as many parameters.
const MOST_KEYWORDS: usize = 256;

/// What a call gives, as far as reading it tells.
#[derive(Default)]
struct Given<'a> {
    /// The expression of each parameter that is given.
    places: Vec<(&'a str, &'a Expr)>,
    /// The values that are literals.
    values: Map<String, Value>,
    /// `*list`: which parameters it fills is not known.
    more_by_place: bool,
    /// `**mapping`: likewise.
    more_by_name: bool,
}

impl<'a> Given<'a> {
    fn add(&mut self, name: &'a str, value: &'a Expr, known: bool) {
        self.places.push((name, value));
        match literal::value_of(value) {
            Some(value) => drop(self.values.insert(name.to_owned(), value)),
            // A parameter that is not there is wrong whatever its value.
            None if !known => drop(self.values.insert(name.to_owned(), Value::Null)),
            None => {}
        }
    }

    fn place(&self, name: &str) -> Option<&'a Expr> {
        self.places.iter().find(|(given, _)| *given == name).map(|(_, expr)| *expr)
    }
}

impl<'a> Checker<'a> {
    /// Judges the call of a command.
    pub(super) fn command_call(&mut self, call: &'a ExprCall, name: &str) {
        if name.contains('.') || name.starts_with('_') || NOT_COMMANDS.contains(&name) {
            return;
        }
        let Some(command) = self.catalogue.command(name) else {
            return self.unknown_command(call.func.as_ref(), name);
        };
        if let Some(instead) = &command.spec.deprecated {
            let message = format!("{name} is kept for old scripts only");
            let found = self.report(Severity::Warning, "deprecated_command", call.func.as_ref(), message);
            found.command = Some(name.to_owned());
            found.help.push(instead.clone());
        }
        let Some(given) = self.given(call, command) else { return };
        for problem in command.check_as(Spelling::Python, &given.values) {
            let parameter = problem.parameter.as_deref().unwrap_or_default();
            let place = given.place(parameter);
            let cannot_be_told = given.more_by_place || given.more_by_name || place.is_some();
            if problem.code == "missing_parameter" && cannot_be_told {
                continue;
            }
            let at = place.unwrap_or(&call.func);
            self.problem(at, &problem);
        }
    }

    /// Sorts the arguments to the parameters; `None` when they do not fit.
    fn given(&mut self, call: &'a ExprCall, command: &'a Command) -> Option<Given<'a>> {
        let mut given = Given::default();
        if call.arguments.keywords.len() > MOST_KEYWORDS {
            let message = "this call has too many arguments to be checked";
            self.report(Severity::Warning, "not_checked", call.func.as_ref(), message);
            return None;
        }
        let mut by_place = names_by_place(command);
        let by_place_count = by_place.len();
        let total = command.spec.parameters.iter().count();
        for argument in &call.arguments.args {
            if argument.is_starred_expr() {
                given.more_by_place = true;
                break;
            }
            if by_place.is_empty() {
                let message = match by_place_count {
                    0 if total == 0 => format!("{} takes no arguments", command.name),
                    0 => format!("{} takes its arguments by name only", command.name),
                    1 => format!("{} takes one argument without a name", command.name),
                    most => format!("{} takes at most {most} arguments without a name", command.name),
                };
                let found = self.report(Severity::Error, "too_many_arguments", argument, message);
                found.command = Some(command.name.clone());
                if total > 0 {
                    let names: Vec<_> = command.spec.parameters.names().collect();
                    found.help.push(format!("its parameters: {}", names.join(", ")));
                }
                return None;
            }
            given.add(by_place.remove(0), argument, true);
        }
        for keyword in &call.arguments.keywords {
            let Some(name) = &keyword.arg else {
                given.more_by_name = true;
                continue;
            };
            let name = name.as_str();
            if given.place(name).is_some() {
                let message = format!("{}: {name} is given twice", command.name);
                let found = self.report(Severity::Error, "given_twice", keyword, message);
                found.command = Some(command.name.clone());
                found.parameter = Some(name.to_owned());
                return None;
            }
            given.add(name, &keyword.value, command.spec.parameters.get(name).is_some());
        }
        Some(given)
    }

    fn problem(&mut self, at: &Expr, problem: &CallProblem) {
        let finding = problem.finding();
        let found = self.report(Severity::Error, problem.code, at, finding.message);
        found.command = finding.command;
        found.parameter = finding.parameter;
        found.help.extend(finding.hint);
    }

    fn unknown_command(&mut self, at: &impl ruff_text_size::Ranged, name: &str) {
        if self.catalogue.is_empty() {
            return;
        }
        let shown: String = name.chars().take(80).collect();
        let meant = self.catalogue.nearest(name).map(str::to_owned);
        let message = format!("there is no command {shown}");
        let found = self.report(Severity::Error, "unknown_command", at, message);
        found.command = Some(shown);
        found.help.extend(meant.map(|meant| format!("did you mean {meant}?")));
    }

    /// Judges `from beamq.commands import …`.
    pub(super) fn imported(&mut self, import: &'a StmtImportFrom) {
        if import.level > 0 || import.module.as_ref().is_none_or(|module| module.as_str() != COMMANDS) {
            return;
        }
        for alias in &import.names {
            let name = alias.name.as_str();
            let known = self.catalogue.command(name).is_some() || NOT_COMMANDS.contains(&name);
            if name != "*" && !name.starts_with('_') && !known {
                self.unknown_command(alias, name);
            }
        }
    }

    /// Judges the call of a name that nothing in the script binds.
    pub(super) fn unbound_call(&mut self, call: &'a ExprCall, name: &str) {
        if let Some(known) = self.catalogue.command(name).filter(|_| !self.has_all_commands()) {
            let known = known.name.clone();
            let message = format!("the command {known} is not imported");
            let found = self.report(Severity::Warning, "not_imported", call.func.as_ref(), message);
            found.help.push(format!("from {COMMANDS} import {known}"));
            found.command = Some(known);
            return;
        }
        if self.has_all_commands()
            && nearest(name, self.catalogue.commands().map(|c| c.name.as_str())).is_some()
        {
            self.unknown_command(call.func.as_ref(), name);
        }
    }
}

/// The parameters that a call can give without their names: a required one behind an optional one cannot
/// be among them.
fn names_by_place(command: &Command) -> Vec<&str> {
    let mut optional_before = false;
    let parameters = command.spec.parameters.iter().filter(|(_, parameter)| {
        let required = parameter.is_required();
        let by_place = !(required && optional_before);
        optional_before |= !required;
        by_place
    });
    parameters.map(|(name, _)| name).collect()
}
