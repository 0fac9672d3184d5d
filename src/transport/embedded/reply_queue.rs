//! A temporary queue: what the server has for one client, on its way to that client's subscription.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{
    connection::Notice,
    outlet::{Outlet, Subscription, WriterGone},
};
use crate::transport::{ClientLink, Outgoing, OutgoingMessages};

/// How much is kept for a subscription that is not there yet. Beyond it the server's own bound takes hold.
const KEPT_MESSAGES: usize = 256;
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// A reply queue as its connection sees it. Dropping it lets its task write what waits, and end.
pub(super) struct ReplyQueue {
    /// The server's client behind this queue, from the first SEND until the server closes the session.
    pub(super) link: Option<ClientLink>,
    subscription: watch::Sender<Option<Subscription>>,
    sessions: mpsc::Sender<OutgoingMessages>,
}

impl ReplyQueue {
    /// Makes a queue and the task that empties it.
    pub(super) fn new(
        destination: Arc<str>,
        outlet: Outlet,
        notices: mpsc::Sender<Notice>,
    ) -> (Self, Forwarder) {
        let (subscription, subscriptions) = watch::channel(None);
        let (sessions, next_session) = mpsc::channel(1);
        let queue = Self { link: None, subscription, sessions };
        let forwarder = Forwarder {
            destination,
            outlet,
            notices,
            subscriptions,
            next_session,
            session: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            said_goodbye: false,
        };
        (queue, forwarder)
    }

    /// Connects the queue to a new session of the server.
    pub(super) async fn open(&mut self, link: ClientLink, outgoing: OutgoingMessages) {
        // The task ends after this queue only, so that it always takes what is sent to it.
        let _ = self.sessions.send(outgoing).await;
        self.link = Some(link);
    }

    pub(super) fn is_subscribed(&self) -> bool {
        self.subscription.borrow().is_some()
    }

    pub(super) fn subscribe(&self, subscription: Option<Subscription>) {
        self.subscription.send_replace(subscription);
    }
}

/// The task of a reply queue. It always reads what the server sends, so that it learns at once when the
/// server ends the session, and keeps it until there is a subscription.
pub(super) struct Forwarder {
    destination: Arc<str>,
    outlet: Outlet,
    notices: mpsc::Sender<Notice>,
    subscriptions: watch::Receiver<Option<Subscription>>,
    next_session: mpsc::Receiver<OutgoingMessages>,
    session: Option<OutgoingMessages>,
    kept: VecDeque<Outgoing>,
    kept_bytes: usize,
    said_goodbye: bool,
}

impl Forwarder {
    pub(super) async fn run(mut self) {
        loop {
            if self.write_kept().await.is_err() {
                return;
            }
            let has_room = self.kept.len() < KEPT_MESSAGES && self.kept_bytes < KEPT_BYTES;
            tokio::select! {
                changed = self.subscriptions.changed() => if changed.is_err() {
                    break;
                },
                Some(session) = self.next_session.recv(), if self.session.is_none() => {
                    self.session = Some(session);
                }
                message = receive(&mut self.session), if has_room => match message {
                    // The session's channel stays until its last replies have come.
                    Some(message) if message.is_farewell() => self.say_goodbye().await,
                    Some(message) => self.keep(message),
                    None => self.end_session().await,
                },
            }
        }
        self.write_the_rest().await;
    }

    /// Writes what is kept, if there is a subscription.
    async fn write_kept(&mut self) -> Result<(), WriterGone> {
        let Some(subscription) = self.subscriptions.borrow_and_update().clone() else { return Ok(()) };
        while let Some(message) = self.kept.pop_front() {
            self.kept_bytes = self.kept_bytes.saturating_sub(message.body.len());
            self.outlet.message(&self.destination, &subscription, message.correlation, message.body).await?;
        }
        Ok(())
    }

    fn keep(&mut self, message: Outgoing) {
        self.kept_bytes = self.kept_bytes.saturating_add(message.body.len());
        self.kept.push_back(message);
    }

    async fn end_session(&mut self) {
        let read_too_slowly = self.session.take().is_some_and(|session| session.overran());
        if !std::mem::take(&mut self.said_goodbye) {
            self.tell_of_the_end(read_too_slowly).await;
        }
    }

    async fn say_goodbye(&mut self) {
        self.said_goodbye = true;
        let read_too_slowly = self.session.as_ref().is_some_and(OutgoingMessages::overran);
        self.tell_of_the_end(read_too_slowly).await;
    }

    /// Has the connection let go of the session.
    async fn tell_of_the_end(&self, read_too_slowly: bool) {
        let destination = Arc::clone(&self.destination);
        // Nobody listens any more when the connection is about to end.
        let _ = self.notices.send(Notice::SessionEnded { destination, read_too_slowly }).await;
    }

    /// The connection ends: what the server has already sent still goes out.
    async fn write_the_rest(&mut self) {
        loop {
            if self.write_kept().await.is_err() || !self.kept.is_empty() {
                return;
            }
            match self.session.as_mut().and_then(OutgoingMessages::try_recv) {
                Some(message) if message.is_farewell() => {}
                Some(message) => self.keep(message),
                None => return,
            }
        }
    }
}

/// The next message of the session, or never while there is no session.
async fn receive(session: &mut Option<OutgoingMessages>) -> Option<Outgoing> {
    match session {
        Some(session) => session.recv().await,
        None => std::future::pending().await,
    }
}
