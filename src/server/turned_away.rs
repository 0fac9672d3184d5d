//! Messages that a transport delivers only to have them refused: they are audited and answered.

use beamq_machines::SessionId;

use super::dispatcher::Dispatcher;
use crate::{
    protocol::{Decoded, ErrorKind, RpcError},
    transport::Fault,
};

impl Dispatcher {
    pub(super) fn turn_away(
        &mut self,
        session: SessionId,
        correlation: Option<String>,
        decoded: Decoded,
        fault: Fault,
    ) {
        if fault == Fault::PerhapsDone && !decoded.changes_something() {
            return self.message(session, correlation, decoded);
        }
        let (what, error) = refusal(fault);
        self.audit(session, &what, error.kind().name(), None, None);
        self.refuse_unread(session, correlation, decoded, &error);
    }
}

/// What the audit calls the message, and what its sender is told.
fn refusal(fault: Fault) -> (String, RpcError) {
    match fault {
        Fault::ForeignConnection { connection } => {
            let text =
                format!("the reply-to belongs to another connection than {connection}, which sent this");
            let error = RpcError::new(ErrorKind::Forbidden, text)
                .with_hint("create the temporary queue on the connection that sends the request");
            (format!("message from {connection}"), error)
        }
        Fault::TooLarge { size, limit } => {
            ("message".to_owned(), RpcError::too_large("the message", size, limit, "bytes"))
        }
        Fault::TooManyClients { limit } => {
            let error = RpcError::unavailable(format!("there are {limit} clients, which is the limit"))
                .with_hint("close clients that are not needed, or raise limits.clients");
            ("message".to_owned(), error)
        }
        Fault::PerhapsDone => {
            let text =
                "the server was restarted while it worked on this request, which it may have carried out";
            let error = RpcError::unavailable(text)
                .with_hint("look whether it took effect, and send it again as a new request if it did not");
            ("message delivered again after a restart".to_owned(), error)
        }
    }
}
