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

use crate::config::{NicosConfig, NicosRoles};

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
}

impl NicosAccess {
    pub(super) fn new(config: &NicosConfig) -> Self {
        Self {
            host: config.address.host.clone(),
            port: config.address.port,
            roles: config.roles.clone(),
            service: config.user.clone(),
        }
    }
}
