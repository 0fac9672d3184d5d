//! One worker: a CPython process that is prepared and waits for a job.

use std::{
    collections::VecDeque,
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use nix::sys::signal::Signal;
use thiserror::Error;
use tokio::time::timeout;

use super::{
    control::{self, ControlReader, ControlWriter, FromWorker, ToWorker},
    interpreter::Interpreter,
    library,
    output::Pipes,
    process::{Process, Spawned, Spawner},
    registry::Registry,
};
use crate::engine::PythonSettings;

/// Preloaded modules may be large and on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a worker that closed its channel may take to end by itself.
pub(super) const ENDING_WITHIN: Duration = Duration::from_secs(1);
/// How much of what a failing worker wrote is shown.
const LAST_WORDS: usize = 400;

/// A worker that is ready to run one job.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) process: Process,
    pub(super) reader: ControlReader,
    pub(super) writer: ControlWriter,
    pub(super) pipes: Pipes,
}

/// Why there is no worker.
#[derive(Debug, Error)]
pub(super) enum LaunchError {
    #[error(
        "cannot start the interpreter {}: {error}; set engine.python.interpreter to Python 3.9 or newer",
        interpreter.display()
    )]
    Spawn { interpreter: PathBuf, error: io::Error },
    #[error("cannot write to the engine's folder {}: {error}; make it writable", folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    #[error("{reason} (interpreter {}, key engine.python.interpreter)", interpreter.display())]
    Refused { interpreter: PathBuf, reason: String },
    #[error(
        "the interpreter {} ended ({how}) before it was ready{last_words}; set engine.python.interpreter to \
         Python 3.9 or newer, and look at engine.python.preload and engine.python.startup",
        interpreter.display()
    )]
    Died { interpreter: PathBuf, how: String, last_words: String },
    #[error(
        "the interpreter {} was not ready after {} s; look at engine.python.interpreter, preload and startup",
        interpreter.display(),
        READY_WITHIN.as_secs()
    )]
    TooSlow { interpreter: PathBuf },
}

/// What is needed to launch workers.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) settings: PythonSettings,
    pub(super) spawner: Spawner,
    pub(super) interpreter: Interpreter,
}

impl Launcher {
    /// Launches a worker and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Says in full sentences what to do about it.
    pub(super) async fn launch(self: Arc<Self>) -> Result<Worker, LaunchError> {
        let folder = &self.settings.work_dir;
        let in_folder = |error| LaunchError::Folder { folder: folder.clone(), error };
        let program = library::install(folder).map_err(in_folder)?;
        let registry = Registry::open(folder).map_err(in_folder)?;
        let interpreter = self.settings.interpreter.clone();
        let failed = |error| LaunchError::Spawn { interpreter: interpreter.clone(), error };
        let executable = self.interpreter.executable().await;
        let spawned = self.spawner.spawn(self.command(&executable, &program), registry).await;
        let Spawned { process, control, stdout, stderr } = spawned.map_err(|error| {
            self.interpreter.forget();
            failed(error)
        })?;
        let (reader, writer) = control::open(control).map_err(failed)?;
        let pipes = Pipes::open(stdout, stderr).map_err(failed)?;
        let worker = Worker { process, reader, writer, pipes };
        match timeout(READY_WITHIN, worker.prepare(&self.settings)).await {
            Ok(prepared) => prepared,
            Err(_) => Err(LaunchError::TooSlow { interpreter: self.settings.interpreter.clone() }),
        }
    }

    fn command(&self, executable: &Path, program: &Path) -> Command {
        let mut command = Command::new(executable);
        command
            .arg("-u")
            .arg(program)
            .current_dir(&self.settings.work_dir)
            .env("PYTHONUTF8", "1")
            .env("MPLBACKEND", "Agg")
            // These would change how the output is encoded and where the library is found.
            .env_remove("PYTHONIOENCODING")
            .env_remove("PYTHONSAFEPATH")
            .env_remove("PYTHONINSPECT");
        // What `beamq.commands` reads. Without one it says so.
        let catalogue = self.settings.work_dir.join("catalogue.json");
        if catalogue.is_file() {
            command.env("BEAMQ_CATALOGUE", catalogue);
        }
        command
    }
}

impl Worker {
    async fn prepare(mut self, settings: &PythonSettings) -> Result<Self, LaunchError> {
        let prepare = ToWorker::Prepare {
            path: settings.path.clone(),
            preload: settings.preload.clone(),
            startup: settings.startup.clone(),
            memory: settings.memory,
            niceness: settings.niceness,
        };
        // One that is gone already shows below.
        let _gone = self.writer.send(&prepare).await;
        let mut written = VecDeque::new();
        let mut buffer = Vec::new();
        let mut refused = None;
        let mut open = true;
        loop {
            tokio::select! {
                // Output first: what was written before `ready` belongs to no job.
                biased;
                read = self.pipes.read(&mut buffer), if open => {
                    open = read.is_some();
                    written.extend(buffer.drain(..));
                    let surplus = written.len().saturating_sub(LAST_WORDS);
                    written.drain(..surplus);
                }
                said = self.reader.next() => match said {
                    Ok(FromWorker::Ready { python }) => {
                        tracing::debug!(%python, "a worker is ready");
                        return Ok(self);
                    }
                    Ok(FromWorker::Refused { reason }) => refused = Some(reason),
                    Ok(_) => {}
                    Err(_) => break,
                },
            }
        }
        if timeout(ENDING_WITHIN, self.process.exited()).await.is_err() {
            self.process.kill();
        }
        let status = self.process.exited().await;
        let interpreter = settings.interpreter.clone();
        Err(match refused {
            Some(reason) => LaunchError::Refused { interpreter, reason },
            None => LaunchError::Died { interpreter, how: describe(status), last_words: last_words(written) },
        })
    }
}

/// The exit code or signal of a process, in words.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {}", signal_name(signal)),
        (None, None) => "unknown end".to_owned(),
    }
}

/// The name of a signal, `SIGKILL`.
pub(super) fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

fn last_words(written: VecDeque<u8>) -> String {
    let written = Vec::from(written);
    let text = String::from_utf8_lossy(&written);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.map(|line| format!(": {}", line.trim())).unwrap_or_default()
}
