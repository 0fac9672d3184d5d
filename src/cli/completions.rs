//! `beamq completions`: completion scripts for shells.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::exit::Failure;

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Result<(), Failure> {
    // Collected first: the generator panics when its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "beamq", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
