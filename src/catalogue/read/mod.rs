//! From the tree of a file to commands, noting everything that is wrong on the way.

mod command;
mod parameter;
mod section;

use std::{ops::Range, sync::Arc};

use super::{
    diagnostic::{Diagnostic, Place, Source},
    estimate::Expression,
    model::{CommandSpec, FORMAT},
    yaml::{self, Node, NodeValue},
};
use crate::protocol::view::Severity;
use section::Section;
#[cfg(test)]
pub(super) use {command::COMMAND_KEYS, parameter::PARAMETER_KEYS, parameter::VALUE_KEYS};

/// More mistakes than this in one file have one cause.
const MOST_DIAGNOSTICS: usize = 100;
/// No catalogue of an instrument has more commands in one file.
const MOST_COMMANDS: usize = 2_000;

/// A command as a file describes it.
#[derive(Debug)]
pub(super) struct ReadCommand {
    pub(super) name: String,
    pub(super) name_at: Range<usize>,
    pub(super) group: Option<String>,
    pub(super) spec: CommandSpec,
    pub(super) estimate: Option<Expression>,
    pub(super) effects: Option<Vec<(String, Expression)>>,
}

/// Reads a file. Its commands are of use only when nothing that was found is an error.
pub(super) fn read(source: &Arc<Source>) -> (Vec<ReadCommand>, Vec<Diagnostic>) {
    let root = match yaml::parse(source) {
        Ok(root) => root,
        Err(error) => return (Vec::new(), vec![*error]),
    };
    let mut reader = Reader {
        source: Arc::clone(source),
        found: Vec::new(),
        command: None,
        parameter: None,
        broken: Vec::new(),
    };
    let commands = reader.file(&root);
    reader.found.sort_by_key(|found| found.place.range.start);
    reader.found.truncate(MOST_DIAGNOSTICS);
    (commands, reader.found)
}

/// What is known while a file is read.
struct Reader {
    source: Arc<Source>,
    found: Vec<Diagnostic>,
    command: Option<String>,
    parameter: Option<String>,
    /// Parameters of the present command whose description is wrong: nothing is to be concluded from them.
    broken: Vec<String>,
}

pub(super) const FILE_KEYS: [&str; 3] = ["catalogue", "group", "commands"];

impl Reader {
    fn file(&mut self, root: &Node) -> Vec<ReadCommand> {
        if root.value == NodeValue::Null {
            self.error(&(0..0), "missing_key", "the file is empty")
                .help("begin with `catalogue: 1` and `commands:`");
            return Vec::new();
        }
        let Some(file) = self.section(root, "a catalogue file", &FILE_KEYS) else { return Vec::new() };
        self.format(&file, root);
        let group = file.get("group").and_then(|node| self.line(node, "group"));
        let Some(commands) = file.get("commands") else {
            self.missing(&file, root, "commands", "the commands of the file", "");
            return Vec::new();
        };
        if commands.value == NodeValue::Null {
            return Vec::new();
        }
        let Some(entries) =
            self.entries(commands, "commands", "`set_temperature:` and its description below")
        else {
            return Vec::new();
        };
        if entries.len() > MOST_COMMANDS {
            let message = format!("{} commands in one file; at most {MOST_COMMANDS} are read", entries.len());
            self.error(&commands.at, "yaml_too_large", message)
                .help("make several files, one for each group");
            return Vec::new();
        }
        let mut read = Vec::with_capacity(entries.len());
        for (name, key, node) in entries {
            self.command = Some(name.to_owned());
            read.extend(self.read_command(name, key, node, group.as_deref()));
            self.command = None;
        }
        read
    }

    fn format(&mut self, file: &Section<'_>, root: &Node) {
        let Some(node) = file.get("catalogue") else {
            self.missing(
                file,
                root,
                "catalogue",
                "the version of the format",
                "begin the file with `catalogue: 1`",
            );
            return;
        };
        if node.value != NodeValue::Integer(FORMAT) {
            let shown = self.written(node).to_owned();
            let quoted = matches!(&node.value, NodeValue::Text(text) if text.trim() == FORMAT.to_string());
            let message = format!("`{shown}` is no format that this version reads");
            let found = self.error(&node.at, "catalogue_version", message);
            if quoted {
                found.help(format!("write {FORMAT} without quotes"));
            }
            found.help(format!("allowed: {FORMAT}"));
        }
    }

    fn found(
        &mut self,
        severity: Severity,
        at: &Range<usize>,
        code: &'static str,
        message: String,
    ) -> &mut Diagnostic {
        let place =
            Place { source: Arc::clone(&self.source), range: self.source.clamped(at), label: String::new() };
        let index = self.found.len();
        self.found.push(Diagnostic {
            severity,
            code,
            message,
            place,
            related: None,
            command: self.command.clone(),
            parameter: self.parameter.clone(),
            help: Vec::new(),
        });
        #[expect(clippy::indexing_slicing, reason = "the element was pushed just now")]
        &mut self.found[index]
    }

    fn error(
        &mut self,
        at: &Range<usize>,
        code: &'static str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found(Severity::Error, at, code, message.into())
    }

    fn warning(
        &mut self,
        at: &Range<usize>,
        code: &'static str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found(Severity::Warning, at, code, message.into())
    }

    /// Complains about a key that is missing, unless it is there and misspelt.
    fn missing(&mut self, section: &Section<'_>, node: &Node, key: &str, what: &str, help: &str) {
        if section.meant.iter().any(|meant| meant == key) {
            return;
        }
        let at = section.name_at.clone().unwrap_or_else(|| node.at.clone());
        // The whole of a mapping begins where its first key does.
        let at = if at.is_empty() { section.first_key().unwrap_or(at) } else { at };
        let found = self.error(&at, "missing_key", format!("the key `{key}` is missing: {what}"));
        if !help.is_empty() {
            found.help(help);
        }
    }

    /// The text of a value as it stands in the file.
    fn written(&self, node: &Node) -> &str {
        self.source.text.get(self.source.clamped(&node.written)).unwrap_or_default()
    }

    fn place(&self, at: &Range<usize>, label: impl Into<String>) -> Place {
        Place { source: Arc::clone(&self.source), range: self.source.clamped(at), label: label.into() }
    }
}
