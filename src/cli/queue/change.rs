//! Every change of the waiting jobs.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::{
    connect::Session, exit::Failure, follow, job_fields::JobFields, model::Queue, place::PlaceArgs, source,
};

/// Jobs by their ids, or all of a group.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The jobs
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All jobs of this group instead
    #[arg(long)]
    group: Option<String>,
}

/// Jobs by their ids, or all of a group, or nothing of these.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(super) struct WhichIfAny {
    /// Only these jobs
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only the jobs of this group
    #[arg(long)]
    group: Option<String>,
}

/// The revision that an edit was made for.
#[derive(Args, Debug)]
pub(super) struct Revision {
    /// Refuse when the queue is no longer at this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct MoveArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    revision: Revision,
}

#[derive(Args, Debug)]
pub(super) struct ReorderArgs {
    /// Every waiting job once, the next one first
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    revision: Revision,
}

#[derive(Args, Debug)]
pub(super) struct HoldArgs {
    #[command(flatten)]
    which: WhichIfAny,
    /// The reason for holding the queue, for everybody to see
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["ids", "group"])]
    why: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    which: WhichIfAny,
}

#[derive(Args, Debug)]
pub(super) struct StopArgs {
    /// Do not stop after all
    #[arg(long)]
    cancel: bool,
}

#[derive(Args, Debug)]
pub(super) struct ClearArgs {
    #[command(flatten)]
    revision: Revision,
}

#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    which: Which,
    /// Pass over jobs that do not wait instead of refusing them all
    #[arg(long)]
    lenient: bool,
    #[command(flatten)]
    revision: Revision,
}

#[derive(Args, Debug)]
pub(super) struct EditArgs {
    /// The job
    id: String,
    /// The new script; - is standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[command(flatten)]
    fields: JobFields,
    #[command(flatten)]
    revision: Revision,
}

#[derive(Args, Debug)]
pub(super) struct DuplicateArgs {
    /// The job, waiting or ended
    id: String,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn move_jobs(session: &Session, args: MoveArgs) -> Result<(), Failure> {
    let mut params = members([("place", args.place.place()), revision(&args.revision)]);
    params.extend(many(args.which.ids, args.which.group));
    let answer = session.call("queue.move", params).await?;
    finish(session, &answer, |answer| format!("order: {}", list(answer, "order")))
}

pub(super) async fn reorder(session: &Session, args: ReorderArgs) -> Result<(), Failure> {
    // An order of all jobs is made for one revision of the queue; not naming it means the present one.
    let revision = match args.revision.revision {
        Some(revision) => revision,
        None => session.call::<Queue>("queue.get", json!({"limit": 0})).await?.revision,
    };
    let params = json!({"ids": args.ids, "revision": revision});
    let answer = session.call("queue.reorder", params).await?;
    finish(session, &answer, |answer| format!("order: {}", list(answer, "order")))
}

pub(super) async fn hold(session: &Session, args: HoldArgs) -> Result<(), Failure> {
    if let Some(which) = some(args.which) {
        let answer = session.call("job.hold", which).await?;
        return finish(session, &answer, |_| "held".to_owned());
    }
    let params = members([("why", args.why.map(Value::from))]);
    let answer = session.call("queue.hold", params).await?;
    finish(session, &answer, queue_state)
}

pub(super) async fn release(session: &Session, args: ReleaseArgs) -> Result<(), Failure> {
    if let Some(which) = some(args.which) {
        let answer = session.call("job.unhold", which).await?;
        return finish(session, &answer, |_| "released".to_owned());
    }
    let answer = session.call("queue.release", json!({})).await?;
    finish(session, &answer, queue_state)
}

pub(super) async fn stop(session: &Session, args: StopArgs) -> Result<(), Failure> {
    let method = if args.cancel { "queue.cancel_stop" } else { "queue.stop_after_current" };
    let answer = session.call(method, json!({})).await?;
    finish(session, &answer, queue_state)
}

pub(super) async fn clear(session: &Session, args: ClearArgs) -> Result<(), Failure> {
    let answer = session.call("queue.clear", members([revision(&args.revision)])).await?;
    finish(session, &answer, removed)
}

pub(super) async fn remove(session: &Session, args: RemoveArgs) -> Result<(), Failure> {
    let lenient = args.lenient.then(|| Value::from(true));
    let mut params = members([("lenient", lenient), revision(&args.revision)]);
    params.extend(many(args.which.ids, args.which.group));
    let answer = session.call("job.remove", params).await?;
    finish(session, &answer, removed)
}

impl EditArgs {
    /// Looks at what needs no server.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.script {
            Some(path) if path.as_os_str() != "-" => source::read(path).map(|_| ()),
            _ => Ok(()),
        }
    }
}

pub(super) async fn edit(session: &Session, args: EditArgs) -> Result<(), Failure> {
    let script = match &args.script {
        Some(path) => Some(source::read(path)?.text),
        None if args.fields.is_empty() => {
            let job = follow::job(session, &args.id).await?;
            let edited = source::edit(&job.script.unwrap_or_default(), &job.name)?;
            if edited.is_none() {
                session.terminal.remark("nothing was changed");
                return Ok(());
            }
            edited
        }
        None => None,
    };
    let mut params = members([
        ("id", Some(args.id.as_str().into())),
        ("script", script.map(Value::from)),
        revision(&args.revision),
    ]);
    params.extend(args.fields.members());
    let answer = session.call("job.edit", params).await?;
    finish(session, &answer, |_| format!("job {} changed", args.id))
}

pub(super) async fn duplicate(session: &Session, args: DuplicateArgs) -> Result<(), Failure> {
    let params = members([("id", Some(args.id.into())), ("place", args.place.place())]);
    let answer = session.call("job.duplicate", params).await?;
    finish(session, &answer, |answer| format!("job {} queued", text(answer, "id")))
}

fn finish(session: &Session, answer: &Value, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    if session.terminal.json {
        session.terminal.document(answer)
    } else {
        session.terminal.line(words(answer))
    }
}

fn members<const N: usize>(given: [(&str, Option<Value>); N]) -> Map<String, Value> {
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn revision(revision: &Revision) -> (&'static str, Option<Value>) {
    ("revision", revision.revision.map(Value::from))
}

fn many(ids: Vec<String>, group: Option<String>) -> Map<String, Value> {
    match group {
        Some(group) => members([("group", Some(group.into()))]),
        None => members([("ids", Some(ids.into()))]),
    }
}

/// The jobs that a hold or a release is about, or `None` when it is about the queue.
fn some(which: WhichIfAny) -> Option<Map<String, Value>> {
    let WhichIfAny { ids, group } = which;
    match (ids.as_slice(), &group) {
        ([], None) => None,
        ([id], None) => Some(members([("id", Some(id.as_str().into()))])),
        _ => Some(many(ids, group)),
    }
}

fn queue_state(answer: &Value) -> String {
    format!("queue {}", text(answer, "state"))
}

fn removed(answer: &Value) -> String {
    match list(answer, "removed") {
        ids if ids.is_empty() => "nothing was removed".to_owned(),
        ids => format!("removed: {ids}"),
    }
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list(answer: &Value, member: &str) -> String {
    let ids = answer.get(member).and_then(Value::as_array).into_iter().flatten();
    ids.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(ids: &[&str], group: Option<&str>) -> WhichIfAny {
        WhichIfAny { ids: ids.iter().map(|id| (*id).to_owned()).collect(), group: group.map(str::to_owned) }
    }

    #[test]
    fn a_hold_without_jobs_is_about_the_queue() {
        let json = |which| some(which).map(Value::Object);
        assert_eq!(json(which(&[], None)), None);
        assert_eq!(json(which(&["3"], None)), Some(json!({"id": "3"})));
        assert_eq!(json(which(&["3", "4"], None)), Some(json!({"ids": ["3", "4"]})));
        assert_eq!(json(which(&[], Some("night"))), Some(json!({"group": "night"})));
    }

    #[test]
    fn answers_are_told_in_one_line() {
        assert_eq!(queue_state(&json!({"state": "held"})), "queue held");
        assert_eq!(removed(&json!({"removed": ["3", "4"], "revision": 2})), "removed: 3 4");
        assert_eq!(removed(&json!({"removed": [], "revision": 2})), "nothing was removed");
    }
}
