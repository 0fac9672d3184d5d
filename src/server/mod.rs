//! The server: what assembles the rooms, and the loop that owns the machines.
//!
//! Data comes in from transports, engines, timers and our own tasks, all through [`dispatcher`]; nothing
//! else changes state. What may not enter here: bytes of a wire, SQL, processes.

mod announcements;
mod assembly;
mod audit;
mod broker;
mod calls;
mod catalogue;
mod clients;
mod dispatcher;
mod engine_events;
mod error;
mod event_log;
mod findings;
mod forecast;
mod inside;
mod judging;
mod log;
mod logins;
mod meanwhile;
mod metrics;
mod nicos;
mod proxy;
mod readings;
mod submissions;
mod timers;
mod turned_away;
mod verdicts;
mod views;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use error::ServeError;

use crate::{
    dryrun::Compiler,
    security::{Accounts, LoginThrottle, TokenVerifier},
};

/// What the command line says about how to serve. What is absent is up to the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// The address of the STOMP endpoint; port 0 takes a free one.
    pub stomp: Option<SocketAddr>,
    /// The address of the HTTP endpoint.
    pub http: Option<SocketAddr>,
    /// The folder of the catalogue.
    pub commands: Option<PathBuf>,
    /// Print the ready line as JSON.
    pub json: bool,
    /// Log nothing but errors to standard error.
    pub quiet: bool,
}

/// Serves until the process is told to stop by `SIGTERM` or `SIGINT`.
///
/// # Errors
///
/// [`ServeError`] when the server cannot start; each says in one line what to do.
pub fn serve(options: &ServeOptions) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("beamq")
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(assembly::serve(options));
    // A reading that is still under way must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// What the loop knows of the configuration.
struct Settings {
    instrument: String,
    engine_kind: &'static str,
    /// Asked for its judgement of scripts.
    compiler: Arc<Compiler>,
    token: TokenVerifier,
    accounts: Accounts,
    /// Where sessions get connections of their own, with the nicos engine.
    nicos: Option<nicos::NicosAccess>,
    throttle: LoginThrottle,
    shutdown_at_most: Duration,
    shutdown_aborts: bool,
    /// What is done with the scripts of submissions.
    dry_run: crate::config::DryRunConfig,
    /// Whether `stop` in the proxy dialect empties the queue, as NICOS does.
    proxy_stop_empties_queue: bool,
    transports: BTreeMap<String, String>,
    /// How things stand with the broker, if there is to be one.
    broker: Option<tokio::sync::watch::Receiver<String>>,
}
