//! A command that was found sound, ready to judge calls.

use std::sync::{Arc, OnceLock};

use beamq_machines::Role;
use jsonschema::{Draft, PatternOptions, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{
    estimate::Expression,
    model::{CommandSpec, ParameterSpec},
    names, schema,
    values::{self, Spelling},
};
use crate::protocol::{
    FieldError,
    view::{CommandView, Finding, Severity},
};

/// A command of the catalogue in force.
#[derive(Debug)]
pub struct Command {
    /// The name by which scripts call it.
    pub name: String,
    /// The heading under which people find it.
    pub group: Option<String>,
    /// What its file says.
    pub spec: CommandSpec,
    /// The file that describes it, as the catalogue was loaded with it.
    pub file: String,
    /// The line of its name in the file, from 1.
    pub line: u32,
    estimate: Option<Expression>,
    effects: Option<Vec<(String, Expression)>>,
    schema: OnceLock<Value>,
    validator: OnceLock<Option<Validator>>,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallProblem {
    /// The kind, which never changes.
    pub code: &'static str,
    /// The command that was called.
    pub command: String,
    /// The parameter that is wrong.
    pub parameter: Option<String>,
    /// Where in the value of the parameter: `[2]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What was given.
    pub value: Option<Value>,
    /// What would be taken: a list of names, or a description.
    pub allowed: Option<Value>,
    /// What to try.
    pub hint: Option<String>,
}

impl CallProblem {
    /// The problem as a finding.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let allowed = self.allowed.as_ref().map(|allowed| match allowed {
            Value::String(text) => format!("allowed: {text}"),
            Value::Array(names) => {
                let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
                format!("allowed: {}", names.join(", "))
            }
            other => format!("allowed: {other}"),
        });
        let hints: Vec<_> = self.hint.clone().into_iter().chain(allowed).collect();
        Finding {
            severity: Severity::Error,
            code: self.code.to_owned(),
            file: None,
            line: None,
            column: None,
            command: Some(self.command.clone()),
            parameter: self.parameter.clone(),
            message: self.message.clone(),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
        }
    }

    /// The problem as an error of the call number `n` of a submission.
    #[must_use]
    pub fn field_error(&self, n: usize) -> FieldError {
        let field = match &self.parameter {
            Some(parameter) => format!("commands[{n}].parameters.{parameter}{}", self.path),
            None => format!("commands[{n}].command"),
        };
        FieldError {
            field,
            message: self.message.clone(),
            value: self.value.clone(),
            allowed: self.allowed.clone(),
            hint: self.hint.clone(),
        }
    }
}

impl Command {
    pub(super) fn new(
        name: String,
        group: Option<String>,
        spec: CommandSpec,
        estimate: Option<Expression>,
        effects: Option<Vec<(String, Expression)>>,
        file: String,
        line: u32,
    ) -> Self {
        let (schema, validator) = (OnceLock::new(), OnceLock::new());
        Self { name, group, spec, file, line, estimate, effects, schema, validator }
    }

    /// The JSON Schema of its arguments.
    #[must_use]
    pub fn schema(&self) -> &Value {
        self.schema.get_or_init(|| schema::of_command(&self.name, &self.spec))
    }

    fn validator(&self) -> Option<&Validator> {
        let compiled = self.validator.get_or_init(|| {
            // The linear engine: no pattern of a catalogue can make a check take long.
            let options = jsonschema::options().with_draft(Draft::Draft202012);
            options.with_pattern_options(PatternOptions::regex()).build(self.schema()).ok()
        });
        compiled.as_ref()
    }

    /// What is wrong with a call: names that it does not take, then what is wrong in the order of the
    /// parameters; nothing when it is good.
    #[must_use]
    pub fn check(&self, arguments: &Map<String, Value>) -> Vec<CallProblem> {
        self.check_as(Spelling::Json, arguments)
    }

    /// Checks a call like [`Command::check`], and spells values as its author does.
    #[must_use]
    pub fn check_as(&self, spelling: Spelling, arguments: &Map<String, Value>) -> Vec<CallProblem> {
        let instance = Value::Object(arguments.clone());
        let by_schema = self.validator().is_some_and(|validator| validator.is_valid(&instance));
        if by_schema && self.steps_fit(arguments) {
            return Vec::new();
        }
        let mut problems = self.explain(spelling, arguments);
        if problems.is_empty() {
            // The schema refuses what our words have none for: its own have to do.
            problems.extend(self.in_the_words_of_the_schema(&instance));
        }
        problems
    }

    fn steps_fit(&self, arguments: &Map<String, Value>) -> bool {
        let stepped = self.spec.parameters.iter().filter(|(_, parameter)| has_steps(parameter));
        stepped
            .filter_map(|(name, parameter)| Some((parameter, arguments.get(name)?)))
            .all(|(parameter, value)| values::complaint(Spelling::Json, parameter, value).is_none())
    }

    fn explain(&self, spelling: Spelling, arguments: &Map<String, Value>) -> Vec<CallProblem> {
        // A misspelt name comes first: it is why another parameter is missing.
        let unknown = arguments.iter().filter(|(name, _)| self.spec.parameters.get(name).is_none());
        let mut problems: Vec<_> = unknown.map(|(name, value)| self.unknown(name, value)).collect();
        for (name, parameter) in self.spec.parameters.iter() {
            match arguments.get(name) {
                Some(value) => problems.extend(
                    values::complaint(spelling, parameter, value)
                        .map(|found| self.bad_value(name, value, found)),
                ),
                None if parameter.is_required() => problems.push(self.missing(name, parameter)),
                None => {}
            }
        }
        problems
    }

    fn bad_value(&self, name: &str, value: &Value, found: values::Complaint) -> CallProblem {
        CallProblem {
            code: "bad_value",
            command: self.name.clone(),
            parameter: Some(name.to_owned()),
            message: format!("{}: {name}{}: {}", self.name, found.path, found.message),
            path: found.path,
            value: Some(value.clone()),
            allowed: Some(found.allowed.into()),
            hint: found.hint,
        }
    }

    fn missing(&self, name: &str, parameter: &ParameterSpec) -> CallProblem {
        let description = parameter.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        CallProblem {
            code: "missing_parameter",
            command: self.name.clone(),
            parameter: Some(name.to_owned()),
            path: String::new(),
            message: format!("{}: {name} is missing{description}", self.name),
            value: None,
            allowed: Some(values::allowed(parameter).into()),
            hint: None,
        }
    }

    fn unknown(&self, name: &str, value: &Value) -> CallProblem {
        let known: Vec<&str> = self.spec.parameters.names().collect();
        let shown: String = name.chars().take(80).collect();
        CallProblem {
            code: "unknown_parameter",
            command: self.name.clone(),
            parameter: Some(shown.clone()),
            path: String::new(),
            message: format!("{} has no parameter {shown}", self.name),
            value: Some(value.clone()),
            hint: match names::nearest(name, known.iter().copied()) {
                Some(meant) => Some(format!("did you mean {meant}?")),
                None if known.is_empty() => Some("it takes no parameters".into()),
                None => None,
            },
            allowed: Some(known.into()),
        }
    }

    fn in_the_words_of_the_schema(&self, instance: &Value) -> Option<CallProblem> {
        let Some(validator) = self.validator() else {
            return Some(
                self.generic(None, "this command cannot be checked: its schema is not sound".into()),
            );
        };
        let error = validator.iter_errors(instance).next()?;
        let path = error.instance_path().to_string();
        let parameter = path.split('/').nth(1).map(str::to_owned);
        let message = match error.kind() {
            ValidationErrorKind::AnyOf { .. } => "the value fits none of what is allowed".to_owned(),
            _ => error.to_string(),
        };
        Some(self.generic(parameter, message))
    }

    fn generic(&self, parameter: Option<String>, message: String) -> CallProblem {
        let allowed = parameter.as_ref().and_then(|name| self.spec.parameters.get(name)).map(values::allowed);
        CallProblem {
            code: "bad_value",
            command: self.name.clone(),
            message: format!("{}: {message}", self.name),
            parameter,
            path: String::new(),
            value: None,
            allowed: allowed.map(Into::into),
            hint: None,
        }
    }

    /// The arguments of a call with the defaults filled in.
    #[must_use]
    pub fn with_defaults(&self, arguments: &Map<String, Value>) -> Map<String, Value> {
        let mut all = arguments.clone();
        for (name, parameter) in self.spec.parameters.iter() {
            if let (None, Some(default)) = (arguments.get(name), &parameter.default) {
                all.insert(name.to_owned(), default.clone());
            }
        }
        all
    }

    /// The seconds that a call takes, as its formula says; `None` when that is not known. `state` tells
    /// what a device shows at the start of the call.
    #[must_use]
    pub fn estimate(
        &self,
        arguments: &Map<String, Value>,
        state: &dyn Fn(&str) -> Option<Value>,
    ) -> Option<f64> {
        self.estimate.as_ref()?.seconds(&self.with_defaults(arguments), state)
    }

    /// What the instrument shows after a call, by the names that estimates use as `state.NAME`; `None` for
    /// what cannot be told. Nothing when the catalogue does not say what a call changes: it may be anything.
    #[must_use]
    pub fn effects(
        &self,
        arguments: &Map<String, Value>,
        state: &dyn Fn(&str) -> Option<Value>,
    ) -> Option<Vec<(&str, Option<f64>)>> {
        let arguments = self.with_defaults(arguments);
        let effects = self.effects.as_ref()?.iter();
        Some(effects.map(|(name, value)| (name.as_str(), value.number(&arguments, state))).collect())
    }

    /// The least role that may submit it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.spec.role
    }

    /// The command as clients see it.
    #[must_use]
    pub fn view(&self) -> CommandView {
        let mut more = match serde_json::to_value(&self.spec) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        for name in ["group", "summary"] {
            more.remove(name);
        }
        // JSON objects have no order, and forms need one.
        more.insert("parameter_order".into(), self.spec.parameters.names().collect());
        CommandView {
            name: self.name.clone(),
            group: self.group.clone(),
            summary: Some(self.spec.summary.clone()),
            more,
        }
    }
}

fn has_steps(parameter: &ParameterSpec) -> bool {
    let mut value = Some(&parameter.value);
    while let Some(spec) = value {
        if spec.step.is_some() {
            return true;
        }
        value = spec.items.as_deref();
    }
    false
}

/// Commands are shared between the catalogue in force and those who look at an earlier one.
pub(super) type SharedCommand = Arc<Command>;
