//! `beamq pause`, `resume`, `skip` and `abort`: steering the running job.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    connect::{Globals, Session},
    exit::Failure,
};
use crate::client::ClientError;

#[derive(Args, Debug)]
pub(super) struct PauseArgs {
    /// Where the pause takes effect
    #[arg(long, value_name = "LEVEL", default_value = "line")]
    level: Level,
}

/// Where a pause takes effect.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// At the next line of the script
    Line,
    /// At the next wait or explicit pause point
    Point,
    /// At once, also inside waits that poll
    Now,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Point => "point",
            Self::Now => "now",
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct AbortArgs {
    /// The reason, for the record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

pub(super) async fn pause(args: PauseArgs, globals: Globals) -> Result<(), Failure> {
    steer(globals, "run.pause", json!({"level": args.level.name()})).await
}

pub(super) async fn skip(globals: Globals) -> Result<(), Failure> {
    steer(globals, "run.skip", json!({})).await
}

pub(super) async fn abort(args: AbortArgs, globals: Globals) -> Result<(), Failure> {
    let params = args.why.map_or_else(|| json!({}), |why| json!({"why": why}));
    steer(globals, "run.abort", params).await
}

/// Goes on. A pause that has not taken effect is taken back: to the person it is the same wish.
pub(super) async fn resume(globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let answer = match session.client.call("run.resume", json!({})).await {
        Err(ClientError::Rpc(error)) if error.text("state") == Some("pausing") => {
            session.client.call("run.cancel_pause", json!({})).await
        }
        answer => answer,
    };
    finish(session, answer?).await
}

async fn steer(globals: Globals, method: &str, params: Value) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let answer = session.call(method, params).await?;
    finish(session, answer).await
}

async fn finish(session: Session, answer: Value) -> Result<(), Failure> {
    if session.terminal.json {
        session.terminal.document(&answer)?;
    } else {
        session.terminal.line(in_words(&answer))?;
    }
    session.client.close().await;
    Ok(())
}

/// The new state, and when it takes effect: `pausing: in waitfor_uamps, line 14`.
fn in_words(answer: &Value) -> String {
    let text = |member: &str| answer.get(member).and_then(Value::as_str);
    let state = text("state").unwrap_or("done").replace('_', " ");
    text("acts").map_or_else(|| state.clone(), |acts| format!("{state}: {acts}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_pause_says_when_it_acts() {
        let answer = json!({"state": "pausing", "acts": "at the next line after line 14"});
        assert_eq!(in_words(&answer), "pausing: at the next line after line 14");
        assert_eq!(in_words(&json!({"state": "running"})), "running");
    }
}
