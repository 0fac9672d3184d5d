//! From the core's answers and refusals to results and errors.

use beamq_machines::{JobId, Rejected, core::Refusal, job::State};
use serde_json::json;

use crate::protocol::{RpcError, view::JobStateName};

/// The state of a name that the machines use for clients.
pub(super) fn state_named(name: &str) -> JobStateName {
    JobStateName::ALL.into_iter().find(|state| state.name() == name).unwrap_or(JobStateName::Running)
}

/// What would work in a job's state, as the methods that do it.
fn what_works(state: &str) -> &'static [&'static str] {
    match state {
        "queued" => &["job.edit", "job.hold", "job.remove", "queue.move"],
        "held" => &["job.unhold", "job.edit", "job.remove", "queue.move"],
        "starting" => &["run.pause", "run.abort"],
        "running" => &["run.pause", "run.skip", "run.abort"],
        "pausing" => &["run.cancel_pause", "run.pause", "run.abort"],
        "paused" => &["run.resume", "run.skip", "run.abort"],
        "skipping" => &["run.pause", "run.abort"],
        "aborting" => &["run.abort"],
        "idle" => &["job.submit", "queue.hold"],
        "busy" => &["queue.hold", "queue.stop_after_current"],
        "draining" => &["queue.cancel_stop", "queue.hold"],
        "blocked" => &["queue.hold"],
        _ if State::is_final_name(state) => &["job.rerun"],
        _ => &[],
    }
}

/// What would work when no job is active, as the methods that do it.
fn what_works_without_a_job(queue: &str) -> &'static [&'static str] {
    match queue {
        "held" => &["queue.release", "job.submit"],
        "blocked" => &["job.submit", "queue.hold"],
        _ => &["job.submit"],
    }
}

/// The error for a refusal of `method`; `active` is the active job, `queue` the state of the queue.
pub(super) fn refusal(
    refusal: Refusal,
    method: &str,
    active: Option<JobId>,
    queue: &'static str,
) -> RpcError {
    match refusal {
        Refusal::WrongState(rejected) => wrong_state(&rejected, method),
        Refusal::NotPausable(_) => {
            RpcError::not_pausable(active.map(|id| id.to_string()).unwrap_or_default())
        }
        Refusal::NothingActive { wanted } => {
            RpcError::wrong_state("no job is active", queue, what_works_without_a_job(queue))
                .with_more("event", wanted)
        }
        Refusal::NotFound { ids, group: Some(group) } if ids.is_empty() => {
            RpcError::not_found("waiting job of group", &group).with_field("group")
        }
        Refusal::NotFound { ids, .. } => not_found(&ids),
        Refusal::NoSuchPlace { id } => RpcError::not_found("job", &id.to_string())
            .with_field("place")
            .with_hint("queue.get lists what waits"),
        Refusal::NotWaiting { ids } => not_waiting(&ids),
        Refusal::Stale { given, revision, order } => RpcError::stale_revision(given, revision, order),
        Refusal::Forbidden { needs, reason } => RpcError::new(crate::protocol::ErrorKind::Forbidden, reason)
            .with_allowed(format!("{needs} and above")),
        Refusal::BadPlace { reason } => RpcError::invalid_job(reason)
            .with_field("place")
            .with_allowed("\"front\", \"back\", {\"index\": n}, or before or after a waiting job"),
        Refusal::BadOrder { missing, unknown, twice } => bad_order(&missing, &unknown, &twice),
        Refusal::NoSuchPrompt { prompt, open } => {
            let error = RpcError::not_found("open prompt", &prompt.to_string()).with_field("prompt");
            match open {
                Some(open) => error.with_allowed(open.to_string()).with_hint("another question is open now"),
                None => error.with_hint("it was answered, timed out, or its job ended"),
            }
        }
        Refusal::BadAnswer { choices } => RpcError::invalid_params("the answer is not one of the choices")
            .with_field("value")
            .with_allowed(choices),
    }
}

fn wrong_state(rejected: &Rejected, method: &str) -> RpcError {
    // A queue can be held as well as a job; the method tells which of them it is.
    let works: &[&str] = match rejected.state {
        "held" if method.starts_with("queue.") => &["queue.release"],
        state => what_works(state),
    };
    let error = RpcError::wrong_state(rejected.reason.clone(), rejected.state, works);
    match &rejected.hint {
        Some(hint) => error.with_hint(hint.clone()),
        None => error,
    }
}

fn not_found(ids: &[JobId]) -> RpcError {
    let shown: Vec<_> = ids.iter().map(ToString::to_string).collect();
    RpcError::not_found(if ids.len() == 1 { "job" } else { "jobs" }, &shown.join(", ")).with_field("id")
}

fn not_waiting(ids: &[(JobId, &'static str)]) -> RpcError {
    let (id, state) = ids.first().copied().unwrap_or((JobId(0), "ended"));
    let what = match state {
        "ended" => format!("job {id} has ended"),
        state => format!("job {id} is {state}, not waiting"),
    };
    let works = if state == "ended" { &["job.rerun", "job.get"] } else { what_works(state) };
    let jobs: Vec<_> = ids.iter().map(|(id, state)| json!({"id": id, "state": state})).collect();
    RpcError::wrong_state(what, state, works)
        .with_field("id")
        .with_value(id.to_string())
        .with_more("jobs", jobs)
}

fn bad_order(missing: &[JobId], unknown: &[JobId], twice: &[JobId]) -> RpcError {
    RpcError::invalid_params("the order must name every waiting job once")
        .with_field("ids")
        .with_more("missing", json!(missing))
        .with_more("unknown", json!(unknown))
        .with_more("twice", json!(twice))
        .with_hint("take the waiting jobs of queue.get and give them back in the wanted order")
}
