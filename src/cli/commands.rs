//! `beamq commands`: what the instrument can do.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    connect::{Globals, Session},
    exit::Failure,
    model::Finding,
    render::{self, Table},
    terminal::Tone,
};
use crate::catalogue::{ParameterSpec, allowed, python};

#[derive(Args, Debug)]
pub(super) struct CommandsArgs {
    /// Show this command, with its parameters
    name: Option<String>,
    /// Only commands of this group
    #[arg(long, conflicts_with = "name")]
    group: Option<String>,
}

/// A command, as far as a page shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    pub(super) name: String,
    group: Option<String>,
    summary: Option<String>,
    description: Option<String>,
    pub(super) parameters: BTreeMap<String, ParameterSpec>,
    parameter_order: Vec<String>,
    estimate: Option<String>,
    pausable: bool,
    devices: Vec<String>,
    role: Option<String>,
    confirm: Option<String>,
    deprecated: Option<String>,
    examples: Vec<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    commands: Vec<Page>,
    problems: Vec<Finding>,
}

pub(super) async fn run(args: CommandsArgs, globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let outcome = match &args.name {
        Some(name) => one(&session, name).await,
        None => all(&session, args.group.as_deref()).await,
    };
    session.client.close().await;
    outcome
}

async fn one(session: &Session, name: &str) -> Result<(), Failure> {
    let answer: Value = session.call("catalogue.get", json!({"name": name})).await?;
    if session.terminal.json {
        return session.terminal.document(&answer);
    }
    let page: Page = serde_json::from_value(answer)?;
    page_lines(&page, session).iter().try_for_each(|line| session.terminal.line(line))
}

async fn all(session: &Session, group: Option<&str>) -> Result<(), Failure> {
    let params = group.map_or_else(|| json!({}), |group| json!({"group": group}));
    let answer: Value = session.call("catalogue.list", params).await?;
    let terminal = session.terminal;
    if terminal.json {
        return terminal.document(&answer);
    }
    let list: List = serde_json::from_value(answer)?;
    let mut groups: BTreeMap<&str, Vec<&Page>> = BTreeMap::new();
    for command in &list.commands {
        groups.entry(command.group.as_deref().unwrap_or("Other commands")).or_default().push(command);
    }
    if groups.is_empty() {
        terminal.remark("there are no commands");
    }
    for (group, commands) in groups {
        terminal.line(terminal.tone(Tone::Strong, &render::cell(group, 100)))?;
        let width = commands.iter().map(|command| command.name.chars().count()).max().unwrap_or(0);
        for command in commands {
            let summary = render::cell(command.summary.as_deref().unwrap_or_default(), 100);
            let old = if command.deprecated.is_some() { " (deprecated)" } else { "" };
            terminal.line(format!("  {:width$}  {summary}{old}", render::cell(&command.name, 80)))?;
        }
    }
    for problem in &list.problems {
        terminal.remark(render::finding(problem));
    }
    Ok(())
}

fn page_lines(page: &Page, session: &Session) -> Vec<String> {
    let terminal = &session.terminal;
    let summary = page.summary.as_deref().unwrap_or_default();
    let mut lines =
        vec![format!("{}  {}", terminal.tone(Tone::Strong, &page.name), terminal.foreign(summary))];
    if let Some(deprecated) = &page.deprecated {
        let text = format!("deprecated: {deprecated}");
        lines.push(terminal.tone(Tone::Attention, &terminal.foreign(&text)));
    }
    if let Some(description) = &page.description {
        lines.push(String::new());
        lines.extend(description.trim().lines().map(|line| terminal.foreign(line)));
    }
    if !page.parameters.is_empty() {
        lines.push(String::new());
        lines.extend(parameters(page).lines(terminal));
    }
    lines.push(String::new());
    let facts = [
        ("group", page.group.clone()),
        ("takes", page.estimate.as_ref().map(|estimate| format!("{estimate} s"))),
        ("devices", (!page.devices.is_empty()).then(|| page.devices.join(", "))),
        ("role", page.role.clone().filter(|role| role != "user")),
        ("asks", page.confirm.clone()),
        ("pause", (!page.pausable).then(|| "takes effect after the command".to_owned())),
    ];
    for (name, text) in facts {
        if let Some(text) = text {
            lines.push(format!(
                "{}  {}",
                terminal.tone(Tone::Faint, &format!("{name:8}")),
                terminal.foreign(&text)
            ));
        }
    }
    for example in &page.examples {
        let call = format!("{}({})", page.name, python::arguments(example));
        lines.push(format!("{}  {call}", terminal.tone(Tone::Faint, "example ")));
    }
    lines
}

fn parameters(page: &Page) -> Table {
    let mut table = Table::new(&["parameter", "values", "default", "meaning"]);
    let unordered = page.parameters.keys().filter(|name| !page.parameter_order.contains(name));
    for name in page.parameter_order.iter().chain(unordered) {
        let Some(parameter) = page.parameters.get(name) else { continue };
        let default = match (&parameter.default, parameter.optional) {
            (Some(default), _) => python::literal(default),
            (None, true) => "may be left out".to_owned(),
            (None, false) => "required".to_owned(),
        };
        table.row(vec![
            (render::cell(name, 60), None),
            (render::cell(&allowed(parameter), 60), None),
            (render::cell(&default, 30), None),
            (render::cell(parameter.description.as_deref().unwrap_or_default(), 100), None),
        ]);
    }
    table
}
