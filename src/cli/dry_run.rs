//! `beamq dry-run`: what a script, a job or the whole queue would do, without touching the instrument.

mod files;
mod server;
mod svg;
mod timeline;

use clap::{ArgGroup, Args};

use super::{connect::Globals, exit::Failure, moment};

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["files", "job", "queue"])))]
pub(super) struct DryRunArgs {
    #[command(flatten)]
    files: files::FileArgs,
    #[command(flatten)]
    server: server::ServerArgs,
    /// Begin at this time (22:00, or a span such as 2h), for the times of day; with --queue, as if the waiting
    /// jobs began then
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<String>,
}

pub(super) async fn run(args: DryRunArgs, globals: Globals) -> Result<(), Failure> {
    if args.server.queue || args.server.job.is_some() {
        return server::run(&args.server, args.at.as_deref(), args.files.svg.as_deref(), &globals).await;
    }
    files::run(&args.files, args.at.as_deref(), &globals.terminal()).await
}
