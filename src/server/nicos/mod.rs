//! The sessions' own connections to NICOS: whoever logs in with an account of NICOS gets one, under that account.
//!
//! [`login`] is the way in, [`link`] holds the connection and hands on its events, [`calls`] answers what NICOS is
//! asked, [`jobs`] knows which messages belong to jobs, [`livedata`] keeps the arrays that were announced. Nothing here waits for NICOS in the loop, and the loop
//! learns of a connection only what changes a session.

mod calls;
mod jobs;
mod link;
mod livedata;
mod login;

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use crate::config::{NicosConfig, NicosRoles, NicosSessions};

pub(super) use link::NicosLink;
pub(super) use login::{Opened, Verdict};

/// Where the sessions' connections go, and what comes of their levels.
#[derive(Clone, Debug)]
pub(super) struct NicosAccess {
    host: String,
    port: u16,
    roles: NicosRoles,
    /// The account that runs jobs.
    service: String,
    /// When a silent daemon is asked whether it is there.
    sessions: NicosSessions,
    /// Every connection has a receiver of it, so that its end can be waited for.
    connections: watch::Sender<()>,
}

/// How long a stopping server waits until NICOS has heard that its sessions go.
const GOODBYES_WITHIN: Duration = Duration::from_secs(2);

impl NicosAccess {
    pub(super) fn new(config: &NicosConfig) -> Self {
        Self {
            host: config.address.host.clone(),
            port: config.address.port,
            roles: config.roles.clone(),
            service: config.user.clone(),
            sessions: config.sessions.clone(),
            connections: watch::Sender::new(()),
        }
    }

    /// Waits until the connections of all sessions have ended, or a hanging daemon has been waited for long enough.
    pub(super) async fn all_gone(&self) {
        if timeout(GOODBYES_WITHIN, self.connections.closed()).await.is_err() {
            tracing::warn!("NICOS does not say goodbye to the sessions");
        }
    }
}
