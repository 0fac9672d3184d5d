//! Clients behind an ActiveMQ broker, reached over STOMP.
//!
//! Requests arrive on one queue, each with a reply-to: a temporary queue of its sender, which is one client
//! of the server. They are acknowledged once everything that follows from them is committed, and one that
//! comes again is answered again and carried out once. Replies and events go out over a second connection,
//! and every event once to a topic.
//!
//! The broker may vanish at any time, and so may clients: the transport connects again for as long as the
//! server runs, and sessions outlive the broker for a grace time, because failover clients come back with
//! the same temporary queue. Nothing in a header is proof of who somebody is: whoever may use the broker can
//! forge them. They only decide where an answer goes.
//!
//! Several servers may be told to use the same queue by mistake. One of them answers, the others stand by
//! and say so: see [`stance`].
//!
//! This room knows frames and queues. What is in a message and what a role may do stays outside.

mod advisories;
mod backoff;
mod connection;
mod crew;
mod line;
mod names;
mod pusher;
mod repeats;
mod serving;
mod session;
mod stance;
mod topic;

use std::time::Duration;

use tokio::sync::watch;

use self::{backoff::Backoff, serving::Transport};
pub use connection::BrokerAccount;

use super::Clients;

/// How many requests the broker sends without an acknowledgement. Few, so that what waits stays with the
/// broker; enough that it never waits for us.
const PREFETCH: usize = 32;

/// What the transport needs to know.
#[derive(Clone, Debug)]
pub struct ActivemqSettings {
    /// Where the broker is, and who we are there.
    pub account: BrokerAccount,
    /// The queue on which requests arrive.
    pub queue: String,
    /// The largest message that is read.
    pub message_bytes: usize,
    /// How many clients there may be at once.
    pub clients: usize,
    /// How long sessions outlive a lost connection to the broker.
    pub grace: Duration,
}

/// Serves clients until `shutdown` becomes true or its sender is gone; then everything that waits for them
/// is sent, for a few seconds at most. `state` is told, in words, how things stand with the broker.
pub async fn run(
    settings: ActivemqSettings,
    clients: Clients,
    state: watch::Sender<String>,
    mut shutdown: watch::Receiver<bool>,
) {
    let (crew, at_work) = crew::assemble();
    let mut transport = Transport::new(settings, clients, state, crew);
    at_work.beside(connect_and_serve(&mut transport, &mut shutdown)).await;
}

/// Serves over one connection after the other.
async fn connect_and_serve(transport: &mut Transport, shutdown: &mut watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    loop {
        let ended = tokio::select! {
            biased;
            () = asked_to_stop(shutdown) => return,
            opened = transport.open() => opened,
        };
        let error = match ended {
            Ok(line) => {
                let since = line.since;
                let Some(error) = transport.serve(line, shutdown).await else { return };
                backoff.was_up_for(since.elapsed());
                error
            }
            Err(error) => error,
        };
        let wait = backoff.next();
        transport.away(&error, wait);
        tokio::select! {
            biased;
            () = asked_to_stop(shutdown) => return,
            () = transport.wait(wait) => {}
        }
    }
}

/// Returns when the transport has to stop.
async fn asked_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone can never ask any more, and has nobody left to serve.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
