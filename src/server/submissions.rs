//! New jobs, edited ones, and ended ones that are queued again: from what a client describes to an order of the core.

use std::sync::Arc;

use beamq_machines::{
    JobId, JobSpec,
    core::{Actor, Answer, NewJob, Order, Place},
};

use super::{calls::to_value, clients::ReplyTo, dispatcher::Dispatcher, inside::Again};
use crate::protocol::{
    self, Method, RpcError, Submission,
    request::{EditJob, SubmitBatch, SubmitJob},
    view::{BatchSubmitted, BatchVerdict, JobCreated},
};

impl Dispatcher {
    pub(super) fn submit(&mut self, to: &ReplyTo, actor: &Actor, params: SubmitJob) {
        let order = self.new_jobs(actor, params.job).and_then(|(jobs, _)| {
            Ok(Order::Submit { jobs, place: place(&params.place)?, revision: params.revision })
        });
        let answer = order.and_then(|order| self.carry_out(to, actor, Method::Submit, order));
        let jobs = jobs_of(&answer);
        let reply = answer.and_then(|answer| self.result_of(answer));
        self.answer_with_findings(to, &jobs, Some(""), reply);
    }

    pub(super) fn submit_batch(&mut self, to: &ReplyTo, actor: &Actor, params: SubmitBatch) {
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

    pub(super) fn edit(&mut self, to: &ReplyTo, actor: &Actor, params: &EditJob) {
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

    pub(super) fn queue_again(&mut self, to: &ReplyTo, actor: &Actor, again: Result<Again, RpcError>) {
        let again = match again {
            Ok(again) => again,
            Err(error) => return self.answer::<()>(to, Err(error)),
        };
        match self.core.job(again.of).map(|machine| JobSpec::clone(&machine.spec)) {
            Some(_) if again.method == Method::RerunJob => {
                let state = self.core.job(again.of).map_or("queued", |job| job.state().name());
                let works: &[&str] = match state {
                    "queued" | "held" => &["job.duplicate", "job.edit"],
                    _ => &["job.duplicate"],
                };
                let error = RpcError::wrong_state(format!("job {} has not ended", again.of), state, works);
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

pub(super) fn place(place: &protocol::Place) -> Result<Place, RpcError> {
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
