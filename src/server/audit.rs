//! Who did what, when, from where, and how it was before and after.

use beamq_machines::{
    JobId, JobSpec, SessionId,
    core::{Order, Selection},
};
use serde_json::{Value, json};

use super::dispatcher::Dispatcher;
use crate::{journal::AuditRow, protocol};

impl Dispatcher {
    pub(super) fn state_for_audit(&self) -> Value {
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
}

/// What an edit changes, short enough to be kept for every edit.
pub(super) fn spec_for_audit(job: JobId, spec: &JobSpec) -> Value {
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

pub(super) fn subject_of(order: &Order) -> Option<Value> {
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
