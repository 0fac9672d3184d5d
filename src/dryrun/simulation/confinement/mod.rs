//! The limits under which a script is simulated.
//!
//! They are set from outside the script, by this program: it is started again as `beamq confined-python`,
//! limits itself and then becomes the interpreter. Nothing can lift them from within. What the system does
//! not have is left out, and told to the child, which tells it in its report.
//!
//! | Limit | Keeps the script from |
//! |---|---|
//! | resource limits | memory, processor time, large files, core dumps |
//! | no new privileges | becoming somebody else through a program |
//! | Landlock | writing outside of its scratch folder, reading devices, running programs, TCP |
//! | seccomp | sockets, new processes, signals, owners and modes of files, the kernel's own settings |

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod filter;

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Budget, Priority};
use crate::engine::python::give_way_to_all;

/// By this variable the child is told what holds.
const TOLD_BY: &str = "BEAMQ_CONFINED";
/// By this one, a process of which children are forked is told with which filters of system calls they are to
/// seal themselves off: programs for the kernel, in hexadecimal.
const SEALED_BY: &str = "BEAMQ_SEALED_BY";
/// A script that opens more files than this is not simulated.
const MOST_FILES: u64 = 512;
/// No file in the scratch folder is larger, in bytes.
const LARGEST_FILE: u64 = 256 << 20;
/// Starting and tidying up take processor time as well, in seconds.
const SPARE_SECONDS: u64 = 10;

/// What to confine.
#[derive(Debug)]
pub struct Confined {
    /// The only folder to which it may write.
    pub scratch: PathBuf,
    /// The most bytes of address space.
    pub memory: u64,
    /// The most seconds that it may take.
    pub seconds: u64,
    /// Whether it runs only when nothing else wants to.
    pub idle: bool,
    /// Whether it is to fork children that seal themselves off: other processes and signals to them are not
    /// denied to it.
    pub many: bool,
    /// The interpreter, and what it is started with.
    pub program: Vec<OsString>,
}

/// What the launcher is started with, up to the interpreter's own arguments.
pub(super) fn arguments(
    scratch: &Path,
    budget: &Budget,
    priority: Priority,
    many: bool,
    interpreter: &Path,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec![
        "confined-python".into(),
        "--scratch".into(),
        scratch.into(),
        "--memory".into(),
        budget.memory.to_string().into(),
        "--seconds".into(),
        budget.real.as_secs().to_string().into(),
    ];
    if priority == Priority::Idle {
        arguments.push("--idle".into());
    }
    if many {
        arguments.push("--many".into());
    }
    arguments.extend(["--".into(), interpreter.into()]);
    arguments
}

/// Limits this process and becomes the interpreter. To be called before there is a second thread. Returns
/// only when that is not possible.
#[must_use]
pub fn become_confined(confined: &Confined) -> io::Error {
    let Some((program, arguments)) = confined.program.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "there is no program to confine");
    };
    if confined.idle {
        give_way_to_all();
    }
    let mut holds = Vec::new();
    let mut command = Command::new(program);
    match limit_resources(confined) {
        Ok(()) => holds.push("rlimits"),
        Err(error) => return error,
    }
    #[cfg(target_os = "linux")]
    {
        // Both set it as well; without either it is still worth having.
        if nix::sys::prctl::set_no_new_privs().is_ok() {
            holds.push("no_new_privs");
        }
        if files::restrict(&confined.scratch, Path::new(program)) {
            holds.push("landlock");
        }
        if confined.many {
            if let Some(rest) = filter::install_but_own() {
                holds.push("seccomp");
                command.env(SEALED_BY, rest);
            }
        } else if filter::install() {
            holds.push("seccomp");
        }
    }
    command.args(arguments).env(TOLD_BY, holds.join(" ")).exec()
}

fn limit_resources(confined: &Confined) -> io::Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_AS, confined.memory),
        (Resource::RLIMIT_CPU, confined.seconds.saturating_add(SPARE_SECONDS)),
        (Resource::RLIMIT_FSIZE, LARGEST_FILE),
        (Resource::RLIMIT_NOFILE, MOST_FILES),
        (Resource::RLIMIT_CORE, 0),
    ] {
        let (_, hard) = getrlimit(resource)?;
        setrlimit(resource, limit.min(hard), limit.min(hard))?;
    }
    Ok(())
}
