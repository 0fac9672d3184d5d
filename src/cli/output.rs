//! `beamq output`: what a job wrote.

use clap::Args;
use serde_json::{Value, json};

use super::{
    connect::{Globals, Session},
    exit::Failure,
    follow::{self, Follower, OutputPages},
    model::Event,
};

#[derive(Args, Debug)]
pub(super) struct OutputArgs {
    /// The job
    id: String,
    /// Go on with new lines until the job ends
    #[arg(short, long)]
    follow: bool,
    /// Begin at this line
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,
}

pub(super) async fn run(args: OutputArgs, globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let outcome = if args.follow {
        tokio::select! {
            outcome = follow(&session, &args) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    } else {
        print(&session, &args).await
    };
    session.client.close().await;
    outcome
}

/// The output so far: text as it is, or one JSON document.
async fn print(session: &Session, args: &OutputArgs) -> Result<(), Failure> {
    let mut pages = OutputPages::from_line(session, &args.id, args.from);
    let mut all = Vec::new();
    let dropped = loop {
        let (mut answer, page) = pages.next().await?;
        if page.lines.is_empty() {
            break page.dropped;
        }
        match answer.get_mut("lines").map(Value::take) {
            Some(Value::Array(lines)) if session.terminal.json => all.extend(lines),
            _ => page
                .lines
                .iter()
                .try_for_each(|line| session.terminal.line(session.terminal.foreign(&line.text)))?,
        }
    };
    if session.terminal.json {
        let next = pages.next_line();
        return session
            .terminal
            .document(&json!({"job": args.id, "lines": all, "next": next, "dropped": dropped}));
    }
    if dropped > 0 {
        session.terminal.remark(format!("{dropped} lines are missing: the job wrote more than is kept"));
    }
    Ok(())
}

/// The output so far and what comes: text as it is, or one JSON object a line.
async fn follow(session: &Session, args: &OutputArgs) -> Result<(), Failure> {
    let mut follower = Follower::start(session).await?;
    let mut next = print_from(session, &args.id, args.from).await?;
    let mut ended = follow::job(session, &args.id).await?.state.is_final();
    while !ended {
        let notification = follower.next().await?;
        match Event::of(&notification) {
            Event::Job(job) if job.id == args.id => ended = job.state.is_final(),
            Event::Output { job, lines } if job == args.id => {
                // Notifications that were lost on the way leave a gap, which the server can fill.
                if lines.first().is_some_and(|line| line.n > next) {
                    next = print_from(session, &args.id, next).await?;
                }
                let lines = notification.get("params").and_then(|params| params.get("lines"));
                next = print_lines(session, lines, next)?;
            }
            _ => {}
        }
    }
    print_from(session, &args.id, next).await?;
    Ok(())
}

/// Prints every line from `from` on that there is, and gives the number of the line after them.
async fn print_from(session: &Session, id: &str, from: u64) -> Result<u64, Failure> {
    let mut pages = OutputPages::from_line(session, id, from);
    loop {
        let from = pages.next_line();
        let (answer, page) = pages.next().await?;
        if page.lines.is_empty() {
            return Ok(pages.next_line());
        }
        print_lines(session, answer.get("lines"), from)?;
    }
}

fn print_lines(session: &Session, lines: Option<&Value>, from: u64) -> Result<u64, Failure> {
    let mut next = from;
    for line in lines.and_then(Value::as_array).into_iter().flatten() {
        let number = line.get("n").and_then(Value::as_u64).unwrap_or_default();
        if number < from {
            continue;
        }
        next = next.max(number + 1);
        if session.terminal.json {
            session.terminal.document(line)?;
        } else {
            let text = line.get("text").and_then(Value::as_str).unwrap_or_default();
            session.terminal.line(session.terminal.foreign(text))?;
        }
    }
    Ok(next)
}
