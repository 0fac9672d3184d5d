//! `beamq watch`: the live view.

use std::collections::HashSet;

use clap::Args;
use serde_json::{Value, json};

use super::{
    connect::{Globals, Session},
    exit::{Exit, Failure},
    follow::{self, Follower, OutputPages},
    live::{Live, Scope, ShowOutput},
    model::{Event, Job},
    status,
};

#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// Follow this job and end with it: exit code 0 when it succeeded, else 1
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(super) async fn run(args: WatchArgs, globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let watching = async {
        match &args.id {
            Some(id) => watch_job(&session, id).await,
            None => watch_everything(&session).await,
        }
    };
    let outcome = tokio::select! {
        outcome = watching => outcome,
        // Watching changes nothing, so the end of it is not a failure.
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    session.client.close().await;
    outcome
}

async fn watch_everything(session: &Session) -> Result<(), Failure> {
    let mut follower = Follower::start(session).await?;
    let terminal = session.terminal;
    if !terminal.json {
        status::print(session).await?;
    }
    let mut live = Live::new(terminal, Scope::Everything, ShowOutput::Lines);
    loop {
        let notification = follower.next().await?;
        live.show(&notification, &Event::of(&notification))?;
    }
}

async fn watch_job(session: &Session, id: &str) -> Result<(), Failure> {
    let mut follower = Follower::start(session).await?;
    let scope = Scope::Jobs(HashSet::from([id.to_owned()]));
    let mut live = Live::new(session.terminal, scope, ShowOutput::Lines);
    let present = follow::job_value(session, id).await?;
    let job: Job = serde_json::from_value(present.clone())?;
    // A finished job's state and report belong below its output, a running one's state above.
    if job.state.is_final() {
        catch_up(session, &mut live, id).await?;
        show_job(&mut live, present)?;
        return outcome(&job);
    }
    show_job(&mut live, present)?;
    catch_up(session, &mut live, id).await?;
    loop {
        let notification = follower.next().await?;
        let event = Event::of(&notification);
        live.show(&notification, &event)?;
        if let Event::Job(job) = &event
            && job.id == id
            && job.state.is_final()
        {
            return outcome(job);
        }
    }
}

/// What is known already is shown in the form of the notifications that it would have been.
fn show_job(live: &mut Live, job: Value) -> Result<(), Failure> {
    let notification = json!({"jsonrpc": "2.0", "method": "event.job", "params": {"job": job}});
    live.show(&notification, &Event::of(&notification))
}

async fn catch_up(session: &Session, live: &mut Live, id: &str) -> Result<(), Failure> {
    let mut pages = OutputPages::from_line(session, id, 1);
    loop {
        let (answer, page) = pages.next().await?;
        if page.lines.is_empty() {
            live.seen_until(id, pages.next_line());
            return Ok(());
        }
        let lines = answer.get("lines").cloned().unwrap_or_default();
        let params = json!({"job": id, "lines": lines});
        let notification = json!({"jsonrpc": "2.0", "method": "event.output", "params": params});
        live.show(&notification, &Event::of(&notification))?;
    }
}

/// The outcome of a job as an exit code; the live view has said the rest.
pub(super) fn outcome(job: &Job) -> Result<(), Failure> {
    if job.state.succeeded() { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}
