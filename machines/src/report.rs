//! How a job ended: the error report that every interface and the history show alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where in a job's life an error arose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The submission was judged.
    Validation,
    /// Python could not compile the script.
    Syntax,
    /// An `import` statement of the script failed.
    Import,
    /// The script ran; an exit is `run` too.
    #[default]
    Run,
    /// A start-up script of the configuration failed.
    Hook,
    /// A signal ended the process, or the server did (time-out).
    Killed,
}

/// One frame of a traceback, outermost first, trimmed to the user's own code; with
/// `engine.nicos.local_variables` also NICOS's below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracebackFrame {
    /// The file, or the job's name for the script itself.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function, `<module>` at the top level.
    pub function: String,
    /// The text of the line.
    pub text: String,
    /// The variables of the frame: of NICOS's own frames, if `engine.nicos.local_variables` is on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locals: Vec<LocalVariable>,
}

/// A variable when the error was raised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalVariable {
    /// Its name.
    pub name: String,
    /// Its value as Python shows it, cut when it is long.
    pub value: String,
}

/// An error of a command that the script, or a library in it, went on after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandError {
    /// The command.
    pub command: String,
    /// Its arguments by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
    /// The line of the script that called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The error's type and message.
    pub message: String,
}

/// How a job ended, for a scientist to act on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The exception's type, or `SystemExit`, `Signal`, `TimeoutError`, `WorkerError`; empty for a success.
    #[serde(rename = "type", default)]
    pub error_type: String,
    /// The message in one or a few lines.
    #[serde(default)]
    pub message: String,
    /// The line of the script, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column of a syntax error, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The text of that line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The user's frames, outermost first.
    #[serde(default)]
    pub traceback: Vec<TracebackFrame>,
    /// The last 50 lines of output.
    #[serde(default)]
    pub output_tail: Vec<String>,
    /// The catalogue command in progress, with its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandInProgress>,
    /// Where in the job's life the error arose.
    #[serde(default)]
    pub phase: Phase,
    /// The exit code of the process, when it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the process, by name (`SIGKILL`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Wall time from start to end in seconds.
    #[serde(default)]
    pub elapsed_s: f64,
    /// What to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Exceptions that led to this one, the direct cause first, as `Type: message`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Errors of commands that the script went on after.
    #[serde(default)]
    pub command_errors: Vec<CommandError>,
}

/// The catalogue command that was running.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandInProgress {
    /// Its name.
    pub name: String,
    /// Its arguments by name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// What the engine says of a job's end, before policy turns it into a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The script came to its end.
    Completed,
    /// The script raised, exited non-zero, or its process died.
    Failed,
}
