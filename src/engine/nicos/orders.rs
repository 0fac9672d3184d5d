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
    /// End the script where it can be paused, or, `hard`, at its next line whatever it does, and stop every device.
    /// Either also empties NICOS's queue.
    Stop { hard: bool },
    /// End the script and leave NICOS's queue alone, since requests of others wait there. No device is stopped.
    StopAlone { hard: bool },
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
            Self::Stop { hard: false } => (Command::Stop, vec![json!(NOW)]),
            Self::Stop { hard: true } => (Command::Emergency, Vec::new()),
            Self::StopAlone { hard } => (Command::Eval, evaluated(&stop_alone(*hard))),
            Self::Answer { question, literal } => {
                let question = python_literal(&json!(question));
                (Command::Eval, evaluated(&format!("session.setUserinput({question}, {literal})")))
            }
        };
        let answer = nicos.call(command, &arguments).await?;
        match answer.get("$object") {
            // An exception of what was evaluated comes as its result.
            Some(_) => Err(NicosError::Refused { command, text: answer.to_string() }),
            None => Ok(()),
        }
    }
}

fn evaluated(expression: &str) -> Vec<Value> {
    vec![json!(expression), json!(false)]
}

/// What `stop` does to the script, without what it does to the queue.
fn stop_alone(hard: bool) -> String {
    let request = format!("('stop', {}, '{ALONE}')", if hard { AT_ONCE } else { NOW });
    format!(
        "(lambda c: (setattr(session, 'countloop_request', ('pause', 'Stopped by {ALONE}')), \
         c.set_break({request}) if c.status == 0 else c.set_continue({request}) if c.status == 1 else None)[1])\
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
