//! `beamq submit`: scripts into the queue.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    connect::{Globals, Session},
    exit::{Exit, Failure},
    follow::{self, Follower},
    job_fields::JobFields,
    live::{Live, Scope, ShowOutput},
    model::{Event, Finding, Job, Queue, Status},
    place::PlaceArgs,
    render,
    source::{self, Source},
};

#[derive(Args, Debug)]
pub(super) struct SubmitArgs {
    /// Python scripts; - is standard input. Several are queued all together or not at all
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    fields: JobFields,
    /// Queue this many copies in a row
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Refuse when the queue is no longer at this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Wait until every job has ended: exit code 0 when all succeeded, else 1
    #[arg(long)]
    wait: bool,
}

/// What was queued.
#[derive(Debug, Default, PartialEq)]
struct Queued {
    jobs: Vec<(String, u64)>,
    revision: u64,
    findings: Vec<Value>,
}

pub(super) async fn run(args: SubmitArgs, globals: Globals) -> Result<(), Failure> {
    // Files are read before connecting: a wrong file name needs no server to be told.
    let sources = read_all(&args.files)?;
    let session = globals.connect().await?;
    let outcome = submit(&session, &args, sources).await;
    session.client.close().await;
    outcome
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err(Failure::new(Exit::Usage, "standard input (-) can be only one of the scripts"));
    }
    files.iter().map(|file| source::read(file)).collect()
}

async fn submit(session: &Session, args: &SubmitArgs, sources: Vec<Source>) -> Result<(), Failure> {
    let jobs: Vec<Value> = sources.into_iter().map(|source| submission(args, source)).collect();
    let queued = into_queue(session, jobs, &args.place, args.revision, args.wait).await;
    queued.map_err(|failure| name_the_bad(failure, args))
}

/// Queues jobs, says which numbers they got, and waits for their end if wished.
pub(super) async fn into_queue(
    session: &Session,
    jobs: Vec<Value>,
    place: &PlaceArgs,
    revision: Option<u64>,
    wait: bool,
) -> Result<(), Failure> {
    // Subscribed before anything is queued, so that no end of a short job is missed.
    let follower = if wait { Some(Follower::start(session).await?) } else { None };
    let queued = queue(session, place, revision, jobs).await?;
    let terminal = session.terminal;
    if !terminal.json {
        for finding in &queued.findings {
            terminal.remark(render::finding(&Finding::deserialize(finding)?));
        }
    }
    let Some(follower) = follower else {
        return if terminal.json { terminal.document(&document(&queued)) } else { print(session, &queued) };
    };
    let ids: Vec<String> = queued.jobs.iter().map(|(id, _)| id.clone()).collect();
    if !terminal.json {
        print(session, &queued)?;
    }
    let ended = until_ended(session, follower, &ids).await?;
    if terminal.json {
        terminal.document(&with_outcomes(document(&queued), &ended))?;
    }
    all_succeeded(&ended)
}

fn submission(args: &SubmitArgs, source: Source) -> Value {
    let mut members = Map::from_iter([("name".to_owned(), source.name.into())]);
    members.extend(args.fields.members());
    members.insert("script".to_owned(), source.text.into());
    if let Some(repeat) = args.repeat {
        members.insert("repeat".to_owned(), repeat.into());
    }
    Value::Object(members)
}

async fn queue(
    session: &Session,
    place: &PlaceArgs,
    revision: Option<u64>,
    mut jobs: Vec<Value>,
) -> Result<Queued, Failure> {
    let mut params = Map::new();
    if let Some(place) = place.place() {
        params.insert("place".to_owned(), place);
    }
    if let Some(revision) = revision {
        params.insert("revision".to_owned(), revision.into());
    }
    if jobs.len() == 1
        && let Some(job) = jobs.pop()
    {
        params.insert("job".to_owned(), job);
        return Ok(queued_one(session.call("job.submit", params).await?));
    }
    params.insert("jobs".to_owned(), jobs.into());
    let batch: Batch = session.call("job.submit_batch", params).await?;
    // The answer to a batch names no positions, so the queue is asked for them.
    let present: Queue = session.call("queue.get", json!({})).await?;
    Ok(queued_batch(batch, &present))
}

#[derive(Deserialize)]
struct One {
    id: String,
    #[serde(default)]
    ids: Vec<String>,
    position: u64,
    revision: u64,
    #[serde(default)]
    findings: Vec<Value>,
}

fn queued_one(one: One) -> Queued {
    let ids = if one.ids.is_empty() { vec![one.id] } else { one.ids };
    Queued {
        jobs: ids.into_iter().zip(one.position..).collect(),
        revision: one.revision,
        findings: one.findings,
    }
}

#[derive(Deserialize)]
struct Batch {
    verdicts: Vec<Verdict>,
    revision: u64,
}

#[derive(Deserialize)]
struct Verdict {
    id: Option<String>,
    #[serde(default)]
    ids: Vec<String>,
}

/// A job that is no longer waiting was next when it was taken: its position is 0.
fn queued_batch(batch: Batch, present: &Queue) -> Queued {
    let waiting: HashMap<&str, u64> = present.waiting.iter().map(|job| job.id.as_str()).zip(0..).collect();
    let ids = batch.verdicts.into_iter().flat_map(|verdict| {
        if verdict.ids.is_empty() { verdict.id.into_iter().collect() } else { verdict.ids }
    });
    let jobs = ids.map(|id| {
        let position = waiting.get(id.as_str()).copied().unwrap_or(0);
        (id, position)
    });
    Queued { jobs: jobs.collect(), revision: batch.revision, findings: Vec::new() }
}

/// Says which of the files are at fault when a batch was refused.
fn name_the_bad(mut failure: Failure, args: &SubmitArgs) -> Failure {
    let verdicts = failure.rpc.as_ref().and_then(|rpc| rpc.data.get("verdicts")).and_then(Value::as_array);
    for (verdict, file) in verdicts.into_iter().flatten().zip(&args.files) {
        let message = verdict.get("error").and_then(|error| error.get("message")).and_then(Value::as_str);
        if let Some(message) = message {
            failure.message.push_str(&format!("\n  {}: {message}", file.display()));
        }
    }
    failure
}

fn document(queued: &Queued) -> Value {
    let jobs: Vec<_> =
        queued.jobs.iter().map(|(id, position)| json!({"id": id, "position": position})).collect();
    let mut document = json!({"jobs": jobs, "revision": queued.revision});
    if !queued.findings.is_empty()
        && let Value::Object(members) = &mut document
    {
        members.insert("findings".to_owned(), queued.findings.clone().into());
    }
    document
}

fn print(session: &Session, queued: &Queued) -> Result<(), Failure> {
    queued.jobs.iter().try_for_each(|(id, position)| {
        let place = match position {
            0 => "next".to_owned(),
            n => format!("position {n}"),
        };
        session.terminal.line(format!("job {id} queued ({place})"))
    })
}

/// Waits until all these jobs have ended and gives them, whole, in the order asked for. On the way, a person
/// is told what happens, and why nothing does.
pub(super) async fn until_ended(
    session: &Session,
    mut follower: Follower,
    ids: &[String],
) -> Result<Vec<(Job, Value)>, Failure> {
    let mut waiting: HashSet<String> = ids.iter().cloned().collect();
    let mut live = Live::new(session.terminal, Scope::Jobs(waiting.clone()), ShowOutput::Nothing);
    if !session.terminal.json {
        explain_waiting(session).await?;
    }
    while !waiting.is_empty() {
        let notification = follower.next().await?;
        let event = Event::of(&notification);
        if !session.terminal.json {
            live.show(&notification, &event)?;
        }
        if let Event::Job(job) = &event
            && job.state.is_final()
        {
            waiting.remove(&job.id);
        }
    }
    let mut ended = Vec::with_capacity(ids.len());
    for id in ids {
        let whole = follow::job_value(session, id).await?;
        ended.push((serde_json::from_value(whole.clone())?, whole));
    }
    Ok(ended)
}

async fn explain_waiting(session: &Session) -> Result<(), Failure> {
    let status: Status = session.call("server.status", json!({})).await?;
    let (terminal, queue) = (session.terminal, &status.queue);
    let state = render::queue_state(&queue.state, queue.why.as_deref(), &terminal);
    match queue.state.as_str() {
        "held" => terminal.remark(format!("queue {state}; nothing starts until `beamq queue release`")),
        "blocked" => terminal.remark(format!("queue {state}")),
        _ => {}
    }
    Ok(())
}

/// Adds to the document of a submission how its jobs ended.
pub(super) fn with_outcomes(mut document: Value, ended: &[(Job, Value)]) -> Value {
    let jobs = document.get_mut("jobs").and_then(Value::as_array_mut);
    for (job, (_, whole)) in jobs.into_iter().flatten().zip(ended) {
        if let Value::Object(members) = job {
            for member in ["state", "elapsed", "report"] {
                if let Some(value) = whole.get(member) {
                    members.insert(member.to_owned(), value.clone());
                }
            }
        }
    }
    document
}

/// The outcome of all these jobs as an exit code.
pub(super) fn all_succeeded(ended: &[(Job, Value)]) -> Result<(), Failure> {
    if ended.iter().all(|(job, _)| job.state.succeeded()) {
        Ok(())
    } else {
        Err(Failure::silent(Exit::Failed))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn copies_stand_behind_each_other() {
        let one = serde_json::from_value(
            json!({"id": "4", "ids": ["4", "5", "6"], "position": 2, "revision": 9, "findings": []}),
        );
        let queued = queued_one(one.unwrap());
        assert_eq!(
            document(&queued),
            json!({"jobs": [{"id": "4", "position": 2}, {"id": "5", "position": 3}, {"id": "6", "position": 4}], "revision": 9})
        );
    }

    #[test]
    fn the_jobs_of_a_batch_get_their_positions_from_the_queue() {
        let batch = json!({"verdicts": [{"ok": true, "id": "7"}, {"ok": true, "id": "8", "ids": ["8", "9"]}], "revision": 3});
        let present = json!({"revision": 3, "state": "busy", "active": {"id": "7"}, "waiting": [{"id": "1"}, {"id": "8"}, {"id": "9"}]});
        let queued =
            queued_batch(serde_json::from_value(batch).unwrap(), &serde_json::from_value(present).unwrap());
        assert_eq!(queued.jobs, [("7".into(), 0), ("8".into(), 1), ("9".into(), 2)]);
    }

    #[test]
    fn the_document_tells_how_jobs_ended_when_they_were_waited_for() {
        let queued = Queued { jobs: vec![("7".into(), 0)], revision: 3, findings: vec![] };
        let whole = json!({"id": "7", "state": "failed", "report": {"type": "NameError"}});
        let job: Job = serde_json::from_value(whole.clone()).unwrap();
        let ended = [(job, whole)];
        let document = with_outcomes(document(&queued), &ended);
        assert_eq!(
            document["jobs"][0],
            json!({"id": "7", "position": 0, "state": "failed", "report": {"type": "NameError"}})
        );
        assert_eq!(all_succeeded(&ended).unwrap_err().exit, Exit::Failed);
    }
}
