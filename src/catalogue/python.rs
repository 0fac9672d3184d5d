//! Commands as Python sees them: calls as source, signatures, the file from which `beamq.commands` is made.

use std::{fmt::Write, path::Path};

use beamq_machines::CommandCall;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Catalogue, Command,
    model::{CommandSpec, Ordered, ParameterSpec, ParameterType, ValueSpec, is_identifier},
    values,
};

/// The source of a job that is made of calls: line `n` is call `n`, so that the line that runs is the call.
#[must_use]
pub fn source_of_calls(calls: &[CommandCall]) -> String {
    let mut source = String::with_capacity(calls.len() * 64);
    for (n, call) in calls.iter().enumerate() {
        if n == 0 {
            source.push_str("from beamq import commands as _commands; ");
        }
        let plain = is_identifier(&call.command) && call.parameters.keys().all(|name| is_identifier(name));
        let _ = if plain {
            writeln!(source, "_commands.{}({})", call.command, arguments(&call.parameters))
        } else {
            // No name may become anything but a name, wherever the call came from.
            let parameters = literal(&Value::Object(call.parameters.clone()));
            writeln!(source, "getattr(_commands, {})(**{parameters})", text_literal(&call.command))
        };
    }
    source
}

/// Arguments by name, as a call writes them.
#[must_use]
pub fn arguments(parameters: &Map<String, Value>) -> String {
    let arguments: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{name}={}", literal(value))).collect();
    arguments.join(", ")
}

/// A value as a Python literal in one line of ASCII.
#[must_use]
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text_literal(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", text_literal(name), literal(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn text_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        match c {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            ' '..='~' => literal.push(c),
            c if (c as u32) < 0x1_0000 => {
                let _ = write!(literal, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(literal, "\\U{:08x}", c as u32);
            }
        }
    }
    literal.push('"');
    literal
}

/// What the Python side needs of the catalogue.
#[derive(Serialize)]
struct WorkerFile<'a> {
    version: &'a str,
    commands: std::collections::BTreeMap<&'a str, WorkerCommand<'a>>,
    path: Vec<String>,
}

#[derive(Serialize)]
struct WorkerCommand<'a> {
    #[serde(flatten)]
    spec: FullSpec<'a>,
    group: Option<&'a str>,
    file: &'a str,
    line: u32,
}

/// A description in which nothing that Python looks for is left out.
#[derive(Serialize)]
struct FullSpec<'a> {
    summary: &'a str,
    description: Option<&'a str>,
    parameters: &'a Ordered<ParameterSpec>,
    parameter_order: Vec<&'a str>,
    implementation: String,
    simulate: Option<String>,
    estimate: Option<&'a str>,
    effect: Option<&'a Ordered<String>>,
    pausable: bool,
    devices: &'a [String],
    role: beamq_machines::Role,
    deprecated: Option<&'a str>,
    examples: &'a [Map<String, Value>],
}

/// The file from which the Python module `beamq.commands` is made, for a catalogue whose implementations
/// are found in these folders.
#[must_use]
pub fn worker_file(catalogue: &Catalogue, folders: &[impl AsRef<Path>]) -> String {
    let commands = catalogue.commands().map(|command| (command.name.as_str(), worker_command(command)));
    let file = WorkerFile {
        version: catalogue.version(),
        commands: commands.collect(),
        path: folders.iter().map(|folder| folder.as_ref().display().to_string()).collect(),
    };
    // Made of texts and numbers, which can always be written.
    serde_json::to_string_pretty(&file).unwrap_or_default()
}

fn worker_command(command: &Command) -> WorkerCommand<'_> {
    let spec: &CommandSpec = &command.spec;
    WorkerCommand {
        spec: FullSpec {
            summary: &spec.summary,
            description: spec.description.as_deref(),
            parameters: &spec.parameters,
            parameter_order: spec.parameters.names().collect(),
            implementation: spec.implementation.to_string(),
            simulate: spec.simulate.as_ref().map(ToString::to_string),
            estimate: spec.estimate.as_deref(),
            effect: spec.effect.as_ref(),
            pausable: spec.pausable,
            devices: &spec.devices,
            role: spec.role,
            deprecated: spec.deprecated.as_deref(),
            examples: &spec.examples,
        },
        group: command.group.as_deref(),
        file: &command.file,
        line: command.line,
    }
}

/// The parameters of a command as a Python function has them.
#[must_use]
pub fn signature(command: &Command) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut optional_before = false;
    let mut keyword_only = false;
    for (name, parameter) in command.spec.parameters.iter() {
        if parameter.is_required() && optional_before && !keyword_only {
            // Python has no required parameter behind an optional one, unless it is named.
            parts.push("*".into());
            keyword_only = true;
        }
        optional_before |= !parameter.is_required();
        let default = match (&parameter.default, parameter.optional) {
            (Some(default), _) => format!(" = {}", literal(default)),
            (None, true) => " = None".into(),
            (None, false) => String::new(),
        };
        parts.push(format!("{name}: {}{default}", annotation(parameter)));
    }
    parts.join(", ")
}

fn annotation(parameter: &ParameterSpec) -> String {
    let mut kinds = vec![annotation_of(&parameter.value)];
    if !parameter.keywords.is_empty() {
        let words: Vec<_> = parameter.keywords.iter().map(|word| text_literal(word)).collect();
        kinds.push(format!("Literal[{}]", words.join(", ")));
    }
    if parameter.optional {
        kinds.push("None".into());
    }
    kinds.join(" | ")
}

fn annotation_of(spec: &ValueSpec) -> String {
    if spec.kind == ParameterType::String && !spec.choices.is_empty() {
        let choices: Vec<_> = spec.choices.iter().map(literal).collect();
        return format!("Literal[{}]", choices.join(", "));
    }
    let items = || spec.items.as_deref().map_or("Any".to_owned(), annotation_of);
    match spec.kind {
        ParameterType::Number => "float".into(),
        ParameterType::Integer => "int".into(),
        ParameterType::String => "str".into(),
        ParameterType::Boolean => "bool".into(),
        ParameterType::Array => format!("list[{}]", items()),
        ParameterType::Object => format!("dict[str, {}]", items()),
    }
}

/// The docstring of a command, without quotes.
#[must_use]
pub fn docstring(command: &Command) -> String {
    let mut text = command.spec.summary.clone();
    if let Some(description) = &command.spec.description {
        let _ = write!(text, "\n\n{}", description.trim());
    }
    if let Some(deprecated) = &command.spec.deprecated {
        let _ = write!(text, "\n\nDeprecated: {deprecated}");
    }
    if !command.spec.parameters.is_empty() {
        text.push_str("\n\nParameters:");
        for (name, parameter) in command.spec.parameters.iter() {
            let description = parameter.description.as_deref().unwrap_or_default().trim();
            let _ = write!(text, "\n  {name}: {}", values::allowed(parameter));
            if !description.is_empty() {
                let _ = write!(text, ". {}", description.replace('\n', " "));
            }
        }
    }
    text
}

/// A stub (`commands.pyi`) by which editors complete and check calls.
#[must_use]
pub fn stubs(catalogue: &Catalogue) -> String {
    let mut stub = String::from(
        "# Made by `beamq schema --stubs` from the catalogue; changes here are lost.\n\
         from typing import Any, Literal\n",
    );
    for command in catalogue.commands() {
        let _ = write!(stub, "\ndef {}({}) -> Any:\n    \"\"\"", command.name, signature(command));
        let text = docstring(command).replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"");
        for (n, line) in text.lines().enumerate() {
            let indent = if n == 0 || line.is_empty() { "" } else { "    " };
            let _ = writeln!(stub, "{indent}{line}");
        }
        stub.push_str("    \"\"\"\n");
    }
    stub
}

/// A page of all commands in Markdown.
#[must_use]
pub fn markdown(catalogue: &Catalogue) -> String {
    let mut page = String::from("# Commands\n");
    let mut groups: std::collections::BTreeMap<&str, Vec<&Command>> = std::collections::BTreeMap::new();
    for command in catalogue.commands() {
        groups.entry(command.group.as_deref().unwrap_or("Other commands")).or_default().push(command);
    }
    for (group, commands) in groups {
        let _ = write!(page, "\n## {group}\n");
        for command in commands {
            markdown_of(command, &mut page);
        }
    }
    page
}

fn markdown_of(command: &Command, page: &mut String) {
    let spec = &command.spec;
    let _ = write!(page, "\n### `{}`\n\n{}\n", command.name, spec.summary);
    if let Some(deprecated) = &spec.deprecated {
        let _ = write!(page, "\n**Deprecated**: {deprecated}\n");
    }
    if let Some(description) = &spec.description {
        let _ = write!(page, "\n{}\n", description.trim());
    }
    if !spec.parameters.is_empty() {
        page.push_str("\n| Parameter | Values | Default | Meaning |\n|---|---|---|---|\n");
        for (name, parameter) in spec.parameters.iter() {
            let default = match (&parameter.default, parameter.optional) {
                (Some(default), _) => format!("`{}`", literal(default)),
                (None, true) => "may be left out".to_owned(),
                (None, false) => "required".to_owned(),
            };
            let meaning = parameter.description.as_deref().unwrap_or_default().trim();
            let cells = [values::allowed(parameter), default, meaning.to_owned()];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
            let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
        }
    }
    for example in &spec.examples {
        let _ = write!(page, "\n```python\n{}({})\n```\n", command.name, arguments(example));
    }
}
