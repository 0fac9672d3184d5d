//! What is answered while a commit is under way.
//!
//! The core is ahead of the disk then, so only what was committed before may be told. Of the readings that
//! clients repeat all the time, `server.status` is small enough to be kept ready. Everything else waits for
//! the commit, and so does whatever a client sends after something that waits: it reads its own writes, and
//! its replies keep their order.

use std::collections::BTreeSet;

use beamq_machines::{SessionId, core::Input, session::SessionEvent};

use super::{
    clients::ReplyTo,
    dispatcher::{After, Dispatcher},
};
use crate::{
    protocol::{Decoded, Request, RpcError, native, view::StatusView},
    transport::Delivery,
};

/// How many messages are taken out of the queue before the commit is over; more stay there.
pub(super) const DELAYED: usize = 512;

/// What is known while a commit is under way.
#[derive(Default)]
pub(super) struct Meanwhile {
    /// The status as it was when nothing was uncommitted.
    pub(super) status: Option<StatusView>,
    /// The sessions that have sent something since.
    pub(super) heard: BTreeSet<SessionId>,
    /// What came during the commit, for afterwards.
    pub(super) delayed: Vec<Delivery>,
}

impl Dispatcher {
    /// Everything is committed and told: from here on the present state may be shown.
    pub(super) fn note_committed(&mut self) {
        self.meanwhile.heard.clear();
        self.meanwhile.status = Some(self.status());
    }

    /// Answers a message during a commit, or keeps it for afterwards; when the journal cannot be written, what
    /// cannot be answered is refused with the reason instead.
    pub(super) fn delivered_meanwhile(&mut self, delivery: Delivery, unwritable: Option<&RpcError>) {
        if let Some((to, status)) = self.readable_now(&delivery) {
            self.show_status(to, &status);
            if let Delivery::Message { committed: Some(committed), .. } = delivery {
                self.pending.after.push(After::Committed(committed));
            }
            return;
        }
        match (delivery, unwritable) {
            // Who comes is known at once, so that somebody is there to be answered.
            (announced @ Delivery::Announce { .. }, _) => self.delivered(announced),
            (Delivery::Message { session, correlation, decoded, committed, .. }, Some(error)) => {
                self.refuse_unread(session, correlation, decoded, error);
                if let Some(committed) = committed {
                    committed.tell();
                }
            }
            // Numbers are shown as they are; without trouble they come with the commit.
            (Delivery::Look(look), Some(error)) => self.show(look, Some(&error.message)),
            (look @ Delivery::Look(_), None) => self.meanwhile.delayed.push(look),
            (later @ (Delivery::Message { session, .. } | Delivery::Gone { session, .. }), _) => {
                self.meanwhile.heard.insert(session);
                self.meanwhile.delayed.push(later);
            }
        }
    }

    fn show_status(&mut self, to: ReplyTo, status: &StatusView) {
        let session = to.session;
        if let Some(id) = &to.id {
            let text = native::reply_ok(id, status);
            self.act(After::Reply(to, text));
        }
        self.turn(Input::Session(session, SessionEvent::MessageArrived));
    }

    /// A request for the status, of a session of which nothing waits, that may be answered.
    fn readable_now(&self, delivery: &Delivery) -> Option<(ReplyTo, StatusView)> {
        let Delivery::Message { session, correlation, decoded: Decoded::Native(call), fault: None, .. } =
            delivery
        else {
            return None;
        };
        let client = self.clients.get(*session)?;
        let waits = self.meanwhile.heard.contains(session) || client.held_back.is_some() || client.leaving;
        let request = call.request.as_ref().ok()?;
        if waits || !matches!(**request, Request::ServerStatus(_)) {
            return None;
        }
        // What is refused is refused in the usual way, which also notes it in the audit.
        self.check_key(*session, call.key.as_deref(), request).ok()?;
        request.check_role(Some(self.login_of(*session)?.role)).ok()?;
        let status = self.meanwhile.status.clone()?;
        let uptime_s = self.started.elapsed().as_secs_f64();
        let to =
            ReplyTo { session: *session, correlation: correlation.clone(), id: call.id.clone(), batch: None };
        Some((to, StatusView { uptime_s, ..status }))
    }
}
