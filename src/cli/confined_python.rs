//! `beamq confined-python`: what a dry run starts to run a script in. It is nobody's command.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::exit::{Exit, Failure};
use crate::dryrun::simulation::{Confined, become_confined};

#[derive(Args, Debug)]
pub(super) struct ConfinedArgs {
    /// The only folder to which it may write
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
    /// The most bytes of memory
    #[arg(long, value_name = "BYTES")]
    memory: u64,
    /// The most seconds
    #[arg(long)]
    seconds: u64,
    /// Run only when nothing else on the machine wants to
    #[arg(long)]
    idle: bool,
    /// Let it start other processes, which confine themselves as this one would be without this
    #[arg(long)]
    many: bool,
    /// The interpreter and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// Becomes the interpreter; returns only when that fails.
pub(super) fn run(args: ConfinedArgs) -> Result<(), Failure> {
    let ConfinedArgs { scratch, memory, seconds, idle, many, program } = args;
    let error = become_confined(&Confined { scratch, memory, seconds, idle, many, program });
    Err(Failure::new(Exit::Internal, format!("cannot become the interpreter: {error}")))
}
