//! The commands of the instrument: from YAML files to commands that judge calls.
//!
//! This room is pure but for [`folder`], which reads files: text in, commands and diagnostics out. No
//! instrument code is ever imported here; nothing here knows a client, the queue or an engine. Whatever
//! the files hold, reading them costs bounded time and memory and cannot panic.

mod command;
mod diagnostic;
mod estimate;
pub mod folder;
mod model;
mod names;
pub mod python;
mod read;
pub mod render;
mod schema;
pub mod shipped;
mod units;
mod values;
mod yaml;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use beamq_machines::CommandCall;
use sha2::{Digest, Sha256};

pub use command::{CallProblem, Command};
pub use diagnostic::{Diagnostic, Place, Source};
pub use estimate::{Expression, ExpressionError};
pub use model::{
    CatalogueFile, CommandSpec, FORMAT, Ordered, ParameterSpec, ParameterType, PythonName, ValueSpec,
    is_identifier,
};
pub use names::nearest;
pub use units::UNITS;
pub use values::{Complaint, Spelling, allowed, complaint};

use crate::protocol::view::{CatalogueStatus, Finding};
use command::SharedCommand;

/// The largest file that is read.
pub const FILE_LIMIT: usize = 2 << 20;

/// All commands of the instrument.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    version: String,
    commands: BTreeMap<String, SharedCommand>,
    problems: Vec<Finding>,
}

/// A file that was read: its commands, if nothing in it is wrong, and what was found.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    source: Arc<Source>,
    commands: Vec<(SharedCommand, std::ops::Range<usize>)>,
    diagnostics: Vec<Diagnostic>,
}

impl CheckedFile {
    /// Reads the text of a file.
    #[must_use]
    pub fn read(name: &str, text: &str) -> Self {
        if text.len() > FILE_LIMIT {
            return Self::unreadable(
                name,
                "yaml_too_large",
                format!(
                    "the file has {:.1} MB, and no catalogue file has more than {} MB",
                    text.len() as f64 / 1e6,
                    FILE_LIMIT >> 20,
                ),
            );
        }
        let source = Arc::new(Source::new(name, text.strip_prefix('\u{feff}').unwrap_or(text)));
        let (read, diagnostics) = read::read(&source);
        let commands = if diagnostics.iter().any(Diagnostic::is_error) { Vec::new() } else { read };
        let commands = commands
            .into_iter()
            .map(|read| {
                let (line, _) = source.line_and_column(read.name_at.start);
                let file = source.name.clone();
                let command =
                    Command::new(read.name, read.group, read.spec, read.estimate, read.effects, file, line);
                (Arc::new(command), read.name_at)
            })
            .collect();
        Self { source, commands, diagnostics }
    }

    /// Stands for a file whose text cannot be had.
    #[must_use]
    pub fn unreadable(name: &str, code: &'static str, message: String) -> Self {
        let source = Arc::new(Source::new(name, ""));
        let place = Place { source: Arc::clone(&source), range: 0..0, label: String::new() };
        let diagnostic = Diagnostic {
            severity: crate::protocol::view::Severity::Error,
            code,
            message,
            place,
            related: None,
            command: None,
            parameter: None,
            help: Vec::new(),
        };
        Self { source, commands: Vec::new(), diagnostics: vec![diagnostic] }
    }

    /// Whether the file can be put in force.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// What was found in the file.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl Catalogue {
    /// Reads files and makes a catalogue of those that are good.
    #[must_use]
    pub fn check(files: &[(PathBuf, String)]) -> (Self, Vec<Finding>) {
        let (catalogue, diagnostics) = Self::diagnose(files);
        (catalogue, diagnostics.iter().map(Diagnostic::finding).collect())
    }

    /// Reads files like [`Catalogue::check`], with everything that is needed to show what is wrong.
    #[must_use]
    pub fn diagnose(files: &[(PathBuf, String)]) -> (Self, Vec<Diagnostic>) {
        let read: Vec<_> =
            files.iter().map(|(path, text)| CheckedFile::read(&path.display().to_string(), text)).collect();
        Self::assemble(&read.iter().map(|file| (file, None)).collect::<Vec<_>>())
    }

    /// Makes a catalogue of files. Beside a file that is not good stands its last good version, whose
    /// commands stay in force.
    #[must_use]
    pub fn assemble(files: &[(&CheckedFile, Option<&CheckedFile>)]) -> (Self, Vec<Diagnostic>) {
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        let mut commands: BTreeMap<String, (SharedCommand, Place)> = BTreeMap::new();
        for (file, last_good) in files {
            diagnostics.extend(file.diagnostics.iter().cloned());
            let in_force = if file.is_good() { Some(file) } else { last_good.as_ref() };
            for (command, at) in in_force.into_iter().flat_map(|file| &file.commands) {
                let source = in_force.map_or(&file.source, |file| &file.source);
                let place = |label: &str| Place {
                    source: Arc::clone(source),
                    range: at.clone(),
                    label: label.to_owned(),
                };
                match commands.get(&command.name) {
                    None => {
                        let place = place("the first one stands here");
                        commands.insert(command.name.clone(), (Arc::clone(command), place));
                    }
                    Some((_, first)) => diagnostics.push(Diagnostic {
                        severity: crate::protocol::view::Severity::Error,
                        code: "duplicate_command",
                        message: format!("the command `{}` is in another file already", command.name),
                        place: place(""),
                        related: Some(first.clone()),
                        command: Some(command.name.clone()),
                        parameter: None,
                        help: vec!["the first one is in force; remove or rename one of the two".to_owned()],
                    }),
                }
            }
        }
        let commands: BTreeMap<_, _> =
            commands.into_iter().map(|(name, (command, _))| (name, command)).collect();
        let problems = diagnostics.iter().map(Diagnostic::finding).collect();
        (Self { version: version_of(&commands), commands, problems }, diagnostics)
    }

    /// Changes with every change of a command.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is wrong with the files.
    #[must_use]
    pub fn problems(&self) -> &[Finding] {
        &self.problems
    }

    /// The command of this name.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.get(name).map(Arc::as_ref)
    }

    /// The commands by name.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.values().map(Arc::as_ref)
    }

    /// How many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there is no command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The name of a command that was probably meant.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        names::nearest(name, self.commands.keys().map(String::as_str))
    }

    /// What is wrong with a call; nothing when it is good.
    #[must_use]
    pub fn check_call(&self, call: &CommandCall) -> Vec<CallProblem> {
        match self.command(&call.command) {
            Some(command) => command.check(&call.parameters),
            None => vec![self.unknown_command(&call.command)],
        }
    }

    fn unknown_command(&self, name: &str) -> CallProblem {
        let shown: String = name.chars().take(80).collect();
        CallProblem {
            code: "unknown_command",
            command: shown.clone(),
            parameter: None,
            path: String::new(),
            message: format!("there is no command {shown}"),
            value: Some(shown.into()),
            allowed: None,
            hint: Some(match self.nearest(name) {
                Some(meant) => format!("did you mean {meant}?"),
                None if self.is_empty() => "the catalogue of this server has no commands".to_owned(),
                None => "catalogue.list has all commands".to_owned(),
            }),
        }
    }

    /// The catalogue in a few numbers, with its problems.
    #[must_use]
    pub fn status(&self) -> CatalogueStatus {
        CatalogueStatus {
            version: self.version.clone(),
            commands: self.commands.len() as u64,
            problems: self.problems.clone(),
        }
    }
}

/// The JSON Schema of catalogue files.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(CatalogueFile).to_value()
}

/// The hash of everything that the commands say.
fn version_of(commands: &BTreeMap<String, SharedCommand>) -> String {
    let mut hash = Sha256::new();
    for (name, command) in commands {
        // A description is made of texts and numbers, which can always be written.
        let text = serde_json::to_string(&(name, &command.group, &command.spec)).unwrap_or_default();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
