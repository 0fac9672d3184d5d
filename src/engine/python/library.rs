//! The Python files that a worker consists of. They are part of the binary and are written to
//! `work_dir/lib` at every start, as files, so that tracebacks and debuggers can show them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const FILES: [(&str, &str); 19] = [
    ("worker.py", include_str!("lib/worker.py")),
    ("nicos.py", include_str!("lib/nicos.py")),
    ("beamq/__init__.py", include_str!("lib/beamq/__init__.py")),
    ("beamq/_arguments.py", include_str!("lib/beamq/_arguments.py")),
    ("beamq/_catalogue.py", include_str!("lib/beamq/_catalogue.py")),
    ("beamq/commands.py", include_str!("lib/beamq/commands.py")),
    ("beamq_worker/__init__.py", include_str!("lib/beamq_worker/__init__.py")),
    ("beamq_worker/bridge.py", include_str!("lib/beamq_worker/bridge.py")),
    ("beamq_worker/calls.py", include_str!("lib/beamq_worker/calls.py")),
    ("beamq_worker/cells.py", include_str!("lib/beamq_worker/cells.py")),
    ("beamq_worker/channel.py", include_str!("lib/beamq_worker/channel.py")),
    ("beamq_worker/failures.py", include_str!("lib/beamq_worker/failures.py")),
    ("beamq_worker/hints.py", include_str!("lib/beamq_worker/hints.py")),
    ("beamq_worker/progress.py", include_str!("lib/beamq_worker/progress.py")),
    ("beamq_worker/questions.py", include_str!("lib/beamq_worker/questions.py")),
    ("beamq_worker/script.py", include_str!("lib/beamq_worker/script.py")),
    ("beamq_worker/steering.py", include_str!("lib/beamq_worker/steering.py")),
    ("beamq_worker/swallowed.py", include_str!("lib/beamq_worker/swallowed.py")),
    ("beamq_worker/watching.py", include_str!("lib/beamq_worker/watching.py")),
];

/// Writes the library and returns the file that an interpreter is started with.
///
/// # Errors
///
/// When a file cannot be written.
pub(super) fn install(work_dir: &Path) -> io::Result<PathBuf> {
    let folder = work_dir.join("lib");
    write_files(&folder, &FILES)?;
    Ok(folder.join("worker.py"))
}

/// Writes files that are part of the binary into a folder, as far as they are not there already.
///
/// # Errors
///
/// When a file cannot be written.
pub(crate) fn write_files(folder: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    for (name, text) in files {
        let file = folder.join(name);
        if fs::read(&file).is_ok_and(|present| present == text.as_bytes()) {
            continue;
        }
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        // A worker that starts just now reads the old one or the new one.
        crate::catalogue::shipped::write_whole(&file, text.as_bytes())?;
    }
    Ok(())
}
