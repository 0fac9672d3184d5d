//! The file behind the configured interpreter, and its environment.
//!
//! `python3` may be a shim or a script that sets things up. Such scripts start other processes, which a
//! confined child may not. So the interpreter is asked once, outside, who it is, and is started as that.
//! On this occasion it compiles the Python files of the simulation and those of the catalogue's folders, which
//! a child may only read; it is asked again when these have changed.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, process::Command, sync::Mutex, time::timeout};

/// How long it may take to say so.
const SAYS_WITHIN: Duration = Duration::from_secs(20);
/// An environment is not larger, in bytes.
const LONGEST: u64 = 4 << 20;
/// No folder of a catalogue with more Python files than this is compiled ahead.
const MOST_FILES: usize = 2_000;
/// Nor what lies deeper in it.
const DEEPEST: usize = 8;
/// Without what is compiled every child would compile it again: slower, but right. So that this fails is of no
/// interest, and what is compiled already stays. The files of an instrument are compiled as a job would that
/// imports them, and left alone where that is not wanted; those that beamq has unpacked are its own.
const QUESTION: &str = "\
import json, os, sys
try:
    import compileall
    compileall.compile_dir(sys.argv[1], quiet=2)
    folders = json.loads(sys.argv[2])
    for folder in folders['ours'] + ([] if sys.dont_write_bytecode else folders['others']):
        compileall.compile_dir(folder, quiet=2)
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
pub(super) struct Known(Mutex<Option<(Interpreter, FilesOfCatalogue)>>);

/// The Python files of a catalogue, as they were looked at last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilesOfCatalogue {
    folders: Folders,
    /// Of names, sizes and times.
    fingerprint: u64,
}

/// Where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Folders {
    /// In a folder of the server's own.
    ours: Vec<PathBuf>,
    /// Elsewhere.
    others: Vec<PathBuf>,
}

impl FilesOfCatalogue {
    /// Looks at the folders; what is below `own` is the server's. What cannot be read is left out, and so is a
    /// folder of too many files.
    pub(super) fn look(folders: &[PathBuf], own: &Path) -> Self {
        let mut fingerprint = DefaultHasher::new();
        let mut found = Self::default();
        for folder in folders {
            let mut count = 0;
            note_files(folder, 0, &mut count, &mut fingerprint);
            let kind =
                if folder.starts_with(own) { &mut found.folders.ours } else { &mut found.folders.others };
            if count <= MOST_FILES {
                kind.push(folder.clone());
            }
        }
        found.fingerprint = fingerprint.finish();
        found
    }
}

fn note_files(folder: &Path, depth: usize, count: &mut usize, fingerprint: &mut DefaultHasher) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if *count > MOST_FILES {
            return;
        }
        let path = entry.path();
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST && name != "__pycache__" && !name.as_bytes().starts_with(b".") {
            note_files(&path, depth + 1, count, fingerprint);
        } else if path.extension().is_some_and(|extension| extension == "py")
            && let Ok(about) = entry.metadata()
        {
            *count += 1;
            (path, about.len(), about.modified().ok()).hash(fingerprint);
        }
    }
}

impl Known {
    /// Who the configured interpreter is. The first time, it compiles the Python files in the folder; those
    /// of the catalogue whenever they have changed.
    ///
    /// # Errors
    ///
    /// Why it does not say, for people.
    pub(super) async fn interpreter(
        &self,
        configured: &Path,
        library: &Path,
        files: FilesOfCatalogue,
    ) -> Result<Interpreter, String> {
        let mut known = self.0.lock().await;
        if let Some((interpreter, seen)) = &*known
            && *seen == files
            && interpreter.executable.is_file()
        {
            return Ok(interpreter.clone());
        }
        let found = ask(configured, library, &files.folders).await?;
        *known = Some((found.clone(), files));
        Ok(found)
    }
}

async fn ask(configured: &Path, library: &Path, folders: &Folders) -> Result<Interpreter, String> {
    let name = configured.display();
    let mut child = Command::new(configured)
        .args(["-c", QUESTION])
        .arg(library)
        .arg(serde_json::to_string(folders).unwrap_or_default())
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
