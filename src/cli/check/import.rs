//! `beamq check --import`: the implementations, imported in a child process and compared with what the
//! catalogue says about them. The server itself never imports instrument code.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    catalogue::{Catalogue, python},
    cli::exit::{Exit, Failure},
    engine,
    protocol::view::{Finding, Severity},
};

const PROGRAM: &str = include_str!("import.py");
/// An import that takes longer waits for something that is not there.
const LONGEST: Duration = Duration::from_secs(60);

/// What the child says about a command.
#[derive(Deserialize)]
struct Verdict {
    command: String,
    parameter: Option<String>,
    severity: Severity,
    code: String,
    message: String,
    hint: Option<String>,
}

/// Imports what the catalogue names.
pub(super) async fn check(
    catalogue: &Catalogue,
    folders: &[PathBuf],
    interpreter: &Path,
) -> Result<Vec<Finding>, Failure> {
    let library = Library::install()?;
    let mut child = Command::new(interpreter)
        .args(["-u", "-c", PROGRAM])
        .arg(library.folder.join("lib"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MPLBACKEND", "Agg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            Failure::new(Exit::Usage, format!("cannot start {}: {error}", interpreter.display()))
                .hint("name an interpreter with --python")
        })?;
    let input = python::worker_file(catalogue, folders);
    let conversation = async {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let ended = match tokio::time::timeout(LONGEST, conversation).await {
        Ok(ended) => ended?,
        Err(_) => {
            let message = format!("importing the implementations took longer than {} s", LONGEST.as_secs());
            return Err(Failure::new(Exit::TimedOut, message)
                .hint("a module must not wait for anything while it is imported"));
        }
    };
    let text = String::from_utf8_lossy(&ended.stdout);
    // Modules may print while they are imported; the last line is ours.
    let verdicts: Result<Vec<Verdict>, _> = serde_json::from_str(text.lines().last().unwrap_or_default());
    let verdicts = verdicts.map_err(|_| {
        Failure::new(Exit::Failed, format!("the import ended early ({})", ended.status))
            .hint("a module of the implementations ends the interpreter while it is imported")
    })?;
    Ok(verdicts.into_iter().map(|verdict| finding(verdict, catalogue)).collect())
}

fn finding(verdict: Verdict, catalogue: &Catalogue) -> Finding {
    let command = catalogue.command(&verdict.command);
    Finding {
        severity: verdict.severity,
        code: verdict.code,
        file: command.map(|command| command.file.clone()),
        line: command.map(|command| command.line),
        column: None,
        command: Some(verdict.command),
        parameter: verdict.parameter,
        message: verdict.message,
        hint: verdict.hint,
    }
}

/// The `beamq` module, for implementations that use it, in a folder that goes away again.
struct Library {
    folder: PathBuf,
}

impl Library {
    fn install() -> io::Result<Self> {
        let library =
            Self { folder: std::env::temp_dir().join(format!("beamq-check-{}", std::process::id())) };
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(&library.folder)?;
        engine::python::install_library(&library.folder)?;
        Ok(library)
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // What cannot be removed is a small folder in the temporary directory, not worth an error.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
