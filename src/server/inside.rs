//! What tasks outside the loop send back into it.

use beamq_machines::{JobId, JobSpec, Role, SessionId, core::Actor, session::SessionEvent};

use super::{clients::ReplyTo, dispatcher::Dispatcher, findings::Judgement, nicos::Verdict};
use crate::protocol::{EventKind, RpcError};

/// A message of a task of ours.
pub(super) enum Inside {
    /// A password was checked.
    PasswordChecked { to: ReplyTo, login: LoginWish, verdict: Verdict },
    /// NICOS does not let a session in again after its connection was lost.
    NicosRefused { session: SessionId, why: String },
    /// NICOS gives somebody another level than before.
    NicosLevel { session: SessionId, user: String, role: Role },
    /// The description of an ended job was read, to be queued again.
    SpecRead { to: ReplyTo, actor: Actor, wish: Box<Again>, spec: Result<Box<JobSpec>, RpcError> },
    /// Events that are not in memory any more were read.
    EventsRead { to: ReplyTo, kinds: Vec<EventKind>, from: u64, texts: Vec<(u64, std::sync::Arc<str>)> },
    /// A client does not read what it is sent.
    TooSlow(SessionId),
    /// The link of a closing session is gone.
    LinkClosed(SessionId),
    /// A reply in the proxy dialect was made: what came after its request can be looked at.
    ProxyReplied(SessionId),
    /// A script that was stopped in the way of NICOS has ended.
    ProxyStopped { session: SessionId, actor: Actor },
    /// The engine cannot run this job.
    EngineLost(JobId, String),
    /// Jobs were estimated or simulated.
    Forecast(super::forecast::News),
    /// The scripts of a submission were read before it may be queued.
    Checked(Box<super::forecast::Checked>),
    /// A simulation for clients of the proxy dialect is over.
    ProxySimulated(Box<super::forecast::ProxySimulated>),
    /// The files of the catalogue have changed.
    CatalogueChanged(std::sync::Arc<crate::catalogue::Catalogue>),
    /// What jobs run was read.
    Judged(Box<Judgement>),
}

/// The form of what a session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// JSON-RPC 2.0.
    Native,
    /// The commands and events of NICOS.
    Proxy,
}

/// Who wants to log in, without the secret.
pub(super) struct LoginWish {
    pub(super) user: String,
    pub(super) client: Option<String>,
    pub(super) bind: bool,
    pub(super) dialect: Dialect,
}

/// A job that is to be queued once more.
pub(super) struct Again {
    pub(super) method: crate::protocol::Method,
    pub(super) of: JobId,
    pub(super) changes: crate::protocol::SubmissionChanges,
    pub(super) place: crate::protocol::Place,
    /// Whether its script was read already, for a role whose scripts are.
    pub(super) checked: bool,
}

impl Dispatcher {
    pub(super) fn heard_inside(&mut self, message: Inside) {
        use beamq_machines::core::{EngineNotice, Input};
        match message {
            Inside::PasswordChecked { to, login, verdict } => self.password_checked(&to, login, verdict),
            Inside::NicosRefused { session, why } => self.nicos_refused(session, why),
            Inside::NicosLevel { session, user, role } => self.nicos_level(session, user, role),
            Inside::SpecRead { to, actor, wish, spec } => self.spec_read(&to, &actor, *wish, spec),
            Inside::EventsRead { to, kinds, from, texts } => self.events_read(&to, &kinds, from, texts),
            Inside::ProxyReplied(session) => self.proxy_replied(session),
            Inside::ProxyStopped { session, actor } => self.proxy_stopped(session, &actor),
            Inside::Forecast(news) => self.forecast_news(news),
            Inside::Checked(checked) => self.scripts_checked(*checked),
            Inside::ProxySimulated(simulated) => self.proxy_simulated(*simulated),
            Inside::CatalogueChanged(catalogue) => self.catalogue_changed(catalogue),
            Inside::Judged(judgement) => self.examined(*judgement),
            // Every message that finds no room says so.
            Inside::TooSlow(session) if !self.clients.becomes_too_slow(session) => {}
            Inside::TooSlow(session) => {
                tracing::warn!(%session, "the client reads too slowly: its session is closed");
                self.metrics.client_was_too_slow();
                let why = "the client reads too slowly".to_owned();
                self.audit_end(session, &why);
                self.turn(Input::Session(session, SessionEvent::CloseAsked { why }));
            }
            Inside::LinkClosed(session) => {
                self.turn(Input::Session(session, SessionEvent::Closed));
            }
            Inside::EngineLost(job, why) => {
                self.turn(Input::Engine(job, EngineNotice::Lost { why }));
            }
        }
    }
}
