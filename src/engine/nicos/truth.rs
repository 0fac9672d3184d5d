//! What NICOS is doing at this moment.

use serde_json::{Value, json};

use crate::{
    nicos::{Connection, NicosError},
    wire::nicos::Command,
};

/// One expression for all that is needed, so that it belongs together and costs a tenth of a millisecond. The
/// status that NICOS serves itself comes with the whole script and does not say whose request is running. A script may
/// call something else `session`.
const EXPRESSION: &str = "(lambda c: (lambda s: (c.status, c.lineno, c.reqid_work, c.thread is not None, \
     s and s.name, s and s.user.name, [r.get('reqid') for r in c.get_queue()]))(c.current_script))\
     (__import__('nicos').session.daemon_device._controller)";

/// What the script's thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing; or a script is between two statements, which looks the same.
    Idle,
    /// A script runs.
    Running,
    /// A script is paused.
    Paused,
    /// A script is being stopped.
    Stopping,
}

/// A moment of NICOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) activity: Activity,
    /// The line of the script, from 1.
    pub(super) line: Option<u32>,
    /// The request that runs, or ran last.
    pub(super) request: Option<String>,
    /// Whether there is a thread that runs scripts. `sys.exit()` in a script ends it for good.
    pub(super) thread_lives: bool,
    /// The name of the script that runs, or ran last.
    pub(super) name: Option<String>,
    /// Whose it is.
    pub(super) user: Option<String>,
    /// The requests that wait.
    pub(super) waiting: Vec<String>,
}

impl Truth {
    /// Asks NICOS.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub(super) async fn ask(nicos: &Connection) -> Result<Self, NicosError> {
        let answer = nicos.call(Command::Eval, &[json!(EXPRESSION), json!(false)]).await?;
        Self::read(&answer)
            .ok_or_else(|| NicosError::Refused { command: Command::Eval, text: answer.to_string() })
    }

    fn read(answer: &Value) -> Option<Self> {
        let [status, line, request, thread_lives, name, user, waiting] = answer.as_array()?.as_slice() else {
            return None;
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            activity: match status.as_i64()? {
                ..0 => Activity::Idle,
                0 => Activity::Running,
                1 => Activity::Paused,
                2.. => Activity::Stopping,
            },
            line: line.as_u64().and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0),
            request: text(request),
            thread_lives: thread_lives.as_bool()?,
            name: text(name).filter(|name| !name.is_empty()),
            user: text(user),
            waiting: waiting.as_array()?.iter().filter_map(text).collect(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_and_rubbish_is_not() {
        let answer = json!([0, 3, "a-b", true, "scan.py", "ulf", ["c-d"]]);
        let truth = Truth::read(&answer).unwrap();
        assert_eq!((truth.activity, truth.line), (Activity::Running, Some(3)));
        assert_eq!(truth.waiting, ["c-d"]);
        let truth = Truth::read(&json!([-2, -1, null, false, null, null, []])).unwrap();
        assert_eq!((truth.activity, truth.line, truth.thread_lives), (Activity::Idle, None, false));
        assert_eq!(Truth::read(&json!({"$object": "exceptions.AttributeError", "args": ["thread"]})), None);
    }
}
