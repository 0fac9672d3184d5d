//! The engine that runs jobs in a NICOS daemon, one at a time, under a service account.
//!
//! Our queue stays the authority: NICOS gets a script when it is to run, and has at most one of ours. Its events
//! say what happens to it; where it is, is asked for at intervals, since NICOS would otherwise tell every line
//! (`truth`). Orders are given when NICOS can carry them out and given again when it was between two statements
//! (`run`, `orders`); what NICOS has no command for is evaluated there (`inside.py`). What it asks is judged by NICOS's own
//! validators (`question`). What it writes and why it failed comes with its messages (`message`, `traceback`). The connection is
//! made anew when it is lost, and a script that ran on meanwhile is recognised (`supervisor`).
//!
//! No decision about the queue belongs here. A script of somebody else makes the engine unavailable until it has
//! ended; it is never touched.

mod cells;
mod message;
mod orders;
mod question;
mod run;
mod supervisor;
mod traceback;
mod truth;

use std::time::Duration;

use tokio::sync::mpsc;

use self::supervisor::Supervisor;
use super::EngineLink;
use crate::nicos::Login;

/// How many events wait for the server before NICOS has to keep the rest.
const WAITING_EVENTS: usize = 256;

/// The settings of the nicos engine, resolved from the configuration.
#[derive(Clone, Debug)]
pub struct NicosSettings {
    /// The host of the daemon.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account that runs jobs.
    pub login: Login,
    /// A daemon that has not answered for so long counts as hanging.
    pub answer_within: Duration,
    /// The most bytes of output that are kept and sent per job; what is beyond is counted and dropped.
    pub output_limit: u64,
    /// Whether reports have the values of variables that NICOS tells.
    pub local_variables: bool,
}

/// Starts the engine's task. It ends on [`super::EngineCall::Shutdown`] or when the link is dropped; a script of
/// ours that still runs then is stopped.
///
/// # Panics
///
/// Outside a tokio runtime.
#[must_use]
pub fn start(settings: NicosSettings) -> EngineLink {
    let (calls, called) = mpsc::unbounded_channel();
    let (events_in, events) = mpsc::channel(WAITING_EVENTS);
    tokio::spawn(Supervisor::new(settings, called, events_in).run());
    EngineLink { calls, events }
}
