//! `beamq dry-run`: what a script would do, without touching the instrument.

mod files;
mod svg;
mod timeline;

use clap::Args;

use super::{connect::Globals, exit::Failure, moment};

#[derive(Args, Debug)]
pub(super) struct DryRunArgs {
    #[command(flatten)]
    files: files::FileArgs,
    /// Begin at this time (22:00, or a span such as 2h), for the times of day
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<String>,
}

pub(super) async fn run(args: DryRunArgs, globals: Globals) -> Result<(), Failure> {
    files::run(&args.files, args.at.as_deref(), &globals.terminal()).await
}
