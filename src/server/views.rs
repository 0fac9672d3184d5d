//! From the machines' state to what is served.

use std::{collections::BTreeMap, sync::Arc};

use beamq_machines::{
    JobBody, JobId, Progress, Timestamp,
    core::{Core, GroupTally},
    job::{JobMachine, State},
    queue,
};

use super::findings::Findings;
use crate::{
    journal::JobRow,
    protocol::{
        PromptEvent,
        view::{
            Elapsed, Estimate, Finding, GroupView, JobStateName, JobView, QueueStateName, QueueStatus,
            QueueView,
        },
    },
};

/// The name that clients know for a job's state.
pub(super) fn job_state(state: &State) -> JobStateName {
    match state {
        State::Queued {} => JobStateName::Queued,
        State::Held {} => JobStateName::Held,
        State::Starting {} => JobStateName::Starting,
        State::Running {} => JobStateName::Running,
        State::Pausing { .. } => JobStateName::Pausing,
        State::Paused {} => JobStateName::Paused,
        State::Skipping {} => JobStateName::Skipping,
        State::Asked { .. } | State::Terminating { .. } | State::Killing { .. } => JobStateName::Aborting,
        State::Succeeded {} => JobStateName::Succeeded,
        State::SucceededWithErrors {} => JobStateName::SucceededWithErrors,
        State::Failed {} => JobStateName::Failed,
        State::Aborted {} => JobStateName::Aborted,
        State::Cancelled {} => JobStateName::Cancelled,
        State::Expired {} => JobStateName::Expired,
        State::Interrupted {} => JobStateName::Interrupted,
    }
}

/// The name that clients know for the queue's state.
pub(super) fn queue_state(state: &queue::State) -> QueueStateName {
    match state {
        queue::State::Idle {} => QueueStateName::Idle,
        queue::State::Busy {} | queue::State::Between {} => QueueStateName::Busy,
        queue::State::Draining { .. } => QueueStateName::Draining,
        queue::State::Held { .. } => QueueStateName::Held,
        queue::State::Blocked { .. } => QueueStateName::Blocked,
    }
}

/// A job without its script, as lists and events show it.
pub(super) fn job(machine: &JobMachine, now: Timestamp) -> JobView {
    let state = job_state(machine.state());
    let mut view =
        JobView::new(machine.id, &machine.spec, state, &machine.owner, machine.submitted_at.into());
    view.rerun_of = machine.rerun_of;
    view.started_at = machine.started_at.map(Into::into);
    view.finished_at = machine.finished_at.map(Into::into);
    view.elapsed = elapsed(machine, now);
    view.report = machine.report.as_deref().cloned();
    if matches!(state, JobStateName::Succeeded | JobStateName::SucceededWithErrors) {
        view.progress = Some(Progress { percent: Some(100.0), ..Default::default() });
    }
    view
}

/// How long the job has been running.
pub(super) fn elapsed(machine: &JobMachine, now: Timestamp) -> Option<Elapsed> {
    Some(Elapsed {
        wall_s: machine.wall_time(now)?.as_secs_f64(),
        active_s: machine.active_time(now)?.as_secs_f64(),
    })
}

/// A job that has not ended, with its position and progress.
pub(super) fn live_job(core: &Core, id: JobId, now: Timestamp) -> Option<JobView> {
    let machine = core.job(id)?;
    let mut view = job(machine, now);
    if core.queue().active == Some(id) {
        view.progress = Some(core.progress().clone());
        view.prompt = open_prompt(core).map(Box::new);
    } else {
        view.position = core.queue().order.iter().position(|other| *other == id).map(|index| index as u64);
    }
    Some(view)
}

/// The question that the running script waits with.
pub(super) fn open_prompt(core: &Core) -> Option<PromptEvent> {
    let (job, prompt) = (core.queue().active?, core.prompt()?.clone());
    Some(PromptEvent {
        prompt: prompt.id,
        job,
        text: prompt.text,
        choices: prompt.choices,
        default: prompt.default,
        until: Some(prompt.until.into()),
        settled: None,
    })
}

/// The active job, as events show it.
pub(super) fn active_job(core: &Core, now: Timestamp) -> Option<JobView> {
    live_job(core, core.queue().active?, now)
}

/// The queue in a few numbers.
pub(super) fn queue_status(core: &Core) -> QueueStatus {
    let queue = core.queue();
    QueueStatus {
        state: queue_state(queue.state()),
        why: queue.state().why(),
        revision: queue.revision,
        length: queue.order.len() as u64,
        expected_finish: None,
    }
}

/// The series that the active job and these waiting ones belong to.
fn groups(core: &Core, waiting: &[(JobMachine, Arc<[Finding]>)]) -> BTreeMap<String, GroupView> {
    let active = core.queue().active.and_then(|id| core.job(id));
    let members = active.into_iter().chain(waiting.iter().map(|(machine, _)| machine));
    let mut groups = BTreeMap::new();
    for group in members.filter_map(|machine| machine.spec.group.as_ref()) {
        if !groups.contains_key(group)
            && let Some(tally) = core.groups().get(group)
        {
            let active = active.filter(|machine| machine.spec.group.as_ref() == Some(group));
            groups.insert(group.clone(), group_view(tally, active.map(|machine| machine.id)));
        }
    }
    groups
}

fn group_view(tally: &GroupTally, active: Option<JobId>) -> GroupView {
    GroupView {
        submitted: tally.submitted,
        ended: tally.ended,
        failed: tally.failed,
        waiting: tally.submitted.saturating_sub(tally.ended + u64::from(active.is_some())),
        active,
        expected_finish: None,
    }
}

/// The waiting jobs of a page, cheap to take out of the loop: turning them into text happens outside.
pub(super) struct QueuePage {
    pub(super) head: QueueView,
    pub(super) first: u64,
    pub(super) jobs: Vec<(JobMachine, Arc<[Finding]>)>,
    /// How long the jobs take and when they start and end, in the same order.
    pub(super) expected: Vec<Expected>,
    pub(super) scripts: bool,
    pub(super) now: Timestamp,
}

impl QueuePage {
    pub(super) fn take(
        core: &Core,
        findings: &Findings,
        offset: u64,
        limit: Option<u64>,
        scripts: bool,
        now: Timestamp,
    ) -> Self {
        let queue = core.queue();
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let take = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let jobs: Vec<_> = queue
            .order
            .iter()
            .skip(skip)
            .take(take)
            .filter_map(|id| core.job(*id))
            .map(|machine| (machine.clone(), findings.of(machine)))
            .collect();
        let groups = groups(core, &jobs);
        let mut active = active_job(core, now);
        if scripts && let Some(machine) = queue.active.and_then(|id| core.job(id)) {
            active = active.map(|view| view.with_body(&machine.spec.body));
        }
        let head = QueueView {
            revision: queue.revision,
            state: queue_state(queue.state()),
            why: queue.state().why(),
            active,
            waiting: Vec::new(),
            length: queue.order.len() as u64,
            groups,
        };
        Self { head, first: offset, jobs, expected: Vec::new(), scripts, now }
    }

    pub(super) fn into_view(self) -> QueueView {
        let mut view = self.head;
        let body = |view: JobView, machine: &JobMachine| {
            if self.scripts { view.with_body(&machine.spec.body) } else { view }
        };
        let expected = self.expected.iter().copied().chain(std::iter::repeat(Expected::default()));
        view.waiting = self
            .jobs
            .iter()
            .zip(self.first..)
            .zip(expected)
            .map(|(((machine, findings), position), expected)| {
                let findings = findings.to_vec();
                let view = JobView { position: Some(position), findings, ..job(machine, self.now) };
                body(expected.shown_in(view), machine)
            })
            .collect();
        view
    }
}

/// What is expected of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    pub(super) estimate: Option<Estimate>,
    pub(super) start: Option<Timestamp>,
    pub(super) finish: Option<Timestamp>,
}

impl Expected {
    /// The view with what is expected.
    pub(super) fn shown_in(self, view: JobView) -> JobView {
        JobView {
            estimate: self.estimate,
            expected_start: self.start.map(Into::into),
            expected_finish: self.finish.map(Into::into),
            ..view
        }
    }
}

/// A job that has just ended, with how far it had come.
pub(super) fn ended_job(core: &Core, machine: &JobMachine, now: Timestamp) -> JobView {
    let mut view = job(machine, now);
    let progress = || core.progress_at_end(machine.id).filter(|progress| **progress != Progress::default());
    view.progress = view.progress.or_else(|| progress().cloned());
    view
}

/// An ended job, as the history keeps it.
pub(super) fn history_row(core: &Core, machine: &JobMachine, promised: Option<Estimate>) -> JobRow {
    let finished = machine.finished_at.unwrap_or(machine.submitted_at);
    let mut view = ended_job(core, machine, finished);
    view.estimate = promised;
    let script = match &machine.spec.body {
        JobBody::Script { source, .. } => Some(Arc::clone(source)),
        JobBody::Commands(calls) => {
            view.commands = Some(calls.clone());
            None
        }
    };
    JobRow {
        id: machine.id.0,
        state: view.state.name().into(),
        owner: machine.owner.clone(),
        name: machine.spec.name.clone(),
        tags: machine.spec.tags.clone(),
        group: machine.spec.group.clone(),
        submitted_ms: machine.submitted_at.0,
        started_ms: machine.started_at.map(|time| time.0),
        finished_ms: Some(finished.0),
        message: machine.report.as_ref().map(|report| report.message.clone()),
        // A view is made of texts and numbers, which can always be written.
        json: serde_json::to_string(&view).unwrap_or_default(),
        script,
    }
}
