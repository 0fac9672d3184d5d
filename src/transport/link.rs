//! The seam between transports and the server: one [`ClientLink`] per reply destination.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use beamq_machines::SessionId;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};

use super::{
    Committed, LookInside,
    outbox::{Outbox, OutgoingMessages, outbox},
};
use crate::protocol::{Decoded, decode};

/// Where a client came from, for the audit and for deciding who owns a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `embedded`, `activemq` or `http`.
    pub transport: &'static str,
    /// The peer's address or the broker's connection id.
    pub peer: String,
    /// The account that the transport checked, if it did.
    pub account: Option<String>,
    /// Where replies go, in the transport's own form.
    pub reply_to: String,
}

/// A message from a client, with the place where its replies and events go.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// A reply destination was seen for the first time.
    Announce { session: SessionId, origin: Origin, outbox: Outbox, may_read_events: Arc<AtomicBool> },
    /// A message of that client.
    Message {
        session: SessionId,
        correlation: Option<String>,
        decoded: Decoded,
        /// Room for it among what waits for the loop, given back when it is handled.
        #[expect(dead_code, reason = "held for as long as the message waits")]
        room: OwnedSemaphorePermit,
        /// Why the transport wants it refused, if it does.
        fault: Option<Fault>,
        /// To be told once everything that follows from the message is committed.
        committed: Option<Committed>,
    },
    /// The reply destination is gone; for what reason, if it was the transport that gave it up.
    Gone { session: SessionId, why: Option<String> },
    /// Somebody who watches over the server wants to know how it is.
    Look(LookInside),
}

/// Why a transport wants a message refused, although it knows where to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It came over another connection than the one that owns the reply destination.
    ForeignConnection {
        /// That other connection.
        connection: String,
    },
    /// It is larger than allowed.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are as many clients as allowed.
    TooManyClients {
        /// The limit.
        limit: usize,
    },
    /// It was delivered to an earlier process of the server, which may have carried it out. What changes
    /// nothing is answered all the same.
    PerhapsDone,
}

/// The link was closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has closed this session or is shutting down")]
pub struct LinkClosed;

/// One client, as its transport sees it. Dropping it tells the server that the client is gone.
#[derive(Debug)]
pub struct ClientLink {
    session: SessionId,
    to_server: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    may_read_events: Arc<AtomicBool>,
    given_up: OnceLock<String>,
}

impl ClientLink {
    /// The number of the session, for logs.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Hands a message to the server, waiting while it is busy. It is decoded here, in the client's own
    /// task: what is large or hostile costs its sender time, and nobody else.
    ///
    /// # Errors
    ///
    /// [`LinkClosed`] when the server shuts down.
    pub async fn deliver(&self, correlation: Option<String>, body: Bytes) -> Result<(), LinkClosed> {
        self.hand_over(correlation, body, None, None).await
    }

    /// Hands a message over as [`ClientLink::deliver`] does, and lets the transport know when everything
    /// that follows from it is committed. One with a fault is answered with a refusal, and audited.
    ///
    /// # Errors
    ///
    /// [`LinkClosed`] when the server shuts down.
    pub async fn hand_over(
        &self,
        correlation: Option<String>,
        body: Bytes,
        fault: Option<Fault>,
        committed: Option<Committed>,
    ) -> Result<(), LinkClosed> {
        let room = Arc::clone(&self.room);
        let room = room.acquire_many_owned(kibibytes(&body)).await.map_err(|_| LinkClosed)?;
        let decoded = decode(&body);
        let session = self.session;
        let message = Delivery::Message { session, correlation, decoded, room, fault, committed };
        self.to_server.send(message).await.map_err(|_| LinkClosed)
    }

    /// Hands a message over without waiting, when it is so small that decoding it takes no time worth
    /// mentioning and the server has room for it; `false` when it is to be handed over by a task that can
    /// wait. `committed` is asked for only then, and never told for a message that was not handed over.
    #[must_use]
    pub fn hand_over_now(
        &self,
        correlation: impl FnOnce() -> Option<String>,
        body: &[u8],
        committed: impl FnOnce() -> Option<Committed>,
    ) -> bool {
        if body.len() > SMALL {
            return false;
        }
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kibibytes(body)) else { return false };
        let Ok(permit) = self.to_server.try_reserve() else { return false };
        permit.send(Delivery::Message {
            session: self.session,
            correlation: correlation(),
            decoded: decode(body),
            room,
            fault: None,
            committed: committed(),
        });
        true
    }

    /// Notes why the client is given up, for the audit, before the link is dropped. The first reason counts.
    pub fn give_up(&self, why: &str) {
        // Another reason after the first tells nothing new.
        let _ = self.given_up.set(why.to_owned());
    }

    /// Whether this client has logged in with a role that may read events.
    #[must_use]
    pub fn may_read_events(&self) -> bool {
        self.may_read_events.load(Ordering::Acquire)
    }
}

impl Drop for ClientLink {
    fn drop(&mut self) {
        let gone = Delivery::Gone { session: self.session, why: self.given_up.take() };
        if let Err(mpsc::error::TrySendError::Full(gone)) = self.to_server.try_send(gone) {
            // The server is busy: the news waits in a task of its own instead of being lost.
            let to_server = self.to_server.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { to_server.send(gone).await.ok() });
            }
        }
    }
}

/// The door through which transports bring clients in.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) to_server: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    next_session: Arc<AtomicU64>,
    events: broadcast::Sender<Arc<str>>,
    instrument: Arc<str>,
}

/// A message of so many bytes is decoded in some ten microseconds.
const SMALL: usize = 4096;

/// The room that a message takes.
fn kibibytes(body: &[u8]) -> u32 {
    u32::try_from(body.len() / 1024 + 1).unwrap_or(u32::MAX).min(WAITING_KIBIBYTES)
}

/// How much may wait for the loop, all clients together, in KiB: the rest waits in its clients' sockets.
const WAITING_KIBIBYTES: u32 = 64 * 1024;

impl Clients {
    /// Opens the door; deliveries come out of the returned receiver.
    pub(crate) fn new(instrument: &str) -> (Self, mpsc::Receiver<Delivery>) {
        let (to_server, deliveries) = mpsc::channel(1024);
        let clients = Self {
            to_server,
            room: Arc::new(Semaphore::new(WAITING_KIBIBYTES as usize)),
            next_session: Arc::default(),
            events: broadcast::channel(8192).0,
            instrument: instrument.into(),
        };
        (clients, deliveries)
    }

    /// Brings in a client. The receiver yields what is to be written to it, in order. When the server closes
    /// the session it yields a [farewell](super::Outgoing::is_farewell), and ends after the link was dropped; for a
    /// client that reads too slowly it ends at once.
    ///
    /// # Errors
    ///
    /// [`LinkClosed`] when the server shuts down.
    pub async fn announce(&self, origin: Origin) -> Result<(ClientLink, OutgoingMessages), LinkClosed> {
        let session = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed) + 1);
        let may_read_events = Arc::new(AtomicBool::new(false));
        let (outbox, messages) = outbox();
        let announce =
            Delivery::Announce { session, origin, outbox, may_read_events: Arc::clone(&may_read_events) };
        self.to_server.send(announce).await.map_err(|_| LinkClosed)?;
        let (to_server, room) = (self.to_server.clone(), Arc::clone(&self.room));
        let link = ClientLink { session, to_server, room, may_read_events, given_up: OnceLock::new() };
        Ok((link, messages))
    }

    /// Every event once, as JSON text in the native form, for a topic with many observers.
    #[must_use]
    pub fn observe(&self) -> broadcast::Receiver<Arc<str>> {
        self.events.subscribe()
    }

    /// The instrument's name, which is part of the topic's name.
    #[must_use]
    pub fn instrument(&self) -> &str {
        &self.instrument
    }

    /// Sends an event to the observers.
    pub(crate) fn broadcast(&self, event: &Arc<str>) {
        // No observer is not an error.
        let _ = self.events.send(Arc::clone(event));
    }
}
