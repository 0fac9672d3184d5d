//! What a submission may hold, and what an edit makes of a job.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use beamq_machines::{JobBody, JobKind, Timestamp};
use serde_json::{Value, json};

use super::{
    DurationText, ErrorKind, Method, NewJob, Request, RpcError, Submission, submission::SCRIPT_BYTES,
};

fn submit(job: Value) -> Result<NewJob, RpcError> {
    match Method::Submit.decode(json!({"job": job}))? {
        Request::Submit(submit) => submit.job.into_new_job(),
        other => panic!("{other:?}"),
    }
}

fn edited(changes: Value, job: &NewJob) -> Result<NewJob, RpcError> {
    let mut params = changes;
    params["id"] = json!("1");
    match Method::EditJob.decode(params)? {
        Request::EditJob(edit) => {
            edit.changes().apply(&job.spec).map(|spec| NewJob { spec, held: job.held, repeat: job.repeat })
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_submission_becomes_a_job() {
    let job = submit(json!({
        "name": "n", "script": "print(1)", "black_box": true, "tags": ["a"], "group": "g", "held": true,
        "repeat": 3, "not_before": "1970-01-01T00:00:01Z", "deadline": "1970-01-01T01:00:02+01:00",
        "timeout": "1h 30m"
    }))
    .unwrap();
    assert!(job.held);
    assert_eq!(job.repeat, 3);
    assert_eq!(job.spec.kind(), JobKind::BlackBox);
    assert_eq!(job.spec.not_before, Some(Timestamp(1000)));
    assert_eq!(job.spec.deadline, Some(Timestamp(2000)));
    assert_eq!(job.spec.timeout_ms, Some(5_400_000));
    let again = Submission::from(&job.spec);
    assert_eq!(again.timeout, Some(DurationText(Duration::from_secs(5400))));
    assert_eq!(again.into_new_job().unwrap().spec, job.spec);
}

#[test]
fn a_job_needs_a_script_or_commands_and_not_both() {
    for job in [json!({"name": "n"}), json!({"name": "n", "script": "1", "commands": []})] {
        let error = submit(job).unwrap_err();
        assert_eq!((error.kind(), error.data.field.as_deref()), (ErrorKind::InvalidParams, Some("script")));
    }
}

#[test]
fn each_content_that_cannot_be_accepted_names_its_member() {
    let long = "x".repeat(201);
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!(" \t")),
        ("name", json!(long)),
        ("name", json!("two\nlines")),
        ("script", json!("")),
        ("script", json!("\n\n")),
        ("script", json!("a\u{0}b")),
        ("script", json!("#".repeat(SCRIPT_BYTES + 1))),
        ("group", json!("")),
        ("tags", json!(many)),
        ("tags[1]", json!(["good", ""])),
        ("repeat", json!(0)),
        ("repeat", json!(10_001)),
        ("timeout", json!("0s")),
        ("timeout", json!("366d")),
        ("deadline", json!("1970-01-01T00:00:00Z")),
    ] {
        let mut job = json!({"name": "n", "script": "1", "not_before": "2026-01-01T00:00:00Z"});
        let member = field.split('[').next().unwrap();
        job[member] = value;
        let error = match Method::Submit.decode(json!({"job": job})) {
            Ok(Request::Submit(submit)) => submit.job.into_new_job().unwrap_err().inside("job"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => error,
        };
        let field = format!("job.{field}");
        assert_eq!(
            (error.kind(), error.data.field.as_deref()),
            (ErrorKind::InvalidJob, Some(field.as_str()))
        );
        assert!(error.data.allowed.is_some(), "{error:?}");
        assert!(serde_json::to_string(&error).unwrap().len() < 1000);
    }
}

#[test]
fn commands_are_checked_as_far_as_possible_without_a_catalogue() {
    let error = submit(json!({"name": "n", "commands": []})).unwrap_err();
    assert_eq!(error.data.field.as_deref(), Some("commands"));
    let error = submit(json!({"name": "n", "commands": [{"command": "a"}, {"command": ""}]})).unwrap_err();
    assert_eq!(error.data.field.as_deref(), Some("commands[1].command"));
    let error = submit(json!({"name": "n", "commands": [{"command": "a"}], "black_box": true})).unwrap_err();
    assert_eq!(error.data.field.as_deref(), Some("black_box"));
}

#[test]
fn several_mistakes_are_told_at_once() {
    let error = submit(json!({"name": "", "script": "", "timeout": "0s"})).unwrap_err();
    let fields: Vec<_> =
        error.data.more["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["name", "timeout", "script"]);
    let inside = error.inside("job");
    assert_eq!(inside.data.field.as_deref(), Some("job.name"));
    assert_eq!(inside.data.more["errors"][2]["field"], "job.script");
}

#[test]
fn an_edit_changes_what_it_names_and_clears_what_it_nulls() {
    let job = submit(json!({
        "name": "n", "script": "1", "group": "g", "tags": ["a"], "timeout": "1h",
        "deadline": "2026-01-01T00:00:00Z"
    }))
    .unwrap();
    assert_eq!(edited(json!({}), &job).unwrap(), job);
    let changed =
        edited(json!({"name": "m", "group": null, "timeout": null, "tags": []}), &job).unwrap().spec;
    assert_eq!((changed.name.as_str(), changed.group, changed.timeout_ms), ("m", None, None));
    assert_eq!(changed.tags, Vec::<String>::new());
    assert_eq!(changed.deadline, job.spec.deadline);
}

#[test]
fn an_edit_can_turn_a_script_into_commands_and_back() {
    let script = submit(json!({"name": "n", "script": "1", "black_box": true})).unwrap();
    let commands = edited(json!({"commands": [{"command": "begin"}]}), &script).unwrap();
    assert_eq!(commands.spec.kind(), JobKind::Commands);
    let back = edited(json!({"script": "2"}), &commands).unwrap();
    assert!(matches!(&back.spec.body, JobBody::Script { source, black_box: false } if &**source == "2"));
    let both = edited(json!({"script": "2", "commands": []}), &script).unwrap_err();
    assert_eq!(both.kind(), ErrorKind::InvalidParams);
}

#[test]
fn an_edit_is_checked_like_a_submission() {
    let job = submit(json!({"name": "n", "script": "1"})).unwrap();
    for (changes, field) in [(json!({"name": ""}), "name"), (json!({"repeat": 2}), "repeat")] {
        let error = edited(changes, &job).unwrap_err();
        assert_eq!((error.kind(), error.data.field.as_deref()), (ErrorKind::InvalidJob, Some(field)));
    }
    assert_eq!(edited(json!({"repeat": 1}), &job).unwrap(), job);
}

#[test]
fn a_bad_job_of_a_batch_does_not_hide_the_others() {
    let jobs = json!([{"name": "a", "script": "1"}, {"nam": "b"}, 3, {"name": "d", "script": ""}]);
    let Request::SubmitBatch(batch) = Method::SubmitBatch.decode(json!({"jobs": jobs})).unwrap() else {
        panic!("not a batch")
    };
    let verdicts: Vec<_> =
        batch.jobs.into_iter().map(|job| job.0.and_then(Submission::into_new_job)).collect();
    assert!(verdicts[0].is_ok());
    let errors: Vec<_> = verdicts[1..].iter().map(|verdict| verdict.as_ref().unwrap_err()).collect();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::InvalidParams, ErrorKind::InvalidParams, ErrorKind::InvalidJob]);
    assert_eq!(errors[0].data.hint.as_deref(), Some("did you mean name?"));
}
