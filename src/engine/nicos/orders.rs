//! What NICOS is told to do with our script.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    nicos::{Connection, NicosError},
    wire::nicos::Command,
};

/// The levels of NICOS's breakpoints: every line, scan points and waits, counting.
pub(super) const AT_LINE: u8 = 1;
pub(super) const AT_POINT: u8 = 2;
pub(super) const NOW: u8 = 3;
/// Nothing reacts to it: a pause that has not taken effect cannot be taken back, but replaced by this one.
const NEVER: u8 = 0;
/// NICOS's refusal of an order between two statements of a script.
pub(super) const BETWEEN_STATEMENTS: &str = "no script is running";
/// Who has stopped a script whose stop NICOS does not attribute.
pub(super) const ALONE: &str = "beamq";
/// What the daemon's emergency stop uses.
const AT_ONCE: u8 = 5;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Take the request off NICOS's queue.
    Unqueue(String),
    /// Pause at this level.
    Break(u8),
    /// Forget a pause that has not taken effect.
    CancelBreak,
    /// Let the paused script go on.
    Continue,
    /// End the count.
    Finish,
    /// End the script of this request where it can be paused, or, `hard`, at its next line whatever it does. Unlike
    /// NICOS's own stop it leaves NICOS's queue alone, where others may have put something since it was looked at, and
    /// does nothing to a script that has begun since. No device is stopped.
    Stop { request: String, hard: bool },
    /// End whatever runs at its next line, stop every device, and empty NICOS's queue.
    Emergency,
    /// Answer the question with this id; the value is a literal of Python.
    Answer { question: String, literal: String },
}

impl Order {
    /// Gives the order.
    ///
    /// # Errors
    ///
    /// [`NicosError::Refused`] also when the script is between two statements just now.
    pub(super) async fn give(&self, nicos: &Connection) -> Result<(), NicosError> {
        let (command, arguments) = match self {
            Self::Unqueue(request) => (Command::Unqueue, vec![json!(request)]),
            Self::Break(level) => (Command::Break, vec![json!(level)]),
            Self::CancelBreak => (Command::Break, vec![json!(NEVER)]),
            Self::Continue => (Command::Continue, Vec::new()),
            Self::Finish => (Command::Finish, Vec::new()),
            Self::Stop { request, hard } => (Command::Eval, evaluated(&stop_alone(request, *hard))),
            Self::Emergency => (Command::Emergency, Vec::new()),
            Self::Answer { question, literal } => {
                let question = python_literal(&json!(question));
                (Command::Eval, evaluated(&format!("session.setUserinput({question}, {literal})")))
            }
        };
        let answer = nicos.call(command, &arguments).await?;
        match answer.get("$object") {
            // An exception of what was evaluated comes as its result.
            Some(_) => Err(NicosError::Refused { command, text: answer.to_string() }),
            None if answer == false => Err(NicosError::Refused { command, text: BETWEEN_STATEMENTS.into() }),
            None => Ok(()),
        }
    }
}

fn evaluated(expression: &str) -> Vec<Value> {
    vec![json!(expression), json!(false)]
}

/// What NICOS's `stop` does to the script, without what it does to the queue: false if the script is between two
/// statements. One that has ended needs no more, nor one that is being stopped, unless it has to be stopped `hard`: a
/// script may catch what stops it, and go on.
fn stop_alone(request: &str, hard: bool) -> String {
    let request = python_literal(&json!(request));
    let stop = format!("('stop', {}, '{ALONE}')", if hard { AT_ONCE } else { NOW });
    let runs = if hard { "in (0, 2)" } else { "== 0" };
    format!(
        "(lambda c: True if c.reqid_work != {request} else \
         (setattr(session, 'countloop_request', ('pause', 'Stopped by {ALONE}')), c.set_break({stop}))[0] is None \
         if c.status {runs} else True if c.status == 2 else c.set_continue({stop}) is None if c.status == 1 else False)\
         (session.daemon_device._controller)"
    )
}

/// A value as Python writes it.
pub(super) fn python_literal(value: &Value) -> String {
    let mut text = String::new();
    write_literal(value, &mut text);
    text
}

fn write_literal(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        // Writing into a text cannot fail. The escapes of JSON are escapes of Python, too.
        Value::Number(_) | Value::String(_) => write!(text, "{value}").unwrap_or_default(),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_literal(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (name, value) in members {
                write!(text, "{}:", json!(name)).unwrap_or_default();
                write_literal(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_whatever_somebody_answers() {
        assert_eq!(
            python_literal(&json!({"a\"": [1, -2.5, true, null, "x')\n\u{7}ü"]})),
            "{\"a\\\"\":[1,-2.5,True,None,\"x')\\n\\u0007ü\",],}"
        );
    }
}
