//! `beamq answer`: answers to the questions of a running script.

use clap::Args;
use serde_json::{Value, json};

use super::{connect::Globals, exit::Failure};
use crate::client::{ClientError, RpcError};

#[derive(Args, Debug)]
pub(super) struct AnswerArgs {
    /// The number of the question, as `beamq watch` shows it
    prompt: String,
    /// The answer
    #[arg(allow_hyphen_values = true)]
    value: String,
}

pub(super) async fn run(args: AnswerArgs, globals: Globals) -> Result<(), Failure> {
    let session = globals.connect().await?;
    let answer =
        |value: Value| session.client.call("run.answer", json!({"prompt": args.prompt, "value": value}));
    let done: Value = match answer(args.value.as_str().into()).await {
        Err(ClientError::Rpc(error)) => match meant(&error, &args.value) {
            Some(choice) => answer(choice).await?,
            None => return Err(ClientError::Rpc(error).into()),
        },
        other => other?,
    };
    if session.terminal.json {
        session.terminal.document(&done)?;
    } else {
        session.terminal.remark(format!("question {} answered", args.prompt));
    }
    session.client.close().await;
    Ok(())
}

/// The choice that reads like what was typed: choices may be numbers, and what is typed is always text.
fn meant(error: &RpcError, typed: &str) -> Option<Value> {
    let allowed = error.data.get("allowed")?.as_array()?;
    allowed.iter().find(|choice| !choice.is_string() && format!("{choice}") == typed).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_among_the_choices_can_be_typed() {
        let data = serde_json::Map::from_iter([("allowed".to_owned(), json!([1, 2.5, true, "3"]))]);
        let error = RpcError { code: -32602, message: "no such choice".into(), data };
        assert_eq!(meant(&error, "1"), Some(json!(1)));
        assert_eq!(meant(&error, "2.5"), Some(json!(2.5)));
        assert_eq!(meant(&error, "true"), Some(json!(true)));
        assert_eq!(meant(&error, "3"), None);
        assert_eq!(meant(&error, "4"), None);
    }
}
