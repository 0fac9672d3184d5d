//! What clients read. Small things are answered from the machines at once; what is large or in the
//! journal is read outside the loop, after the commit of the turn.

use std::{collections::BTreeMap, sync::Arc};

use beamq_machines::{JobId, JobSpec, core::Actor};
use serde::Serialize;

use super::{
    clients::ReplyTo,
    dispatcher::{After, Dispatcher},
    inside::{Again, Inside},
    views::{self, QueuePage},
};
use crate::{
    journal::{AuditQuery, AuditRow, CallDurationRow, HistoryQuery, Journal, JournalError},
    protocol::{
        DurationText, EventKind, Request, Rfc3339, RpcError, native, openrpc,
        request::{GetOutput, ListAudit, ListHistory, States, Subscribe},
        view::{
            AuditEntry, AuditView, CallTaken, HistoryView, JobReply, JobView, OutputSize, OutputView,
            QueueStatus, ServerInfo, StatusView, Subscribed,
        },
    },
};

/// The version of the interface, told by `server.info`.
const PROTOCOL: u32 = 1;
/// How many events are read from the journal for one client at most.
const EVENTS_READ: usize = 50_000;

impl Dispatcher {
    /// Answers a request that changes nothing.
    pub(super) fn serve(&mut self, to: ReplyTo, request: Request) {
        let now = Self::now();
        match request {
            Request::ServerInfo(_) => {
                let info = ServerInfo {
                    name: "beamq".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    instrument: self.settings.instrument.clone(),
                    engine: self.engine_status.kind.clone(),
                    protocol: PROTOCOL,
                    time: now.into(),
                };
                self.answer(&to, Ok(info));
            }
            Request::ServerStatus(_) => {
                self.look_ahead();
                let status = self.status();
                self.answer(&to, Ok(status));
            }
            Request::Discover(_) => self.later(to, async { Ok(openrpc::document()) }),
            Request::Subscribe(params) => self.subscribe(to, params),
            Request::Unsubscribe(_) => {
                if let Some(client) = self.clients.get_mut(to.session) {
                    client.kinds.clear();
                }
                self.answer(&to, Ok(()));
            }
            Request::GetQueue(params) => {
                self.look_ahead();
                let mut page = QueuePage::take(
                    &self.core,
                    &self.in_force.findings,
                    params.offset,
                    params.limit,
                    params.scripts,
                    now,
                );
                self.add_estimates(&mut page, now);
                self.later(to, async { Ok(page.into_view()) });
            }
            Request::GetJob(params) => match params.id.resolve() {
                Ok(id) => self.get_job(to, id),
                Err(error) => self.answer::<()>(&to, Err(error)),
            },
            Request::GetOutput(params) => self.get_output(to, &params),
            Request::ListHistory(params) => self.list_history(to, params),
            Request::ListAudit(params) => self.list_audit(to, params),
            Request::ListCatalogue(_)
            | Request::GetCommand(_)
            | Request::CommandSchema(_)
            | Request::CheckCatalogue(_) => self.serve_catalogue(to, request),
            Request::DryRunScript(_) | Request::DryRunCommands(_) | Request::DryRunJob(_) => {
                self.judge(to, request);
            }
            Request::DryRunQueue(params) => self.dry_run_queue(to, &params),
            Request::CallNicos(call) => self.call_nicos(to, call),
            other => {
                let what = other.method().name();
                let error = RpcError::unavailable(format!("this version of the server has no {what}"))
                    .with_hint("rpc.discover lists what it has; dry runs come with later versions");
                self.answer::<()>(&to, Err(error));
            }
        }
    }

    pub(super) fn status(&self) -> StatusView {
        let active = self.core.sessions().filter(|session| session.login.is_some()).count();
        let expected_finish = self.forecast.expected_finish().map(Rfc3339);
        let job = self.core.queue().active.and_then(|id| self.live_job(id, Self::now()));
        let mut queue = QueueStatus { expected_finish, ..views::queue_status(&self.core) };
        if self.closing.is_some() {
            queue.why = Some("the server is being stopped: no further job starts".to_owned());
        }
        StatusView {
            queue,
            active: job,
            engine: self.engine_status.clone(),
            catalogue: self.in_force.catalogue.status(),
            clients: active as u64,
            transports: self.transports(),
            uptime_s: self.started.elapsed().as_secs_f64(),
        }
    }

    fn transports(&self) -> BTreeMap<String, String> {
        let mut transports = self.settings.transports.clone();
        if let Some(state) = &self.settings.broker {
            transports.insert("activemq".into(), state.borrow().clone());
        }
        transports
    }

    /// Makes a reply outside the loop, once the facts of this turn are committed.
    pub(super) fn later<T: Serialize + Send>(
        &mut self,
        to: ReplyTo,
        reading: impl Future<Output = Result<T, RpcError>> + Send + 'static,
    ) {
        let Some(outbox) = self.clients.outbox(to.session) else { return };
        let (to_self, metrics) = (self.to_self.clone(), self.metrics.clone());
        let task = async move {
            let result = reading.await;
            if let Err(error) = &result {
                metrics.error(error.kind());
            }
            let text = match (&to.id, result) {
                (None, _) => Arc::from(""),
                (Some(id), Ok(result)) => native::reply_ok(id, &result),
                (Some(id), Err(error)) => native::reply_error(id, &error),
            };
            let session = to.session;
            if let Some(text) = to.complete(text)
                && !outbox.push(crate::transport::Outgoing::new(to.correlation, text))
            {
                to_self.send(Inside::TooSlow(session)).ok();
            }
        };
        self.pending.after.push(After::Read(Box::pin(task)));
    }

    fn subscribe(&mut self, to: ReplyTo, params: Subscribe) {
        let kinds = params.kinds.unwrap_or_else(|| EventKind::ALL.to_vec());
        let last = self.events.published();
        let from = params.from.unwrap_or(last);
        if from + 1 >= self.events.first_kept() {
            return self.events_read(&to, &kinds, from, Vec::new());
        }
        let (journal, to_self) = (self.journal.clone(), self.to_self.clone());
        let until = self.events.first_kept();
        let task = async move {
            let stored = journal.events_after(from, EVENTS_READ).await.unwrap_or_else(|error| {
                tracing::error!(%error, "older events cannot be read");
                Vec::new()
            });
            let wanted = |method: &str| kinds.iter().any(|kind| kind.method() == method);
            let texts = stored
                .into_iter()
                .filter(|event| event.seq < until && wanted(&event.kind))
                .map(|event| (event.seq, event.json.into()))
                .collect();
            to_self.send(Inside::EventsRead { to, kinds, from, texts }).ok();
        };
        self.pending.after.push(After::Read(Box::pin(task)));
    }

    /// Sends a client what it missed, and from now on what it wants.
    pub(super) fn events_read(
        &mut self,
        to: &ReplyTo,
        kinds: &[EventKind],
        from: u64,
        texts: Vec<(u64, Arc<str>)>,
    ) {
        let from = texts.last().map_or(from, |(seq, _)| (*seq).max(from));
        // What is numbered and not yet committed goes out with everybody else's.
        let published = self.events.published();
        let missed =
            self.events.since(from).filter(|event| event.seq <= published && kinds.contains(&event.kind));
        let missed = missed.map(|event| Arc::clone(&event.text));
        let all: Vec<_> = texts.into_iter().map(|(_, text)| text).chain(missed).collect();
        let mut kept_up = true;
        for text in all {
            kept_up &= self.clients.reply(to.session, None, text);
        }
        if !kept_up {
            self.to_self.send(Inside::TooSlow(to.session)).ok();
        }
        if let Some(client) = self.clients.get_mut(to.session) {
            client.kinds = kinds.iter().copied().collect();
        }
        self.answer(to, Ok(Subscribed { seq: published }));
    }

    fn get_job(&mut self, to: ReplyTo, id: JobId) {
        let live = self
            .live_job(id, Self::now())
            .zip(self.core.job(id))
            .map(|(view, machine)| view.with_body(&machine.spec.body));
        let journal = self.journal.clone();
        self.later(to, async move {
            let mut job = match live {
                Some(view) => view,
                None => ended_job(&journal, id).await?,
            };
            let size = journal.output_size(id.0).await.map_err(|error| unreadable(&error))?;
            if job.state.is_final() {
                let calls = journal.calls_of(id.0).await.map_err(|error| unreadable(&error))?;
                job.calls = calls.into_iter().map(call_taken).collect();
            }
            job.output = Some(OutputSize { lines: size.lines, bytes: size.bytes, dropped: size.dropped });
            Ok(JobReply { job })
        });
    }

    fn get_output(&mut self, to: ReplyTo, params: &GetOutput) {
        let id = match params.job.resolve() {
            Ok(id) if id.0 >= 1 && id.0 <= self.core.last_job() => id,
            Ok(_) | Err(_) => {
                return self.answer::<()>(&to, Err(params.job.not_found().with_field("job")));
            }
        };
        let (from, limit) = (params.from.unwrap_or(1), params.limit() as usize);
        let journal = self.journal.clone();
        self.later(to, async move {
            let page = journal.output(id.0, from, limit).await.map_err(|error| unreadable(&error))?;
            let lines = page.lines.iter().map(Into::into).collect();
            Ok(OutputView { lines, next: page.next, dropped: page.dropped })
        });
    }

    fn list_history(&mut self, to: ReplyTo, params: ListHistory) {
        let limit = params.limit() as usize;
        let before = match params.before.map(|job| job.resolve()).transpose() {
            Ok(before) => before.map(|id| id.0),
            Err(error) => return self.answer::<()>(&to, Err(error)),
        };
        let query = HistoryQuery {
            state: params.state.iter().flat_map(States::all).map(|state| state.name().to_owned()).collect(),
            owner: params.owner,
            text: params.text,
            since_ms: params.since.map(|time| time.0.0),
            until_ms: params.until.map(|time| time.0.0),
            before,
            limit,
        };
        let journal = self.journal.clone();
        self.later(to, async move {
            let page = journal.history(query).await.map_err(|error| unreadable(&error))?;
            let jobs: Result<Vec<JobView>, _> =
                page.jobs.iter().map(|json| serde_json::from_str(json)).collect();
            let jobs = jobs.map_err(RpcError::internal_error)?;
            Ok(HistoryView { jobs, more: page.more })
        });
    }

    fn list_audit(&mut self, to: ReplyTo, params: ListAudit) {
        let limit = params.limit() as usize;
        let query = AuditQuery {
            since_ms: params.since.map(|time| time.0.0),
            until_ms: params.until.map(|time| time.0.0),
            user: params.user,
            limit,
        };
        let journal = self.journal.clone();
        self.later(to, async move {
            let rows = journal.audit(query).await.map_err(|error| unreadable(&error))?;
            Ok(AuditView { entries: rows.into_iter().map(audit_entry).collect() })
        });
    }

    /// Reads the description of an ended job, to queue it again.
    pub(super) fn read_spec(&mut self, to: ReplyTo, actor: Actor, wish: Again) {
        let (journal, to_self) = (self.journal.clone(), self.to_self.clone());
        let task = async move {
            let spec = ended_job(&journal, wish.of).await.map(|view| Box::new(spec_of(view)));
            to_self.send(Inside::SpecRead { to, actor, wish: Box::new(wish), spec }).ok();
        };
        self.pending.after.push(After::Read(Box::pin(task)));
    }
}

/// What an ended job ran.
pub(super) async fn ended_body(journal: &Journal, id: JobId) -> Result<beamq_machines::JobBody, RpcError> {
    ended_job(journal, id).await.map(|view| spec_of(view).body)
}

async fn ended_job(journal: &Journal, id: JobId) -> Result<JobView, RpcError> {
    let stored = journal.job(id.0).await.map_err(|error| unreadable(&error))?;
    let stored = stored.ok_or_else(|| RpcError::not_found("job", &id.to_string()).with_field("id"))?;
    let mut view: JobView = serde_json::from_str(&stored.json).map_err(RpcError::internal_error)?;
    view.script = stored.script.map(Into::into);
    Ok(view)
}

/// The description that an ended job had. Its times are over, so they are not repeated.
fn spec_of(view: JobView) -> JobSpec {
    use beamq_machines::{JobBody, JobKind};
    let body = match (view.commands, view.script) {
        (Some(calls), _) => JobBody::Commands(calls),
        (None, source) => JobBody::Script {
            source: source.unwrap_or_else(|| "".into()),
            black_box: view.kind == JobKind::BlackBox,
        },
    };
    JobSpec {
        name: view.name,
        body,
        tags: view.tags,
        group: view.group,
        not_before: None,
        deadline: None,
        timeout_ms: view.timeout.map(DurationText::as_millis),
    }
}

fn unreadable(error: &JournalError) -> RpcError {
    RpcError::unavailable(error.to_string())
}

fn call_taken(row: CallDurationRow) -> CallTaken {
    CallTaken {
        command: row.command,
        // What is stored is a JSON object.
        arguments: serde_json::from_str(&row.arguments).unwrap_or_default(),
        line: row.line,
        started_at: Rfc3339(beamq_machines::Timestamp(row.started_ms)),
        computed_s: row.predicted_s,
        took_s: row.active_s,
    }
}

fn audit_entry(row: AuditRow) -> AuditEntry {
    AuditEntry {
        time: Rfc3339(beamq_machines::Timestamp(row.time_ms)),
        user: row.user,
        role: row.role.parse().ok(),
        client: row.client,
        transport: row.transport,
        method: row.method,
        outcome: row.outcome,
        before: row.before,
        after: row.after,
    }
}
