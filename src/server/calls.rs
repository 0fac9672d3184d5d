//! What clients call: the way from a decoded message to an order of the core or a reading, and the reply.

use std::sync::Arc;

use beamq_machines::{
    JobId, JobSpec, Role, SessionId,
    core::{Actor, Answer, Input, NewJob, Order, Place, Selection},
    session::SessionEvent,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    clients::{BatchReply, ReplyTo},
    dispatcher::{After, Dispatcher},
    inside::Again,
    verdicts, views,
};
use crate::{
    journal::AuditRow,
    protocol::{
        self, Call, CallId, Decoded, JobRef, Method, Request, RpcError, Submission, native,
        request::{EditJob, HoldJob, SubmitBatch, SubmitJob},
        view::{
            BatchSubmitted, BatchVerdict, JobCreated, JobEdited, QueueOrder, QueueStateReply, Removed,
            RunPausing, RunState, Submitted,
        },
    },
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

    fn state_for_audit(&self) -> Value {
        let queue = self.core.queue();
        let active = queue.active.and_then(|id| self.core.job(id));
        json!({
            "queue": queue.state().name(),
            "revision": queue.revision,
            "waiting": queue.order.len(),
            "active": active.map(|job| json!({"id": job.id, "state": job.state().name()})),
        })
    }

    /// Notes who did what.
    pub(super) fn audit(
        &mut self,
        session: SessionId,
        method: &str,
        outcome: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let actor = self.login_of(session);
        let client = self.clients.get(session);
        self.pending.batch.audit.push(AuditRow {
            time_ms: Self::now().0,
            user: actor.as_ref().map(|actor| actor.user.clone()).unwrap_or_default(),
            role: actor.map(|actor| actor.role.to_string()).unwrap_or_default(),
            client: client
                .map(|client| match client.label.as_str() {
                    "" => client.origin.peer.clone(),
                    label => format!("{label} ({})", client.origin.peer),
                })
                .unwrap_or_default(),
            transport: client.map(|client| client.origin.transport.to_owned()).unwrap_or_default(),
            method: method.to_owned(),
            outcome: outcome.to_owned(),
            before,
            after,
        });
    }

    /// Notes why a session was ended that did not end by itself.
    pub(super) fn audit_end(&mut self, session: SessionId, why: &str) {
        if self.clients.get(session).is_some_and(|client| !client.leaving) {
            self.audit(session, "session", "closed", None, Some(json!({"why": why})));
        }
    }

    fn result_of(&self, answer: Answer) -> Result<Value, RpcError> {
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

    fn submit(&mut self, to: &ReplyTo, actor: &Actor, params: SubmitJob) {
        let order = self.new_jobs(actor, params.job).and_then(|(jobs, _)| {
            Ok(Order::Submit { jobs, place: place(&params.place)?, revision: params.revision })
        });
        let answer = order.and_then(|order| self.carry_out(to, actor, Method::Submit, order));
        let jobs = jobs_of(&answer);
        let reply = answer.and_then(|answer| self.result_of(answer));
        self.answer_with_findings(to, &jobs, Some(""), reply);
    }

    fn submit_batch(&mut self, to: &ReplyTo, actor: &Actor, params: SubmitBatch) {
        let result = self.batch_order(actor, params).and_then(|(order, counts)| {
            let answer = self.carry_out(to, actor, Method::SubmitBatch, order)?;
            let Answer::Submitted { ids, revision, .. } = answer else {
                return Err(RpcError::internal_error("the batch was answered strangely"));
            };
            self.examine(&ids, None);
            let mut rest = ids.as_slice();
            let verdicts = counts
                .into_iter()
                .map(|count| {
                    let (these, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
                    rest = others;
                    BatchVerdict::queued(these)
                })
                .collect();
            Ok(BatchSubmitted { verdicts, revision })
        });
        self.answer(to, result);
    }

    pub(super) fn new_jobs(
        &self,
        actor: &Actor,
        job: Submission,
    ) -> Result<(Vec<NewJob>, Vec<usize>), RpcError> {
        let job = self.submittable(actor, Ok(job)).map_err(|error| error.inside("job"))?;
        number_jobs(self.core.last_job(), vec![job])
    }

    fn submittable(
        &self,
        actor: &Actor,
        job: Result<Submission, RpcError>,
    ) -> Result<protocol::NewJob, RpcError> {
        let job = job?.into_new_job()?;
        Ok(protocol::NewJob { spec: self.acceptable(actor, job.spec)?, ..job })
    }

    fn batch_order(&self, actor: &Actor, params: SubmitBatch) -> Result<(Order, Vec<usize>), RpcError> {
        let total = params.jobs.len();
        let checked: Vec<_> = params.jobs.into_iter().map(|job| self.submittable(actor, job.0)).collect();
        let bad = checked.iter().filter(|job| job.is_err()).count();
        if bad > 0 {
            let verdicts: Vec<_> = checked
                .into_iter()
                .map(|job| job.map_or_else(BatchVerdict::refused, |_| BatchVerdict::acceptable()))
                .collect();
            return Err(RpcError::invalid_batch(bad, total, verdicts));
        }
        let jobs = checked.into_iter().flatten().collect();
        let (jobs, counts) = number_jobs(self.core.last_job(), jobs)?;
        Ok((Order::Submit { jobs, place: place(&params.place)?, revision: params.revision }, counts))
    }

    fn edit(&mut self, to: &ReplyTo, actor: &Actor, params: &EditJob) {
        let order = params.id.resolve().and_then(|job| {
            let changes = params.changes();
            let held = changes.held;
            // What does not wait is refused by the core, in its own words.
            let spec = match self.core.job(job) {
                Some(machine) => Arc::new(self.acceptable(actor, changes.apply(&machine.spec)?)?),
                None => Arc::new(nothing()),
            };
            Ok(Order::Edit { job, spec, held, revision: params.revision })
        });
        let answer = order.and_then(|order| self.carry_out(to, actor, Method::EditJob, order));
        let jobs = jobs_of(&answer);
        let reply = answer.and_then(|answer| self.result_of(answer));
        self.answer_with_findings(to, &jobs, Some("/job"), reply);
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

    fn queue_again(&mut self, to: &ReplyTo, actor: &Actor, again: Result<Again, RpcError>) {
        let again = match again {
            Ok(again) => again,
            Err(error) => return self.answer::<()>(to, Err(error)),
        };
        match self.core.job(again.of).map(|machine| JobSpec::clone(&machine.spec)) {
            Some(_) if again.method == Method::RerunJob => {
                let error = RpcError::wrong_state(
                    format!("job {} has not ended", again.of),
                    self.core.job(again.of).map_or("queued", |job| job.state().name()),
                    &["job.duplicate", "job.edit"],
                );
                self.answer::<()>(to, Err(error));
            }
            Some(spec) => self.spec_read(to, actor, again, Ok(Box::new(spec))),
            None => self.read_spec(to.clone(), actor.clone(), again),
        }
    }

    /// Queues the description of another job, changed if wished.
    pub(super) fn spec_read(
        &mut self,
        to: &ReplyTo,
        actor: &Actor,
        wish: Again,
        spec: Result<Box<JobSpec>, RpcError>,
    ) {
        let (wish, spec) = match spec {
            Ok(spec) => match self.check_again_first(to, actor, wish, spec) {
                Some((wish, spec)) => (wish, Ok(spec)),
                None => return,
            },
            Err(error) => (wish, Err(error)),
        };
        let rerun_of = (wish.method == Method::RerunJob).then_some(wish.of);
        let held = wish.changes.held.unwrap_or(false);
        let order = spec.and_then(|spec| {
            let spec = Arc::new(self.acceptable(actor, wish.changes.apply(&spec)?)?);
            let job = NewJob { id: JobId(self.core.last_job() + 1), spec, held, rerun_of };
            Ok(Order::Submit { jobs: vec![job], place: place(&wish.place)?, revision: None })
        });
        let answer = order.and_then(|order| self.carry_out(to, actor, wish.method, order));
        let jobs = jobs_of(&answer);
        let reply = answer.and_then(|answer| match answer {
            Answer::Submitted { ids, revision, .. } => match ids.first() {
                Some(id) => to_value(JobCreated { id: *id, revision }).map_err(RpcError::internal_error),
                None => Err(RpcError::internal_error("no job was made")),
            },
            _ => Err(RpcError::internal_error("the job was answered strangely")),
        });
        self.answer_with_findings(to, &jobs, None, reply);
    }
}

/// The jobs that an order made or changed.
fn jobs_of(answer: &Result<Answer, RpcError>) -> Vec<JobId> {
    match answer {
        Ok(Answer::Submitted { ids, .. }) => ids.clone(),
        Ok(Answer::Edited { jobs, .. }) => jobs.clone(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn to_value(result: impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(result)
}

/// What an edit changes, short enough to be kept for every edit.
fn spec_for_audit(job: JobId, spec: &JobSpec) -> Value {
    let size = match &spec.body {
        beamq_machines::JobBody::Script { source, .. } => source.len(),
        beamq_machines::JobBody::Commands(calls) => calls.len(),
    };
    json!({
        "job": job,
        "name": spec.name,
        "kind": spec.kind(),
        "size": size,
        "tags": spec.tags,
        "group": spec.group,
        "not_before": spec.not_before.map(protocol::Rfc3339),
        "deadline": spec.deadline.map(protocol::Rfc3339),
        "timeout_ms": spec.timeout_ms,
    })
}

fn subject_of(order: &Order) -> Option<Value> {
    match order {
        Order::Submit { jobs, .. } => Some(json!({
            "jobs": jobs.iter().take(20).map(|job| json!({"id": job.id, "name": job.spec.name})).collect::<Vec<_>>(),
            "count": jobs.len(),
        })),
        Order::Edit { job, spec, .. } => Some(spec_for_audit(*job, spec)),
        Order::HoldJobs { jobs, .. }
        | Order::ReleaseJobs { jobs, .. }
        | Order::Remove { jobs, .. }
        | Order::Move { jobs, .. } => Some(match jobs {
            Selection::Ids(ids) => {
                json!({"jobs": ids.iter().take(100).collect::<Vec<_>>(), "count": ids.len()})
            }
            Selection::Group(group) => json!({"group": group}),
        }),
        Order::HoldQueue { why } | Order::Abort { why } => why.as_ref().map(|why| json!({"why": why})),
        Order::Pause(level) => Some(json!({"level": level})),
        Order::Answer { prompt, value } => Some(json!({"prompt": prompt, "value": value})),
        Order::Reorder { .. }
        | Order::Clear { .. }
        | Order::ReleaseQueue
        | Order::StopAfterCurrent
        | Order::CancelStop
        | Order::CancelPause
        | Order::Resume
        | Order::Skip => None,
    }
}

fn selection(selection: protocol::Selection) -> Result<Selection, RpcError> {
    Ok(match selection {
        protocol::Selection::Jobs(ids) => {
            Selection::Ids(ids.iter().map(JobRef::resolve).collect::<Result<_, _>>()?)
        }
        protocol::Selection::Group(group) => Selection::Group(group),
    })
}

fn place(place: &protocol::Place) -> Result<Place, RpcError> {
    Ok(match place {
        protocol::Place::Front => Place::Front,
        protocol::Place::Back => Place::Back,
        protocol::Place::Index(index) => Place::Index(*index),
        protocol::Place::Before(job) => Place::Before(job.resolve().map_err(RpcError::bad_place)?),
        protocol::Place::After(job) => Place::After(job.resolve().map_err(RpcError::bad_place)?),
    })
}

/// The most jobs that one call can make.
const JOBS_PER_CALL: usize = 10_000;

/// Gives numbers to the jobs, repeated as wished, and says how many each submission became.
fn number_jobs(last: u64, jobs: Vec<protocol::NewJob>) -> Result<(Vec<NewJob>, Vec<usize>), RpcError> {
    let counts: Vec<_> = jobs.iter().map(|job| job.repeat as usize).collect();
    let total: usize = counts.iter().sum();
    if total > JOBS_PER_CALL {
        return Err(RpcError::too_large("the submission", total, JOBS_PER_CALL, "jobs").with_field("repeat"));
    }
    let mut next = last;
    let mut made = Vec::with_capacity(total);
    for job in jobs {
        let mut spec = job.spec;
        if job.repeat > 1 && spec.group.is_none() {
            spec.group = Some(format!("{} #{}", spec.name, next + 1));
        }
        let spec = Arc::new(spec);
        for _ in 0..job.repeat {
            next += 1;
            made.push(NewJob { id: JobId(next), spec: Arc::clone(&spec), held: job.held, rerun_of: None });
        }
    }
    Ok((made, counts))
}

/// Stands for the description of a job that is not there, until the core says so.
fn nothing() -> JobSpec {
    JobSpec {
        name: String::new(),
        body: beamq_machines::JobBody::Commands(Vec::new()),
        tags: Vec::new(),
        group: None,
        not_before: None,
        deadline: None,
        timeout_ms: None,
    }
}
