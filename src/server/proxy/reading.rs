//! What clients of the proxy dialect read. What is large is written outside the loop.

use std::sync::Arc;

use beamq_machines::{SessionId, job};

use super::desk::{RequestText, UNNAMED, script_of, with_line_end};
use crate::{
    protocol::proxy::{self, StatusCode, StatusHead},
    server::{
        clients::ReplyTo,
        dispatcher::{After, Dispatcher},
        inside::Inside,
    },
    transport::Outgoing,
};

impl Dispatcher {
    /// What the running script does, and its line.
    pub(super) fn proxy_status(&self) -> (StatusCode, i64) {
        let core = &self.core;
        let active = core.queue().active.and_then(|id| core.job(id));
        let Some(machine) = active else {
            return (if self.proxy.last.failed { StatusCode::IdleAfterError } else { StatusCode::Idle }, -1);
        };
        let line = self.core.progress().line.map_or(0, i64::from);
        match machine.state() {
            job::State::Starting {} => (StatusCode::Running, -1),
            job::State::Paused {} => (StatusCode::InBreak, line),
            // To NICOS's clients a script that asks stands still, and `continue` lets it go on.
            job::State::Running {} if core.prompt().is_some() => (StatusCode::InBreak, line),
            job::State::Asked { .. } | job::State::Terminating { .. } | job::State::Killing { .. } => {
                (StatusCode::Stopping, line)
            }
            // What waits or has ended is not active.
            job::State::Running {}
            | job::State::Pausing { .. }
            | job::State::Skipping {}
            | job::State::Queued {}
            | job::State::Held {}
            | job::State::Succeeded {}
            | job::State::SucceededWithErrors {}
            | job::State::Failed {}
            | job::State::Aborted {}
            | job::State::Cancelled {}
            | job::State::Expired {}
            | job::State::Interrupted {} => (StatusCode::Running, line),
        }
    }

    pub(super) fn get_status(&mut self, to: ReplyTo) {
        let core = &self.core;
        let waiting: Vec<Arc<RequestText>> = core
            .queue()
            .order
            .iter()
            .filter_map(|id| core.job(*id))
            .map(|machine| self.proxy.request(machine))
            .collect();
        let caller = self.nicos_caller(&to);
        let mut head = StatusHead {
            status: self.proxy_status(),
            scriptname: self.last_name(),
            script: self.last_script(),
            eta: self.proxy.eta.filter(|_| core.queue().active.is_some()),
            instrument: None,
        };
        self.proxy_later(to, async move {
            if let Some(caller) = caller {
                head.instrument = caller.instrument().await;
            }
            let requests: Vec<_> = waiting.iter().map(|request| request.json()).collect();
            head.into_reply(&requests)
        });
    }

    /// The name of the running or last script.
    fn last_name(&self) -> String {
        let name = self.proxy.last.spec.as_ref().map(|spec| spec.name.as_str());
        name.filter(|name| *name != UNNAMED).unwrap_or_default().to_owned()
    }

    /// The text of the running or last script.
    pub(super) fn last_script(&self) -> Arc<str> {
        self.proxy.last.spec.as_ref().map_or_else(|| Arc::from(""), |spec| with_line_end(script_of(spec)))
    }

    pub(super) fn get_messages(&mut self, to: ReplyTo, n: Option<usize>) {
        let recent = self.proxy.recent(n);
        self.proxy_later(to, async move {
            let messages: Vec<_> = recent.iter().flat_map(super::desk::Said::messages).collect();
            let from = messages.len().saturating_sub(n.unwrap_or(usize::MAX));
            let messages: Vec<&str> = messages.iter().skip(from).map(AsRef::as_ref).collect();
            proxy::reply_of(&format!("[{}]", messages.join(",")))
        });
    }

    /// Where the running script is, in the manner of a traceback; empty when none is running.
    pub(super) fn trace(&self) -> String {
        let running = self.core.queue().active.and_then(|id| self.core.job(id));
        let Some((machine, line)) = running.zip(self.core.progress().line) else { return String::new() };
        let script = script_of(&machine.spec);
        let index = usize::try_from(line).unwrap_or_default().saturating_sub(1);
        let text = script.lines().nth(index).unwrap_or_default().trim();
        format!("  File \"{}\", line {line}\n    {text}\n", machine.spec.name)
    }

    /// Lets what this client says next wait for the reply to what it has said: its clients know replies by
    /// their order.
    pub(in crate::server) fn proxy_hold_back(&mut self, session: SessionId) {
        if let Some(client) = self.clients.get_mut(session) {
            client.held_back.get_or_insert_default();
        }
    }

    /// The reply is on its way: what has come since is looked at.
    pub(in crate::server) fn proxy_replied(&mut self, session: SessionId) {
        let held_back = self.clients.get_mut(session).and_then(|client| client.held_back.take());
        for delivery in held_back.unwrap_or_default() {
            // The first of these that takes its time holds back the rest again.
            self.delivered(delivery);
        }
    }

    /// Writes a reply outside the loop, once the facts of this turn are committed.
    pub(in crate::server) fn proxy_later(
        &mut self,
        to: ReplyTo,
        reply: impl Future<Output = Arc<str>> + Send + 'static,
    ) {
        let Some(outbox) = self.clients.outbox(to.session) else { return };
        self.proxy_hold_back(to.session);
        let to_self = self.to_self.clone();
        let task = async move {
            let reply = reply.await;
            if !outbox.push(Outgoing::new(to.correlation, reply)) {
                to_self.send(Inside::TooSlow(to.session)).ok();
            }
            to_self.send(Inside::ProxyReplied(to.session)).ok();
        };
        self.pending.after.push(After::Read(Box::pin(task)));
    }
}
