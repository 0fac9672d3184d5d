//! The embedded endpoint: STOMP 1.0 to 1.2 on loopback, without a broker.
//!
//! It knows `/queue/ss_admin` to send requests to, `/temp-queue/NAME` for replies and events, private to the
//! connection that names it, and the topic `/topic/beamq.<instrument>.events`. Each pair of a connection and
//! a reply-to is one client of the server.
//!
//! A connection has a task that reads, a task that writes, and a small task for each of its subscriptions.
//! All of them have bounded queues between them, so that a peer that reads slowly, writes rubbish or stands
//! still costs a bounded amount of memory and harms nobody but itself.
//!
//! Messages live in memory and are delivered at most once: the acknowledgement modes `auto`, `client` and
//! `client-individual` are accepted, ACK and NACK too, but nothing is ever delivered again. Transactions and
//! selectors are refused.
//!
//! This room knows frames and sockets. What is in a message, who a token belongs to and what a role may do
//! stays outside.

mod connection;
mod destination;
mod dialogue;
mod farewell;
mod handshake;
mod incoming;
mod outlet;
mod refusal;
mod reply_queue;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time,
};

use self::{connection::House, handshake::BEFORE_LOGIN, incoming::Incoming, refusal::Refusal};
use super::{BindError, loopback};
use crate::{transport::Clients, wire::stomp::Limits};

/// Decides who may connect. It is asked once for each connection, in the connection's task, so it must not
/// block for longer than a password check takes.
pub trait CredentialCheck: Send + Sync {
    /// Whether this login and passcode may connect. Implementations compare in constant time.
    fn admits(&self, login: &str, passcode: &str) -> bool;
}

/// What clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointLimits {
    /// The limits of one frame.
    pub frame: Limits,
    /// How many connections may be open at once.
    pub connections: usize,
    /// How many reply destinations one connection may have.
    pub reply_queues: usize,
    /// How long a peer may take to send its CONNECT.
    pub connect_within: Duration,
    /// How long a peer may take nothing of what is written to it.
    pub stalled_write: Duration,
}

impl Default for EndpointLimits {
    /// The default frame, 512 connections, 64 reply destinations each, 10 s to connect, 30 s without
    /// progress.
    fn default() -> Self {
        Self {
            frame: Limits::default(),
            connections: 512,
            reply_queues: 64,
            connect_within: Duration::from_secs(10),
            stalled_write: Duration::from_secs(30),
        }
    }
}

/// The endpoint, listening but not yet accepting.
#[derive(Debug)]
pub struct EmbeddedEndpoint {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens the endpoint on a loopback address; port 0 takes a free one.
///
/// # Errors
///
/// [`BindError`] when the address is not loopback, in use or refused by the system.
pub async fn bind(address: SocketAddr) -> Result<EmbeddedEndpoint, BindError> {
    let (listener, address) = loopback::listen(address).await?;
    Ok(EmbeddedEndpoint { listener, address })
}

/// How long connections have, when the endpoint stops, to write what is already on its way.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many refused connections are told so at a time; beyond it they are just closed.
const REFUSED_AT_ONCE: usize = 32;

impl EmbeddedEndpoint {
    /// The address with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients until `shutdown` becomes true or its sender is gone. Each connection then writes what
    /// already waits for it and ends with an ERROR that says why.
    pub async fn serve(
        self,
        clients: Clients,
        credentials: Arc<dyn CredentialCheck>,
        limits: EndpointLimits,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let house =
            Arc::new(House { clients, credentials, limits, connections_so_far: AtomicU64::default() });
        let mut connections = JoinSet::new();
        let mut refused = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = asked_to_stop(&mut shutdown) => break,
                Some(ended) = connections.join_next() => {
                    report_panic(ended);
                    continue;
                }
                Some(_) = refused.join_next() => continue,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, most likely: some may be free again after a pause.
                        tracing::warn!(%error, "cannot accept a connection");
                        time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            if connections.len() < limits.connections {
                connections.spawn(connection::run(stream, peer, Arc::clone(&house), shutdown.clone()));
            } else if refused.len() < REFUSED_AT_ONCE {
                refused.spawn(turn_away(stream, peer, limits));
            }
        }
        drop(self.listener);
        let farewell = async { while connections.join_next().await.is_some() {} };
        if time::timeout(FAREWELL * 2, farewell).await.is_err() {
            tracing::warn!("some clients did not take their last messages in time");
        }
    }
}

/// Returns when the endpoint has to stop.
async fn asked_to_stop(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone can never ask any more, and has nobody left to serve.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

async fn turn_away(stream: TcpStream, peer: SocketAddr, limits: EndpointLimits) {
    tracing::warn!(%peer, limit = limits.connections, "too many connections");
    let refusal = Refusal::new(
        format!("there are {} connections already, which is the limit", limits.connections),
        "close connections that are not needed; one connection can carry many requests",
    );
    let (reading, writing) = stream.into_split();
    let incoming = Incoming::new(reading, BEFORE_LOGIN);
    farewell::refuse(incoming, writing, refusal.into_frame(None), Duration::from_secs(1)).await;
}
