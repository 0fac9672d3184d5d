//! `beamq check`: are these catalogue files and scripts right?

mod import;
mod scripts;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    connect::Globals,
    exit::{Exit, Failure},
    terminal::{Terminal, Tone},
};
use crate::{
    catalogue::{Catalogue, CheckedFile, Diagnostic, folder, render},
    protocol::view::{Finding, Severity},
};

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// Catalogue files, scripts, and folders with such files [default: the folder `commands`]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Import the implementations, in a process of their own, and compare them with the catalogue
    #[arg(long)]
    import: bool,
    /// The interpreter that imports them, and that has the final word on the syntax of scripts
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// How to print what was found; --json is the same as --format json
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines that are wrong
    Text,
    /// One JSON document
    Json,
    /// Annotations for the changes of a pull request
    Github,
}

pub(super) async fn run(args: CheckArgs, globals: Globals) -> Result<(), Failure> {
    let terminal = globals.terminal();
    let format = if terminal.json { Format::Json } else { args.format };
    let paths = if args.paths.is_empty() { vec![PathBuf::from("commands")] } else { args.paths };
    let mut files = Vec::new();
    let mut script_files = Vec::new();
    for path in &paths {
        if !path.exists() {
            return Err(Failure::new(Exit::Usage, format!("there is no file or folder {}", path.display()))
                .hint("name the catalogue files, or the folder that they are in"));
        }
        if path.extension().is_some_and(|extension| extension == "py") {
            script_files.push(path.clone());
        } else {
            let of_catalogue = folder::files_below(path);
            // The Python beside a catalogue implements its commands, and is no script of theirs.
            if path.is_dir() && of_catalogue.is_empty() {
                script_files.extend(scripts::below(path));
            }
            files.extend(of_catalogue);
        }
    }
    files.dedup();
    let (catalogue, mut diagnostics) = check_files(&files);
    let scripts = scripts::check(&script_files, &catalogue, &args.python).await?;
    diagnostics.extend(scripts);
    let imported = if args.import {
        import::check(&catalogue, &folders(&paths), &args.python).await?
    } else {
        Vec::new()
    };
    let findings: Vec<Finding> =
        diagnostics.iter().map(Diagnostic::finding).chain(imported.iter().cloned()).collect();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match format {
        Format::Json => {
            terminal
                .document(&json!({"ok": errors == 0, "commands": catalogue.len(), "findings": findings}))?;
        }
        Format::Github => {
            findings.iter().try_for_each(|finding| terminal.line(render::to_github(finding)))?
        }
        Format::Text => {
            for diagnostic in &diagnostics {
                terminal.line(render::to_text(diagnostic, terminal.colors_on_output()))?;
                terminal.line("")?;
            }
            imported.iter().try_for_each(|finding| plain(&terminal, finding))?;
            summary(&terminal, &findings, files.len(), script_files.len(), catalogue.len())?;
        }
    }
    if errors == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

fn check_files(files: &[PathBuf]) -> (Catalogue, Vec<Diagnostic>) {
    let read: Vec<CheckedFile> = files
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            match folder::read(path) {
                Ok(text) => CheckedFile::read(&name, &text),
                Err(unreadable) => CheckedFile::unreadable(&name, unreadable.code, unreadable.message),
            }
        })
        .collect();
    Catalogue::assemble(&read.iter().map(|file| (file, None)).collect::<Vec<_>>())
}

/// The folders in which Python looks for the implementations.
fn folders(paths: &[PathBuf]) -> Vec<PathBuf> {
    let folder = |path: &PathBuf| match path.parent() {
        Some(parent) if path.is_file() => parent.to_owned(),
        _ => path.clone(),
    };
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    paths.iter().map(folder).map(absolute).collect()
}

fn plain(terminal: &Terminal, finding: &Finding) -> Result<(), Failure> {
    let tone = match finding.severity {
        Severity::Error => (Tone::Bad, "error"),
        Severity::Warning => (Tone::Attention, "warning"),
        Severity::Note => (Tone::Faint, "note"),
    };
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("\n --> {file}:{line}"),
        (Some(file), None) => format!("\n --> {file}"),
        _ => String::new(),
    };
    let hint = finding.hint.as_ref().map(|hint| format!("\n  = help: {hint}")).unwrap_or_default();
    let kind = terminal.tone(tone.0, &format!("{}[{}]", tone.1, finding.code));
    terminal.line(format!("{kind}: {}{place}{hint}\n", finding.message))
}

fn summary(
    terminal: &Terminal,
    findings: &[Finding],
    files: usize,
    scripts: usize,
    commands: usize,
) -> Result<(), Failure> {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let noun = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let of_catalogue = format!("{} in {}", noun(commands, "command"), noun(files, "file"));
    let good = match (files, scripts) {
        (0, scripts) if scripts > 0 => noun(scripts, "script"),
        (_, 0) => of_catalogue,
        (_, scripts) => format!("{of_catalogue}, {}", noun(scripts, "script")),
    };
    if errors == 0 && warnings == 0 {
        return terminal.line(terminal.tone(Tone::Good, &format!("good: {good}")));
    }
    let tone = if errors > 0 { Tone::Bad } else { Tone::Attention };
    let found = format!("{}, {}", noun(errors, "error"), noun(warnings, "warning"));
    let checked = if scripts > 0 { format!("{good} checked") } else { format!("{good} can be used") };
    terminal.line(format!("{}; {checked}", terminal.tone(tone, &found)))
}
