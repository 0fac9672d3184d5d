//! R1: every pair of state and event has a defined outcome. The same drive draws the diagrams
//! `machines/*.mmd`; they are compared with the committed ones (`BEAMQ_BLESS=1` writes them anew).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod diagram;

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use beamq_machines::{
    JobBody, JobId, JobSpec, PauseLevel, Policy, Report, Role, SessionId, Timestamp, Turn,
    job::{self, Job, JobEvent, JobMachine, Verdict},
    queue::{self, Hold, Queue, QueueEvent, QueueMachine},
    session::{self, Session, SessionEvent, SessionMachine},
};
use diagram::{Outcome, Row};
use statig::{blocking::State as _, blocking::Superstate as _, prelude::IntoStateMachineExt as _};
use strum::IntoEnumIterator as _;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Puts a machine into a state as a snapshot does, hands it the event, and says what came of it.
macro_rules! drive {
    ($machine:ty, $storage:expr, $state:expr, $event:expr) => {{
        let (storage, mut state, event) = ($storage, $state.clone(), $event);
        let mut snapshot = serde_json::to_value(storage.clone().state_machine()).unwrap();
        snapshot["state"] = serde_json::to_value(&state).unwrap();
        let mut machine: $machine = serde_json::from_value(snapshot).unwrap();
        machine.init_with_context(&mut Turn::new(NOW, Policy::default()));
        let mut turn = Turn::new(NOW, Policy::default());
        machine.handle_with_context(event, &mut turn);

        let pair = format!("{state:?} and {event:?}");
        let outcome = match &turn.rejected {
            Some(rejected) => {
                assert!(!rejected.reason.is_empty(), "{pair}: refused without a reason");
                assert_eq!(rejected.event, <&'static str>::from(event), "{pair}: refused under another name");
                assert_eq!(machine.state(), &state, "{pair}: refused, and yet moved");
                assert_eq!(machine.inner(), &storage, "{pair}: refused, and yet changed");
                assert_eq!(turn.effects, [], "{pair}: refused, and yet something is wanted");
                Outcome::Refuses
            }
            None if machine.state() != &state => Outcome::Moves(variant(machine.state())),
            None if machine.inner() != &storage || !turn.effects.is_empty() => Outcome::Acts,
            None => Outcome::Nothing,
        };
        let mut inside = Vec::new();
        let name = variant(&state);
        // A superstate borrows from the state below it, so the chain is walked by hand.
        if let Some(mut first) = state.superstate() {
            inside.insert(0, variant(&first));
            if let Some(mut second) = first.superstate() {
                inside.insert(0, variant(&second));
                assert!(second.superstate().is_none(), "{name} is nested deeper than is drawn");
            }
        }
        Row { state: name, inside, event: <&'static str>::from(event).to_owned(), outcome }
    }};
}

/// `SucceededWithErrors {}` becomes `succeeded_with_errors`.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let mut name = String::new();
    for letter in text.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn spec() -> JobSpec {
    JobSpec {
        name: "a scan".into(),
        body: JobBody::Script { source: "pass".into(), black_box: false },
        tags: Vec::new(),
        group: None,
        not_before: None,
        deadline: None,
        timeout_ms: None,
    }
}

fn job_events() -> Vec<JobEvent> {
    vec![
        JobEvent::HoldAsked,
        JobEvent::ReleaseAsked,
        JobEvent::Edited { spec: Arc::new(JobSpec { name: "another".into(), ..spec() }) },
        JobEvent::Removed,
        JobEvent::DeadlinePassed,
        JobEvent::StartOrdered,
        JobEvent::Started,
        JobEvent::PauseAsked { level: PauseLevel::Line },
        JobEvent::PauseAsked { level: PauseLevel::Now },
        JobEvent::PauseCancelled,
        JobEvent::Paused { line: Some(3) },
        JobEvent::PausedElsewhere { line: Some(3) },
        JobEvent::ResumedElsewhere,
        JobEvent::ReminderDue,
        JobEvent::ResumeAsked,
        JobEvent::SkipAsked,
        JobEvent::Skipped { what: Some("waitfor".into()) },
        JobEvent::Skipped { what: None },
        JobEvent::AbortAsked { why: None },
        JobEvent::TimedOut,
        JobEvent::GraceExpired,
        JobEvent::Ended { verdict: Verdict::Succeeded, report: Arc::default() },
        JobEvent::Ended { verdict: Verdict::SucceededWithErrors, report: Arc::default() },
        JobEvent::Ended { verdict: Verdict::Failed, report: Arc::new(Report::default()) },
        JobEvent::Interrupted { why: "the server stopped".into(), last_seen: None, output_tail: Vec::new() },
    ]
}

/// The job as it can be in this state.
fn jobs_in(state: &job::State) -> Vec<Job> {
    let fresh = Job::new(JobId(1), Arc::new(spec()), "ann".into(), NOW, None);
    let started = Job { started_at: Some(NOW), ..fresh.clone() };
    match state {
        job::State::Queued {}
        | job::State::Held {}
        | job::State::Starting {}
        | job::State::Cancelled {}
        | job::State::Expired {} => vec![fresh],
        job::State::Pausing { .. }
        | job::State::Asked { .. }
        | job::State::Terminating { .. }
        | job::State::Killing { .. } => vec![fresh, started],
        job::State::Running {}
        | job::State::Paused {}
        | job::State::Skipping {}
        | job::State::Succeeded {}
        | job::State::SucceededWithErrors {}
        | job::State::Failed {}
        | job::State::Aborted {}
        | job::State::Interrupted {} => vec![started],
    }
}

fn job_states() -> impl Iterator<Item = job::State> {
    let more = [job::AbortCause::TimedOut].into_iter().flat_map(|cause| {
        [job::State::Asked { cause }, job::State::Terminating { cause }, job::State::Killing { cause }]
    });
    job::State::iter().chain(more)
}

#[test]
fn every_event_of_a_job_has_an_outcome_in_every_state() {
    let events = job_events();
    let names: BTreeSet<_> = events.iter().map(<&'static str>::from).collect();
    assert_eq!(names.len(), 21, "a new event needs a sample here");
    let mut rows = Vec::new();
    for state in job_states() {
        for job in jobs_in(&state) {
            for event in &events {
                rows.push(drive!(JobMachine, job.clone(), state, event));
            }
        }
    }
    diagram::only_these_pass_without_a_trace(
        &rows,
        &[
            // What was skipped is only worth noting in the record.
            ("running", "skipped"),
            ("pausing", "skipped"),
            ("paused", "skipped"),
            // What was under way when the abort came may still be reported.
            ("asked", "paused"),
            ("asked", "paused_elsewhere"),
            ("asked", "resumed_elsewhere"),
            ("asked", "skipped"),
            ("asked", "timed_out"),
            ("terminating", "paused"),
            ("terminating", "paused_elsewhere"),
            ("terminating", "resumed_elsewhere"),
            ("terminating", "skipped"),
            ("terminating", "timed_out"),
            ("killing", "paused"),
            ("killing", "paused_elsewhere"),
            ("killing", "resumed_elsewhere"),
            ("killing", "skipped"),
            ("killing", "timed_out"),
        ],
    );
    for row in &rows {
        if job_states().any(|state| state.is_final() && variant(&state) == row.state) {
            assert!(
                matches!(row.outcome, Outcome::Refuses),
                "{} is final and heeds {}",
                row.state,
                row.event
            );
        }
    }
    diagram::check("job.mmd", "queued", &rows);
}

fn queue_events() -> Vec<QueueEvent> {
    let hold = Hold { by: "ann".into(), why: "lunch".into() };
    vec![
        QueueEvent::Inserted { jobs: vec![JobId(8)], at: 0 },
        QueueEvent::Withdrawn { jobs: vec![JobId(2)] },
        QueueEvent::Reordered { order: vec![JobId(3), JobId(2)] },
        QueueEvent::Amended,
        QueueEvent::Taken { job: JobId(2) },
        QueueEvent::ActiveEnded { then: None },
        QueueEvent::ActiveEnded { then: Some(hold.clone()) },
        QueueEvent::Settled,
        QueueEvent::HoldAsked(hold),
        QueueEvent::ReleaseAsked,
        QueueEvent::StopAsked { by: "ann".into() },
        QueueEvent::StopCancelled,
        QueueEvent::EngineLost { why: "no python".into() },
        QueueEvent::EngineBack,
    ]
}

#[test]
fn every_event_of_the_queue_has_an_outcome_in_every_state() {
    let events = queue_events();
    let names: BTreeSet<_> = events.iter().map(<&'static str>::from).collect();
    assert_eq!(names.len(), 13, "a new event needs a sample here");
    let idle = Queue { order: vec![JobId(2), JobId(3)], active: None, revision: 4 };
    let busy = Queue { active: Some(JobId(1)), ..idle.clone() };
    let held_behind = queue::State::Blocked { why: String::new(), hold: Some(Hold::default()) };
    let mut rows = Vec::new();
    for state in queue::State::iter().chain([held_behind]) {
        let storages = match &state {
            queue::State::Idle {} | queue::State::Between {} => vec![idle.clone()],
            queue::State::Busy {} | queue::State::Draining { .. } => vec![busy.clone()],
            queue::State::Held { .. } | queue::State::Blocked { .. } => vec![idle.clone(), busy.clone()],
        };
        for storage in storages {
            for event in &events {
                rows.push(drive!(QueueMachine, storage.clone(), state, event));
            }
        }
    }
    diagram::only_these_pass_without_a_trace(&rows, &[]);
    diagram::check("queue.mmd", "idle", &rows);
}

fn session_events() -> Vec<SessionEvent> {
    vec![
        SessionEvent::Opened { connect: true },
        SessionEvent::Opened { connect: false },
        SessionEvent::Connected,
        SessionEvent::MessageArrived,
        SessionEvent::LoginAccepted { user: "ann".into(), role: Role::Scientist },
        SessionEvent::LoginRefused,
        SessionEvent::LoggedOut,
        SessionEvent::DestinationGone,
        SessionEvent::LoginTimedOut,
        SessionEvent::IdleTimedOut,
        SessionEvent::CloseAsked { why: "the server stops".into() },
        SessionEvent::Closed,
    ]
}

#[test]
fn every_event_of_a_session_has_an_outcome_in_every_state() {
    let events = session_events();
    let names: BTreeSet<_> = events.iter().map(<&'static str>::from).collect();
    assert_eq!(names.len(), 11, "a new event needs a sample here");
    let fresh = Session::new(SessionId(7));
    let mut rows = Vec::new();
    for state in session::State::iter() {
        // The fifth refused login ends the session.
        for refused in [0, 4] {
            for event in &events {
                let session = Session { refused, ..fresh.clone() };
                rows.push(drive!(SessionMachine, session, state, event));
            }
        }
    }
    diagram::only_these_pass_without_a_trace(
        &rows,
        // That a message came matters only to the timer of an active session.
        &[("connecting", "message_arrived"), ("awaiting_login", "message_arrived")],
    );
    diagram::check("session.mmd", "announced", &rows);
}
