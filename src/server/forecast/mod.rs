//! How long jobs take, when they start and end, and what a dry run says about them.
//!
//! The loop keeps what is known (`desk`) and compares the running job with its plan (`live`); it asks
//! and never computes. A task of its own (`forecaster`) estimates and simulates, one job at a time, and
//! sends what it finds back as messages. `outlook` is pure: from durations to times. `answers` serves the
//! dry runs that clients ask for. Estimates are not facts: a restarted server finds them again.

mod answers;
mod desk;
mod durations;
mod forecaster;
mod kept;
mod live;
mod outlook;
mod policy;
mod workshop;

pub(super) use answers::{Bench, ProxySimulated, unqueued};
pub(super) use desk::{ForecastDesk, JobPlan};
pub(super) use forecaster::start;
pub(super) use policy::Checked;
pub(super) use workshop::{Simulation, Workshop};

use std::sync::Arc;

use beamq_machines::{JobId, JobSpec, Timestamp};
use tokio::time::Instant;

use crate::{catalogue::Catalogue, dryrun::simulation::InstrumentState};

/// The queue at a moment, as the forecaster needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) now: Timestamp,
    /// When a job was begun or has ended last.
    pub(super) stirred: Option<Instant>,
    /// No waiting job begins before this time.
    pub(super) not_before: Option<Timestamp>,
    /// The instrument before the active job, or before the first waiting one.
    pub(super) start: InstrumentState,
    pub(super) active: Option<ActiveJob>,
    pub(super) waiting: Vec<WaitingJob>,
}

impl Snapshot {
    /// Whether this job is on it, as it is described here.
    fn has(&self, id: JobId, spec: &Arc<JobSpec>) -> bool {
        let active = self.active.iter().map(|job| (job.id, &job.spec));
        let waiting = self.waiting.iter().map(|job| (job.id, &job.spec));
        active.chain(waiting).any(|(other, its)| other == id && Arc::ptr_eq(its, spec))
    }
}

/// A waiting job.
#[derive(Clone, Debug)]
pub(super) struct WaitingJob {
    pub(super) id: JobId,
    pub(super) spec: Arc<JobSpec>,
    pub(super) owner: String,
    pub(super) held: bool,
}

/// The active job.
#[derive(Clone, Debug)]
pub(super) struct ActiveJob {
    pub(super) id: JobId,
    pub(super) spec: Arc<JobSpec>,
    pub(super) owner: String,
    pub(super) started_at: Option<Timestamp>,
    /// The seconds that are left of it, if that is known.
    pub(super) left_s: Option<f64>,
}

/// What the forecaster has found.
#[derive(Debug)]
pub(super) enum News {
    /// What these jobs are expected to do.
    Plans(Vec<(JobId, Arc<JobPlan>)>),
}
