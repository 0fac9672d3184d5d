//! What clients call: the way from a decoded message to an order of the core or a reading, and the reply.

use std::sync::Arc;

use beamq_machines::{
    Role, SessionId,
    core::{Actor, Answer, Input, Order, Selection},
    session::SessionEvent,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    audit::{spec_for_audit, subject_of},
    clients::{BatchReply, ReplyTo},
    dispatcher::{After, Dispatcher},
    inside::Again,
    submissions::place,
    verdicts, views,
};
use crate::protocol::{
    self, Call, CallId, Decoded, JobRef, Method, Request, RpcError, native,
    request::HoldJob,
    view::{JobEdited, QueueOrder, QueueStateReply, Removed, RunPausing, RunState, Submitted},
};

impl Dispatcher {
    /// Reads a decoded message and does what it asks.
    pub(super) fn read(&mut self, session: SessionId, correlation: Option<String>, decoded: Decoded) {
        let first =
            self.clients.get_mut(session).is_some_and(|client| !std::mem::replace(&mut client.spoke, true));
        match decoded {
            Decoded::Native(call) => self.call(session, correlation, call, None),
            Decoded::NativeBatch(calls) => {
                let batch = Arc::new(BatchReply::new(calls.len()));
                for call in calls {
                    self.call(session, correlation.clone(), call, Some(Arc::clone(&batch)));
                }
            }
            Decoded::Proxy(message) => self.proxy_message(session, correlation, message),
            // A client may begin with anything, just to be known.
            Decoded::Unintelligible(_) if first => self.proxy_banner(session, correlation),
            Decoded::Unintelligible(error) => {
                let to = ReplyTo { session, correlation, id: Some(CallId::Null), batch: None };
                self.proxy_answer(&to, Err::<(), _>(error.to_string()));
            }
        }
    }

    /// Answers every call of a message with the same error, and carries out none.
    pub(super) fn refuse_unread(
        &self,
        session: SessionId,
        correlation: Option<String>,
        decoded: Decoded,
        error: &RpcError,
    ) {
        let calls = match decoded {
            Decoded::Native(call) => vec![call],
            Decoded::NativeBatch(calls) => calls,
            Decoded::Proxy(_) | Decoded::Unintelligible(_) => {
                self.clients.reply(session, correlation, protocol::proxy::error(&error.message));
                return;
            }
        };
        for id in calls.into_iter().filter_map(|call| call.id) {
            self.clients.reply(session, correlation.clone(), native::reply_error(&id, error));
        }
    }

    fn call(
        &mut self,
        session: SessionId,
        correlation: Option<String>,
        call: Call,
        batch: Option<Arc<BatchReply>>,
    ) {
        let to = ReplyTo { session, correlation, id: call.id, batch };
        let role = self.login_of(session).map(|actor| actor.role);
        let allowed = call.request.and_then(|request| {
            let allowed = self
                .check_key(session, call.key.as_deref(), &request)
                .and_then(|()| request.check_role(role));
            allowed.inspect_err(|error| {
                // Who tries what their role does not allow is of interest to those who gave the role, and who
                // tries somebody else's session to everybody.
                if role.is_some() {
                    self.audit(session, request.method().name(), error.kind().name(), None, None);
                }
            })?;
            Ok(request)
        });
        match allowed {
            Ok(request) => {
                self.metrics.request(request.method());
                self.dispatch(to, *request);
            }
            Err(error) => self.answer::<()>(&to, Err(error)),
        }
    }

    pub(super) fn check_key(
        &self,
        session: SessionId,
        key: Option<&str>,
        request: &Request,
    ) -> Result<(), RpcError> {
        let Some(wanted) = self.clients.get(session).and_then(|client| client.key.as_deref()) else {
            return Ok(());
        };
        // Somebody who knows the credentials may log in anew, with a new key.
        let open = request.required_role().is_none();
        if open || key.is_some_and(|key| crate::security::same_secret(key, wanted)) {
            return Ok(());
        }
        Err(RpcError::wrong_key())
    }

    /// Who is logged in on a session.
    pub(super) fn login_of(&self, session: SessionId) -> Option<Actor> {
        let machine = self.core.session(session)?;
        // A session that has been ended keeps the name until its link is gone, and may do nothing more.
        if !matches!(machine.state(), beamq_machines::session::State::Active {}) {
            return None;
        }
        let login = machine.login.as_ref()?;
        Some(Actor { user: login.user.clone(), role: login.role })
    }

    /// Notes the reply to a call, to go out after the commit.
    pub(super) fn answer<T: Serialize>(&mut self, to: &ReplyTo, result: Result<T, RpcError>) {
        if let Err(error) = &result {
            self.metrics.error(error.kind());
        }
        let text = match (&to.id, result) {
            (None, _) => Arc::from(""),
            (Some(id), Ok(result)) => native::reply_ok(id, &result),
            (Some(id), Err(error)) => native::reply_error(id, &error),
        };
        self.pending.after.push(After::Reply(to.clone(), text));
    }

    fn dispatch(&mut self, to: ReplyTo, request: Request) {
        let checked = match self.login_of(to.session) {
            Some(actor) => self.check_first(&to, &actor, request),
            None => Some(request),
        };
        if let Some(request) = checked {
            self.dispatch_checked(to, request);
        }
    }

    /// Does what a request asks whose scripts were read, as far as they have to be.
    pub(super) fn dispatch_checked(&mut self, to: ReplyTo, request: Request) {
        let actor =
            self.login_of(to.session).unwrap_or_else(|| Actor { user: String::new(), role: Role::Viewer });
        let method = request.method();
        match request {
            Request::Login(login) => self.log_in(to, &login),
            Request::Logout(_) => {
                // The reply goes out before the link closes.
                self.answer(&to, Ok(()));
                self.turn(Input::Session(to.session, SessionEvent::LoggedOut));
            }
            Request::Submit(params) => self.submit(&to, &actor, params),
            Request::SubmitBatch(params) => self.submit_batch(&to, &actor, params),
            Request::EditJob(params) => self.edit(&to, &actor, &params),
            Request::HoldJob(params) => self.hold_jobs(&to, &actor, &params, true),
            Request::UnholdJob(params) => self.hold_jobs(&to, &actor, &params, false),
            Request::RemoveJobs(params) => {
                let order = params.selection().and_then(selection).map(|jobs| Order::Remove {
                    jobs,
                    lenient: params.lenient,
                    revision: params.revision,
                });
                self.ordered(&to, &actor, method, order);
            }
            Request::MoveJobs(params) => {
                let order = params.selection().and_then(selection).and_then(|jobs| {
                    Ok(Order::Move { jobs, place: place(&params.place)?, revision: params.revision })
                });
                self.ordered(&to, &actor, method, order);
            }
            Request::ReorderQueue(params) => {
                let ids: Result<Vec<_>, _> = params.ids.iter().map(JobRef::resolve).collect();
                let order = ids.map(|order| Order::Reorder { order, revision: params.revision });
                self.ordered(&to, &actor, method, order);
            }
            Request::ClearQueue(params) => {
                self.ordered(&to, &actor, method, Ok(Order::Clear { revision: params.revision }));
            }
            Request::HoldQueue(params) => {
                self.ordered(&to, &actor, method, Ok(Order::HoldQueue { why: params.why }));
            }
            Request::ReleaseQueue(_) => self.ordered(&to, &actor, method, Ok(Order::ReleaseQueue)),
            Request::StopAfterCurrent(_) => self.ordered(&to, &actor, method, Ok(Order::StopAfterCurrent)),
            Request::CancelStop(_) => self.ordered(&to, &actor, method, Ok(Order::CancelStop)),
            Request::PauseRun(params) => self.ordered(&to, &actor, method, Ok(Order::Pause(params.level))),
            Request::CancelPause(_) => self.ordered(&to, &actor, method, Ok(Order::CancelPause)),
            Request::ResumeRun(_) => self.ordered(&to, &actor, method, Ok(Order::Resume)),
            Request::SkipWait(_) => self.ordered(&to, &actor, method, Ok(Order::Skip)),
            Request::AbortRun(params) => {
                self.ordered(&to, &actor, method, Ok(Order::Abort { why: params.why }));
            }
            Request::AnswerPrompt(params) => {
                let order =
                    params.prompt.resolve().map(|prompt| Order::Answer { prompt, value: params.value });
                self.ordered(&to, &actor, method, order);
            }
            Request::DuplicateJob(params) => {
                let again = params.id.resolve().map(|of| Again {
                    method,
                    of,
                    changes: protocol::SubmissionChanges::default(),
                    place: params.place,
                    checked: false,
                });
                self.queue_again(&to, &actor, again);
            }
            Request::RerunJob(params) => {
                let again = params.id.resolve().map(|of| Again {
                    method,
                    of,
                    changes: params.changes(),
                    place: params.place.clone(),
                    checked: false,
                });
                self.queue_again(&to, &actor, again);
            }
            reading => self.serve(to, reading),
        }
    }

    /// Gives the core an order and answers with what came of it.
    fn ordered(&mut self, to: &ReplyTo, actor: &Actor, method: Method, order: Result<Order, RpcError>) {
        let reply = self.result_of_order(to, actor, method, order);
        self.answer(to, reply);
    }

    fn result_of_order(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        method: Method,
        order: Result<Order, RpcError>,
    ) -> Result<Value, RpcError> {
        let result = order.and_then(|order| self.carry_out(to, actor, method, order));
        result.and_then(|answer| self.result_of(answer))
    }

    /// Gives the core an order and audits it.
    pub(super) fn carry_out(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        method: Method,
        order: Order,
    ) -> Result<Answer, RpcError> {
        let mut before = self.state_for_audit();
        if let (Order::Edit { job, .. }, Some(before)) = (&order, before.as_object_mut())
            && let Some(machine) = self.core.job(*job)
        {
            before.insert("subject".into(), spec_for_audit(*job, &machine.spec));
        }
        let (active, queue) = (self.core.queue().active, self.core.queue().state().name());
        let subject = subject_of(&order);
        let answer = self.turn(Input::Order(actor.clone(), order));
        let result = match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(refusal)) => Err(verdicts::refusal(refusal, method.name(), active, queue)),
            None => Err(RpcError::internal_error("the order was not answered")),
        };
        let outcome = result.as_ref().err().map_or("ok", |error| error.kind().name());
        let mut after = self.state_for_audit();
        if let (Some(subject), Some(after)) = (subject, after.as_object_mut()) {
            after.insert("subject".into(), subject);
        }
        self.audit(to.session, method.name(), outcome, Some(before), Some(after));
        result
    }

    pub(super) fn result_of(&self, answer: Answer) -> Result<Value, RpcError> {
        let now = Self::now();
        let value = match answer {
            Answer::Submitted { ids, position, revision } => {
                let id = ids.first().copied().ok_or_else(|| RpcError::internal_error("no job was made"))?;
                to_value(Submitted { id, ids, position: position as u64, revision, findings: Vec::new() })
            }
            Answer::Edited { jobs, revision } => {
                let mut views = jobs.iter().filter_map(|id| self.live_job(*id, now));
                let job = views.next().ok_or_else(|| RpcError::internal_error("the job is gone"))?;
                let more: Vec<_> = views.collect();
                let jobs =
                    if more.is_empty() { more } else { std::iter::once(job.clone()).chain(more).collect() };
                to_value(JobEdited { job, jobs, revision })
            }
            Answer::Removed { ids, revision } => to_value(Removed { removed: ids, revision }),
            Answer::Ordered { order, revision } => to_value(QueueOrder { revision, order }),
            Answer::Queue { .. } => {
                to_value(QueueStateReply { state: views::queue_state(self.core.queue().state()) })
            }
            Answer::Run { state, acts: Some(acts) } => {
                to_value(RunPausing { state: verdicts::state_named(state), acts })
            }
            Answer::Run { state, acts: None } => to_value(RunState { state: verdicts::state_named(state) }),
            Answer::Done => Ok(Value::Null),
        };
        value.map_err(|error| RpcError::internal_error(error.to_string()))
    }

    fn hold_jobs(&mut self, to: &ReplyTo, actor: &Actor, params: &HoldJob, hold: bool) {
        let method = if hold { Method::HoldJob } else { Method::UnholdJob };
        let order = params.selection().and_then(selection).map(|jobs| {
            if hold {
                Order::HoldJobs { jobs, revision: None }
            } else {
                Order::ReleaseJobs { jobs, revision: None }
            }
        });
        self.ordered(to, actor, method, order);
    }
}

pub(super) fn to_value(result: impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(result)
}

fn selection(selection: protocol::Selection) -> Result<Selection, RpcError> {
    Ok(match selection {
        protocol::Selection::Jobs(ids) => {
            Selection::Ids(ids.iter().map(JobRef::resolve).collect::<Result<_, _>>()?)
        }
        protocol::Selection::Group(group) => Selection::Group(group),
    })
}
