//! The clients' links, as the loop holds them: where replies go, who listens to which events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use beamq_machines::SessionId;

use super::{event_log::Numbered, nicos::NicosLink};
use crate::{
    protocol::{CallId, EventKind, native},
    transport::{Delivery, Origin, Outbox, Outgoing},
};

/// One client's link.
#[derive(Debug)]
pub(super) struct Client {
    outbox: Outbox,
    may_read_events: Arc<AtomicBool>,
    /// Where the client came from.
    pub(super) origin: Origin,
    /// What the client calls itself.
    pub(super) label: String,
    /// The key that every request of a bound session carries.
    pub(super) key: Option<String>,
    /// Which events it wants; empty before it subscribes.
    pub(super) kinds: BTreeSet<EventKind>,
    /// The events of the proxy dialect that it does not want; absent unless it logged in with that dialect.
    pub(super) proxy_mask: Option<BTreeSet<String>>,
    /// What it has said since a request whose reply is made outside the loop, while that is under way:
    /// clients of the proxy dialect tell replies apart by their order.
    pub(super) held_back: Option<Vec<Delivery>>,
    /// Its own connection to NICOS.
    pub(super) nicos: Option<NicosLink>,
    /// Whether it has said anything yet.
    pub(super) spoke: bool,
    /// Its session has ended: what was on its way is answered, and nothing is carried out.
    pub(super) leaving: bool,
    /// It reads too slowly, and its session is being closed for that.
    too_slow: bool,
}

impl Client {
    fn hears(&self, event: &str) -> bool {
        self.proxy_mask.as_ref().is_some_and(|mask| !mask.contains(event))
    }
}

/// All links by session.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_session: BTreeMap<SessionId, Client>,
}

impl Clients {
    pub(super) fn add(
        &mut self,
        session: SessionId,
        origin: Origin,
        outbox: Outbox,
        may_read_events: Arc<AtomicBool>,
    ) {
        let client = Client {
            outbox,
            may_read_events,
            label: String::new(),
            key: None,
            kinds: BTreeSet::new(),
            proxy_mask: None,
            held_back: None,
            nicos: None,
            spoke: false,
            leaving: false,
            too_slow: false,
            origin,
        };
        self.by_session.insert(session, client);
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Client> {
        self.by_session.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Client> {
        self.by_session.get_mut(&session)
    }

    /// Lets go of a link: its outbox closes once everything in it has been written.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Client> {
        self.by_session.remove(&session)
    }

    /// Ends the session of a link. Its transport is told, and lets go of the link; until then requests that
    /// were on their way can still be answered.
    pub(super) fn see_off(&mut self, session: SessionId) {
        let Some(client) = self.by_session.get_mut(&session) else { return };
        client.leaving = true;
        client.kinds.clear();
        client.proxy_mask = None;
        client.nicos = None;
        if !client.outbox.push(Outgoing::farewell()) {
            // It reads too slowly to be told anything.
            self.by_session.remove(&session);
        }
    }

    /// Ends the connections to NICOS of all sessions.
    pub(super) fn leave_nicos(&mut self) {
        for client in self.by_session.values_mut() {
            client.nicos = None;
        }
    }

    /// Notes that a client reads too slowly; `false` when that is known, or the client is gone.
    pub(super) fn becomes_too_slow(&mut self, session: SessionId) -> bool {
        let client = self.by_session.get_mut(&session);
        client.is_some_and(|client| !std::mem::replace(&mut client.too_slow, true))
    }

    /// The end of the link that replies of tasks outside the loop go to.
    pub(super) fn outbox(&self, session: SessionId) -> Option<Outbox> {
        self.by_session.get(&session).map(|client| client.outbox.clone())
    }

    /// Opens the event topic to the connection of this client.
    pub(super) fn allow_events(&self, session: SessionId) {
        if let Some(client) = self.by_session.get(&session) {
            client.may_read_events.store(true, Ordering::Release);
        }
    }

    /// Hands over a reply; `false` when the client reads too slowly.
    pub(super) fn reply(&self, session: SessionId, correlation: Option<String>, body: Arc<str>) -> bool {
        self.by_session
            .get(&session)
            .is_none_or(|client| client.outbox.push(Outgoing::new(correlation, body)))
    }

    /// The most messages, and the most bytes, that wait for one client.
    pub(super) fn largest_backlog(&self) -> (usize, usize) {
        let backlogs = || self.by_session.values().map(|client| client.outbox.backlog());
        (
            backlogs().map(|(messages, _)| messages).max().unwrap_or(0),
            backlogs().map(|(_, bytes)| bytes).max().unwrap_or(0),
        )
    }

    /// Whether anybody wants this event of the proxy dialect.
    pub(super) fn hears(&self, event: &str) -> bool {
        self.by_session.values().any(|client| client.hears(event))
    }

    /// Sends an event of the proxy dialect to everyone who wants it; gives back those who read too slowly.
    pub(super) fn publish_to_proxy(&self, event: &str, body: &Arc<str>) -> Vec<SessionId> {
        self.by_session
            .iter()
            .filter(|(_, client)| client.hears(event))
            .filter(|(_, client)| !client.outbox.push(Outgoing::new(None, Arc::clone(body))))
            .map(|(session, _)| *session)
            .collect()
    }

    /// Sends an event to everyone who wants it; gives back those who read too slowly.
    pub(super) fn publish(&self, event: &Numbered) -> Vec<SessionId> {
        self.by_session
            .iter()
            .filter(|(_, client)| client.kinds.contains(&event.kind))
            .filter(|(_, client)| {
                !client.outbox.push(Outgoing::event(Arc::clone(&event.text), event.subject))
            })
            .map(|(session, _)| *session)
            .collect()
    }
}

/// Where the reply to a request goes: alone, or as a part of a batch.
#[derive(Clone, Debug)]
pub(super) struct ReplyTo {
    pub(super) session: SessionId,
    pub(super) correlation: Option<String>,
    /// `None` for a notification, which is never answered.
    pub(super) id: Option<CallId>,
    pub(super) batch: Option<Arc<BatchReply>>,
}

impl ReplyTo {
    /// What goes out once this reply is known; nothing while others of its batch are missing.
    pub(super) fn complete(&self, reply: Arc<str>) -> Option<Arc<str>> {
        let reply = self.id.is_some().then_some(reply);
        match &self.batch {
            Some(batch) => batch.add(reply),
            None => reply,
        }
    }
}

/// The replies of a JSON-RPC batch, which go out together.
#[derive(Debug)]
pub(super) struct BatchReply {
    state: Mutex<(usize, Vec<Arc<str>>)>,
}

impl BatchReply {
    pub(super) fn new(requests: usize) -> Self {
        Self { state: Mutex::new((requests, Vec::new())) }
    }

    fn add(&self, reply: Option<Arc<str>>) -> Option<Arc<str>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(1);
        state.1.extend(reply);
        if state.0 > 0 {
            return None;
        }
        native::reply_batch(&state.1)
    }
}
