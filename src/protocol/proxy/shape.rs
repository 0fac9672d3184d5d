//! What goes out: replies and events in NICOS's shapes.

use std::sync::Arc;

use beamq_machines::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeTuple};
use serde_json::{Value, json};

use crate::protocol::{REPLY_BYTES, RpcError, text::to_json};

/// The version of NICOS's protocol whose shapes these are.
pub const PROTOCOL_VERSION: u32 = 24;

/// Every event of NICOS's daemon; those that only NICOS has can be masked, too.
pub const EVENTS: &[&str] = &[
    "message",
    "request",
    "processing",
    "blocked",
    "status",
    "watch",
    "mode",
    "cache",
    "dataset",
    "datapoint",
    "datacurve",
    "livedata",
    "simresult",
    "simmessage",
    "showhelp",
    "clientexec",
    "watchdog",
    "debugging",
    "plugplay",
    "setup",
    "device",
    "experiment",
    "prompt",
    "promptdone",
    "updated",
    "rearranged",
    "done",
    "eta",
];

/// The level of a message that only informs: what a script prints.
pub const LEVEL_INFO: u8 = 20;
/// The level of a warning: what a script writes to standard error.
pub const LEVEL_WARNING: u8 = 30;
/// The level of an error: the exception that ended a script, a command that failed.
pub const LEVEL_ERROR: u8 = 40;

/// What the running script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// Nothing is running; the last script failed or was stopped.
    IdleAfterError = -2,
    /// Nothing is running.
    Idle = -1,
    /// A script is running.
    Running = 0,
    /// A script is paused.
    InBreak = 1,
    /// A script is being stopped.
    Stopping = 2,
}

/// What a new client is told.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Banner {
    /// The version of the server.
    pub daemon_version: &'static str,
    /// The version of the instrument's own code; never known here.
    pub custom_version: Option<String>,
    /// Where NICOS lives; empty without it.
    pub nicos_root: String,
    /// Where the instrument's own code lives; empty without NICOS.
    pub custom_path: String,
    /// How passwords are sent.
    pub pw_hashing: &'static str,
    /// The version of the protocol whose shapes are spoken.
    pub protocol_version: u32,
    /// The form of the messages.
    pub serializer: &'static str,
}

impl Banner {
    /// The banner of this server.
    #[must_use]
    pub fn of_this_server() -> Self {
        Self {
            daemon_version: env!("CARGO_PKG_VERSION"),
            custom_version: None,
            nicos_root: String::new(),
            custom_path: String::new(),
            pw_hashing: "plain",
            protocol_version: PROTOCOL_VERSION,
            serializer: "json",
        }
    }
}

/// A script on the queue, as `getstatus` and the events show it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScriptRequest<'a> {
    /// Its id: the job's.
    pub reqid: String,
    /// Its name, if it was given one.
    pub name: Option<&'a str>,
    /// Its text; one of several lines ends with a line break.
    pub script: &'a str,
    /// Who queued it.
    pub user: &'a str,
}

/// A line, or a few lines, of what a script wrote, or an error.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMessage<'a> {
    /// When, in milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// How grave it is: 20 for standard output, 30 for standard error, 40 for an error.
    pub level: u8,
    /// The text without its last line break.
    pub text: &'a str,
    /// The traceback of an error.
    pub traceback: Option<&'a str>,
    /// The script that wrote it.
    pub reqid: String,
}

impl Serialize for LogMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_tuple(6)?;
        message.serialize_element("nicos")?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit a float exactly")]
        message.serialize_element(&(self.time_ms as f64 / 1000.0))?;
        message.serialize_element(&self.level)?;
        message.serialize_element(&format_args!("{}\n", self.text))?;
        message.serialize_element(&self.traceback)?;
        message.serialize_element(&self.reqid)?;
        message.end()
    }
}

/// A question of the running script.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What it asks.
    pub text: String,
    /// Its id.
    pub uid: String,
    /// The answers to choose from.
    pub choices: Option<Vec<Value>>,
    /// What NICOS itself says of the answers that it takes.
    pub validator: Option<Value>,
    /// The answer when nobody answers.
    pub default: Option<Value>,
}

/// The only answer to a question that does not want one: a script that waits for somebody to look.
pub const PAUSE_ANSWER: &str = "continue";

/// Whether a question with these choices is what NICOS's `pause(text)` asks.
#[must_use]
pub fn is_mere_pause(choices: Option<&[Value]>) -> bool {
    matches!(choices, Some([only]) if only == PAUSE_ANSWER)
}

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_mere_pause(self.choices.as_deref()) {
            return (&self.text, &self.uid).serialize(serializer);
        }
        let validator = match (&self.validator, &self.choices) {
            (Some(validator), _) => validator.clone(),
            (None, Some(choices)) => one_of(choices),
            (None, None) => json!({"$global": "__builtin__.unicode"}),
        };
        let default = self.default.clone().unwrap_or_else(|| json!({"$global": "__builtin__.Ellipsis"}));
        (&self.text, &self.uid, validator, default).serialize(serializer)
    }
}

/// NICOS's validator of a choice between values, as its pickle of one is read.
fn one_of(choices: &[Value]) -> Value {
    let as_python_shows_it = |choice: &Value| match choice {
        Value::String(text) if !text.contains(['\'', '\\', '\n']) => format!("'{text}'"),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    };
    let values: Vec<String> = choices.iter().map(as_python_shows_it).collect();
    let state = json!({"__doc__": format!("one of {}", values.join(", ")), "vals": choices});
    json!({"$object": "nicos.core.params.oneof", "state": state})
}

/// `getstatus` but for the waiting scripts, which are large and encoded one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusHead {
    /// What the running script does, and its line; −1 when there is none.
    pub status: (StatusCode, i64),
    /// The name of the running or last script.
    pub scriptname: String,
    /// Its text.
    pub script: Arc<str>,
    /// When the running one is expected to end.
    pub eta: Option<Timestamp>,
    /// What NICOS says of the instrument: its own `getstatus`, if the session can ask for it.
    pub instrument: Option<Value>,
}

/// NICOS's word on when the running script ends: 3 and the time in seconds since 1970 when a simulation
/// tells, 1 and −1 when none does.
#[must_use]
pub fn eta(finish: Option<Timestamp>) -> Value {
    match finish {
        Some(finish) => json!([3, finish.0 as f64 / 1000.0]),
        None => json!([1, -1]),
    }
}

/// What is NICOS's in the status, whoever runs the scripts.
const OF_THE_INSTRUMENT: [&str; 5] = ["watch", "mode", "setups", "devices", "devicefailures"];

impl StatusHead {
    /// The reply with the waiting scripts, each already written as JSON. It can have megabytes, so every
    /// part is copied once.
    #[must_use]
    pub fn into_reply(self, requests: &[Arc<str>]) -> Arc<str> {
        let (code, line) = self.status;
        let mut head = json!({
            "status": [code as i8, line],
            "eta": eta(self.eta),
            "watch": {},
            "mode": "master",
            "setups": [[], []],
            "devices": [],
            "devicefailures": {},
        });
        for name in OF_THE_INSTRUMENT {
            if let Some(said) = self.instrument.as_ref().and_then(|instrument| instrument.get(name))
                && let Some(member) = head.get_mut(name)
            {
                *member = said.clone();
            }
        }
        let (head, name, script) = (written(&head), written(&self.scriptname), written(&self.script));
        let mut parts = vec![
            SUCCESS,
            head.strip_suffix('}').unwrap_or_default(),
            ",\"scriptname\":",
            &name,
            ",\"script\":",
            &script,
            ",\"requests\":[",
        ];
        for (n, request) in requests.iter().enumerate() {
            if n > 0 {
                parts.push(",");
            }
            parts.push(request);
        }
        parts.push("]}}");
        bounded(parts.concat())
    }
}

/// How the reply to a command that succeeded begins.
const SUCCESS: &str = r#"{"success":true,"payload":"#;

/// Writes a payload. What goes out is made of texts, numbers and JSON values, which can always be written.
#[must_use]
pub fn written(payload: &(impl Serialize + ?Sized)) -> String {
    to_json(&payload).unwrap_or_default()
}

/// The reply to a command that succeeded.
#[must_use]
pub fn reply(payload: &impl Serialize) -> Arc<str> {
    reply_of(&written(payload))
}

/// The same with a payload that is JSON already.
#[must_use]
pub fn reply_of(payload: &str) -> Arc<str> {
    bounded([SUCCESS, payload, "}"].concat())
}

/// A reply, unless it is too large.
fn bounded(reply: String) -> Arc<str> {
    if reply.len() > REPLY_BYTES {
        error(&RpcError::reply_too_large(reply.len()).message)
    } else {
        reply.into()
    }
}

/// The reply to a command that did not succeed.
#[must_use]
pub fn error(text: &str) -> Arc<str> {
    [r#"{"success":false,"payload":"#, &written(text), "}"].concat().into()
}

/// An event.
#[must_use]
pub fn event(name: &str, payload: &impl Serialize) -> Arc<str> {
    event_of(name, &written(payload))
}

/// The same with a payload that is JSON already.
#[must_use]
pub fn event_of(name: &str, payload: &str) -> Arc<str> {
    [r#"{"event":""#, name, r#"","payload":"#, payload, "}"].concat().into()
}

impl ScriptRequest<'_> {
    /// The request as JSON.
    #[must_use]
    pub fn encode(&self) -> Arc<str> {
        written(self).into()
    }
}
