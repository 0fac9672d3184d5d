//! `beamq rerun`: a finished job once more.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{
    connect::{Globals, Session},
    exit::Failure,
    follow::{self, Follower},
    job_fields::JobFields,
    place::PlaceArgs,
    source, submit,
};

#[derive(Args, Debug)]
pub(super) struct RerunArgs {
    /// The job to run again, from its beginning
    id: String,
    /// Run this script instead; without a file, open the old one in $EDITOR
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    edit: Option<Option<PathBuf>>,
    #[command(flatten)]
    fields: JobFields,
    #[command(flatten)]
    place: PlaceArgs,
    /// Wait until the job has ended: exit code 0 when it succeeded, else 1
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: RerunArgs, globals: Globals) -> Result<(), Failure> {
    let from_file = match &args.edit {
        Some(Some(path)) => Some(source::read(path)?.text),
        _ => None,
    };
    let session = globals.connect().await?;
    let outcome = rerun(&session, &args, from_file).await;
    session.client.close().await;
    outcome
}

async fn rerun(session: &Session, args: &RerunArgs, from_file: Option<String>) -> Result<(), Failure> {
    let mut params = args.fields.members();
    params.insert("id".to_owned(), args.id.as_str().into());
    if let Some(place) = args.place.place() {
        params.insert("place".to_owned(), place);
    }
    let script = match (&args.edit, from_file) {
        (Some(None), _) => edited(session, &args.id).await?,
        (_, from_file) => from_file,
    };
    if let Some(script) = script {
        params.insert("script".to_owned(), script.into());
    }
    let follower = if args.wait { Some(Follower::start(session).await?) } else { None };
    let terminal = session.terminal;
    let created: Value = session.call("job.rerun", params).await?;
    let id = created.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !terminal.json {
        terminal.line(format!("job {id} queued, running job {} again", args.id))?;
    }
    let Some(follower) = follower else {
        return if terminal.json { terminal.document(&created) } else { Ok(()) };
    };
    let ended = submit::until_ended(session, follower, &[id]).await?;
    if terminal.json {
        let jobs = json!({"jobs": [created]});
        let document = submit::with_outcomes(jobs, &ended);
        terminal.document(document.pointer("/jobs/0").unwrap_or(&Value::Null))?;
    }
    submit::all_succeeded(&ended)
}

async fn edited(session: &Session, id: &str) -> Result<Option<String>, Failure> {
    let job = follow::job(session, id).await?;
    source::edit(&job.script.unwrap_or_default(), &job.name)
}
