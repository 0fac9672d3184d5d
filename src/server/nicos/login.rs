//! The login with an account of NICOS.

use beamq_machines::{
    Role, SessionId,
    core::Input,
    session::{SessionEvent, State},
};

use super::{NicosAccess, NicosLink};
use crate::{
    nicos::{Connection, EventStream, Level, Login, NicosError, Options},
    security::Secret,
    server::{
        dispatcher::Dispatcher,
        inside::{Dialect, LoginWish},
    },
    wire::nicos::Event,
};

/// What came of credentials.
pub(in crate::server) enum Verdict {
    /// They are wrong.
    Refused,
    /// They are those of the token or of an account of the configuration.
    Accepted(Role),
    /// They are NICOS's.
    AcceptedByNicos(Box<Opened>),
    /// They could be NICOS's, and it could not be asked.
    Unknown(String),
}

/// A connection that is logged in.
pub(in crate::server) struct Opened {
    pub(super) connection: Connection,
    pub(super) events: EventStream,
    pub(super) login: Login,
    pub(in crate::server) role: Role,
}

/// Events that beamq tells itself, of its own queue and jobs: NICOS's are about what the engine does there. A
/// `message` is handed on unless it belongs to a job, of which clients hear from beamq.
const OURS: [Event; 12] = [
    Event::Request,
    Event::Processing,
    Event::Blocked,
    Event::Status,
    Event::SimResult,
    Event::SimMessage,
    Event::Prompt,
    Event::PromptDone,
    Event::Updated,
    Event::Rearranged,
    Event::Done,
    Event::Eta,
];

/// Those of them that say which messages belong to a job.
pub(super) const HEARD: [Event; 2] = [Event::Processing, Event::Done];

/// Whether NICOS's event is handed on to clients.
pub(super) fn is_handed_on(event: Event) -> bool {
    !OURS.contains(&event)
}

impl NicosAccess {
    fn options(dialect: Dialect) -> Options {
        let mask = match dialect {
            // The native dialect has events of its own and none of NICOS's.
            Dialect::Native => Event::ALL.to_vec(),
            Dialect::Proxy => OURS.into_iter().filter(|event| !HEARD.contains(event)).collect(),
        };
        Options { mask, ..Options::default() }
    }

    pub(super) async fn open(
        &self,
        login: &Login,
        dialect: Dialect,
    ) -> Result<(Connection, EventStream), NicosError> {
        Connection::open(&self.host, self.port, login, Self::options(dialect)).await
    }

    pub(super) fn role(&self, level: Level) -> Role {
        match level {
            Level::Guest => self.roles.guest,
            Level::User => self.roles.user,
            Level::Admin => self.roles.admin,
        }
    }

    /// Asks NICOS whether it knows somebody.
    pub(in crate::server) async fn verdict(&self, wish: &LoginWish, password: String) -> Verdict {
        let login =
            Login { user: wish.user.clone(), password: Secret::new(password), display: String::new() };
        match self.open(&login, wish.dialect).await {
            Ok((connection, events)) => {
                let role = self.role(connection.level());
                Verdict::AcceptedByNicos(Box::new(Opened { connection, events, login, role }))
            }
            Err(NicosError::LoginRefused { .. }) => Verdict::Refused,
            Err(error) => Verdict::Unknown(error.to_string()),
        }
    }
}

impl Dispatcher {
    /// Whether sessions can have connections of their own.
    pub(in crate::server) fn has_nicos(&self) -> bool {
        self.settings.nicos.is_some()
    }

    /// The credentials have been judged, so that a session has its connection or needs none.
    pub(in crate::server) fn connected(&mut self, session: SessionId) {
        let connecting =
            self.core.session(session).is_some_and(|machine| matches!(machine.state(), State::Connecting {}));
        if connecting {
            self.turn(Input::Session(session, SessionEvent::Connected));
        }
    }

    /// Gives a session its connection; without one, takes away what it had.
    pub(in crate::server) fn link_to_nicos(
        &mut self,
        session: SessionId,
        opened: Option<Box<Opened>>,
        dialect: Dialect,
    ) {
        if self.clients.get(session).is_none_or(|client| client.leaving) {
            return;
        }
        let link = opened.zip(self.settings.nicos.clone()).zip(self.clients.outbox(session)).map(
            |((opened, access), outbox)| {
                NicosLink::start(session, access, *opened, dialect, outbox, self.to_self.clone())
            },
        );
        if let Some(client) = self.clients.get_mut(session) {
            client.nicos = link;
        }
    }

    /// NICOS does not know somebody any more who has logged in with its account.
    pub(in crate::server) fn nicos_refused(&mut self, session: SessionId, why: String) {
        self.turn(Input::Session(session, SessionEvent::CloseAsked { why }));
    }

    /// NICOS gives somebody another level than before.
    pub(in crate::server) fn nicos_level(&mut self, session: SessionId, user: String, role: Role) {
        self.audit(session, "session.role", &role.to_string(), None, None);
        self.turn(Input::Session(session, SessionEvent::LoginAccepted { user, role }));
    }
}
