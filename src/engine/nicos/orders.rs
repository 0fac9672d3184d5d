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
/// What is evaluated in NICOS for orders that it has no command for.
const INSIDE: &str = include_str!("inside.py");

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
    /// End the script of this request where it can be paused, or, `hard`, at its next line whatever it does; with
    /// `devices`, every device is stopped when it has ended. Unlike NICOS's own stops it leaves NICOS's queue alone,
    /// where others may put something at any time, and does nothing to a script that has begun since.
    Stop { request: String, hard: bool, devices: bool },
    /// Answer the question with this id, and unless it is the question's own default, let its validator judge.
    Answer { question: String, value: Value, check: bool },
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
            Self::Stop { request, hard, devices } => {
                inside("stop", &[json!(request), json!(hard), json!(devices)])
            }
            Self::Answer { question, value, check } => {
                inside("answer", &[json!(question), value.clone(), json!(check)])
            }
        };
        let answer = nicos.call(command, &arguments).await?;
        match answer.get("$object") {
            // An exception of what was evaluated comes as its result.
            Some(class) => Err(NicosError::Refused { command, text: exception(class, &answer) }),
            None if answer == false => Err(NicosError::Refused { command, text: BETWEEN_STATEMENTS.into() }),
            None => Ok(()),
        }
    }
}

/// Has NICOS evaluate a function of [`INSIDE`]. What a script has called `session`, say, means nothing there.
fn inside(function: &str, arguments: &[Value]) -> (Command, Vec<Value>) {
    let code = format!("{INSIDE}\nresult = {function}(*{})\n", python_literal(&json!(arguments)));
    let expression = format!(
        "(lambda names: (__import__('builtins').exec({}, names), names['result'])[1])({{}})",
        python_literal(&json!(code))
    );
    (Command::Eval, vec![json!(expression), json!(false)])
}

/// An exception in NICOS in the words of Python.
fn exception(class: &Value, answer: &Value) -> String {
    let class = class.as_str().unwrap_or_default();
    let class = class.rsplit('.').next().unwrap_or_default();
    match answer.pointer("/args/0") {
        Some(Value::String(text)) => format!("{class}: {text}"),
        _ => class.to_owned(),
    }
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
