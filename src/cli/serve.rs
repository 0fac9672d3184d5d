//! `beamq serve`: the server itself.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{connect::Globals, exit::Failure};

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

/// What the command line says about how to serve. What is absent is up to the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// The address of the STOMP endpoint.
    pub stomp: Option<SocketAddr>,
    /// The address of the HTTP endpoint.
    pub http: Option<SocketAddr>,
    /// The folder of the catalogue.
    pub commands: Option<PathBuf>,
    /// Print the ready line as JSON.
    pub json: bool,
    /// Log nothing but errors.
    pub quiet: bool,
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
    let _ = options;
    Err(Failure::new(super::exit::Exit::Internal, "this program was built without its server"))
}
