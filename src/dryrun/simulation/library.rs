//! The Python files of a simulation. They are part of the binary and are written where an interpreter can
//! read them.

use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::engine;

/// Two that write the same file at once would take it away from each other.
static WRITING: Mutex<()> = Mutex::new(());

const FILES: [(&str, &str); 13] = [
    ("dryrun.py", include_str!("lib/dryrun.py")),
    ("beamq_dryrun/__init__.py", include_str!("lib/beamq_dryrun/__init__.py")),
    ("beamq_dryrun/bridge.py", include_str!("lib/beamq_dryrun/bridge.py")),
    ("beamq_dryrun/calendar_time.py", include_str!("lib/beamq_dryrun/calendar_time.py")),
    ("beamq_dryrun/channel.py", include_str!("lib/beamq_dryrun/channel.py")),
    ("beamq_dryrun/clock.py", include_str!("lib/beamq_dryrun/clock.py")),
    ("beamq_dryrun/guard.py", include_str!("lib/beamq_dryrun/guard.py")),
    ("beamq_dryrun/instrument.py", include_str!("lib/beamq_dryrun/instrument.py")),
    ("beamq_dryrun/many.py", include_str!("lib/beamq_dryrun/many.py")),
    ("beamq_dryrun/run.py", include_str!("lib/beamq_dryrun/run.py")),
    ("beamq_dryrun/scratch.py", include_str!("lib/beamq_dryrun/scratch.py")),
    ("beamq_dryrun/stage.py", include_str!("lib/beamq_dryrun/stage.py")),
    ("beamq_dryrun/waits.py", include_str!("lib/beamq_dryrun/waits.py")),
];

/// Writes the files of the worker and those of the simulation into `lib/` of a folder.
///
/// # Errors
///
/// When a file cannot be written.
pub(super) fn install(work_dir: &Path) -> io::Result<()> {
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    engine::python::install_library(work_dir)?;
    engine::python::write_files(&work_dir.join("lib"), &FILES)
}
