//! `beamq serve`: the server itself.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{
    connect::Globals,
    exit::{Exit, Failure},
};
use crate::server::ServeOptions;

#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    /// The configuration file; what is given on the command line wins over it
    #[arg(long, value_name = "FILE", env = "BEAMQ_CONFIG")]
    config: Option<PathBuf>,
    /// Where STOMP clients connect, a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    stomp: Option<SocketAddr>,
    /// Where HTTP clients connect, a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// The folder with the instrument's commands
    #[arg(long, value_name = "DIR")]
    commands: Option<PathBuf>,
}

pub(super) fn run(args: ServeArgs, globals: &Globals) -> Result<(), Failure> {
    let ServeArgs { config, stomp, http, commands } = args;
    let options = ServeOptions {
        config,
        data: globals.data.clone(),
        stomp,
        http,
        commands,
        json: globals.json,
        quiet: globals.quiet,
    };
    crate::server::serve(&options).map_err(|error| {
        let exit = if error.is_conflict() {
            Exit::Conflict
        } else if error.is_usage() {
            Exit::Usage
        } else {
            Exit::Internal
        };
        Failure::new(exit, error.to_string())
    })
}
