//! CPython's own judgement of a script's syntax: `compile` in a child of the interpreter that will run it.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};

use super::static_check::SYNTAX_ERROR;
use crate::{
    catalogue::{Diagnostic, Place, Source},
    protocol::view::Severity,
};

const PROGRAM: &str = include_str!("final_word.py");
/// No script that people write takes nearly as long to compile.
const LONGEST: Duration = Duration::from_secs(20);

/// What the interpreter says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FinalWord {
    /// Why it does not compile.
    #[serde(default)]
    pub error: Option<Remark>,
    /// What the compiler warns of.
    #[serde(default)]
    pub warnings: Vec<Remark>,
}

/// Something the compiler says about a place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Remark {
    /// What it says.
    pub message: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
}

/// Why the interpreter was not heard.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It cannot be started, or the conversation broke.
    #[error("run the interpreter")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("compile the script within {} s", LONGEST.as_secs())]
    TooSlow,
    /// It ended without an answer.
    #[error("compile the script: the interpreter ended early ({0})")]
    EndedEarly(std::process::ExitStatus),
}

/// Asks an interpreter whether a script compiles. The script does not run.
///
/// # Errors
///
/// [`Unheard`] when the interpreter cannot be asked or does not answer.
pub async fn final_word(interpreter: &Path, source: &str) -> Result<FinalWord, Unheard> {
    let mut child = Command::new(interpreter)
        .args(["-I", "-S", "-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let conversation = async move {
        if let Some(mut stdin) = stdin {
            stdin.write_all(source.as_bytes()).await?;
            stdin.shutdown().await?;
        }
        child.wait_with_output().await
    };
    let ended = tokio::time::timeout(LONGEST, conversation).await.map_err(|_| Unheard::TooSlow)??;
    serde_json::from_slice(&ended.stdout).map_err(|_| Unheard::EndedEarly(ended.status))
}

impl FinalWord {
    /// Puts the interpreter's judgement of the syntax in the place of ours.
    pub fn settle(self, source: &Arc<Source>, found: &mut Vec<Diagnostic>) {
        let ours = found.iter().position(|other| other.code == SYNTAX_ERROR).map(|at| found.remove(at));
        if let Some(error) = self.error {
            let theirs = diagnostic(source, Severity::Error, SYNTAX_ERROR, &error);
            let line = theirs.place.line_and_column().0;
            found.retain(|other| other.place.line_and_column().0 < line);
            // What we can add is worth keeping when both mean the same line.
            let agreed = ours.filter(|ours| ours.place.line_and_column().0 == line);
            let label = agreed.map(|ours| ours.place.label).unwrap_or_default();
            found.push(Diagnostic { place: Place { label, ..theirs.place }, ..theirs });
        }
        let warnings = self.warnings.iter();
        found.extend(warnings.map(|remark| diagnostic(source, Severity::Warning, "syntax_warning", remark)));
        found.sort_by_key(|diagnostic| diagnostic.place.range.start);
    }
}

fn diagnostic(source: &Arc<Source>, severity: Severity, code: &'static str, remark: &Remark) -> Diagnostic {
    let start = source.place_of(remark.line.unwrap_or(1), remark.column.unwrap_or(1));
    Diagnostic {
        severity,
        code,
        message: remark.message.clone(),
        place: Place { source: Arc::clone(source), range: start..start, label: String::new() },
        related: None,
        command: None,
        parameter: None,
        help: Vec::new(),
    }
}
