//! `beamq token`: what clients log in with.

use serde_json::json;

use crate::client::DiscoveryError;

use super::{
    connect::Globals,
    exit::{Exit, Failure},
};

pub(super) fn run(globals: &Globals) -> Result<(), Failure> {
    let (terminal, data) = (globals.terminal(), globals.data_dir()?);
    let Some(token) = data.token()? else {
        let place = data.path().display();
        let message = format!("there is no token in {place}: no server has been started there");
        return Err(Failure::new(Exit::Unreachable, message)
            .hint(format!("start one with `beamq serve --data {place}`, or name another with --data DIR")));
    };
    // The token of a server that was stopped is still there, and opens nothing any more.
    if data.endpoint()?.is_none() {
        return Err(DiscoveryError::NotRunning { path: data.path().to_owned() }.into());
    }
    if terminal.json { terminal.document(&json!({"token": token})) } else { terminal.line(token) }
}
