//! What a job that has ended teaches: how long it and its calls took, and what had been expected.

use beamq_machines::{
    Timestamp,
    job::{JobMachine, State},
};

use super::{forecaster::Order, workshop::body_of};
use crate::{
    engine::CallRecord,
    estimate::{CallSample, JobSample, Memory},
    journal::{CallDurationRow, Durations, JobDurationRow},
    protocol::view::Estimate,
    server::dispatcher::Dispatcher,
};

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Lesson {
    pub(super) jobs: Vec<JobDurationRow>,
    pub(super) calls: Vec<CallDurationRow>,
}

impl Lesson {
    /// Everything that the journal remembers.
    pub(super) fn of_journal(durations: Durations) -> Self {
        Self { jobs: durations.jobs, calls: durations.calls }
    }

    /// Learns it.
    pub(super) fn teach(self, memory: &mut Memory) {
        for job in self.jobs.into_iter().filter(|job| job.complete) {
            let sample =
                JobSample { at_ms: job.started_ms, active_s: job.active_s, predicted_s: job.predicted_s };
            memory.remember_job(&job.body, sample);
        }
        for call in self.calls {
            // What is no JSON object was not written by us, and says nothing.
            let Ok(arguments) = serde_json::from_str(&call.arguments) else { continue };
            let sample = CallSample {
                at_ms: call.started_ms,
                active_s: call.active_s,
                predicted_s: call.predicted_s,
                arguments,
            };
            memory.remember_call(&call.command, sample);
        }
    }
}

impl Dispatcher {
    /// Notes the calls of a job whose end is about to be told.
    pub(in crate::server) fn note_calls(&mut self, calls: Vec<CallRecord>) {
        self.forecast.ended_calls = calls;
    }

    /// What was expected of a job that has ended, for the history.
    pub(in crate::server) fn promised(&self, machine: &JobMachine) -> Option<Estimate> {
        let live = self.forecast.live.as_ref().filter(|live| live.job == machine.id);
        let promised = live.and_then(|live| live.promised);
        promised.or_else(|| self.forecast.plan(machine.id, &machine.spec)?.estimate())
    }

    /// Keeps what a job that has ended took, and forgets what was expected of it.
    pub(in crate::server) fn keep_durations(&mut self, machine: &JobMachine, at: Timestamp) {
        let calls = std::mem::take(&mut self.forecast.ended_calls);
        if let (Some(started), Some(active)) = (machine.started_at, machine.active_time(at)) {
            let lesson = self.lesson(machine, started, active.as_secs_f64(), calls);
            self.pending.batch.job_durations.extend(lesson.jobs.iter().cloned());
            self.pending.batch.call_durations.extend(lesson.calls.iter().cloned());
            self.ask_forecaster(Order::Learn(lesson));
            self.instrument_was_left(machine.id);
        }
        self.forecast.forget(machine.id);
    }

    fn lesson(
        &self,
        machine: &JobMachine,
        started: Timestamp,
        active_s: f64,
        calls: Vec<CallRecord>,
    ) -> Lesson {
        let plan = self.forecast.plan(machine.id, &machine.spec);
        let complete = matches!(machine.state(), State::Succeeded {});
        let job = JobDurationRow {
            job: machine.id.0,
            body: body_of(&machine.spec),
            started_ms: started.0,
            active_s,
            predicted_s: plan.and_then(|plan| plan.plan.computed_s),
            complete,
        };
        let catalogue = &self.in_force.catalogue;
        let calls = calls.into_iter().map(|call| {
            let arguments = match catalogue.command(&call.command) {
                Some(command) => command.with_defaults(&call.arguments),
                None => call.arguments,
            };
            CallDurationRow {
                job: machine.id.0,
                // Made of texts and numbers, which can always be written.
                arguments: serde_json::to_string(&arguments).unwrap_or_default(),
                line: call.line,
                started_ms: call.began_ms,
                active_s: call.active_s,
                predicted_s: plan.and_then(|plan| plan.plan.computed_call(&call.command, call.nth?)),
                command: call.command,
            }
        });
        Lesson { jobs: vec![job], calls: calls.collect() }
    }
}
