//! The command line: one file per subcommand, all of them clients like any other.

use std::process::ExitCode;

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
