//! The one binary. Everything is in the library; see [`beamq::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    beamq::cli::run()
}
