//! The shapes of what is served, member by member.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{collections::BTreeMap, fs, path::PathBuf};

use beamq_machines::{
    Basis, CommandCall, JobBody, JobId, JobSpec, Phase, Progress, PromptId, Report, Role, Timestamp,
    TracebackFrame,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    DurationText, Event, EventBody, EventKind, JobEvent, NoticeEvent, OutputEvent, ProgressEvent,
    PromptEvent, QueueEvent, Rfc3339, RpcError, Settled,
    view::{
        AuditEntry, AuditView, BatchSubmitted, BatchVerdict, CatalogueStatus, Elapsed, EngineStatus,
        Estimate, EstimateSource, Finding, GroupView, HistoryView, JobCreated, JobEdited, JobReply,
        JobStateName, JobView, LoggedIn, OutputLineView, OutputSize, OutputView, QueueOrder, QueueStateName,
        QueueStateReply, QueueStatus, QueueView, Removed, RunPausing, RunState, ServerInfo, Severity,
        StatusView, Submitted, Subscribed,
    },
};
use crate::engine::{EngineState, OutputLine, OutputStream};

const NOON: Rfc3339 = Rfc3339(Timestamp(1_772_366_400_000));

fn spec() -> JobSpec {
    JobSpec {
        name: "Cool and count".into(),
        body: JobBody::Script { source: "print('hello')\n".into(), black_box: false },
        tags: vec!["cold".into()],
        group: Some("series 7".into()),
        not_before: Some(NOON.0),
        deadline: Some(NOON.0),
        timeout_ms: Some(7_200_000),
    }
}

fn fresh_job() -> JobView {
    JobView::new(JobId(17), &spec(), JobStateName::Queued, "ibex", NOON)
}

fn finished_job() -> JobView {
    let report = Report {
        error_type: "ZeroDivisionError".into(),
        message: "division by zero".into(),
        line: Some(3),
        text: Some("1 / 0".into()),
        traceback: vec![TracebackFrame {
            file: "Cool and count".into(),
            line: 3,
            function: "<module>".into(),
            text: "1 / 0".into(),
            locals: Vec::new(),
        }],
        output_tail: vec!["hello".into()],
        phase: Phase::Run,
        exit_code: Some(1),
        elapsed_s: 1.5,
        hint: Some("look at line 3".into()),
        ..Report::default()
    };
    let job = JobView {
        position: Some(0),
        rerun_of: Some(JobId(16)),
        started_at: Some(NOON),
        finished_at: Some(NOON),
        estimate: Some(Estimate {
            low_s: 1.0,
            expected_s: 2.0,
            high_s: 3.0,
            source: EstimateSource::History,
            at_least: true,
        }),
        progress: Some(progress()),
        elapsed: Some(Elapsed { wall_s: 1.5, active_s: 1.0 }),
        report: Some(report),
        output: Some(OutputSize { lines: 1, bytes: 6, dropped: 0 }),
        state: JobStateName::Failed,
        ..fresh_job()
    };
    job.with_body(&spec().body)
}

fn progress() -> Progress {
    Progress {
        percent: Some(40.0),
        basis: Basis::Tags,
        line: Some(3),
        step: Some("Count".into()),
        command: Some("waitfor_uamps".into()),
        remaining: Some("12.3 of 30 µA·h".into()),
        text: None,
    }
}

fn line() -> OutputLineView {
    OutputLineView::from(&OutputLine {
        n: 1,
        time_ms: NOON.0.0,
        stream: OutputStream::Stdout,
        text: "hello".into(),
    })
}

fn engine() -> EngineStatus {
    EngineStatus { kind: "python".into(), state: EngineState::Ready, detail: None }
}

fn finding() -> Finding {
    Finding {
        severity: Severity::Error,
        code: "syntax".into(),
        file: None,
        line: Some(3),
        column: Some(5),
        command: None,
        parameter: None,
        message: "invalid syntax".into(),
        hint: Some("a colon is missing".into()),
    }
}

fn catalogue() -> CatalogueStatus {
    CatalogueStatus { version: "none".into(), commands: 0, problems: vec![finding()] }
}

fn results() -> Vec<(&'static str, Value)> {
    fn shown(result: impl Serialize) -> Value {
        serde_json::to_value(result).unwrap()
    }
    let key = Some("k".to_owned());
    let commands = JobBody::Commands(vec![CommandCall { command: "begin".into(), parameters: Map::new() }]);
    vec![
        (
            "session.login",
            shown(LoggedIn { session: "4".into(), user: "ibex".into(), role: Role::Scientist, key }),
        ),
        (
            "server.info",
            shown(ServerInfo {
                name: "beamq".into(),
                version: "0.1.0".into(),
                instrument: "DEMO".into(),
                engine: "python".into(),
                protocol: 1,
                time: NOON,
            }),
        ),
        (
            "server.status",
            shown(StatusView {
                queue: QueueStatus {
                    state: QueueStateName::Held,
                    why: Some("sample change".into()),
                    revision: 12,
                    length: 1,
                    expected_finish: Some(NOON),
                },
                active: None,
                engine: engine(),
                catalogue: catalogue(),
                clients: 2,
                transports: BTreeMap::from([("embedded".into(), "listening on 127.0.0.1:61613".into())]),
                uptime_s: 61.5,
            }),
        ),
        ("events.subscribe", shown(Subscribed { seq: 1042 })),
        (
            "job.submit",
            shown(Submitted {
                id: JobId(17),
                ids: vec![JobId(17)],
                position: 0,
                revision: 12,
                findings: vec![finding()],
            }),
        ),
        (
            "job.submit_batch",
            shown(BatchSubmitted {
                verdicts: vec![
                    BatchVerdict::queued(&[JobId(17)]),
                    BatchVerdict::queued(&[JobId(18), JobId(19)]),
                ],
                revision: 12,
            }),
        ),
        (
            "job.submit_batch (refused)",
            shown(RpcError::invalid_batch(
                1,
                2,
                [
                    BatchVerdict::acceptable(),
                    BatchVerdict::refused(RpcError::invalid_job("name: is empty").with_field("name")),
                ],
            )),
        ),
        ("job.get", shown(JobReply { job: finished_job() })),
        ("job.get (commands)", shown(JobReply { job: fresh_job().with_body(&commands) })),
        ("job.edit", shown(JobEdited { job: fresh_job(), jobs: Vec::new(), revision: 12 })),
        ("job.remove", shown(Removed { removed: vec![JobId(17)], revision: 12 })),
        ("job.rerun", shown(JobCreated { id: JobId(18), revision: 12 })),
        (
            "queue.get",
            shown(QueueView {
                revision: 12,
                state: QueueStateName::Idle,
                why: None,
                active: None,
                waiting: vec![fresh_job()],
                length: 1,
                groups: BTreeMap::from([(
                    "night".to_owned(),
                    GroupView {
                        submitted: 12,
                        ended: 3,
                        failed: 1,
                        waiting: 8,
                        active: Some(JobId(16)),
                        expected_finish: Some(NOON),
                    },
                )]),
            }),
        ),
        ("queue.move", shown(QueueOrder { revision: 12, order: vec![JobId(18), JobId(17)] })),
        ("queue.hold", shown(QueueStateReply { state: QueueStateName::Held })),
        ("run.pause", shown(RunPausing { state: JobStateName::Pausing, acts: "at the next line".into() })),
        ("run.resume", shown(RunState { state: JobStateName::Running })),
        ("output.get", shown(OutputView { lines: vec![line()], next: 2, dropped: 0 })),
        ("history.list", shown(HistoryView { jobs: Vec::new(), more: false })),
        (
            "audit.list",
            shown(AuditView {
                entries: vec![AuditEntry {
                    time: NOON,
                    user: "ibex".into(),
                    role: Some(Role::User),
                    client: "IBEX GUI 14.1, 127.0.0.1:50122".into(),
                    transport: "embedded".into(),
                    method: "queue.move".into(),
                    outcome: "ok".into(),
                    before: Some(json!(["17", "18"])),
                    after: Some(json!(["18", "17"])),
                }],
            }),
        ),
    ]
}

fn events() -> Vec<Event> {
    let bodies = vec![
        EventBody::Job(Box::new(JobEvent { job: fresh_job() })),
        EventBody::Queue(QueueEvent {
            revision: 12,
            state: QueueStateName::Busy,
            why: None,
            order: [JobId(17)].into(),
        }),
        EventBody::Output(OutputEvent { job: JobId(17), lines: vec![line()], dropped: None }),
        EventBody::Progress(Box::new(ProgressEvent {
            id: JobId(17),
            state: JobStateName::Running,
            progress: progress(),
            elapsed: Elapsed { wall_s: 1.5, active_s: 1.0 },
            estimate: None,
        })),
        EventBody::Prompt(PromptEvent {
            prompt: PromptId(3),
            job: JobId(17),
            text: "Is the shutter open?".into(),
            choices: Some(vec![json!("yes"), json!("no")]),
            default: Some(json!("no")),
            until: Some(NOON),
            settled: Some(Settled::Answered),
        }),
        EventBody::Catalogue(catalogue()),
        EventBody::Engine(engine()),
        EventBody::Notice(NoticeEvent {
            notice: "paused_long".into(),
            text: "job 17 has been paused for 10 min".into(),
            job: Some(JobId(17)),
            minutes: Some(10),
        }),
    ];
    bodies.into_iter().zip(1043..).map(|(body, seq)| Event::new(seq, NOON.0, body)).collect()
}

/// Times are written in the zone of the machine; the published examples have them in UTC.
fn in_utc(value: Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Value::String(time.to_string()),
            Err(_) => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(in_utc).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, in_utc(value))).collect(),
        other => other,
    }
}

#[test]
fn what_is_served_has_these_shapes() {
    let results = results().into_iter().map(|(method, result)| format!("{method}\n  {}\n", in_utc(result)));
    let events = events().into_iter().map(|event| {
        let message: Value = serde_json::from_str(&event.encode()).unwrap();
        format!("{}\n  {}\n", event.kind().method(), in_utc(message))
    });
    let made: String = results.chain(events).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/protocol/served.txt");
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    for (made, golden) in made.lines().zip(golden.lines()) {
        assert_eq!(made, golden, "run the tests with BEAMQ_BLESS=1 if this is meant");
    }
    assert_eq!(made.lines().count(), golden.lines().count());
}

#[test]
fn every_event_reads_back() {
    let events = events();
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, EventKind::ALL);
    for event in events {
        let message: Value = serde_json::from_str(&event.encode()).unwrap();
        assert_eq!(message["jsonrpc"], "2.0");
        assert!(message.get("id").is_none());
        let again = Event::decode(message["method"].as_str().unwrap(), message["params"].clone()).unwrap();
        assert_eq!(again, event);
    }
    assert!(Event::decode("event.nothing", json!({})).is_err());
    assert!(Event::decode("event.job", json!({"seq": 1})).is_err());
}

#[test]
fn a_job_reads_back() {
    for job in [fresh_job(), finished_job()] {
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<JobView>(&text).unwrap(), job);
    }
}

#[test]
fn the_names_of_states_and_kinds_are_those_of_the_messages() {
    for state in JobStateName::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    for state in QueueStateName::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    for kind in EventKind::ALL {
        let name = serde_json::to_value(kind).unwrap();
        assert_eq!(kind.method(), format!("event.{}", name.as_str().unwrap()));
        assert_eq!(EventKind::of_method(kind.method()), Some(kind));
    }
    for kind in super::ErrorKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn every_kind_of_error_has_a_constructor_that_reads_well() {
    let errors = [
        RpcError::parse_error("expected value", 1, 2),
        RpcError::invalid_request("\"method\" is missing"),
        RpcError::method_not_found("job.sumbit", super::Method::NAMES),
        RpcError::invalid_params("missing member id"),
        RpcError::internal_error("the disk is full"),
        RpcError::not_logged_in(),
        RpcError::forbidden_role("queue.clear", Role::User, Role::Scientist),
        RpcError::forbidden_owner(JobId(17), "ibex"),
        RpcError::wrong_credentials(),
        RpcError::wrong_key(),
        RpcError::wrong_state("job 17 is not paused", "running", &["run.pause", "run.abort"]),
        RpcError::not_found("job", "99"),
        RpcError::stale_revision(12, 14, [JobId(18), JobId(17)]),
        RpcError::not_pausable(JobId(17)),
        RpcError::needs_nicos("nicos.call"),
        RpcError::invalid_job("name: is empty"),
        RpcError::bad_place("job 16 is active"),
        RpcError::nicos_refused("permission denied"),
        RpcError::too_large("the batch", 101, 100, "calls"),
        RpcError::unavailable("the engine is starting"),
    ];
    for kind in super::ErrorKind::ALL {
        assert!(errors.iter().any(|error| error.kind() == kind), "{kind:?} has no constructor");
    }
    for error in &errors {
        assert_eq!(error.code, error.kind().code());
        let first = error.message.chars().next().unwrap();
        assert!(!first.is_uppercase() && !error.message.ends_with('.'), "{error}");
        let text = serde_json::to_string(error).unwrap();
        assert_eq!(&serde_json::from_str::<RpcError>(&text).unwrap(), error);
    }
    let stale = serde_json::to_value(&errors[12]).unwrap();
    assert_eq!(stale["data"]["revision"], 14);
    assert_eq!(stale["data"]["order"], json!(["18", "17"]));
    assert_eq!(errors[10].data.more["state"], "running");
}

#[test]
fn times_carry_an_offset() {
    let text = NOON.to_string();
    let (_, clock) = text.split_once('T').unwrap();
    assert!(clock.contains(['+', '-', 'Z']), "{text}");
    assert_eq!(DurationText(std::time::Duration::from_secs(5400)).to_string(), "1h 30m");
}
