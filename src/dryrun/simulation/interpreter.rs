//! The file behind the configured interpreter, and its environment.
//!
//! `python3` may be a shim or a script that sets things up. Such scripts start other processes, which a
//! confined child may not. So the interpreter is asked once, outside, who it is, and is started as that.
//! On this occasion it compiles the Python files of the simulation, which a child may only read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{io::AsyncReadExt, process::Command, sync::Mutex, time::timeout};

/// How long it may take to say so.
const SAYS_WITHIN: Duration = Duration::from_secs(20);
/// An environment is not larger, in bytes.
const LONGEST: u64 = 4 << 20;
/// Without what is compiled every child would compile it again: slower, but right. So that this fails is of no
/// interest, and what is compiled already stays.
const QUESTION: &str = "\
import json, os, sys
try:
    import compileall
    compileall.compile_dir(sys.argv[1], quiet=2)
except Exception:
    pass
print(json.dumps({'executable': sys.executable, 'environment': dict(os.environ)}))
";

/// Who an interpreter is.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Interpreter {
    /// The file to start.
    pub(super) executable: PathBuf,
    /// The environment in which it runs.
    pub(super) environment: BTreeMap<String, String>,
}

/// Asks once and remembers.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Option<Interpreter>>);

impl Known {
    /// Who the configured interpreter is. The first time, it compiles the Python files in the folder.
    ///
    /// # Errors
    ///
    /// Why it does not say, for people.
    pub(super) async fn interpreter(&self, configured: &Path, library: &Path) -> Result<Interpreter, String> {
        let mut known = self.0.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.executable.is_file()) {
            return Ok(known.clone());
        }
        let found = ask(configured, library).await?;
        *known = Some(found.clone());
        Ok(found)
    }
}

async fn ask(configured: &Path, library: &Path) -> Result<Interpreter, String> {
    let name = configured.display();
    let mut child = Command::new(configured)
        .args(["-c", QUESTION])
        .arg(library)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the interpreter {name} cannot be started: {error}"))?;
    let mut said = Vec::new();
    let listening = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST).read_to_end(&mut said).await?;
        }
        child.wait().await
    };
    match timeout(SAYS_WITHIN, listening).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(format!("the interpreter {name} was not heard: {error}")),
        Err(_) => {
            return Err(format!("the interpreter {name} did not start within {} s", SAYS_WITHIN.as_secs()));
        }
    }
    // Start-up files may print before it answers.
    let text = String::from_utf8_lossy(&said);
    let answer = text.lines().last().unwrap_or_default();
    serde_json::from_str(answer).map_err(|_| format!("the interpreter {name} is no CPython that answers"))
}
