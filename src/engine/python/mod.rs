//! The engine that runs every job in a fresh CPython process.
//!
//! A worker is started ahead of time and used once (`worker`, `supervisor`). It leads a process group,
//! which is gone when the job has ended with everything that left it (`descendants`), and it dies with the
//! server (`process`, `registry`). A private
//! channel carries JSON lines both ways (`control`); what the job writes is numbered and bounded
//! (`output`). The Python side is under `lib/` and is part of the binary (`library`).
//!
//! No decision about the queue belongs here, nor what a pause or an abort means for a job: this room
//! carries out calls and reports what it sees. `unsafe` has one place, in `process`.
//!
//! Files in the engine's folder: `lib/` the worker's Python files; `workers/` one entry per living worker,
//! for the next server to find; `jobs/ID/` the working directory of a job, removed at its end if the
//! script left nothing in it, and otherwise kept; `scripts/ID/` the script of the job that runs, as a file.

mod commands;
mod control;
mod descendants;
mod ending;
mod interpreter;
mod job;
mod library;
mod lines;
mod output;
mod process;
mod registry;
mod supervisor;
mod worker;

use tokio::sync::mpsc;

use self::{interpreter::Interpreter, process::Spawner, supervisor::Supervisor, worker::Launcher};
pub(crate) use self::{library::write_files, process::give_way_to_all};
use super::{EngineEvent, EngineLink, EngineState, PythonSettings};

/// How many events wait for the server before a script that floods its output has to wait.
const WAITING_EVENTS: usize = 256;

/// Writes the Python files of the engine, with the module `beamq`, into `lib/` of a folder.
///
/// # Errors
///
/// When a file cannot be written.
pub fn install_library(folder: &std::path::Path) -> std::io::Result<()> {
    library::install(folder).map(drop)
}

/// Starts the engine's task. It ends on [`super::EngineCall::Shutdown`] or when the link is dropped, and
/// everything that it started ends with it.
///
/// The engine reports [`EngineState::Ready`] when a first worker is ready and
/// [`EngineState::Unavailable`], with what to do about it, while none can be started; it goes on trying.
///
/// # Panics
///
/// Outside a tokio runtime.
#[must_use]
pub fn start(settings: PythonSettings) -> EngineLink {
    let (calls, called) = mpsc::unbounded_channel();
    let (events_in, events) = mpsc::channel(WAITING_EVENTS);
    let work_dir = std::path::absolute(&settings.work_dir).unwrap_or_else(|_| settings.work_dir.clone());
    let settings = PythonSettings { work_dir, ..settings };
    match Spawner::start() {
        Ok(spawner) => {
            let interpreter = Interpreter::new(settings.interpreter.clone());
            let launcher = Launcher { settings, spawner, interpreter };
            tokio::spawn(Supervisor::new(launcher, called, events_in).run());
        }
        Err(error) => {
            let why = format!("cannot start the thread that starts workers: {error}");
            tokio::spawn(async move {
                let _server_gone =
                    events_in.send(EngineEvent::State(EngineState::Unavailable, Some(why))).await;
            });
        }
    }
    EngineLink { calls, events }
}
