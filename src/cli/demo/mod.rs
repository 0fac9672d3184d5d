//! `beamq demo`: an example experiment on a server of its own, shown live.

mod experiment;
mod server;

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::server::DemoServer;
use super::{
    connect::Globals,
    exit::{Exit, Failure},
    terminal::Terminal,
};

/// The longest time that the demo may take. It takes about a third of it.
const AT_MOST: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Leave the server running and say how to talk to it
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: DemoArgs, globals: Globals) -> Result<(), Failure> {
    let terminal = globals.terminal();
    let mut server = None;
    let outcome = tokio::select! {
        outcome = perform(&globals, &mut server) => outcome,
        interrupted = interruption() => interrupted,
        () = tokio::time::sleep(AT_MOST) => {
            Err(Failure::new(Exit::TimedOut, format!("the demo did not end within {AT_MOST:?}")))
        }
    };
    let Some(server) = server else { return outcome };
    if args.keep && outcome.is_ok() {
        explain_keeping(&server.keep(), &terminal)
    } else {
        // What went wrong first is what is told.
        let stopped = server.stop().await;
        outcome.and(stopped)
    }
}

async fn perform(globals: &Globals, place: &mut Option<DemoServer>) -> Result<(), Failure> {
    let server = place.insert(DemoServer::spawn()?);
    let ready = server.ready().await?;
    let globals = Globals {
        server: Some(format!("stomp://{}", ready.stomp)),
        data: Some(server.data().to_owned()),
        ..globals.clone()
    };
    let session = globals.connect().await?;
    let outcome = experiment::run(&session, server.data()).await;
    session.client.close().await;
    outcome
}

/// Ends when somebody wants the demo to end.
async fn interruption() -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Internal, format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Err(Failure::new(Exit::Failed, "the demo was interrupted; its server is stopped"))
}

fn explain_keeping(kept: &server::Kept, terminal: &Terminal) -> Result<(), Failure> {
    let data = kept.data.display();
    if terminal.json {
        return terminal.document(&serde_json::json!({"kept": {"pid": kept.pid, "data": kept.data}}));
    }
    let lines = [
        String::new(),
        format!("The server goes on (process {}). Talk to it with:", kept.pid),
        format!("  beamq --data {data} status"),
        format!("  beamq --data {data} submit SCRIPT.py --wait"),
        format!("  beamq --data {data} watch"),
        format!("Stop it with `kill {}`, then remove {data}.", kept.pid),
    ];
    lines.iter().try_for_each(|line| terminal.line(line))
}
