//! The life of a session: one client's conversation.
//!
//! ```text
//! announced → connecting → awaiting_login → active → closing → closed
//! ```

// The attribute macro generates the enums of states and superstates; their variants are the functions
// below, which carry the documentation.
#![allow(missing_docs)]

use serde::{Deserialize, Serialize};
use statig::prelude::*;
use strum::{EnumIter, IntoStaticStr};

use crate::{
    effect::Effect,
    ids::SessionId,
    role::Role,
    time::{Due, Timer},
    turn::{Rejected, Turn},
};

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SessionEvent {
    /// The first message came; with the nicos engine a connection of its own is made first.
    Opened {
        /// Whether that connection is needed.
        connect: bool,
    },
    /// The session's own connection to NICOS stands, or turned out not to be needed or not to be allowed.
    Connected,
    /// A message came.
    MessageArrived,
    /// The credentials were right.
    LoginAccepted {
        /// Who it is.
        user: String,
        /// What they may do.
        role: Role,
    },
    /// The credentials were wrong.
    LoginRefused,
    /// The client takes its leave.
    LoggedOut,
    /// The place where replies go is gone.
    DestinationGone,
    /// Nobody logged in, in time.
    LoginTimedOut,
    /// The client has been silent for too long.
    IdleTimedOut,
    /// The server ends the session: the client reads too slowly, the server stops.
    CloseAsked {
        /// Why.
        why: String,
    },
    /// The transport has let go.
    Closed,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

/// A session: everything but its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Who is logged in, if anybody.
    pub login: Option<Login>,
    /// How many logins were refused.
    pub refused: u32,
    /// Why it was closed.
    pub closed_because: Option<String>,
}

/// A state machine with its session.
pub type SessionMachine = StateMachine<Session>;

impl Session {
    /// A session that nothing was heard of yet.
    #[must_use]
    pub fn new(id: SessionId) -> Self {
        Self { id, login: None, refused: 0, closed_because: None }
    }

    fn refuse(context: &mut Turn, state: &'static str, event: &SessionEvent, reason: &str) -> Outcome<State> {
        context.rejected = Some(Rejected {
            state,
            event: event.into(),
            reason: reason.into(),
            hint: None,
            not_pausable: false,
        });
        Handled
    }

    fn close(&mut self, why: &str) -> Outcome<State> {
        self.closed_because = Some(why.into());
        Transition(State::closing())
    }

    fn restart_idle_timer(&self, context: &mut Turn) {
        let due = Due::After(context.policy.session_idle);
        context.want(Effect::SetTimer { timer: Timer::SessionIdle(self.id), due });
    }
}

/// After this many refused logins a session is closed; guessing has to start over with a new one.
const LOGIN_ATTEMPTS: u32 = 5;

#[state_machine(
    initial = "State::announced()",
    state(derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, IntoStaticStr)),
    superstate(derive(Debug))
)]
impl Session {
    /// The reply destination is known.
    #[state(superstate = "unproven")]
    fn announced(&mut self, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::Opened { connect: true } => Transition(State::connecting()),
            SessionEvent::Opened { connect: false } => Transition(State::awaiting_login()),
            _ => Super,
        }
    }

    /// The session's own connection to NICOS is being made.
    #[state(superstate = "unproven")]
    fn connecting(&mut self, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::Connected => Transition(State::awaiting_login()),
            SessionEvent::MessageArrived => Handled,
            _ => Super,
        }
    }

    /// Only a login, and what is open to everybody, is answered.
    #[state(superstate = "unproven")]
    fn awaiting_login(&mut self, context: &mut Turn, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::LoginAccepted { user, role } => {
                self.login = Some(Login { user: user.clone(), role: *role });
                self.refused = 0;
                self.restart_idle_timer(context);
                Transition(State::active())
            }
            SessionEvent::LoginRefused => {
                self.refused += 1;
                if self.refused >= LOGIN_ATTEMPTS {
                    return self.close("too many logins were refused");
                }
                Handled
            }
            SessionEvent::MessageArrived => Handled,
            _ => Super,
        }
    }

    #[action]
    fn wait_for_login(&mut self, context: &mut Turn) {
        let due = Due::After(context.policy.login_timeout);
        context.want(Effect::SetTimer { timer: Timer::LoginTimeout(self.id), due });
    }

    #[action]
    fn stop_waiting_for_login(&mut self, context: &mut Turn) {
        context.want(Effect::CancelTimer(Timer::LoginTimeout(self.id)));
    }

    /// Nobody has logged in.
    #[superstate(
        superstate = "open",
        entry_action = "wait_for_login",
        exit_action = "stop_waiting_for_login"
    )]
    fn unproven(&mut self, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::LoginTimedOut => self.close("nobody logged in in time"),
            _ => Super,
        }
    }

    #[action]
    fn stop_idle_timer(&mut self, context: &mut Turn) {
        context.want(Effect::CancelTimer(Timer::SessionIdle(self.id)));
    }

    /// Somebody is logged in.
    #[state(superstate = "open", exit_action = "stop_idle_timer")]
    fn active(&mut self, context: &mut Turn, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::MessageArrived => {
                self.restart_idle_timer(context);
                Handled
            }
            // A client may log in again, as somebody else.
            SessionEvent::LoginAccepted { user, role } => {
                self.login = Some(Login { user: user.clone(), role: *role });
                Handled
            }
            SessionEvent::LoginRefused => {
                self.refused += 1;
                if self.refused >= LOGIN_ATTEMPTS {
                    return self.close("too many logins were refused");
                }
                Handled
            }
            SessionEvent::IdleTimedOut => self.close("nothing was heard of the client for too long"),
            _ => Super,
        }
    }

    /// Can be ended.
    #[superstate]
    fn open(&mut self, context: &mut Turn, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::LoggedOut => self.close("logged out"),
            SessionEvent::DestinationGone => {
                self.closed_because = Some("the client is gone".into());
                Transition(State::closed())
            }
            SessionEvent::CloseAsked { why } => self.close(why),
            SessionEvent::Opened { .. }
            | SessionEvent::Connected
            | SessionEvent::MessageArrived
            | SessionEvent::LoginAccepted { .. }
            | SessionEvent::LoginRefused
            | SessionEvent::LoginTimedOut
            | SessionEvent::IdleTimedOut
            | SessionEvent::Closed => {
                Self::refuse(context, "open", event, "this does not fit the state of the session")
            }
        }
    }

    #[action]
    fn let_go(&mut self, context: &mut Turn) {
        context.want(Effect::CloseLink(self.id));
    }

    /// The transport is told to let go after the last reply.
    #[state(entry_action = "let_go")]
    fn closing(&mut self, context: &mut Turn, event: &SessionEvent) -> Outcome<State> {
        match event {
            SessionEvent::Closed | SessionEvent::DestinationGone => Transition(State::closed()),
            _ => Self::refuse(context, "closing", event, "the session is being closed"),
        }
    }

    /// Over.
    #[state]
    fn closed(&mut self, context: &mut Turn, event: &SessionEvent) -> Outcome<State> {
        Self::refuse(context, "closed", event, "the session is closed: open a new one")
    }
}

impl State {
    /// The name that clients know.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Announced {} => "announced",
            Self::Connecting {} => "connecting",
            Self::AwaitingLogin {} => "awaiting_login",
            Self::Active {} => "active",
            Self::Closing {} => "closing",
            Self::Closed {} => "closed",
        }
    }
}
