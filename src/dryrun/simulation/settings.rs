//! What all simulations of a server have in common, and how far one may go.

use std::{path::PathBuf, time::Duration};

/// Modules that reach an instrument, whatever the catalogue says: their import is denied in a dry run.
pub const DEFAULT_HARDWARE: [&str; 14] = [
    "epics",
    "p4p",
    "caproto",
    "pvaccess",
    "genie_python",
    "tango",
    "PyTango",
    "pyvisa",
    "serial",
    "usb",
    "nidaqmx",
    "labjack",
    "pymodbus",
    "paramiko",
];

/// What a [`super::Simulator`] is made of.
#[derive(Clone, Debug)]
pub struct SimulationSettings {
    /// The interpreter of the jobs: a name looked up in `PATH`, or a path.
    pub interpreter: PathBuf,
    /// Folders put at the front of `sys.path`, as for jobs.
    pub path: Vec<PathBuf>,
    /// A folder of the server's own. The Python files are written to `lib/` in it, and every simulation
    /// gets a scratch folder in it, which is removed at its end.
    pub work_dir: PathBuf,
    /// Modules whose import is denied, with all that is below them.
    pub hardware: Vec<String>,
    /// This program, which confines the child before it becomes the interpreter. Without it the child has
    /// no other guards than those in Python, and every report says so.
    pub launcher: Option<PathBuf>,
    /// How many simulations run at a time; the others wait.
    pub at_once: usize,
    /// Whether the Python files of the catalogue are compiled before the first simulation: worth it for who
    /// simulates often.
    pub compile_ahead: bool,
}

impl SimulationSettings {
    /// The usual settings: this program as launcher, two simulations at a time.
    #[must_use]
    pub fn new(interpreter: impl Into<PathBuf>, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            interpreter: interpreter.into(),
            path: Vec::new(),
            work_dir: work_dir.into(),
            hardware: DEFAULT_HARDWARE.iter().map(|name| (*name).to_owned()).collect(),
            launcher: this_program(),
            at_once: 2,
            compile_ahead: true,
        }
    }
}

/// What a simulation gives way to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it: it is nicer than other processes.
    #[default]
    Low,
    /// It runs only when nothing else on the machine wants to. One that gets nowhere, because the machine
    /// never rests, is begun again with [`Priority::Low`].
    Idle,
}

/// How far a simulation may go. What goes beyond is cut short, with a finding that names the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Real time.
    pub real: Duration,
    /// Lines of the script that are run, and waits.
    pub steps: u64,
    /// Virtual time.
    pub virtual_time: Duration,
    /// Bytes of address space of the child.
    pub memory: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            real: Duration::from_secs(10),
            steps: 1_000_000,
            virtual_time: Duration::from_secs(30 * 24 * 3600),
            memory: 2 << 30,
        }
    }
}

/// This program, also when its file was replaced since it was started.
fn this_program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { std::env::current_exe().ok() }
}
