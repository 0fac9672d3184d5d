//! The description of a command.

use std::ops::Range;

use beamq_machines::Role;
use serde_json::{Map, Value};

use super::{ReadCommand, Reader, Section};
use crate::catalogue::{
    diagnostic::Diagnostic,
    estimate::{Expression, ExpressionError},
    model::{
        CommandSpec, Ordered, PYTHON_KEYWORDS, ParameterSpec, ParameterType, PythonName, ValueSpec,
        is_identifier,
    },
    names,
    values::{self, Spelling},
    yaml::{Node, NodeValue},
};

pub(in crate::catalogue) const COMMAND_KEYS: [&str; 14] = [
    "summary",
    "description",
    "group",
    "parameters",
    "implementation",
    "estimate",
    "effect",
    "simulate",
    "pausable",
    "devices",
    "role",
    "confirm",
    "deprecated",
    "examples",
];

/// Names of Python's own functions that a script would lose by `from beamq.commands import *`.
const PYTHON_FUNCTIONS: [&str; 30] = [
    "abs", "all", "any", "bool", "dict", "dir", "eval", "exec", "exit", "filter", "float", "format", "help",
    "id", "input", "int", "iter", "len", "list", "map", "max", "min", "next", "open", "print", "range",
    "round", "set", "str", "sum",
];
/// More parameters than this are no command but a program.
const MOST_PARAMETERS: usize = 100;
/// No command moves more devices than this.
const MOST_EFFECTS: usize = 100;

impl Reader {
    pub(super) fn read_command(
        &mut self,
        name: &str,
        key: &Node,
        node: &Node,
        group: Option<&str>,
    ) -> Option<ReadCommand> {
        self.command_name(name, key);
        self.broken.clear();
        let section = self.section(node, &format!("the command `{name}`"), &COMMAND_KEYS)?.named(key);
        let errors = self.found.len();
        let parameters = section.get("parameters").map(|node| self.parameters(node)).unwrap_or_default();
        // Nothing is to be concluded from parameters that could not be read at all.
        let unread = parameters.is_empty() && self.found.len() > errors;
        let estimate =
            section.get("estimate").filter(|_| !unread).and_then(|node| self.estimate(node, &parameters));
        let effects =
            section.get("effect").filter(|_| !unread).and_then(|node| self.effects(node, &parameters));
        // Both are looked at before one of them is missed, so that one round of corrections is enough.
        let summary = self.summary(&section, node);
        let implementation = self.implementation(&section, node);
        let own_group = section.get("group").and_then(|node| self.line(node, "group"));
        let spec = CommandSpec {
            summary: summary?,
            description: section.get("description").and_then(|node| self.text(node, "description")),
            group: own_group.clone(),
            implementation: implementation?,
            estimate: estimate.as_ref().map(|(text, _)| text.clone()),
            effect: effects.as_ref().map(|effects| {
                Ordered(effects.iter().map(|(name, text, _)| (name.clone(), text.clone())).collect())
            }),
            simulate: section.get("simulate").and_then(|node| self.python_name(node, "simulate")),
            pausable: section.get("pausable").and_then(|node| self.boolean(node, "pausable")).unwrap_or(true),
            devices: section.get("devices").and_then(|node| self.lines(node, "devices")).unwrap_or_default(),
            role: section.get("role").and_then(|node| self.role(node)).unwrap_or(Role::User),
            confirm: section.get("confirm").and_then(|node| self.line(node, "confirm")),
            deprecated: section.get("deprecated").and_then(|node| self.deprecated(node)),
            examples: section
                .get("examples")
                .filter(|_| !unread)
                .map(|node| self.examples(node, &parameters))
                .unwrap_or_default(),
            parameters,
        };
        Some(ReadCommand {
            name: name.to_owned(),
            name_at: key.at.clone(),
            group: own_group.or_else(|| group.map(str::to_owned)),
            spec,
            estimate: estimate.map(|(_, expression)| expression),
            effects: effects
                .map(|effects| effects.into_iter().map(|(name, _, value)| (name, value)).collect()),
        })
    }

    fn command_name(&mut self, name: &str, key: &Node) {
        if !self.is_name(name, key, "command") {
            return;
        }
        if PYTHON_FUNCTIONS.contains(&name) {
            let message = format!("the command `{name}` hides Python's own function of this name");
            self.warning(&key.at, "bad_name", message).help(format!(
                "in scripts that use `import *`, `{name}` would mean the command: choose another name"
            ));
        }
    }

    /// Whether scripts can use the name; complains otherwise.
    pub(super) fn is_name(&mut self, name: &str, key: &Node, what: &str) -> bool {
        if is_identifier(name) && !name.starts_with('_') {
            return true;
        }
        let plain: String = name
            .trim()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        let plain = plain.trim_matches('_').to_owned();
        let found = self.error(&key.at, "bad_name", format!("`{name}` cannot be the name of a {what}"));
        if PYTHON_KEYWORDS.contains(&name) {
            found.help(format!("Python keeps `{name}` for itself; write for example `{name}_`"));
        } else {
            found.help("a name is made of letters a-z, digits and `_`, and begins with a letter");
            found.did_you_mean((is_identifier(&plain)).then_some(plain.as_str()));
        }
        false
    }

    fn summary(&mut self, section: &Section<'_>, node: &Node) -> Option<String> {
        let Some(summary) = section.get("summary") else {
            self.missing(section, node, "summary", "one sentence that says what the command does", "");
            return None;
        };
        self.line(summary, "summary")
    }

    fn implementation(&mut self, section: &Section<'_>, node: &Node) -> Option<PythonName> {
        let Some(name) = section.get("implementation") else {
            self.missing(
                section,
                node,
                "implementation",
                "the Python function that does it",
                "write `implementation: module:function`",
            );
            return None;
        };
        self.python_name(name, "implementation")
    }

    fn python_name(&mut self, node: &Node, key: &str) -> Option<PythonName> {
        let text = self.line(node, key)?;
        let parsed = PythonName::parse(&text);
        if parsed.is_none() {
            let found = self.error(
                &node.at,
                "bad_implementation",
                format!("`{text}` does not name a Python function"),
            );
            if text.ends_with(".py") || text.contains('/') {
                let module = text.trim_end_matches(".py").replace('/', ".");
                found.help(format!("name the module as `import` does: {module}:function"));
            } else if let Some((module, function)) = text.rsplit_once('.').filter(|_| !text.contains(':')) {
                found.help(format!("put a colon between module and function: {module}:{function}"));
            } else {
                found.help("write `module:function`, for example demo.environment:set_temperature");
            }
        }
        parsed
    }

    fn role(&mut self, node: &Node) -> Option<Role> {
        const ROLES: [&str; 4] = ["viewer", "user", "scientist", "admin"];
        let text = self.line(node, "role")?;
        match text.parse::<Role>() {
            Ok(role) => Some(role),
            Err(_) => {
                self.error(&node.at, "bad_choice", format!("there is no role `{text}`"))
                    .did_you_mean(names::nearest(&text, ROLES))
                    .allowed(ROLES);
                None
            }
        }
    }

    fn deprecated(&mut self, node: &Node) -> Option<String> {
        if let NodeValue::Boolean(_) = node.value {
            self.error(&node.at, "wrong_type", "`deprecated` is a text that says what to use instead")
                .help("write for example `deprecated: use set_temperature`");
            return None;
        }
        self.line(node, "deprecated")
    }

    fn parameters(&mut self, node: &Node) -> Ordered<ParameterSpec> {
        if node.value == NodeValue::Null {
            return Ordered::default();
        }
        let Some(entries) = self.entries(node, "parameters", "`value: {type: number}`") else {
            return Ordered::default();
        };
        if entries.len() > MOST_PARAMETERS {
            let message = format!("{} parameters; a command takes at most {MOST_PARAMETERS}", entries.len());
            self.error(&node.at, "yaml_too_large", message);
            return Ordered::default();
        }
        let mut parameters = Vec::with_capacity(entries.len());
        let mut with_default: Option<(String, Range<usize>)> = None;
        for (name, key, node) in entries {
            self.parameter = Some(name.to_owned());
            self.is_name(name, key, "parameter");
            let errors = self.found.len();
            let spec = self.parameter(name, key, node);
            if spec.is_none() || self.found.iter().skip(errors).any(Diagnostic::is_error) {
                self.broken.push(name.to_owned());
                parameters.push((name.to_owned(), anything()));
            } else if let Some(spec) = spec {
                match &with_default {
                    Some((other, at)) if spec.is_required() => {
                        let first = self.place(at, format!("`{other}` can be left out"));
                        let message = format!("`{name}` is required and stands behind one that is not");
                        self.warning(&key.at, "parameter_order", message)
                            .related(first)
                            .help("scripts have to name it; put required parameters first, as Python does");
                    }
                    None if !spec.is_required() => with_default = Some((name.to_owned(), key.at.clone())),
                    _ => {}
                }
                parameters.push((name.to_owned(), spec));
            }
            self.parameter = None;
        }
        Ordered(parameters)
    }

    fn estimate(&mut self, node: &Node, parameters: &Ordered<ParameterSpec>) -> Option<(String, Expression)> {
        let help = "for example `estimate: 30` or `estimate: \"wait ? 30 : 1\"`";
        let text = self.formula(node, "`estimate` is a number of seconds or an expression", help)?;
        match Expression::parse(&text, parameters) {
            Ok(expression) => Some((text, expression)),
            Err(error) => {
                self.bad_formula(node, "bad_estimate", "the estimate", &text, *error);
                None
            }
        }
    }

    /// What a call leaves behind, by the names that estimates use: each with its text.
    fn effects(
        &mut self,
        node: &Node,
        parameters: &Ordered<ParameterSpec>,
    ) -> Option<Vec<(String, String, Expression)>> {
        let entries = self.entries(node, "effect", "`temperature: value`")?;
        if entries.len() > MOST_EFFECTS {
            let message = format!("{} effects; a command has at most {MOST_EFFECTS}", entries.len());
            self.error(&node.at, "yaml_too_large", message);
            return None;
        }
        let mut effects = Vec::with_capacity(entries.len());
        for (name, key, node) in entries {
            self.is_name(name, key, "value that estimates use");
            let what = format!("what `{name}` shows after a call is a number or an expression");
            let help = format!("for example `{name}: 0` or `{name}: value`");
            let Some(text) = self.formula(node, &what, &help) else { continue };
            match Expression::parse_value(&text, parameters) {
                Ok(value) => effects.push((name.to_owned(), text, value)),
                Err(error) => {
                    self.bad_formula(node, "bad_effect", &format!("the effect on `{name}`"), &text, *error);
                }
            }
        }
        Some(effects)
    }

    /// The text of an expression, which may be a plain number.
    fn formula(&mut self, node: &Node, what: &str, help: &str) -> Option<String> {
        match &node.value {
            NodeValue::Integer(_) | NodeValue::Number(_) => {
                self.check_number_trap(node)?;
                Some(values::shown(&node.to_json()))
            }
            NodeValue::Text(text) => Some(text.clone()),
            _ => {
                let message = format!("{what}, and this is {}", node.kind());
                self.error(&node.at, "wrong_type", message).help(help);
                None
            }
        }
    }

    fn bad_formula(
        &mut self,
        node: &Node,
        code: &'static str,
        what: &str,
        text: &str,
        error: ExpressionError,
    ) {
        let written = self.written(node);
        // Inside a plain or simply quoted text the place is exact; in a folded one it is not.
        let inner = written.find(text).map(|offset| {
            let start = node.written.start + offset + error.range.start;
            start..start + error.range.len().max(1)
        });
        let at = inner.unwrap_or_else(|| node.at.clone());
        let found = self.error(&at, code, format!("{what} cannot be read: {}", error.message));
        for help in error.help {
            found.help(help);
        }
    }

    fn examples(&mut self, node: &Node, parameters: &Ordered<ParameterSpec>) -> Vec<Map<String, Value>> {
        let NodeValue::List(items) = &node.value else {
            let message = format!("`examples` is a list of calls, and this is {}", node.kind());
            self.error(&node.at, "wrong_type", message).help("write `examples: [{value: 5, wait: true}]`");
            return Vec::new();
        };
        let mut examples = Vec::new();
        for item in items {
            if let NodeValue::Null = item.value {
                continue;
            }
            let Some(entries) = self.entries(item, "examples", "`{value: 5}`") else { continue };
            let mut example = Map::new();
            for (name, key, node) in entries {
                self.example_argument(name, key, node, parameters);
                example.insert(name.to_owned(), node.to_json());
            }
            for (name, parameter) in parameters.iter() {
                let broken = self.broken.iter().any(|broken| broken == name);
                if parameter.is_required() && !broken && !example.contains_key(name) {
                    self.error(
                        &item.at,
                        "bad_example",
                        format!("this example leaves out the required `{name}`"),
                    );
                }
            }
            examples.push(example);
        }
        examples
    }

    fn example_argument(&mut self, name: &str, key: &Node, node: &Node, parameters: &Ordered<ParameterSpec>) {
        let Some(parameter) = parameters.get(name) else {
            self.error(&key.at, "bad_example", format!("there is no parameter `{name}`"))
                .did_you_mean(names::nearest(name, parameters.names()))
                .allowed(parameters.names());
            return;
        };
        if !self.broken.iter().any(|broken| broken == name)
            && self.check_number_trap(node).is_some()
            && let Some(complaint) = values::complaint(Spelling::Json, parameter, &node.to_json())
        {
            let found = self.error(&node.at, "bad_example", format!("{name}: {}", complaint.message));
            if let Some(hint) = complaint.hint {
                found.help(hint);
            }
            found.help(format!("allowed: {}", complaint.allowed));
        }
    }
}

/// Stands for a parameter whose description is wrong, so that its name is known.
fn anything() -> ParameterSpec {
    ParameterSpec {
        value: ValueSpec::of(ParameterType::Object),
        default: None,
        optional: true,
        // With a keyword, an expression takes the parameter for anything.
        keywords: vec![String::new()],
        description: None,
    }
}
